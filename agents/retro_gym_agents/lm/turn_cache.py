"""Keys and values of prompts that were read before, for prompts that go on from there.

The prompt of a trial's next turn usually begins with the prompt and the reply of the turn before. :class:`TurnCache`
keeps the keys and values of what a model has read and written, and :class:`Resumed` reads only the rest of a prompt.
The result is that of reading all of it, except for rounding.

Axes: B rows, H heads, L columns, D size of a head, V vocabulary; one pair of keys and values per layer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.kv_cache import CACHE, roomy_cache
from retro_gym_agents.lm.next_token import Step

__all__ = ["Known", "Resumed", "SeparateRows", "TurnCache"]

States: TypeAlias = list[tuple[Tensor, Tensor]]
"""Keys and values (H, L, D) of a row, for each layer."""


class Known(NamedTuple):
    """The beginning of a row that was read before."""

    length: int
    """Number of tokens; 0 if none is known."""
    states: States


class _Row(NamedTuple):
    ids: NDArray[np.int64]
    start: int
    """Number of tokens of the prompt."""
    states: States


class TurnCache:
    """The keys and values of the rows that a model has read last.

    Args:
        max_bytes: how much is kept; the oldest rows are dropped.
    """

    def __init__(self, max_bytes: int = 2**29) -> None:
        self.max_bytes = max_bytes
        self.tokens_saved = 0
        """Number of tokens that were not read again."""
        self._rows: dict[bytes, _Row] = {}
        self._bytes = 0
        self._weights: Hashable = None

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Drops all rows."""
        self._rows.clear()
        self._bytes = 0

    def of_weights(self, weights: Hashable) -> TurnCache:
        """Returns this cache, without its rows if the weights are other ones than before."""
        if weights != self._weights:
            self.clear()
            self._weights = weights
        return self

    def beginning_of(self, ids: NDArray[np.int64]) -> Known:
        """Returns what is known of a row: the last turn of the same trial, prompt and reply.

        Rows that share no more than a prompt's beginning are not used, although they could be: so a result depends, in
        its rounding, on the trial that it belongs to, and on nothing else that was read before.
        """
        best, length = b"", 0
        for key, row in self._rows.items():
            most = min(len(row.ids), len(ids) - 1)
            if most <= max(length, row.start) or row.ids[length] != ids[length]:
                continue
            differs = row.ids[:most] != ids[:most]
            common = int(differs.argmax()) if differs.any() else most
            if common > max(length, row.start):
                best, length = key, common
        if not length:
            return Known(0, [])
        self.tokens_saved += length
        states = self._drop(best)  # the longer row will take its place
        return Known(length, [(keys[:, :length], values[:, :length]) for keys, values in states])

    def add(self, ids: NDArray[np.int64], start: int, states: States) -> None:
        """Keeps a row's keys and values (copies of them).

        Args:
            ids: prompt and reply.
            start: number of tokens of the prompt.
            states: keys and values of each token.
        """
        key = ids.tobytes()
        if key in self._rows:
            return
        row = _Row(ids, start, [(keys.clone(), values.clone()) for keys, values in states])
        self._rows[key] = row
        self._bytes += _size(row.states)
        while self._bytes > self.max_bytes:
            self._drop(next(iter(self._rows)))

    def _drop(self, key: bytes) -> States:
        states = self._rows.pop(key).states
        self._bytes -= _size(states)
        return states


def _size(states: States) -> int:
    return sum(tensor.numel() * tensor.element_size() for pair in states for tensor in pair)


class SeparateRows:
    """What layouts of the sampler share in which every sample is a row of the batch."""

    _model: Any
    _cache: Any
    _mask: Tensor
    _positions: Tensor
    _hidden: bool

    def extend(self, token_R: Tensor) -> Step:
        """Appends a token to every row; returns what predicts the one after it."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], -1)
        out = self._model(
            input_ids=token_R[:, None],
            attention_mask=self._mask,
            position_ids=self._positions[:, None],
            use_cache=True,
            output_hidden_states=self._hidden,
            **{CACHE: self._cache},
        )
        self._positions = self._positions + 1
        return Step(out.logits[:, -1], out.hidden_states[-1][:, -1] if self._hidden else None)


class Resumed(SeparateRows):
    """A layout of the sampler: a row of the batch for each prompt, of which only what is not known is read.

    Args:
        model: a causal LM of transformers with full attention in every layer.
        prompts: B prompts.
        limit: maximum number of tokens of a sample.
        memory: what is known, and where the rows are kept when they have ended.
        hidden: whether hidden states are returned.
    """

    def __init__(self, model: Any, prompts: Prompts, limit: int, memory: TurnCache, *, hidden: bool) -> None:
        self._model, self._limit, self._memory, self._hidden = model, limit, memory, hidden
        rows = zip(prompts.ids_PS, prompts.mask_PS, strict=True)
        self._ids = [ids[mask].tolist() for ids, mask in rows]  # the tokens that each running row was given
        self._starts = [len(ids) for ids in self._ids]
        self._mask = prompts.mask_PS.long()
        self._positions = prompts.lengths
        self._cache: Any = None

    def start(self) -> Step:
        """Reads the prompts; returns what predicts the first token."""
        known = [self._memory.beginning_of(np.array(ids)) for ids in self._ids]
        everything = range(len(known))
        # Rows that go on are not padded to the length of those that are new.
        parts = [[row for row in everything if bool(known[row].length) is goes_on] for goes_on in (False, True)]
        whole: list[tuple[Tensor, Tensor]] = []
        logits: dict[int, Tensor] = {}
        hidden: dict[int, Tensor] = {}
        for part in filter(None, parts):
            out, layers, before = self._read(part, known)
            whole = whole or [
                (_zeros(keys, *self._mask.shape), _zeros(values, *self._mask.shape)) for keys, values in layers
            ]
            for place, row in enumerate(part):
                logits[row] = out.logits[place, -1]
                if self._hidden:
                    hidden[row] = out.hidden_states[-1][place, -1]
                first, rest = before - known[row].length, len(self._ids[row]) - known[row].length
                for target, states in _pairs(whole, layers):
                    target[row, :, -len(self._ids[row]) :] = torch.cat(
                        [states[place, :, first:before], states[place, :, states.shape[2] - rest :]], 1
                    )
        self._cache = roomy_cache(self._model, self._limit - 1)
        for layer, (keys, values) in zip(self._cache.layers, whole, strict=True):
            layer.update(keys, values)
        states_BD = torch.stack([hidden[row] for row in everything]) if self._hidden else None
        return Step(torch.stack([logits[row] for row in everything]), states_BD)

    def _read(self, part: Sequence[int], known: Sequence[Known]) -> tuple[Any, list[tuple[Tensor, Tensor]], int]:
        """Reads the rest of some rows.

        Returns:
            The model's output, keys and values of each layer (B, H, L, D), and the number of columns that were known.
        """
        device, before = self._mask.device, max(known[row].length for row in part)
        rest = Prompts.from_rows([self._ids[row][known[row].length :] for row in part], 0, device)
        cache = roomy_cache(self._model, rest.ids_PS.shape[1] if before else 0)
        for number, layer in enumerate(cache.layers if before else ()):
            pair = tuple(_zeros(one[None], len(part), before) for one in known[part[0]].states[number])
            for place, row in enumerate(part):
                for target, states in zip(pair, known[row].states[number], strict=True):
                    target[place, :, before - known[row].length :] = states
            layer.update(*pair)
        lengths = torch.tensor([known[row].length for row in part], device=device)
        seen = torch.arange(before, device=device) >= before - lengths[:, None]
        out = self._model(
            input_ids=rest.ids_PS,
            attention_mask=torch.cat([seen, rest.mask_PS], -1).long(),
            position_ids=(lengths[:, None] + rest.mask_PS.long().cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
            output_hidden_states=self._hidden,
            **{CACHE: cache},
        )
        return out, [(layer.keys, layer.values) for layer in cache.layers], before

    def extend(self, token_R: Tensor) -> Step:
        """Appends a token to every row; returns what predicts the one after it."""
        for ids, token in zip(self._ids, token_R.tolist(), strict=True):
            ids.append(token)
        return super().extend(token_R)

    def drop(self, running_R: Tensor) -> Tensor:
        """Removes ended rows, and keeps them in mind; returns the numbers of the remaining rows."""
        running = running_R.tolist()
        self._keep([row for row, runs in enumerate(running) if not runs])
        kept_R = running_R.nonzero()[:, 0]
        columns_RC = torch.arange(self._mask.shape[1], device=kept_R.device).expand(len(kept_R), -1)
        for layer in self._cache.layers:
            layer.keep(kept_R, columns_RC, self._limit)  # more room than is left to write
        self._mask, self._positions = self._mask[kept_R], self._positions[kept_R]
        kept = kept_R.tolist()
        self._ids, self._starts = [self._ids[row] for row in kept], [self._starts[row] for row in kept]
        return kept_R

    def finish(self) -> None:
        """Keeps all rows in mind."""
        self._keep(range(len(self._ids)))

    def _keep(self, rows: Sequence[int]) -> None:
        for row in rows:
            length = len(self._ids[row])
            self._memory.add(
                np.array(self._ids[row]),
                self._starts[row],
                [(layer.keys[row, :, -length:], layer.values[row, :, -length:]) for layer in self._cache.layers],
            )


def _zeros(like_BHLD: Tensor, rows: int, columns: int) -> Tensor:
    return like_BHLD.new_zeros(rows, like_BHLD.shape[1], columns, like_BHLD.shape[3])


def _pairs(
    targets: Sequence[tuple[Tensor, Tensor]], sources: Sequence[tuple[Tensor, Tensor]]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields the keys of every layer with the other ones' keys, and the values with the values."""
    for target, source in zip(targets, sources, strict=True):
        yield from zip(target, source, strict=True)
