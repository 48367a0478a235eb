"""A key-value cache with room for what is to come, so that a new token does not copy what the cache holds already."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

__all__ = ["RoomyLayer", "roomy_cache"]


class RoomyLayer(DynamicLayer):  # type: ignore[misc] # transformers has no types
    """Keys and values of one layer at the front of buffers.

    Axes: B rows of the batch, H heads, C cached columns, D size of a head.

    Args:
        room: columns that will be added to the first ones.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._buffers: list[Tensor] = []
        self.keys: Tensor
        self.values: Tensor

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Adds columns; returns all keys and values (B, H, C, D)."""
        states = (key_states, value_states)
        if not self.is_initialized:
            self.lazy_initialization(*states)
            self._fill(states, self._room)
            return self.keys, self.values
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for buffer_BHCD, new_BHCD in zip(self._buffers, states, strict=True):
            buffer_BHCD[:, :, start:end] = new_BHCD
        self.keys, self.values = (buffer_BHCD[:, :, :end] for buffer_BHCD in self._buffers)
        return self.keys, self.values

    def keep(self, rows_B: Tensor, columns_BC: Tensor, room: int) -> None:
        """Keeps some of the rows and, of each of them, some of the columns.

        Args:
            rows_B: the rows' numbers.
            columns_BC: the columns' numbers in each of these rows.
            room: columns that will still be added.
        """
        _, heads, _, size = self.keys.shape
        index_BHCD = columns_BC[:, None, :, None].expand(-1, heads, -1, size)
        self._fill([states[rows_B].gather(2, index_BHCD) for states in (self.keys, self.values)], room)

    def _fill(self, states: Any, room: int) -> None:
        self._buffers = []
        for first_BHCD in states:
            rows, heads, columns, size = first_BHCD.shape
            buffer_BHCD = first_BHCD.new_empty(rows, heads, columns + room, size)
            buffer_BHCD[:, :, :columns] = first_BHCD
            self._buffers.append(buffer_BHCD)
        self.keys, self.values = (buffer_BHCD[:, :, :columns] for buffer_BHCD in self._buffers)


def roomy_cache(model: Any, room: int) -> DynamicCache:
    """An empty cache for a model with full attention in every layer.

    Args:
        model: a causal LM of transformers.
        room: columns that will be added to the first ones.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer(room) for _ in cache.layers]
    return cache
