"""What is evaluated, and what a policy achieved: plain data and the figures that follow from it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retro_gym.errors import ActorError, ConfigError
from retro_gym.records import RunHeader
from retro_gym.scheduling import ActorStats
from retro_gym.seeding import derive_seed
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.evaluation.statistics import Estimate, bootstrap_mean, success_rate

__all__ = ["Evaluation", "EvaluationConfig", "TaskResult"]

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
    header: RunHeader = dataclasses.field(default_factory=RunHeader)
    """What it depends on, as records have it."""

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

    def size(self, group: str) -> int:
        """How many tasks of one kind there are."""
        return sum(task.group == group for task in self.tasks)

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


def _is_json(value: Any) -> bool:
    """Whether an argument can be reported; an actor that is an object, for one, cannot."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
