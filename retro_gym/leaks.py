"""Leaks: reflections that contain the answer of their task, and whether the actor may read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from retro_gym.checks import check_choice
from retro_gym.teacher import Teacher

__all__ = ["LEAK_MODES", "LeakMode", "check_leak_mode", "leak_in", "read_by_actor"]

LeakMode = Literal["allow", "ignore"]
"""What the actor reads of a reflection that contains the answer: all of it, or nothing."""
LEAK_MODES: tuple[LeakMode, ...] = ("allow", "ignore")


def check_leak_mode(mode: LeakMode, teacher: Teacher) -> None:
    """Checks that the mode is known, and that a teacher can find leaks if the mode needs it.

    Raises:
        ConfigError: one of them is not so.
    """
    check_choice("leak", mode, LEAK_MODES)
    if mode == "ignore":
        teacher.require("leaks")


def leak_in(reflection: str, teacher: Teacher, task_id: str) -> bool | None:
    """Returns whether a reflection contains the answer of a task; None if the teacher does not define ``leaks``."""
    if not teacher.defines("leaks"):
        return None
    return bool(reflection.strip()) and bool(teacher.leaks(str(reflection), task_id))


def read_by_actor(reflections: Sequence[str], leaks: Sequence[bool | None], mode: LeakMode) -> list[str]:
    """Returns what the actor reads of some reflections; with ``"ignore"`` a blank text in place of each leak.

    >>> read_by_actor(["It is 1934.", "Read on."], [True, False], "ignore")
    ['', 'Read on.']
    """
    return [
        "" if leak and mode == "ignore" else str(reflection)
        for reflection, leak in zip(reflections, leaks, strict=True)
    ]
