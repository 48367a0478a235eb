"""What the teachers share: access to the tasks, a model of noisy choices, and a check of a reflection's form.

A noisy teacher chooses mostly by a fixed bias ("habit"), and sometimes correctly ("understanding").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np

from retro_gym.prompts import REFLECTIONS_HEADER
from retro_gym.task_env import checked_task_id
from retro_gym.teacher import ReflectionCheck, Teacher
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick
from retro_gym_envs.scripted_actor import notes_in
from retro_gym_envs.task_sources import TaskSource

__all__ = ["TaskTeacher", "as_noted", "check_forms", "guess", "leads_to"]

_T = TypeVar("_T")


class TaskTeacher(Teacher, Generic[_T]):
    """A teacher that knows the tasks of an environment with their solutions.

    Args:
        tasks: the environment's tasks.
    """

    def __init__(self, tasks: TaskSource[_T]) -> None:
        self._tasks = tasks

    def task(self, task_id: str) -> _T:
        """Returns a task with its solution.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.get(checked_task_id(task_id))


def guess(
    options: Sequence[_T], right: Sequence[_T], rng: np.random.Generator, *, hasty: float, understood: float
) -> _T:
    """Returns the first option (habit), one of the right ones (understanding), or a random one.

    Args:
        options: the options, not empty.
        right: the correct options; if there are none, no choice is made by understanding.
        rng: the source of randomness.
        hasty: probability of a choice by habit.
        understood: probability of a choice by understanding.
    """
    luck = rng.random()
    if luck < hasty:
        return options[0]
    return pick(right if right and luck < hasty + understood else options, rng)


def as_noted(reflection: str) -> list[str]:
    r"""Returns the reflections that a scripted actor reads in its prompt if this one is there: none if it is blank.

    >>> as_noted("Open B1.\nBuy it."), as_noted(" ")
    (['Open B1. Buy it.'], [])
    """
    return notes_in(f"{REFLECTIONS_HEADER}\n- {' '.join(reflection.split())}")


def leads_to(right: _T, wanted: Sequence[_T], shunned: Collection[_T], *, needed: bool) -> bool:
    """Returns whether advice on one decision leads to the right option.

    Args:
        right: the right option.
        wanted: the options that the advice is for.
        shunned: the options that it is against.
        needed: whether the actor decides by luck without advice. Otherwise it decides rightly by itself, and the advice
            must only not mislead it.
    """
    if needed or wanted:
        return tuple(wanted) == (right,)
    return right not in shunned


def check_forms(
    forms: Iterable[re.Pattern[str]],
    reflection: str,
    trajectory: Trajectory,
    spelling: Callable[[str], str] = str,
) -> ReflectionCheck:
    """Checks that a reflection has one of the forms, and that its named groups match text of the trajectory.

    Args:
        forms: patterns of whole reflections.
        reflection: the reflection.
        trajectory: the failed trajectory.
        spelling: returns another way in which the trajectory may write what a group matched.
    """
    match = next((found for form in forms if (found := form.fullmatch(reflection.strip()))), None)
    if match is None:
        return ReflectionCheck(False, False)
    text = trajectory.render()
    names = (name for name in match.groupdict().values() if name)
    return ReflectionCheck(True, all(_occurs(name, text) or _occurs(spelling(name), text) for name in names))


def _occurs(name: str, text: str) -> bool:
    """Returns whether a text contains a name as whole words."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None
