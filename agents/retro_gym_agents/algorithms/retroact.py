"""RetroAct: imitation, then off-policy joint policy gradient on a planner and a reflector (arXiv 2503.01490).

Stage 1, imitation: an expert plays training tasks and reflects on its failures. Trials that solved their task are
imitated by the planner, reflections after which the next trial did by the reflector (section 3.2 of the paper).

Stage 2, rounds of exploring and learning (section 3.3). Both models play training tasks at temperature 1; what they
wrote goes into replay buffers, with the planner's reward R_π = G, the return of its trial, and the reflector's
R_μ = G' − G. Then both are updated on batches of their buffers and of the expert's examples:

    L = L_RL + λ L_IL,    L_RL = − E[ Σ_t w_t R log π(a_t | s_t) ],    w_t = clip(π / π_behaviour, 1 − ε, 1 + ε),

per token, with w_t detached: outside of the band the gradient does not vanish, in contrast to PPO, as the paper's text
says (its formula, with w_t inside of the gradient alone, would let it vanish) and the released code does.

Kept from the paper: two adapters on one base model (``adapters="one"`` is its ablation), rewards, clipped weights,
the imitation term with λ = 1 on both, new exploration in every round, no critic, no KL term.

Different: ε and the number of rounds, which the paper does not give, are those of the released code and a default. A
token with a negative reward loses its weight once its ratio is below 1 − ε. The paper's weight would push it down
without end, since log π has no minimum (with ``baseline="mean"``, a planner on one set of RetroALFWorld's trials fell
from 32 to 0 % success in 30 updates; so it stays at 34 %). Observations are read, not learned
(``learn_observations=True`` for the paper's choice, made to save cost). Losses are means over the learned tokens. The
expert is the scripted actor with a teacher. The code alone has ``reflector_reward="retroact"``; neither has
``baseline``, ``normalise``, ``repeats``, ``expert_kwargs``.

How to run it::

    retro-gym retroact RetroHotpotQA-v0 --output runs/retroact --seed 0
    retro-gym evaluate RetroHotpotQA-v0 --actor planner:runs/retroact/planner --reflector none runs/retroact/reflector

    train(RetroActConfig(output=Path("runs/retroact")))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import torch
from torch import Tensor

from retro_gym.checks import check_choice, check_whole
from retro_gym.errors import ConfigError
from retro_gym.records import load_run
from retro_gym.seeding import derive_seed
from retro_gym_agents.algorithms.imitation import encode, loss_on, num_tokens
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.data.examples import ROLES, Role, examples_in, first_and_last, num_replies
from retro_gym_agents.data.replay import Baseline, ReplayBuffer, Tried, tried
from retro_gym_agents.lm.chains import Chain, Reply, chained, chains_in_groups
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.collection import CollectConfig
from retro_gym_agents.play.explorers import Explorers, Pair, play_into
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.runs.checkpoints import AdapterState, replace_folder
from retro_gym_agents.runs.config import RunConfig
from retro_gym_agents.runs.run import Run, TrainResult

__all__ = ["RetroActConfig", "RetroActRun", "clipped_weights", "improve", "off_policy_loss", "train"]

_Item = TypeVar("_Item")
_BATCH = 128  # prompts that the planner answers at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetroActConfig(RunConfig):
    """The settings of both stages."""

    algorithm: ClassVar[str] = "retroact"
    env_id: str = "RetroHotpotQA-v0"
    """Id of the environment."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment, of JSON types."""
    model: str = "tiny"
    """The base model of both roles: ``tiny``, a folder, or a hub name."""
    start: Path | None = None
    """Output folder of an earlier run with two adapters, whose roles learn further, with its expert's examples."""
    adapters: Literal["two", "one"] = "two"
    """An adapter for each role (the paper's main result), or one for both."""
    learn: tuple[Role, ...] = ROLES
    """The roles that stage 2 updates; a role that is left out stays as imitation made it."""
    expert: str = "noisy"
    """The policy that reflects for the expert: ``noisy``, ``oracle``, or any other."""
    expert_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the expert's actor, the scripted one: ``{"thoughts": True}`` makes it say what it chooses."""
    expert_episodes: int = 600
    """Training episodes that the expert plays."""
    imitation_updates: int = 60
    """Updates of stage 1."""
    rounds: int = 6
    """Rounds of stage 2."""
    episodes: int = 128
    """Training episodes in a round."""
    repeats: int = 1
    """Episodes of a round on each task."""
    max_reflections: int = 2
    """Maximum number of reflections in an episode."""
    updates: int = 20
    """Updates in a round."""
    stop_after_calls: int | None = None
    """Replies of expert and planner with which the run is over: it ends after the update that reaches them."""
    batch_size: int = 16
    """Trials and reflections in an update, of each role and of either source."""
    buffer_rounds: int = 3
    """Rounds whose examples are kept for learning."""
    explorers: int = 1
    """Processes that explore, as many as there are cores at best. They play the same episodes, in less time."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW, without weight decay, in both stages."""
    clip: float = 0.3
    """ε: how far a token's weight may move from 1."""
    imitation_weight: float = 1.0
    """λ: weight of the imitation loss in stage 2."""
    reflector_reward: Literal["improvement", "retroact"] = "improvement"
    """G' − G (the paper), or times (G + c)/c (the released code)."""
    baseline: Baseline = "none"
    """Subtracted from the rewards of a role: nothing (the paper), their mean in the buffer, or that of a task."""
    normalise: bool = False
    """Whether a role's rewards are divided by their standard deviation in the buffer."""
    learn_observations: bool = False
    """Whether a trial's observations are learned too, as in the paper, which does it to save cost."""
    temperature: float | None = 1.0
    """Sampling temperature of exploration."""

    def __post_init__(self) -> None:
        super().__post_init__()
        needed = ("expert_episodes", "episodes", "repeats", "updates", "batch_size", "buffer_rounds", "max_reflections")
        check_whole(1, **{name: getattr(self, name) for name in (*needed, "explorers")})
        check_whole(1, stop_after_calls=1 if self.stop_after_calls is None else self.stop_after_calls)
        check_whole(0, imitation_updates=self.imitation_updates, rounds=self.rounds)
        for role in self.learn:
            check_choice("learn", role, ROLES)
        if not self.learn:
            raise ConfigError(f"learn is empty; give one or both of {ROLES}.")
        if self.start is not None and (self.adapters == "one" or self.imitation_updates):
            raise ConfigError(
                f"start is {str(self.start)!r}, with adapters={self.adapters!r} and imitation_updates="
                f"{self.imitation_updates}; a run goes on from two adapters that have imitated: give 'two' and 0."
            )
        if self.baseline == "task" and self.repeats == 1:
            raise ConfigError("baseline is 'task' and repeats 1, so nothing is compared; give repeats of at least 2.")
        if not 0 < self.clip < 1 or self.imitation_weight < 0:
            raise ConfigError(
                f"clip is {self.clip} and imitation_weight {self.imitation_weight}; clip lies between 0 and 1, and the "
                "weight is at least 0."
            )


def clipped_weights(logprobs_NT: Tensor, behaviour_NT: Tensor, rewards_N: Tensor, clip: float) -> Tensor:
    """Returns w for each token, without a gradient: 1 where π_behaviour is NaN, 0 where R < 0 and π has fallen by ε."""
    ratio_NT = (logprobs_NT.detach() - behaviour_NT).nan_to_num(0.0).exp()
    fallen_NT = (rewards_N[:, None] < 0) & (ratio_NT < 1 - clip)
    return ratio_NT.clamp(1 - clip, 1 + clip).masked_fill(fallen_NT, 0.0)


def off_policy_loss(
    logprobs_NT: Tensor, behaviour_NT: Tensor, rewards_N: Tensor, mask_NT: Tensor, *, clip: float
) -> Tensor:
    """Returns − Σ w R log π over the tokens that the mask holds."""
    weights_NT = clipped_weights(logprobs_NT, behaviour_NT, rewards_N, clip)
    return -(weights_NT * rewards_N[:, None] * logprobs_NT).where(mask_NT, 0.0).sum()


def _make_pair(config: RetroActConfig) -> Pair:
    """Returns both roles as they are before they learn."""
    planner = config.load(Planner, str(config.start / "planner") if config.start else config.model)
    planner.batch_size = _BATCH
    own: dict[str, Any] = {"temperature": config.temperature}
    if config.start is not None:
        own["folder"] = config.start / "reflector"
    elif config.adapters == "two":
        own |= {"lora": config.lora, "seed": config.seed + 1}
    return Pair(planner, Reflector.beside(planner, **own))


class RetroActRun(Run):
    """A run: both roles, the expert's examples, and the buffers."""

    config: RetroActConfig

    def __init__(self, config: RetroActConfig) -> None:
        super().__init__(config)
        self.planner, self.reflector = pair = _make_pair(config)
        self.explorers = Explorers(pair, partial(_make_pair, config), config.explorers)
        self.learner = self.planner
        self.roles: dict[Role, LanguageModel] = {"planner": self.planner, "reflector": self.reflector}
        self.progress: dict[str, float] = {}
        self.num_updates = config.imitation_updates + config.rounds * config.updates
        self.stop_after_calls = config.stop_after_calls
        self.buffers = {
            role: ReplayBuffer(config.buffer_rounds, baseline=config.baseline, normalise=config.normalise)
            for role in self.roles
        }

    @cached_property
    def expert(self) -> dict[Role, list[list[Reply]]]:
        """What each role imitates: trials that solved their task, and reflections after which the next one did."""
        config = self.config
        if config.start is None:
            settings = self.collection("expert.jsonl", config.expert_episodes, "expert")
            own = {**config.env_kwargs, "actor_kwargs": config.expert_kwargs}
            play_into(dataclasses.replace(settings, env_kwargs=own), "scripted", make_policy(config.expert))
        records = load_run((config.start or config.output) / "expert.jsonl")
        if config.start is None and self.update == 1:
            self.spend(num_replies(records))
        return {
            role: encode(model, [one for one in examples_in(records, role) if one.success])
            for role, model in self.roles.items()
        }

    def round_of(self, update: int) -> int | None:
        """Returns the round of stage 2 that an update belongs to, counted from 0; None in stage 1."""
        after = update - 1 - self.config.imitation_updates
        return None if after < 0 else after // self.config.updates

    def explore(self, number: int) -> None:
        """Plays a round, and fills the buffers with what both roles wrote in it and in those before it."""
        config = self.config
        for each in range(max(0, number + 1 - config.buffer_rounds), number + 1):
            if each in self.buffers["planner"]:
                continue
            self.planner.version = self.reflector.version = f"round-{each}"
            settings = self.collection(f"rounds/{each}.jsonl", config.episodes, each)
            played = self.explorers.play(dataclasses.replace(settings, repeats=config.repeats))
            records = [load_run(path) for path in played]
            if self.round_of(self.update - 1) != number == each:
                self.spend(sum(map(num_replies, records)))
            examples = {
                role: [one for part in records for one in examples_in(part, role, reward=config.reflector_reward)]
                for role in self.roles
            }
            self.progress = first_and_last(examples["planner"])
            for role, model in self.roles.items():
                whole = config.learn_observations and role == "planner"
                found = [tried(one, model, whole=whole) for one in examples[role]]
                self.buffers[role].add(each, [one for one in found if one is not None])

    def collection(self, name: str, episodes: int, seed: int | str) -> CollectConfig:
        """Returns the settings of a collection of training episodes."""
        config = self.config
        return CollectConfig(
            config.env_id,
            config.output / name,
            num_episodes=episodes,
            max_reflections=config.max_reflections,
            seed=derive_seed(config.seed, "episodes", seed),
            env_kwargs=config.env_kwargs,
        )

    def drawn(self, items: Sequence[_Item], update: int, *what: str) -> list[_Item]:
        """Draws a batch at random, without repetition."""
        generator = torch.Generator().manual_seed(derive_seed(self.config.seed, "batch", update, *what))
        order = torch.randperm(len(items), generator=generator).tolist()
        return [items[index] for index in order[: self.config.batch_size]]

    def conclude(self) -> None:
        """Saves both roles."""
        for role, model in self.roles.items():
            replace_folder(self.config.output / role, model.save)

    def close(self) -> None:
        """Ends the explorers, and the run."""
        self.explorers.close()
        super().close()


def improve(
    run: RetroActRun, optimizer: torch.optim.Optimizer, update: int, weights: Mapping[str, Any]
) -> dict[str, float]:
    """Makes one update of either stage; returns the losses per token and the gradients' norms.

    Raises:
        DivergedError: one of these is not finite. No step was taken.
    """
    config, number = run.fitted(run.config), run.round_of(update)
    optimizer.zero_grad()
    found: dict[str, float] = {"tokens": 0.0}
    for role, model in run.roles.items():
        if number is not None and role not in config.learn:
            continue
        weight = 1.0 if number is None else config.imitation_weight
        expert = run.drawn(run.expert[role], update, role, "expert")
        if weight and expert:
            found[f"{role}_nll"] = loss_on(model, expert, config, weight=weight)
        if number is not None and (batch := run.drawn(run.buffers[role].items(number), update, role)):
            found[f"{role}_loss"] = _reinforce(model, batch, config)
            found[f"{role}_reward"] = sum(one.reward for one in batch) / len(batch)
            found["tokens"] += num_tokens([one.replies for one in batch])
    check_finite(found)
    norms = step(optimizer, weights, config.max_grad_norm)
    return {**found, **{f"{name}_grad_norm": norm for name, norm in norms.items()}}


def _reinforce(model: LanguageModel, batch: Sequence[Tried], config: RetroActConfig) -> float:
    tokens = num_tokens([one.replies for one in batch])
    paid: dict[int, tuple[float, Sequence[Sequence[float]]]] = {}
    chains: list[Chain] = []
    for one in batch:
        rows, start = chained(one.replies), 0
        for chain in rows:
            paid[id(chain)] = one.reward, one.behaviour[start : start + len(chain.spans)]
            start += len(chain.spans)
        chains += rows
    total = 0.0
    for group in chains_in_groups(chains, config.micro_tokens):
        logprobs_NT, mask_NT = model.score_chains(group, config.temperature or 1.0)
        rewards = [paid[id(chain)][0] for chain in group for _ in chain.spans]
        behaviour = [value for chain in group for row in paid[id(chain)][1] for value in row]
        behaviour_NT = torch.zeros_like(logprobs_NT).masked_scatter(mask_NT, torch.tensor(behaviour).to(logprobs_NT))
        rewards_N = torch.tensor(rewards).to(logprobs_NT)
        loss = off_policy_loss(logprobs_NT, behaviour_NT, rewards_N, mask_NT, clip=config.clip) / tokens
        torch.autograd.backward(loss)
        total += loss.item()
    return total


def train(config: RetroActConfig) -> TrainResult:
    """Trains a planner and a reflector; writes them to ``planner/`` and ``reflector/`` in the output folder.

    Raises:
        ConfigError: a field has an invalid value, or the folder is not empty.
        CheckpointError: the run to resume was made with other settings.
        DivergedError: a number is not finite; the run can be resumed from before it, with a lower learning rate.
    """
    with RetroActRun(config) as run:
        weights: dict[str, Any] = {"planner": list(run.planner.trainable.values())}
        modules = {}
        if config.adapters == "two":
            weights["reflector"] = list(run.reflector.trainable.values())
            modules["reflector"] = AdapterState(run.reflector)
        every = [weight for part in weights.values() for weight in part]
        optimizer = torch.optim.AdamW(every, lr=config.learning_rate, weight_decay=0.0)
        for update in run.updates(optimizer, **modules):
            number = run.round_of(update)
            if number is not None:
                run.explore(number)
                run.log(run.progress)
            run.log(improve(run, optimizer, update, weights))
        return run.result()
