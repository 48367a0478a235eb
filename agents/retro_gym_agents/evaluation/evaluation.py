"""Settings and results of an evaluation, with the statistics computed from them.

Every figure is a mean over tasks; with several seeds, of each task's mean over its episodes. Intervals account for the
likeness of a task's episodes, see :mod:`retro_gym_agents.evaluation.statistics`.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any, Literal, TypeAlias, get_args

from retro_gym.actors.secrets import reportable
from retro_gym.errors import ActorError, ConfigError
from retro_gym.records import RunHeader
from retro_gym.scheduling import ActorStats
from retro_gym.seeding import derive_seed
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.evaluation.statistics import Estimate, bootstrap_mean, success_rate

__all__ = ["PARTS", "Evaluation", "EvaluationConfig", "Part", "TaskResult", "Where", "everywhere"]

Part: TypeAlias = Literal["group", "cause"]
PARTS: tuple[Part, ...] = get_args(Part)
"""What the tasks are divided by in reports: their kind and their cause of failure."""

_SET_HERE = ("split", "max_reflections", "reward")
_NOT_REPORTED = ("records", "actor", "actor_kwargs")  # the actor is reported by its name, without its address
_PARTICULARS = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")  # the parts in which two messages of one kind may differ


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Settings of an evaluation. Two evaluations with one config differ only in their policies."""

    env_id: str
    """A ``Retro…-v0`` id."""
    split: str = "test"
    """The split that tasks are taken from."""
    num_tasks: int | None = None
    """Number of tasks, drawn without replacement; by default, or if the split has no more, the whole split."""
    trials: int = 3
    """T: maximum number of reflections, and of trials after trial 0, for each task."""
    seed: int = 0
    """Seed of the choice of tasks, the episodes, the reflections and the confidence intervals."""
    seeds: int = 1
    """Number of evaluation seeds. Every task is played once with each of ``seed``, ``seed + 1``, …: with a stochastic
    actor, other episodes on the same tasks."""
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of ``gym.make``."""
    max_error_rate: float = 0.05
    """Share of episodes with actor errors above which no success rate is given, in [0, 1)."""

    def __post_init__(self) -> None:
        settle_fields(self)
        for name, least in (("num_tasks", 1), ("trials", 0), ("seeds", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}; it must be at least {least}.")
        if not 0.0 <= self.max_error_rate < 1.0:
            raise ConfigError(f"max_error_rate is {self.max_error_rate}; it must be at least 0 and below 1.")
        for name in _SET_HERE:
            if name in self.env_kwargs:
                raise ConfigError(f"env_kwargs sets {name!r}, which the evaluation sets itself. Leave it out.")

    @property
    def evaluation_seeds(self) -> range:
        """The evaluation seeds."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def plain_kwargs(self) -> dict[str, Any]:
        """The environment's arguments for reports: those of JSON types, without the actor's."""
        plain = {name: value for name, value in sorted(self.env_kwargs.items()) if name not in _NOT_REPORTED}
        return reportable(plain)


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """The result of one task with one evaluation seed."""

    task_id: str
    seed: int
    """The evaluation seed."""
    group: str
    """The kind of task, see :meth:`retro_gym.Teacher.task_group`."""
    cause: str
    """The task's cause of failure, see :meth:`retro_gym.Teacher.failure_cause`."""
    success: tuple[bool, ...]
    """Whether the task is solved by trial 0…T; shorter if the actor failed."""
    returns: tuple[float, ...]
    """For each trial, the return of the last trial played by then: for HotpotQA the token F1 of its answer."""
    ends: tuple[str, ...]
    """How each played trial ended: values of :class:`~retro_gym.trajectory.EndReason`."""
    reflections: tuple[str, ...]
    """The reflections as written, one for each failed trial except the last."""
    leaks: tuple[bool, ...] | None = None
    """Whether each reflection contains the answer, see :meth:`retro_gym.Teacher.leaks`; None if the teacher does not
    define it."""
    names_cause: tuple[bool, ...] | None = None
    """Whether each reflection names the cause of failure, see :meth:`retro_gym.Teacher.names_cause`; None if the
    teacher does not define it, or does not know the task's cause."""
    actor_error: str | None = None
    """The actor's error, if it failed. Such an episode is excluded from all scores."""


Where: TypeAlias = Callable[[TaskResult], bool]
"""Chooses the results that a figure is computed from."""


def everywhere(task: TaskResult) -> bool:
    """Chooses all results."""
    return True


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of one policy."""

    config: EvaluationConfig
    reflector: str
    """The policy's name."""
    tasks: tuple[TaskResult, ...]
    """All tasks with the first evaluation seed, in the order of the split, then with the next one."""
    actor: str
    """Name of the actor."""
    actor_parameters: Mapping[str, str | int | float]
    """Parameters that affect its replies besides the prompts, as far as they are known: temperature and so on."""
    stats: ActorStats
    """The actor's costs, including trial 0."""
    reflector_tokens: tuple[int, int] | None = None
    """Prompt and completion tokens of the reflector; None for policies that are not models."""
    reflector_source: str | None = None
    """The adapter of a training run that was used; None if the policy is not a run's folder."""
    header: RunHeader = dataclasses.field(default_factory=RunHeader)
    """The records header of the evaluation."""

    @property
    def scored(self) -> tuple[TaskResult, ...]:
        """The results of the episodes in which the actor did not fail."""
        return tuple(task for task in self.tasks if task.actor_error is None)

    @property
    def errors(self) -> int:
        """Number of episodes with actor errors."""
        return len(self.tasks) - len(self.scored)

    @property
    def error_kinds(self) -> tuple[tuple[int, str], ...]:
        """Number of episodes with each kind of actor error, and its first message; the most frequent kind first.

        Messages that differ only in numbers and quoted names are of one kind.
        """
        messages = [task.actor_error for task in self.tasks if task.actor_error is not None]
        kinds = [_PARTICULARS.sub("", message) for message in messages]
        return tuple((count, messages[kinds.index(kind)]) for kind, count in Counter(kinds).most_common())

    def num_tasks(self, where: Where = everywhere) -> int:
        """Returns the number of tasks with a chosen result."""
        return len({task.task_id for task in self.tasks if where(task)})

    @property
    def ends_at_trial(self) -> list[dict[str, int]]:
        """For trial 0…T, the number of played trials that ended in each way."""
        return [
            dict(sorted(Counter(task.ends[trial] for task in self.tasks if len(task.ends) > trial).items()))
            for trial in self._trials
        ]

    @property
    def refusal(self) -> str | None:
        """Why no success rate is given; None if one is given."""
        if self.errors <= self.config.max_error_rate * len(self.tasks):
            return None
        first = next(task.actor_error for task in self.tasks if task.actor_error is not None)
        return (
            f"the actor failed in {self.errors} of {len(self.tasks)} episodes with {self.reflector!r}, more than "
            f"max_error_rate ({self.config.max_error_rate:.1%}): no success rate is given. First: {first}"
        )

    def parts(self, attribute: Part) -> dict[str, Where]:
        """Returns filters for the tasks of each kind, or each cause of failure, by name; empty if all are alike."""
        names = sorted({getattr(task, attribute) for task in self.tasks})
        return {name: partial(_has, attribute, name) for name in names} if len(names) > 1 else {}

    def success_at_trial(self, where: Where = everywhere) -> list[Estimate]:
        """Returns the success rate by trial 0…T, in [0, 1].

        Args:
            where: chooses results; all by default.

        Raises:
            ActorError: the actor failed in too many episodes, see :attr:`refusal`.
        """
        results = self._chosen(where)
        tasks = [result.task_id for result in results]
        return [success_rate([each.success[trial] for each in results], tasks=tasks) for trial in self._trials]

    def return_at_trial(self, where: Where = everywhere) -> list[Estimate]:
        """Returns the mean return by trial 0…T, in the unit of the environment's rewards.

        Raises:
            ActorError: the actor failed in too many episodes.
        """
        results = self._chosen(where)
        return [self._mean(results, [each.returns[trial] for each in results]) for trial in self._trials]

    def average_success(self, where: Where = everywhere) -> Estimate:
        """Returns the average of the success rates by trial 0…T: the third of RetroAct's figures, after first and last.

        Raises:
            ActorError: the actor failed in too many episodes.
        """
        results = self._chosen(where)
        return self._mean(results, [fmean(each.success) for each in results])

    def average_return(self, where: Where = everywhere) -> Estimate:
        """Returns the average of the mean returns by trial 0…T.

        Raises:
            ActorError: the actor failed in too many episodes.
        """
        results = self._chosen(where)
        return self._mean(results, [fmean(each.returns) for each in results])

    @property
    def _trials(self) -> range:
        return range(self.config.trials + 1)

    def _chosen(self, where: Where) -> list[TaskResult]:
        if self.refusal is not None:
            raise ActorError(self.refusal)
        return [task for task in self.scored if where(task)]

    def _mean(self, results: Sequence[TaskResult], values: Sequence[float]) -> Estimate:
        seed = derive_seed(self.config.seed, "bootstrap")
        return bootstrap_mean(values, tasks=[each.task_id for each in results], seed=seed)


def _has(attribute: str, name: str, task: TaskResult) -> bool:
    return bool(getattr(task, attribute) == name)
