"""Task sources: splits, and tasks that are generated from a seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, Generic, TypeVar

from retro_gym.errors import UnknownTaskError, did_you_mean, one_line
from retro_gym_envs.shared import Shared

__all__ = ["SPLITS", "GeneratedTasks", "ListedTasks", "TaskSource", "split_of_number"]

SPLITS = ("train", "validation", "test")

TaskT_co = TypeVar("TaskT_co", covariant=True)

_CLASSES = 10  # residue classes that the splits divide among themselves
_SPLIT_OF_CLASS = ("train",) * 8 + ("validation", "test")


def split_of_number(number: int) -> str:
    """Returns the split of a number: of ten residue classes, eight belong to train, one each to validation and test.

    >>> split_of_number(0), split_of_number(8), split_of_number(19)
    ('train', 'validation', 'test')
    """
    return _SPLIT_OF_CLASS[number % _CLASSES]


class TaskSource(Shared, ABC, Generic[TaskT_co]):
    """The tasks of an environment, by split and id. Immutable; pickles are small."""

    @abstractmethod
    def ids(self, split: str) -> Sequence[str]:
        """Returns the ids of a split, in a fixed order.

        Raises:
            UnknownTaskError: no such split.
        """

    @abstractmethod
    def get(self, task_id: str) -> TaskT_co:
        """Returns the task with this id.

        Raises:
            UnknownTaskError: no such task.
        """


class ListedTasks(TaskSource[TaskT_co]):
    """Tasks whose ids are known by split. A subclass sets ``_ids``."""

    _ids: Mapping[str, tuple[str, ...]]

    def ids(self, split: str) -> Sequence[str]:
        """Returns the ids of a split, in the order of the file."""
        if split not in self._ids:
            raise UnknownTaskError(
                f"split {split!r} is not one of {list(self._ids)}.{did_you_mean(str(split), self._ids)}"
            )
        return self._ids[split]


class GeneratedTasks(TaskSource[TaskT_co]):
    """The tasks of a built-in world, each generated from world seed and id when it is first requested.

    An id is a split and a number: ``train-00000``. Two sources with the same arguments are equal.

    Args:
        world_seed: the seed of the world; different seeds give different worlds.
    """

    sizes: ClassVar[Mapping[str, int]] = {"train": 20_000, "validation": 1_000, "test": 1_000}
    """Tasks per split."""
    digits: ClassVar[Mapping[str, int]] = dict.fromkeys(SPLITS, 5)
    """Digits of the number in an id."""

    def __init__(self, world_seed: int = 0) -> None:
        self.world_seed = world_seed

    def ids(self, split: str) -> Sequence[str]:
        """Returns ``split-00000`` and so on."""
        if split not in SPLITS:
            raise UnknownTaskError(f"split {one_line(split)} is not one of {SPLITS}.")
        return _numbered(split, self.sizes[split], self.digits[split])

    def task_split(self, task_id: str) -> str:
        """Returns the split of a task.

        Raises:
            UnknownTaskError: no such task.
        """
        split, _, number = task_id.rpartition("-")
        known = split in SPLITS and len(number) == self.digits[split] and number.isascii() and number.isdecimal()
        if not known or int(number) >= self.sizes[split]:
            ranges = (f"from {self.ids(each)[0]!r} to {self.ids(each)[-1]!r}" for each in SPLITS)
            raise UnknownTaskError(
                f"task {one_line(task_id)} is not in the built-in world. Its ids run {', '.join(ranges)}."
            )
        return split

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"


@lru_cache  # needed at every reset
def _numbered(split: str, count: int, digits: int) -> tuple[str, ...]:
    return tuple(f"{split}-{i:0{digits}d}" for i in range(count))
