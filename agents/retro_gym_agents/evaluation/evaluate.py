"""Evaluation as the papers do it: success at trial 0…T, the same tasks and the same seeds for every policy.

A solved task is not tried again and stays solved; a failed one gets one reflection and one more trial, up to T times.
An actor that fails to reply is neither a success nor a failure of the reflection: its task leaves the score and is
counted beside it, and when that happens too often there is no score.

Trial 0 has seen no reflection, so it is played once and shared by all policies.

With a journal (:mod:`retro_gym_agents.play.journal`) each trial is written down as it ends, and an evaluation that was
stopped goes on from there to the same result. What the result says of costs is what the trials in it have cost: calls
of a trial that was broken off, or that an actor error made void and that was played again, are not among it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from retro_gym.actors import Actor, actor_name, parameters_of
from retro_gym.errors import ActorError, ConfigError
from retro_gym.scheduling import ActorStats
from retro_gym.seeding import derive_seed
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.evaluation.statistics import Estimate, bootstrap_mean, success_rate
from retro_gym_agents.lm.adapter_folder import adapter_source, files_digest, weights_digest
from retro_gym_agents.play.episodes import (
    Episode,
    Progress,
    make_retro_env,
    play_next_trial,
    silent,
    start_episodes,
    tokens_of,
    total_stats,
)
from retro_gym_agents.play.journal import Journal
from retro_gym_agents.play.policies import Policy, ReflectorPolicy

__all__ = ["Evaluation", "EvaluationConfig", "TaskResult", "evaluate", "evaluate_all"]

_SET_HERE = ("split", "max_reflections", "reward")
_NOT_REPORTED = ("records", "actor", "actor_kwargs")  # the actor is reported by its name, wherever it is reached
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")  # what two messages of one kind may differ in


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What is played. Two evaluations of one config differ by their policies alone."""

    env_id: str
    """A ``Retro…-v0`` id."""
    split: str = "test"
    """Which tasks of the environment."""
    num_tasks: int | None = None
    """How many, drawn without replacement; all of the split by default, or when it has no more."""
    trials: int = 3
    """T: reflections, and trials after trial 0, that a task may take."""
    seed: int = 0
    """Of the choice of tasks, the episodes, the reflections and the intervals."""
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of ``gym.make``."""
    max_error_rate: float = 0.05
    """The share of tasks lost to actor errors above which no success rate is given, in [0, 1)."""

    def __post_init__(self) -> None:
        settle_fields(self)
        for name, value, least in (("num_tasks", self.num_tasks, 1), ("trials", self.trials, 0)):
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}; it must be at least {least}.")
        if not 0.0 <= self.max_error_rate < 1.0:
            raise ConfigError(f"max_error_rate is {self.max_error_rate}; it must be at least 0 and below 1.")
        for name in _SET_HERE:
            if name in self.env_kwargs:
                raise ConfigError(f"env_kwargs sets {name!r}, which the evaluation sets itself. Leave it out.")

    @property
    def plain_kwargs(self) -> dict[str, Any]:
        """The arguments of the environment that a report can name: those of JSON types, the actor's aside."""
        return {
            key: value for key, value in sorted(self.env_kwargs.items()) if key not in _NOT_REPORTED and _is_json(value)
        }


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What became of one task."""

    task_id: str
    group: str
    """The kind of task, see :meth:`retro_gym.Teacher.task_group`."""
    success: tuple[bool, ...]
    """Whether it is solved by trial 0…T. Shorter when the actor failed on the way."""
    returns: tuple[float, ...]
    """The return of the last trial played by then: for HotpotQA the token F1 of its answer."""
    ends: tuple[str, ...]
    """How each trial ended that was played: values of :class:`~retro_gym.trajectory.EndReason`."""
    reflections: tuple[str, ...]
    """As they were written, one for each failed trial but the last."""
    actor_error: str | None = None
    """Why the actor failed, when it did. Such a task is in no score."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one policy achieved."""

    config: EvaluationConfig
    reflector: str
    """The policy's name."""
    tasks: tuple[TaskResult, ...]
    """In the order of the split."""
    actor: str
    """What the actor is called."""
    actor_parameters: Mapping[str, str | int | float]
    """What shapes its replies besides the prompts: temperature, max_tokens and so on, as far as it says."""
    stats: ActorStats
    """What the actor has cost, trial 0 included."""
    reflector_tokens: tuple[int, int] | None = None
    """Tokens that the reflector read and wrote; None for policies that are no model."""
    reflector_source: str | None = None
    """Which adapter of a training run was taken; None for policies that are no run's folder."""

    @property
    def scored(self) -> tuple[TaskResult, ...]:
        """The tasks on which the actor did not fail."""
        return tuple(task for task in self.tasks if task.actor_error is None)

    @property
    def errors(self) -> int:
        """How many tasks were lost to actor errors."""
        return len(self.tasks) - len(self.scored)

    @property
    def error_kinds(self) -> tuple[tuple[int, str], ...]:
        """How many tasks were lost to each kind of actor error, and its first message; the most frequent first.

        Messages that differ in numbers and quoted names alone are of one kind.
        """
        messages = [task.actor_error for task in self.tasks if task.actor_error is not None]
        kinds = [_PARTICULARS.sub("", message) for message in messages]
        return tuple((count, messages[kinds.index(kind)]) for kind, count in Counter(kinds).most_common())

    @property
    def ends_at_trial(self) -> list[dict[str, int]]:
        """For trial 0…T, how many of the trials that were played ended in each way."""
        return [
            dict(sorted(Counter(task.ends[trial] for task in self.tasks if len(task.ends) > trial).items()))
            for trial in range(self.config.trials + 1)
        ]

    @property
    def refusal(self) -> str | None:
        """Why there is no success rate, when there is none."""
        if self.errors <= self.config.max_error_rate * len(self.tasks):
            return None
        first = next(task.actor_error for task in self.tasks if task.actor_error is not None)
        return (
            f"the actor failed on {self.errors} of {len(self.tasks)} tasks with {self.reflector!r}, more than "
            f"max_error_rate ({self.config.max_error_rate:.1%}): no success rate is given. First: {first}"
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The kinds of task, sorted; empty when there is only one."""
        names = sorted({task.group for task in self.tasks})
        return tuple(names) if len(names) > 1 else ()

    def success_at_trial(self, group: str | None = None) -> list[Estimate]:
        """The success rate by trial 0…T, in [0, 1].

        Args:
            group: of one kind of task only.

        Raises:
            ActorError: the actor failed on too many tasks, see :attr:`refusal`.
        """
        return [success_rate(values) for values in self._by_trial(lambda task: task.success, group)]

    def return_at_trial(self, group: str | None = None) -> list[Estimate]:
        """The mean return by trial 0…T, in the unit of the environment's rewards.

        Raises:
            ActorError: the actor failed on too many tasks.
        """
        seed = derive_seed(self.config.seed, "bootstrap")
        return [bootstrap_mean(values, seed=seed) for values in self._by_trial(lambda task: task.returns, group)]

    def _by_trial(self, figures: Callable[[TaskResult], Sequence[float]], group: str | None) -> list[list[float]]:
        """For trial 0…T, one figure for each task that was scored."""
        if self.refusal is not None:
            raise ActorError(self.refusal)
        rows = [figures(task) for task in self.scored if group is None or task.group == group]
        return [[row[trial] for row in rows] for trial in range(self.config.trials + 1)]


def evaluate(
    env_id: str,
    policy: Policy,
    *,
    split: str = "test",
    num_tasks: int | None = None,
    trials: int = 3,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    max_error_rate: float = 0.05,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluates one policy. The arguments are the fields of :class:`EvaluationConfig`.

    Raises:
        ConfigError: an argument is out of its rule.

    >>> from retro_gym_agents.play.policies import make_policy
    >>> result = evaluate("RetroIdentity-v0", make_policy("oracle"), num_tasks=8, trials=1)
    >>> [estimate.mean for estimate in result.success_at_trial()]
    [0.0, 1.0]
    """
    config = EvaluationConfig(env_id, split, num_tasks, trials, seed, env_kwargs or {}, max_error_rate)
    (evaluation,) = evaluate_all(config, [policy], progress=progress)
    return evaluation


def evaluate_all(
    config: EvaluationConfig,
    policies: Sequence[Policy],
    *,
    progress: Progress = silent,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> list[Evaluation]:
    """Evaluates several policies on the same tasks, seeds and first trials.

    All environments are closed at the end, whatever ends it.

    Args:
        config: what is played.
        policies: what writes the reflections; their names must differ.
        progress: told after each task.
        journal: a file that each trial is written to as it ends (JSONL); none by default.
        resume: goes on with what the journal holds. Tasks that were lost to actor errors are tried again.

    Returns:
        One evaluation for each policy, in their order.

    Raises:
        ConfigError: the environment, the split or a policy is unknown or does not fit; the journal is of an evaluation
            with other settings, or of one that did not end while ``resume`` is not set.
        RecordError: the journal is no journal.
        BudgetError: the actor's budget is spent.
    """
    names = [policy.name for policy in policies]
    if len(set(names)) < len(names):
        raise ConfigError(f"policies are named {names}; give each once.")
    fixed = {"split": config.split, "max_reflections": max(1, config.trials), "reward": "return"}
    with ExitStack() as stack:
        first = make_retro_env(config.env_id, **{**config.env_kwargs, **fixed})
        stack.enter_context(closing(first))
        task_ids = _chosen(first.task_env.task_ids(config.split), config)
        notes = None
        if journal is not None:
            settings, reflectors = _settings(config, first.actor, task_ids), _reflectors(policies)
            notes = stack.enter_context(Journal(journal, settings, reflectors, resume=resume))
        for policy in policies:
            if isinstance(policy, ReflectorPolicy) and config.trials:
                policy.load()  # what cannot be loaded is to be known before an actor is paid
                if len(policies) > 1:
                    policy.unload()  # several large models need not be held at once
        seeds = [derive_seed(config.seed, "episode", task_id) for task_id in task_ids]
        starts = start_episodes(first, task_ids, seeds, progress=progress, journal=notes)
        for start in starts:
            stack.enter_context(closing(start))
        evaluations = []
        for policy in policies:
            evaluations.append(_play_on(config, policy, starts, progress, notes))
            if isinstance(policy, ReflectorPolicy) and len(policies) > 1:
                policy.unload()  # several large models need not be held at once
    return evaluations


def _settings(config: EvaluationConfig, actor: Actor, task_ids: Sequence[str]) -> dict[str, Any]:
    """What the trials of an evaluation depend on beside the reflectors, as far as it can be told."""
    return {
        "env_id": config.env_id,
        "split": config.split,
        "tasks": f"{len(task_ids)}, {hashlib.sha256(json.dumps(task_ids).encode()).hexdigest()[:16]}",
        "trials": config.trials,
        "seed": config.seed,
        "env_kwargs": config.plain_kwargs,
        "files": files_digest(config.plain_kwargs),
        "actor": _actor_of(config, actor),
        "actor_parameters": parameters_of(actor),
    }


def _reflectors(policies: Sequence[Policy]) -> dict[str, Any]:
    """What each policy's reflections depend on, as far as it can be told."""
    return {
        policy.name: {
            "greedy": getattr(policy, "greedy", False),
            "source": _source(policy),
            "weights": weights_digest(Path(policy.name)) if isinstance(policy, ReflectorPolicy) else None,
        }
        for policy in policies
    }


def _is_json(value: Any) -> bool:
    """Whether an argument can be reported; an actor that is an object, for one, cannot."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _chosen(task_ids: Sequence[str], config: EvaluationConfig) -> list[str]:
    """The tasks to play, in the order of the split."""
    if not task_ids:
        raise ConfigError(f"split {config.split!r} of {config.env_id} holds no task.")
    if config.num_tasks is None or config.num_tasks >= len(task_ids):
        return list(task_ids)
    rng = np.random.default_rng(derive_seed(config.seed, "tasks"))
    return [task_ids[i] for i in sorted(rng.choice(len(task_ids), size=config.num_tasks, replace=False))]


def _play_on(
    config: EvaluationConfig, policy: Policy, starts: Sequence[Episode], progress: Progress, journal: Journal | None
) -> Evaluation:
    """Plays trials 1…T of every task with one policy's reflections."""
    read, written = (0, 0) if journal is None else journal.tokens(policy.name)
    before = tokens_of(policy)
    with ExitStack() as stack:
        episodes = [stack.enter_context(closing(start.twin())) for start in starts]
        for trial in range(1, config.trials + 1):
            seed = derive_seed(config.seed, "reflection", trial)
            play_next_trial(episodes, policy, seed=seed, progress=progress, journal=journal)
        after = tokens_of(policy)
        is_model = isinstance(policy, ReflectorPolicy)
        return Evaluation(
            config,
            policy.name,
            tuple(map(_result, episodes)),
            _actor_of(config, episodes[0].env.actor),
            parameters_of(episodes[0].env.actor),
            total_stats(episodes),
            (read + after[0] - before[0], written + after[1] - before[1]) if is_model else None,
            _source(policy),
        )


def _actor_of(config: EvaluationConfig, actor: Actor) -> str:
    return actor_name(config.env_kwargs.get("actor", "scripted"), actor)


def _source(policy: Policy) -> str | None:
    return adapter_source(Path(policy.name)) if isinstance(policy, ReflectorPolicy) else None


def _result(episode: Episode) -> TaskResult:
    return TaskResult(
        episode.task_id,
        episode.env.task_env.teacher.task_group(episode.task_id),
        tuple(episode.success),
        tuple(episode.returns),
        tuple(episode.ends),
        tuple(episode.reflections),
        None if episode.failed is None else str(episode.failed),
    )
