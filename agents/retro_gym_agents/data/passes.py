"""Passes over examples in random order, and tasks that are held out. Both depend on nothing but the seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import torch

from retro_gym.seeding import derive_seed

__all__ = ["Passes", "held_out"]

T = TypeVar("T")


class Passes(Generic[T]):
    """The batches of several passes over some items, each pass in an order of its own.

    Args:
        items: at least one.
        size: items in a batch; the last one of a pass may have fewer.
        epochs: number of passes.
        seed: seed of the orders.

    >>> passes = Passes("abcde", size=2, epochs=2, seed=0)
    >>> passes.num_batches, sorted(passes.batch(1) + passes.batch(2) + passes.batch(3))
    (6, ['a', 'b', 'c', 'd', 'e'])
    """

    def __init__(self, items: Sequence[T], *, size: int, epochs: int, seed: int) -> None:
        self.items, self._size, self._seed = items, size, seed
        self._per_pass = -(-len(items) // size)
        self.num_batches = epochs * self._per_pass

    def batch(self, number: int) -> list[T]:
        """Returns a batch; numbers are counted from 1."""
        epoch, place = divmod(number - 1, self._per_pass)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "pass", epoch))
        order = torch.randperm(len(self.items), generator=generator).tolist()
        return [self.items[index] for index in order[place * self._size : (place + 1) * self._size]]


def held_out(task_ids: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """Returns the tasks whose examples are measured instead of learned.

    >>> len(held_out([f"task-{number % 20}" for number in range(100)], share=0.1, seed=0))
    2
    """
    tasks = sorted(set(task_ids))
    order = torch.randperm(len(tasks), generator=torch.Generator().manual_seed(derive_seed(seed, "held out")))
    return frozenset(tasks[index] for index in order[: int(share * len(tasks))].tolist())
