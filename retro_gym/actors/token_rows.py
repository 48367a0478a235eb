"""Rows of token ids: left padding, and inverse-CDF sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["left_padded", "pick"]


def left_padded(
    rows: Sequence[Sequence[int] | NDArray[np.int64]], pad_id: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pads rows of token ids on the left, to the length of the longest.

    Args:
        rows: B lists or arrays of token ids.
        pad_id: padding token.

    Returns:
        Ids (B, L), and a mask (B, L) that is True for tokens and False for padding.

    >>> ids, mask = left_padded([[5, 6, 7], [8]], pad_id=2)
    >>> ids.tolist(), mask.tolist()
    ([[5, 6, 7], [2, 2, 8]], [[True, True, True], [False, False, True]])
    """
    width = max(map(len, rows))
    ids_BL = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask_BL = np.zeros((len(rows), width), dtype=np.bool_)
    for number, row in enumerate(rows):
        ids_BL[number, width - len(row) :] = row
        mask_BL[number, width - len(row) :] = True
    return ids_BL, mask_BL


def pick(weights_BV: Tensor, uniform_R: Tensor, of_R: Tensor | None = None) -> Tensor:
    """Samples a token (R) for each uniform number: the one at which the cumulative weights exceed it.

    Weights that differ only in their last digits give the same tokens, so that runs can be compared.

    Args:
        weights_BV: non-negative weights, which need not sum to 1.
        uniform_R: float64 numbers in [0, 1).
        of_R: the row of weights that each number belongs to; by default one number belongs to each row, in order.
    """
    import torch

    cumulative_BV = weights_BV.cumsum(-1, dtype=torch.float64)
    place: tuple[Any, Any]  # of each number in uniform_BX
    if of_R is None:
        place, uniform_BX = (slice(None), 0), uniform_R[:, None]
    else:  # the numbers of a row stand beside each other
        order_R = of_R.argsort(stable=True)
        counts_B = of_R.bincount(minlength=len(weights_BV))
        first_B = counts_B.cumsum(0) - counts_B
        column_R = torch.empty_like(of_R)
        column_R[order_R] = torch.arange(len(of_R), device=of_R.device) - first_B[of_R[order_R]]
        place, uniform_BX = (of_R, column_R), uniform_R.new_zeros(len(weights_BV), int(counts_B.max()))
        uniform_BX[place] = uniform_R
    found_BX = torch.searchsorted(cumulative_BV, uniform_BX * cumulative_BV[:, -1:], right=True)
    return found_BX[place].clamp(max=weights_BV.shape[-1] - 1)
