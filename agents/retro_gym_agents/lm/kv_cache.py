"""Key-value caches with room for what is to come, so that a new token does not copy what the cache holds already.

Axes: B rows of the batch, H heads, C cached columns, D size of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

__all__ = ["RoomyLayer", "WindowLayer", "roomy_cache"]


class _BufferedLayer(DynamicLayer):  # type: ignore[misc] # transformers has no types
    """Keys and values of one layer as some columns of larger buffers; new columns are written behind them."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[Tensor] = []
        self._first = self._end = 0
        self.keys: Tensor
        self.values: Tensor

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Adds columns; returns all keys and values (B, H, C, D)."""
        end = self._end + key_states.shape[2]
        for buffer_BHCD, new_BHCD in zip(self._buffers, (key_states, value_states), strict=True):
            buffer_BHCD[:, :, self._end : end] = new_BHCD
        return self._show(self._first, end)

    def _show(self, first: int, end: int) -> tuple[Tensor, Tensor]:
        """Sets which of the buffers' columns are the keys and values."""
        self._first, self._end = first, end
        self.keys, self.values = (buffer_BHCD[:, :, first:end] for buffer_BHCD in self._buffers)
        return self.keys, self.values


class RoomyLayer(_BufferedLayer):
    """Keys and values at the front of their buffers.

    Args:
        room: columns that will be added to the first ones.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Adds columns; returns all keys and values (B, H, C, D)."""
        if self.is_initialized:
            return super().update(key_states, value_states)
        self.lazy_initialization(key_states, value_states)
        return self._fill((key_states, value_states), self._room)

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

    def _fill(self, states: Iterable[Tensor], room: int) -> tuple[Tensor, Tensor]:
        self._buffers = []
        for first_BHCD in states:
            rows, heads, columns, size = first_BHCD.shape
            buffer_BHCD = first_BHCD.new_empty(rows, heads, columns + room, size)
            buffer_BHCD[:, :, :columns] = first_BHCD
            self._buffers.append(buffer_BHCD)
        return self._show(0, columns)


class WindowLayer(_BufferedLayer):
    """Keys and values flush right in front of a column that moves on with every step.

    The buffers have twice the columns that are used at most; once in ``width`` steps those in use are moved back to
    the front.

    Args:
        rows: B.
        width: the most columns that are used.
        keys: of any batch, for their shape and type.
        values: the same.
    """

    def __init__(self, rows: int, width: int, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.is_initialized = True
        self._width = width
        self._buffers = [like.new_zeros(rows, like.shape[1], 2 * width, like.shape[3]) for like in (keys, values)]
        self._show(width, width)

    def show(self, columns: int) -> None:
        """Lets the model see so many of the last columns."""
        if self._end == 2 * self._width:
            for buffer_BHCD in self._buffers:
                buffer_BHCD[:, :, : self._width] = buffer_BHCD[:, :, self._width :].clone()
            self._end = self._width
        self._show(self._end - columns, self._end)

    def write(self, numbers: Sequence[int], keys: Tensor, values: Tensor) -> None:
        """Puts what was read of some rows in front of the present column."""
        first = self._end - keys.shape[2]
        for buffer_BHCD, new_BHCD in zip(self._buffers, (keys, values), strict=True):
            buffer_BHCD[list(numbers), :, first : self._end] = new_BHCD


def roomy_cache(model: Any, room: int) -> DynamicCache:
    """An empty cache for a model with full attention in every layer.

    Args:
        model: a causal LM of transformers.
        room: columns that will be added to the first ones.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer(room) for _ in cache.layers]
    return cache
