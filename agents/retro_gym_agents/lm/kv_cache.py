"""Key-value caches with preallocated columns, so that appending a token does not copy the cache.

Axes: B rows of the batch, H heads, C cached columns, D size of a head.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import CausalLMOutputWithPast

__all__ = ["CACHE", "FixedLayer", "RoomyLayer", "WindowLayer", "roomy_cache"]

CACHE = next(one.name for one in dataclasses.fields(CausalLMOutputWithPast) if one.name in ("cache", "past_key_values"))
"""What models call their cache, as an argument and in their output: ``cache`` from transformers 5.24 on."""


class _BufferedLayer(DynamicLayer):  # type: ignore[misc] # transformers has no types
    """Keys and values of one layer as a range of columns in larger buffers; new columns are appended in place."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: list[Tensor] = []
        self._first = self._end = 0
        self.keys: Tensor
        self.values: Tensor

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends columns; returns all keys and values (B, H, C, D)."""
        end = self._end + key_states.shape[2]
        for buffer_BHCD, new_BHCD in zip(self._buffers, (key_states, value_states), strict=True):
            buffer_BHCD[:, :, self._end : end] = new_BHCD
        return self._show(self._first, end)

    def _show(self, first: int, end: int) -> tuple[Tensor, Tensor]:
        """Sets the range of the buffers' columns that are the keys and values."""
        self._first, self._end = first, end
        self.keys, self.values = (buffer_BHCD[:, :, first:end] for buffer_BHCD in self._buffers)
        return self.keys, self.values


class RoomyLayer(_BufferedLayer):
    """Keys and values at the front of their buffers.

    Args:
        room: number of columns that will be appended to the first ones.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends columns; returns all keys and values (B, H, C, D)."""
        if self.is_initialized:
            return super().update(key_states, value_states)
        self.lazy_initialization(key_states, value_states)
        return self._fill((key_states, value_states), self._room)

    def keep(self, rows_B: Tensor, columns_BC: Tensor, room: int) -> None:
        """Keeps some of the rows, and some of the columns of each.

        Args:
            rows_B: row numbers.
            columns_BC: column numbers in each of these rows.
            room: number of columns that will still be appended.
        """
        _, heads, _, size = self.keys.shape
        index_BHCD = columns_BC[:, None, :, None].expand(-1, heads, -1, size)
        self._fill([states[rows_B].gather(2, index_BHCD) for states in (self.keys, self.values)], room)

    def join(self, parts: Sequence[RoomyLayer], rows: Sequence[Sequence[int]], width: int) -> None:
        """Fills an empty layer with the rows of several, aligned on the right; columns before a row are 0.

        Args:
            parts: layers with some of the rows each.
            rows: the numbers of each part's rows here.
            width: C.
        """
        self.lazy_initialization(parts[0].keys, parts[0].values)
        for states in ([part.keys for part in parts], [part.values for part in parts]):
            _, heads, _, size = states[0].shape
            buffer_BHCD = states[0].new_zeros(sum(map(len, rows)), heads, width + self._room, size)
            for part_BHCD, numbers in zip(states, rows, strict=True):
                buffer_BHCD[list(numbers), :, width - part_BHCD.shape[2] : width] = part_BHCD
            self._buffers.append(buffer_BHCD)
        self._show(0, width)

    def _fill(self, states: Iterable[Tensor], room: int) -> tuple[Tensor, Tensor]:
        self._buffers = []
        for first_BHCD in states:
            rows, heads, columns, size = first_BHCD.shape
            buffer_BHCD = first_BHCD.new_empty(rows, heads, columns + room, size)
            buffer_BHCD[:, :, :columns] = first_BHCD
            self._buffers.append(buffer_BHCD)
        return self._show(0, columns)


class FixedLayer(RoomyLayer):
    """Keys and values in buffers that the model sees whole, so that no shape changes from one step to the next.

    Before :meth:`fix` it is a :class:`RoomyLayer`. A mask must hide the columns that are not written yet.
    """

    _columns: Tensor | None = None

    def fix(self, columns_K: Tensor) -> None:
        """From now on, writes new columns where ``columns_K`` says; the caller changes it in place."""
        for buffer_BHCD in self._buffers:
            buffer_BHCD[:, :, self._end :] = 0  # hidden columns have the weight 0, but 0 times NaN is NaN
        self._columns = columns_K
        self._show(0, self._buffers[0].shape[2])

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Writes columns; returns all keys and values (B, H, C, D)."""
        if self._columns is None:
            return super().update(key_states, value_states)
        for buffer_BHCD, new_BHCD in zip(self._buffers, (key_states, value_states), strict=True):
            buffer_BHCD.index_copy_(2, self._columns, new_BHCD)
        return self.keys, self.values


class WindowLayer(_BufferedLayer):
    """Keys and values aligned on the right, before a column that advances with every step.

    The buffers have twice the maximum number of columns in use; every ``width`` steps, the columns in use are moved
    back to the front.

    Args:
        rows: B.
        width: maximum number of columns in use.
        keys: keys of any batch, for their shape and type.
        values: values of any batch, for their shape and type.
    """

    def __init__(self, rows: int, width: int, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.is_initialized = True
        self._width = width
        self._buffers = [like.new_zeros(rows, like.shape[1], 2 * width, like.shape[3]) for like in (keys, values)]
        self._show(width, width)

    def show(self, columns: int) -> None:
        """Exposes the last ``columns`` columns to the model."""
        if self._end == 2 * self._width:
            for buffer_BHCD in self._buffers:
                buffer_BHCD[:, :, : self._width] = buffer_BHCD[:, :, self._width :].clone()
            self._end = self._width
        self._show(self._end - columns, self._end)

    def write(self, numbers: Sequence[int], keys: Tensor, values: Tensor) -> None:
        """Writes keys and values of some rows before the current column."""
        first = self._end - keys.shape[2]
        for buffer_BHCD, new_BHCD in zip(self._buffers, (keys, values), strict=True):
            buffer_BHCD[list(numbers), :, first : self._end] = new_BHCD


def roomy_cache(model: Any, room: int, layer: type[RoomyLayer] = RoomyLayer) -> DynamicCache:
    """Creates an empty cache for a model with full attention in every layer.

    Args:
        model: a causal LM of transformers.
        room: number of columns that will be appended to the first ones.
        layer: class of the layers.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [layer(room) for _ in cache.layers]
    return cache
