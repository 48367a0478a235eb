"""What the teachers have in common: tasks that they know, how they choose, and how they check a form.

A noisy teacher chooses mostly by habit, and now and then by understanding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np

from retro_gym.task_env import checked_task_id
from retro_gym.teacher import ReflectionCheck, Teacher
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick
from retro_gym_envs.task_sources import TaskSource

__all__ = ["TaskTeacher", "check_forms", "guess"]

_T = TypeVar("_T")

_UNDERSTOOD = 0.25  # the share of choices by understanding


class TaskTeacher(Teacher, Generic[_T]):
    """Knows the tasks of an environment with their solutions.

    Args:
        tasks: those of the environment.
    """

    def __init__(self, tasks: TaskSource[_T]) -> None:
        self._tasks = tasks

    def task(self, task_id: str) -> _T:
        """A task with its solution.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.get(checked_task_id(task_id))


def guess(options: Sequence[_T], right: Sequence[_T], rng: np.random.Generator, *, hasty: float) -> _T:
    """The first option by habit, one of the right ones by understanding; else any.

    Args:
        options: what there is to choose from, not empty.
        right: what would be right to choose; where there is none, nothing is understood.
        rng: of the draws.
        hasty: the share of choices by habit.
    """
    luck = rng.random()
    if luck < hasty:
        return options[0]
    return pick(right if right and luck < hasty + _UNDERSTOOD else options, rng)


def check_forms(forms: Iterable[re.Pattern[str]], reflection: str, trajectory: Trajectory) -> ReflectionCheck:
    """Whether a reflection has one of some forms, and what its named groups match stands in the trajectory."""
    match = next((found for form in forms if (found := form.fullmatch(reflection.strip()))), None)
    if match is None:
        return ReflectionCheck(False, False)
    text = trajectory.render()
    names = (name for name in match.groupdict().values() if name)
    return ReflectionCheck(True, all(re.search(rf"\b{re.escape(name)}\b", text) for name in names))
