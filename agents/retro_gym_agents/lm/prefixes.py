"""Next-token distributions for rows of tokens that grow, or that are prefixes of each other.

For agents that act token by token (:mod:`retro_gym_agents.bridges.sb3.policy`). :class:`IncrementalReader` caches the
keys and values of every row, so that a row that has grown by one token costs one token. :func:`read_shared` evaluates
rows that are prefixes of others, as the observations of a rollout are: each longest row is evaluated once, and the
prefixes are positions in it.

Rows are NumPy arrays of token ids, without padding. In a batch they are padded on the left; positions are counted from
the first token of the row.

Axes: B rows, L columns, V vocabulary, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from retro_gym.actors.token_rows import left_padded
from retro_gym_agents.lm.batching import in_groups
from retro_gym_agents.lm.kv_cache import CACHE, WindowLayer

__all__ = ["CausalModel", "IncrementalReader", "NextToken", "Row", "read_plain", "read_shared", "share_prefixes"]

Row: TypeAlias = NDArray[np.int64]

_LOGIT_OPTIONS = ("final_logit_softcapping", "logit_scale", "logits_scaling")  # of Gemma, Cohere, Granite
_MAX_BATCH_TOKENS = 16_384  # padded tokens in one differentiable forward pass; rows of similar length share one


class NextToken(NamedTuple):
    """A model's prediction after the last token of each row."""

    logits_BV: Tensor
    hidden_BD: Tensor
    """The last hidden state, from which the logits are computed."""


class CausalModel:
    """A causal LM of transformers, and whether its logits are a linear map of its last hidden state.

    For most models they are; then only the needed logits are computed. A few models cap or scale their logits.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.head = model.get_output_embeddings()
        self.plain_head = self._has_plain_head()

    @property
    def device(self) -> torch.device:
        """The device of the model's input."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    def __call__(self, ids_BL: Tensor, mask_BL: Tensor, cache: Any = None, *, keep: int = 1) -> tuple[Tensor, Tensor]:
        """Returns the logits of the last ``keep`` columns (all for 0) and the hidden states of all columns.

        ``mask_BL`` includes the cached columns; positions are derived from it.
        """
        positions_BL = (mask_BL.cumsum(-1) - 1).clamp(min=0)[:, -ids_BL.shape[1] :]
        out = self.model(
            input_ids=ids_BL,
            attention_mask=mask_BL,
            position_ids=positions_BL,
            use_cache=cache is not None,
            logits_to_keep=keep,
            output_hidden_states=True,
            **{CACHE: cache},
        )
        return out.logits, out.hidden_states[-1]

    @torch.no_grad()
    def _has_plain_head(self) -> bool:
        config = self.model.config.get_text_config()
        if any(getattr(config, name, None) not in (None, 1, 1.0) for name in _LOGIT_OPTIONS):
            return False  # a cap has hardly any effect on small logits, so the test below would miss it
        ids_BL = torch.arange(1, 4, device=self.device)[None]
        logits, hidden = self(ids_BL, torch.ones_like(ids_BL), keep=0)
        try:
            again = self.head(hidden)
        except (RuntimeError, TypeError, ValueError, AttributeError):  # the head is no linear layer over these states
            return False
        return again.shape == logits.shape and torch.allclose(again, logits, rtol=1e-4, atol=1e-5)


def _padded(rows: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor]:
    """Pads rows on the left to one batch: ids (B, L) and mask (B, L)."""
    ids_BL, mask_BL = left_padded(rows)
    return torch.from_numpy(ids_BL).to(device), torch.from_numpy(mask_BL.astype(np.int64)).to(device)


def read_plain(model: CausalModel, rows: Sequence[Row]) -> NextToken:
    """Evaluates every row from its first token; differentiable."""
    logits, hidden = model(*_padded(rows, model.device))
    return NextToken(logits[:, -1], hidden[:, -1])


# -- prefixes ----------------------------------------------------------------------------------------------------------


def share_prefixes(rows: Sequence[Row]) -> tuple[list[Row], list[int]]:
    """Returns the rows that are not prefixes of others, and for each row the index of one that it is a prefix of.

    >>> leaves, of = share_prefixes([np.array([1, 2]), np.array([1, 3]), np.array([1, 2, 5]), np.array([1])])
    >>> [leaf.tolist() for leaf in leaves], of
    ([[1, 3], [1, 2, 5]], [1, 0, 1, 1])
    """
    # In lexicographic order, every row between a row and its extension is an extension too, so only neighbours need to
    # be compared. Big-endian bytes have the same order as the ids.
    keys = [row.astype(">i8").tobytes() for row in rows]
    leaves: list[Row] = []
    leaf_of = [0] * len(rows)
    after = b""
    for i in sorted(range(len(rows)), key=keys.__getitem__, reverse=True):
        if not leaves or not after.startswith(keys[i]):
            leaves.append(rows[i])
        leaf_of[i] = len(leaves) - 1
        after = keys[i]
    return leaves, leaf_of


def read_shared(model: CausalModel, rows: Sequence[Row]) -> NextToken:
    """Evaluates rows, prefixes as a part of longer rows; differentiable, with the same result as ``read_plain``."""
    leaves, leaf_of = share_prefixes(rows)
    wanted: list[list[int]] = [[] for _ in leaves]
    for i, leaf in enumerate(leaf_of):
        wanted[leaf].append(i)
    order: list[int] = []
    logits, hiddens = [], []
    for batch in in_groups(range(len(leaves)), [len(leaf) for leaf in leaves], None, _MAX_BATCH_TOKENS):
        ids_BL, mask_BL = _padded([leaves[leaf] for leaf in batch], model.device)
        width = ids_BL.shape[1]
        picked = [(n, i) for n, leaf in enumerate(batch) for i in wanted[leaf]]
        order += [i for _, i in picked]
        lines = torch.tensor([n for n, _ in picked], device=model.device)
        columns = torch.tensor(
            [width - len(leaves[leaf_of[i]]) + len(rows[i]) - 1 for _, i in picked], device=model.device
        )
        logits_BLV, hidden_BLD = model(ids_BL, mask_BL, keep=1 if model.plain_head else 0)
        hidden_BD = hidden_BLD[lines, columns]
        hiddens.append(hidden_BD)
        logits.append(model.head(hidden_BD) if model.plain_head else logits_BLV[lines, columns])
    back = torch.tensor(np.argsort(order), device=model.device)
    return NextToken(torch.cat(logits)[back], torch.cat(hiddens)[back])


# -- growing rows ------------------------------------------------------------------------------------------------------


class IncrementalReader:
    """Evaluates a fixed number of rows repeatedly, with a key-value cache.

    A row that has grown by one token costs one token; any other row is evaluated from its first token. The two cases
    are told apart by comparing ids, so callers need not signal resets. Keys and values are aligned on the right of a
    buffer: a step appends a column to every row, and a new row overwrites the columns before the current one.

    Not differentiable. Discard the reader when the model's weights change.

    Args:
        model: the causal LM.
        num_rows: B.
        max_tokens: length of the longest row.
    """

    def __init__(self, model: CausalModel, num_rows: int, max_tokens: int) -> None:
        self.model = model
        self.tokens_read = 0
        """Number of tokens evaluated by the model, without padding."""
        self._width = max_tokens
        self._rows: list[Row | None] = [None] * num_rows
        self._layers: list[WindowLayer] = []
        self._last: NextToken | None = None

    @torch.no_grad()
    def read(self, rows: Sequence[Row]) -> NextToken:
        """Returns the next-token prediction for each row."""
        same = [old is not None and np.array_equal(old, row) for old, row in zip(self._rows, rows, strict=True)]
        if self._last is not None and all(same):
            return self._last
        grown = [
            old is not None and len(row) == len(old) + 1 and np.array_equal(old, row[:-1])
            for old, row in zip(self._rows, rows, strict=True)
        ]
        anew = [i for i, has_grown in enumerate(grown) if not has_grown]
        last = self._extend(rows) if any(grown) else None
        if anew:
            fresh = self._start(anew, [rows[i] for i in anew])
            if last is None:
                last = fresh
            else:
                last.logits_BV[anew] = fresh.logits_BV
                last.hidden_BD[anew] = fresh.hidden_BD
        assert last is not None
        self.tokens_read += sum(grown) + sum(len(rows[i]) for i in anew)
        self._rows = [row.copy() for row in rows]
        self._last = last
        return last

    def _extend(self, rows: Sequence[Row]) -> NextToken:
        """Appends a column to every row; in rows that have not grown, it is overwritten later."""
        device = self.model.device
        lengths_B = torch.tensor([len(row) for row in rows], device=device)
        width = int(lengths_B.max())
        for layer in self._layers:
            layer.show(width - 1)
        ids_BL = torch.tensor([[int(row[-1])] for row in rows], device=device)
        mask_BL = (torch.arange(width, device=device) >= width - lengths_B[:, None]).long()
        cache = DynamicCache()
        cache.layers = list(self._layers)
        logits, hidden = self.model(ids_BL, mask_BL, cache)
        return NextToken(logits[:, -1].clone(), hidden[:, -1].clone())

    def _start(self, numbers: Sequence[int], rows: Sequence[Row]) -> NextToken:
        """Evaluates rows from their first tokens."""
        cache = DynamicCache()
        logits, hidden = self.model(*_padded(rows, self.model.device), cache)
        if not self._layers:
            count = len(self._rows)
            self._layers = [WindowLayer(count, self._width, layer.keys, layer.values) for layer in cache.layers]
        for window, layer in zip(self._layers, cache.layers, strict=True):
            window.write(numbers, layer.keys, layer.values)
        return NextToken(logits[:, -1].clone(), hidden[:, -1].clone())
