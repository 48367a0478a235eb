"""A teacher that knows what a foreign environment says of its solutions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from retro_gym.errors import ConfigError, one_line
from retro_gym.teacher import Teacher

__all__ = ["GoldTeacher", "as_gold"]


class GoldTeacher(Teacher):
    """Reflections from gold paths and gold answers.

    An environment's gold path is all that is known of a solution, so ``oracle_reflection`` states it, as
    ``told_reflection`` does, and ``leaks`` says so.

    Args:
        find: returns the gold path of a task, or its answer as a path of one action; None if it has none.
    """

    def __init__(self, find: Callable[[str], tuple[str, ...] | None]) -> None:
        self._find = find

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the gold path as an instruction."""
        path = self._path(task_id)
        if len(path) == 1:
            return f"The action that solves this task is: {path[0]}"
        steps = " ".join(f"{number}. {action}" for number, action in enumerate(path, start=1))
        return f"These {len(path)} actions, in this order, solve the task: {steps}"

    def told_reflection(self, task_id: str) -> str:
        """The same as :meth:`oracle_reflection`."""
        return self.oracle_reflection(task_id)

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection contains every action of the gold path, as words of their own."""
        path = self._find(task_id)
        return path is not None and all(_holds(reflection, action) for action in path)

    def _path(self, task_id: str) -> tuple[str, ...]:
        path = self._find(task_id)
        if path is None:
            raise ConfigError(
                f"the environment gives no gold path for task {task_id!r}: 'gold' returned None. Choose tasks that "
                "have one, or policies that need none."
            )
        return path


def as_gold(found: Any) -> tuple[str, ...] | None:
    """Returns what an environment gives as its solution as a tuple of actions; None or nothing becomes None.

    Raises:
        ConfigError: it is neither text nor a sequence of texts.

    >>> as_gold("42"), as_gold(["go east", "take coin"]), as_gold([])
    (('42',), ('go east', 'take coin'), None)
    """
    if isinstance(found, str):
        found = [found]
    if found is None or (isinstance(found, Sequence) and not found):
        return None
    if not isinstance(found, Sequence) or not all(isinstance(action, str) for action in found):
        raise ConfigError(f"gold returned {one_line(found)}; a list of actions or an answer, as text, is required.")
    return tuple(map(str, found))


def _holds(reflection: str, action: str) -> bool:
    words = r"\s+".join(re.escape(word) for word in action.split())
    return re.search(rf"(?<!\w){words}(?!\w)", reflection, re.IGNORECASE) is not None
