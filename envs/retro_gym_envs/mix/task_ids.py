"""The task ids of a mixture: the environment's id and its own task id, interleaved in proportion to the weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import overload

from retro_gym.errors import UnknownTaskError, one_line

__all__ = ["MixedIds", "interleaved", "parted"]


def parted(task_id: object, envs: Collection[str]) -> tuple[str, str]:
    """Splits a task id into the environment's id and the environment's own task id.

    Args:
        task_id: of the form ``ENV:TASK``.
        envs: the ids of the environments.

    Raises:
        UnknownTaskError: it has another form, or names none of the environments.
    """
    name, _, inner = task_id.partition(":") if isinstance(task_id, str) else ("", "", "")
    if name not in envs or not inner:
        raise UnknownTaskError(
            f"task {one_line(task_id)} does not have the form 'ENV:TASK' with one of {', '.join(envs)}."
        )
    return name, inner


class MixedIds(Sequence[str]):
    """The task ids of a split. Ids are made on access: there are tens of thousands, and usually one is drawn.

    Args:
        inner: each environment's own task ids.
        order: for each position, the index of the environment and the index of its task.
    """

    def __init__(self, inner: Mapping[str, Sequence[str]], order: Sequence[tuple[int, int]]) -> None:
        self._names = tuple(inner)
        self._inner = tuple(inner.values())
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._id(*place) for place in self._order[index]]
        return self._id(*self._order[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # unhashable, like the list that it replaces

    def _id(self, which: int, index: int) -> str:
        return f"{self._names[which]}:{self._inner[which][index]}"


@cache
def interleaved(sizes: tuple[int, ...], weights: tuple[float, ...]) -> list[tuple[int, int]]:
    """Returns, for each position, the index of the environment and the index of its task.

    The next position goes to the environment that is furthest behind its share; ends when that one has no task left.

    >>> interleaved((2, 9), (1.0, 2.0))
    [(1, 0), (0, 0), (1, 1), (1, 2), (0, 1), (1, 3), (1, 4)]
    """
    counts = [0] * len(sizes)
    order: list[tuple[int, int]] = []
    while True:
        which = min(range(len(sizes)), key=lambda i: ((counts[i] + 0.5) / weights[i], i))
        if counts[which] == sizes[which]:
            return order
        order.append((which, counts[which]))
        counts[which] += 1
