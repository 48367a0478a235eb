"""Batches: tokenised prompts padded on the left, and grouping of rows by the size of a forward pass.

Axes: P prompts, S prompt tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from retro_gym.actors.token_rows import left_padded

__all__ = ["Prompts", "in_groups"]


@dataclasses.dataclass(frozen=True)
class Prompts:
    """A batch of tokenised prompts, padded on the left."""

    ids_PS: Tensor
    mask_PS: Tensor
    """True for tokens, False for padding."""

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]], pad_id: int, device: torch.device | str) -> Prompts:
        """Pads token lists on the left to the length of the longest."""
        ids_PS, mask_PS = left_padded(rows, pad_id)
        return cls(torch.from_numpy(ids_PS).to(device), torch.from_numpy(mask_PS).to(device))

    @property
    def lengths(self) -> Tensor:
        """Number of tokens of each prompt (P), without padding."""
        return self.mask_PS.sum(-1)

    def select(self, rows: Sequence[int]) -> Prompts:
        """Returns some of the prompts, without columns that hold only padding."""
        ids, mask = self.ids_PS[list(rows)], self.mask_PS[list(rows)]
        first = int(mask.any(0).int().argmax())
        return Prompts(ids[:, first:], mask[:, first:])

    @classmethod
    def joined(cls, parts: Sequence[Prompts], pad_id: int) -> Prompts:
        """Returns the prompts of all parts, in their order."""
        width = max(part.ids_PS.shape[1] for part in parts)
        left = [width - part.ids_PS.shape[1] for part in parts]
        ids = [pad(part.ids_PS, (more, 0), value=pad_id) for part, more in zip(parts, left, strict=True)]
        masks = [pad(part.mask_PS, (more, 0), value=False) for part, more in zip(parts, left, strict=True)]
        return cls(torch.cat(ids), torch.cat(masks))

    def repeat(self, times: int) -> Prompts:
        """Returns the prompts, each repeated consecutively."""
        return Prompts(self.ids_PS.repeat_interleave(times, 0), self.mask_PS.repeat_interleave(times, 0))


def in_groups(
    rows: Sequence[int], lengths: Sequence[int], size: int | None, tokens: int | None, workers: int = 1
) -> list[list[int]]:
    """Groups rows so that each group fits into a forward pass: in their order, or by length if tokens do not all fit.

    Args:
        rows: row numbers.
        lengths: number of tokens of each row, indexed by row number.
        size: maximum number of rows in a group; None for no limit.
        tokens: maximum number of tokens in a group, including padding; None for no limit. A longer row is a group by
            itself.
        workers: no group is larger than a worker's share of the rows.

    >>> in_groups(range(4), [5, 2, 9, 2], size=None, tokens=10)
    [[1, 3], [0], [2]]
    >>> in_groups(range(3), [5, 2, 4], size=2, tokens=15)
    [[0, 1], [2]]
    >>> in_groups(range(3), [5, 2, 4], size=None, tokens=15, workers=2)
    [[0, 1], [2]]
    """
    size = min(len(rows) if size is None else size, -(-len(rows) // workers))
    groups: list[list[int]] = []
    fit = tokens is None or len(rows) * max((lengths[row] for row in rows), default=0) <= tokens
    for row in rows if fit else sorted(rows, key=lengths.__getitem__):
        full = not groups or len(groups[-1]) >= size
        if full or (tokens is not None and (len(groups[-1]) + 1) * lengths[row] > tokens):
            groups.append([])
        groups[-1].append(row)
    return groups
