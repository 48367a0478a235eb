"""GEPA: evolves the instruction of a prompted reflector by reflecting on what its reflections earned.

The paper is "GEPA: Reflective Prompt Evolution Can Outperform Reinforcement Learning" (Agrawal et al.,
arXiv 2507.19457). No weights change: what is learned is the text before the observation in
:class:`~retro_gym_agents.play.policies.PromptedPolicy`'s prompt. A trained reflector should be compared with it.

Kept from the paper, by using its own optimiser (``gepa.optimize`` of the package of this name): in each iteration a
candidate is drawn from the Pareto frontier over the validation failures, it is tried on a minibatch of training
failures, a model reads what happened and proposes a new instruction, and the new candidate enters the pool if it earns
more on the minibatch. The result is the candidate with the best mean on the validation failures. One component is
evolved, so there is nothing to merge.

Different: an example is a failure, the task's trial 0, which no instruction changes. It is played once; tasks that the
actor solves at once are passed over. A candidate's score on it is the return of the next trial, with the same seed
for all candidates. The budget is counted in actor calls, not in examples. A reflection that could not be written scores
as the failed trial did; a trial without a result (an actor error) takes the mean of its batch, and is not shown to the
proposing model.

How to run it::

    evolve_instruction(GEPAConfig(env_id="RetroHotpotQA-v0", output=Path("runs/gepa"), reflector="openai:MODEL",
                                  proposer="openai:LARGER-MODEL", max_actor_calls=20_000))

    retro-gym evaluate RetroHotpotQA-v0 --reflector none openai:MODEL
        --reflector-kwargs '{"instruction_file": "runs/gepa/instruction.txt"}'
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from retro_gym.actors import ActorSpec, Budget, make_actor
from retro_gym.checks import check_whole
from retro_gym.errors import ActorError, BudgetError, ConfigError, MissingExtraError
from retro_gym.prompts import Prompt
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import Outcome
from retro_gym.vector import run_plans
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.episodes import Episode, check_budget, start_episodes
from retro_gym_agents.play.policies import REFLECTOR_INSTRUCTION, PromptedPolicy, written_reflections
from retro_gym_agents.play.policies.prompted import replies_to
from retro_gym_agents.runs.log import print_status

__all__ = ["GEPAConfig", "GEPAResult", "evolve_instruction"]

_COMPONENT = "instruction"  # the name of what is evolved


@dataclasses.dataclass(frozen=True, kw_only=True)
class GEPAConfig:
    """Settings of an evolution."""

    env_id: str
    """A ``Retro…-v0`` id."""
    output: Path
    """The folder of ``instruction.txt`` and ``history.json``."""
    reflector: ActorSpec
    """The model that writes reflections: ``openai:MODEL``, ``replay:FILE``, or any other actor."""
    proposer: ActorSpec
    """The model that proposes instructions: the same kinds."""
    reflector_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the reflector, such as ``base_url``."""
    proposer_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the proposing model."""
    instruction: str = REFLECTOR_INSTRUCTION
    """The first candidate."""
    max_actor_calls: int = 20_000
    """Actor calls at most, those of the first trials included."""
    num_train: int = 60
    """Failures of training tasks, from which minibatches are drawn."""
    num_validation: int = 20
    """Failures of validation tasks: each new candidate is tried on all of them."""
    minibatch: int = 3
    """Failures that the proposing model reads at once."""
    max_iterations: int = 100
    """Proposals at most."""
    perfect_score: float = 1.0
    """If all returns of a minibatch are at least this, there is nothing to learn from it."""
    seed: int = 0
    """Seed of the tasks, the trials, the reflections and the choice of candidates."""
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of ``gym.make``."""

    def __post_init__(self) -> None:
        counts = {"num_train": self.num_train, "num_validation": self.num_validation, "minibatch": self.minibatch}
        check_whole(1, max_actor_calls=self.max_actor_calls, max_iterations=self.max_iterations, **counts)
        check_whole(0, seed=self.seed)
        if not self.instruction.strip():
            raise ConfigError("instruction is empty; give the text to begin with, or leave it out.")
        own = {name for name in ("split", "reward", "max_reflections") if name in self.env_kwargs}
        own |= {"budget"} & set(self.env_kwargs.get("actor_kwargs") or ())
        if own:
            raise ConfigError(
                f"env_kwargs sets {', '.join(sorted(own))}, which an evolution sets itself. Leave it out."
            )


@dataclasses.dataclass(frozen=True)
class GEPAResult:
    """What an evolution found."""

    instruction: str
    """The candidate with the best mean return on the validation failures; of equal ones the first."""
    scores: tuple[float, ...]
    """Mean return of each candidate of the pool on the validation failures; the first is the one to begin with."""
    actor_calls: int
    history: tuple[dict[str, Any], ...]
    """For each candidate: ``instruction``, ``parents`` (their numbers), ``score`` and ``scores`` by task."""


@dataclasses.dataclass(frozen=True)
class _Tried:
    """A reflection on a failure, and what came of it."""

    observation: str
    reflection: str
    """Empty if none was written."""
    after: str
    """The next trial as text, or why there was no reflection."""
    score: float | None
    """The return of the next trial; None if it has no result."""


class _Adapter:
    """Tries instructions on failures, in the form that ``gepa`` calls."""

    propose_new_texts = None

    def __init__(self, config: GEPAConfig) -> None:
        self._seed = config.seed
        self._policy = PromptedPolicy(config.reflector, **config.reflector_kwargs)

    def evaluate(self, batch: list[Episode], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Returns the scores of an instruction on some failures, with what happened.

        Raises:
            ActorError: no trial has a result.
            BudgetError: a budget is spent.
        """
        from gepa import EvaluationBatch

        tried = self._tried(batch, candidate[_COMPONENT])
        known = [one.score for one in tried if one.score is not None]
        if not known:
            raise ActorError(f"the actor failed in all {len(batch)} trials of a batch. First: {tried[0].after}")
        scores = [fmean(known) if one.score is None else one.score for one in tried]
        return EvaluationBatch(outputs=tried, scores=scores, trajectories=tried)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Returns what the proposing model reads of a batch."""
        tried: list[_Tried] = [one for one in eval_batch.trajectories if one.score is not None]
        shown = [
            {
                "Inputs": {"Record of the failed attempt": one.observation},
                "Generated Outputs": one.reflection or "(none)",
                "Feedback": f"The next attempt earned {one.score:.2f}. {one.after}",
            }
            for one in tried
        ]
        return dict.fromkeys(components_to_update, shown)

    def _tried(self, batch: Sequence[Episode], instruction: str) -> list[_Tried]:
        self._policy.instruction = instruction
        seeds = [derive_seed(self._seed, "reflection", one.seed) for one in batch]
        envs = [one.env for one in batch]
        written = written_reflections(self._policy, [one.observation for one in batch], envs, seeds)
        spent = next((text for text in written if isinstance(text, BudgetError)), None)
        if spent is not None:
            raise spent
        heard = [(env, text) for env, text in zip(envs, written, strict=True) if isinstance(text, str)]
        played = run_plans([env for env, _ in heard], [env.plan_branch([text]) for env, text in heard])
        outcomes = [outcome for (outcome,) in played]
        check_budget(outcomes)
        rest = iter(outcomes)
        return [
            _Tried(one.observation, "", f"No advice was given: {text}", one.returns[-1])
            if isinstance(text, ActorError)
            else _result(one.observation, text, next(rest))
            for one, text in zip(batch, written, strict=True)
        ]


def _result(observation: str, reflection: str, outcome: Outcome) -> _Tried:
    if outcome.reward is None:
        return _Tried(observation, reflection, str(outcome.actor_error), None)
    how = "It solved the task." if outcome.success else "It failed again."
    return _Tried(observation, reflection, f"{how} Its record:\n{outcome.trajectory.render()}", outcome.reward)


class _Proposer:
    """The model that proposes instructions, in the form that ``gepa`` calls."""

    def __init__(self, config: GEPAConfig) -> None:
        self._actor = make_actor(config.proposer, None, **config.proposer_kwargs)
        self._seed, self._asked = config.seed, 0
        self.error: Exception | None = None
        """Why there was no proposal: ``gepa`` only logs what is raised here, and would go on asking."""

    def __call__(self, prompt: str) -> str:
        if self.error is not None:
            raise self.error
        self._asked += 1
        try:
            return self._proposed(prompt, derive_seed(self._seed, "proposal", self._asked))
        except Exception as error:  # any: it is raised again when the evolution has stopped
            self.error = error
            raise

    def _proposed(self, prompt: str, seed: int) -> str:
        (reply,) = replies_to([Prompt(prompt, (), (), "", (), seed=seed, stop=())], self._actor)
        if isinstance(reply, ActorError):
            raise type(reply)(f"the proposing model wrote no instruction: {reply}")
        return reply.text


class _Watch:
    """Reports candidates, and keeps the error that ends an evolution, in the form that ``gepa`` calls."""

    def __init__(self, config: GEPAConfig, budget: Budget, proposer: _Proposer) -> None:
        self._config, self._budget, self._proposer = config, budget, proposer
        self._error: Exception | None = None

    @property
    def error(self) -> Exception | None:
        """The error that ended the evolution; None if there was none."""
        return self._error or self._proposer.error

    def __call__(self, state: Any) -> bool:
        """Returns whether to stop."""
        calls = self._budget.spent.calls
        ended = calls >= self._config.max_actor_calls or state.i + 1 >= self._config.max_iterations
        return self.error is not None or ended

    def on_error(self, event: Mapping[str, Any]) -> None:
        """Keeps the error."""
        self._error = event["exception"]

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Prints the score of a new candidate."""
        score, calls = event["average_score"], self._budget.spent.calls
        print_status(f"candidate {event['candidate_idx']}: {score:.3f} on validation failures; {calls:,} actor calls")

    def log(self, message: str) -> None:
        """Drops the log of ``gepa``, which repeats whole texts."""


def evolve_instruction(config: GEPAConfig) -> GEPAResult:
    """Evolves an instruction, and writes it to ``instruction.txt``, all candidates to ``history.json``.

    Raises:
        ConfigError: a setting is invalid, the folder holds an instruction already, or the actor solves every task.
        MissingExtraError: the extra [gepa] is not installed.
        BudgetError: the budget does not suffice to try the first candidate on the validation failures.
        ActorError: the actor or the proposing model failed; the candidates until then are written first.
    """
    try:
        import gepa
    except ModuleNotFoundError as error:
        raise MissingExtraError("gepa", "gepa") from error
    output = Path(config.output)
    if (output / "instruction.txt").exists():
        raise ConfigError(f"{output} holds an instruction.txt already. Give another folder, or remove the file.")
    adapter, proposer, budget = _Adapter(config), _Proposer(config), Budget(calls=config.max_actor_calls)
    watch = _Watch(config, budget, proposer)
    with ExitStack() as stack:
        train = _failures(config, budget, "train", config.num_train, stack)
        validation = _failures(config, budget, "validation", config.num_validation, stack)
        found = gepa.optimize(
            seed_candidate={_COMPONENT: config.instruction},
            trainset=train,
            valset=validation,
            adapter=adapter,
            reflection_lm=proposer,
            reflection_minibatch_size=config.minibatch,
            perfect_score=config.perfect_score,
            stop_callbacks=watch,
            callbacks=[watch],
            logger=watch,
            seed=config.seed,
            raise_on_exception=False,  # else the candidates found so far would be lost
        )
    task_ids = [one.task_id for one in validation]
    history = tuple(
        {
            "instruction": candidate[_COMPONENT],
            "parents": [parent for parent in parents if parent is not None],
            "score": score,
            "scores": {task_ids[number]: each for number, each in sorted(scores.items())},
        }
        for candidate, parents, score, scores in zip(
            found.candidates, found.parents, found.val_aggregate_scores, found.val_subscores, strict=True
        )
    )
    best = found.candidates[found.best_idx][_COMPONENT]
    result = GEPAResult(best, tuple(found.val_aggregate_scores), budget.spent.calls, history)
    _write(output, result)
    if watch.error is not None and not isinstance(watch.error, BudgetError):
        raise watch.error
    return result


def _failures(config: GEPAConfig, budget: Budget, split: str, count: int, stack: ExitStack) -> list[Episode]:
    """Plays first trials of a split in a seeded order until enough have failed; of few tasks, fewer may fail."""
    actor_kwargs = {**(config.env_kwargs.get("actor_kwargs") or {}), "budget": budget}
    own = {"split": split, "actor_kwargs": actor_kwargs, "reward": "return", "max_reflections": 1}
    first = stack.enter_context(closing(make_retro_env(config.env_id, **{**config.env_kwargs, **own})))
    task_ids = first.task_env.task_ids(split)
    order = np.random.default_rng(derive_seed(config.seed, "tasks", split)).permutation(len(task_ids))
    failed: list[Episode] = []
    for start in range(0, len(order), count):
        chosen = [task_ids[index] for index in order[start : start + count]]
        seeds = [derive_seed(config.seed, "episode", task_id) for task_id in chosen]
        for episode in start_episodes(first, chosen, seeds):
            stack.enter_context(closing(episode))
            if episode.waits:
                failed.append(episode)
        if len(failed) >= count:
            break
    if not failed:
        raise ConfigError(f"no first trial on the {len(order)} tasks of split {split!r} failed. Use harder tasks.")
    return failed[:count]


def _write(output: Path, result: GEPAResult) -> None:
    output.mkdir(parents=True, exist_ok=True)
    rows = {"actor_calls": result.actor_calls, "candidates": result.history}
    (output / "history.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (output / "instruction.txt").write_text(result.instruction, encoding="utf-8")
