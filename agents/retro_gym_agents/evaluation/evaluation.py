"""Settings and results of an evaluation, with the statistics computed from them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retro_gym.actors.secrets import shareable
from retro_gym.errors import ActorError, ConfigError
from retro_gym.records import RunHeader
from retro_gym.scheduling import ActorStats
from retro_gym.seeding import derive_seed
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.evaluation.statistics import Estimate, bootstrap_mean, success_rate

__all__ = ["Evaluation", "EvaluationConfig", "TaskResult"]

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
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of ``gym.make``."""
    max_error_rate: float = 0.05
    """Share of tasks with actor errors above which no success rate is given, in [0, 1)."""

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
        """The environment's arguments for reports: those of JSON types, without the actor's."""
        plain = {name: value for name, value in sorted(self.env_kwargs.items()) if name not in _NOT_REPORTED}
        kept: dict[str, Any] = shareable({name: value for name, value in plain.items() if _is_json(value)})
        return kept


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """The result of one task."""

    task_id: str
    group: str
    """The kind of task, see :meth:`retro_gym.Teacher.task_group`."""
    success: tuple[bool, ...]
    """Whether the task is solved by trial 0…T; shorter if the actor failed."""
    returns: tuple[float, ...]
    """For each trial, the return of the last trial played by then: for HotpotQA the token F1 of its answer."""
    ends: tuple[str, ...]
    """How each played trial ended: values of :class:`~retro_gym.trajectory.EndReason`."""
    reflections: tuple[str, ...]
    """The reflections as written, one for each failed trial except the last."""
    actor_error: str | None = None
    """The actor's error, if it failed. Such a task is excluded from all scores."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of one policy."""

    config: EvaluationConfig
    reflector: str
    """The policy's name."""
    tasks: tuple[TaskResult, ...]
    """In the order of the split."""
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
        """The tasks on which the actor did not fail."""
        return tuple(task for task in self.tasks if task.actor_error is None)

    @property
    def errors(self) -> int:
        """Number of tasks with actor errors."""
        return len(self.tasks) - len(self.scored)

    @property
    def error_kinds(self) -> tuple[tuple[int, str], ...]:
        """Number of tasks with each kind of actor error, and its first message; the most frequent kind first.

        Messages that differ only in numbers and quoted names are of one kind.
        """
        messages = [task.actor_error for task in self.tasks if task.actor_error is not None]
        kinds = [_PARTICULARS.sub("", message) for message in messages]
        return tuple((count, messages[kinds.index(kind)]) for kind, count in Counter(kinds).most_common())

    def size(self, group: str) -> int:
        """Returns the number of tasks of one kind."""
        return sum(task.group == group for task in self.tasks)

    @property
    def ends_at_trial(self) -> list[dict[str, int]]:
        """For trial 0…T, the number of played trials that ended in each way."""
        return [
            dict(sorted(Counter(task.ends[trial] for task in self.tasks if len(task.ends) > trial).items()))
            for trial in range(self.config.trials + 1)
        ]

    @property
    def refusal(self) -> str | None:
        """Why no success rate is given; None if one is given."""
        if self.errors <= self.config.max_error_rate * len(self.tasks):
            return None
        first = next(task.actor_error for task in self.tasks if task.actor_error is not None)
        return (
            f"the actor failed on {self.errors} of {len(self.tasks)} tasks with {self.reflector!r}, more than "
            f"max_error_rate ({self.config.max_error_rate:.1%}): no success rate is given. First: {first}"
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The kinds of task, sorted; empty if there is only one."""
        names = sorted({task.group for task in self.tasks})
        return tuple(names) if len(names) > 1 else ()

    def success_at_trial(self, group: str | None = None) -> list[Estimate]:
        """Returns the success rate by trial 0…T, in [0, 1].

        Args:
            group: restricts it to one kind of task.

        Raises:
            ActorError: the actor failed on too many tasks, see :attr:`refusal`.
        """
        return [success_rate(values) for values in self._by_trial(lambda task: task.success, group)]

    def return_at_trial(self, group: str | None = None) -> list[Estimate]:
        """Returns the mean return by trial 0…T, in the unit of the environment's rewards.

        Raises:
            ActorError: the actor failed on too many tasks.
        """
        seed = derive_seed(self.config.seed, "bootstrap")
        return [bootstrap_mean(values, seed=seed) for values in self._by_trial(lambda task: task.returns, group)]

    def _by_trial(self, figures: Callable[[TaskResult], Sequence[float]], group: str | None) -> list[list[float]]:
        """Returns for trial 0…T one value for each scored task."""
        if self.refusal is not None:
            raise ActorError(self.refusal)
        rows = [figures(task) for task in self.scored if group is None or task.group == group]
        return [[row[trial] for row in rows] for trial in range(self.config.trials + 1)]


def _is_json(value: Any) -> bool:
    """Returns whether an argument can be reported; an actor object, for example, cannot."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
