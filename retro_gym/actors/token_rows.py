"""Rows of token ids: left padding, and inverse-CDF sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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


def pick(weights_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """Samples one token (B) for each row: the one at which the cumulative weights exceed a uniform number.

    Weights that differ only in their last digits give the same tokens, so that runs can be compared.

    Args:
        weights_BV: non-negative weights, which need not sum to 1.
        uniform_B: float64 numbers in [0, 1).
    """
    import torch

    cumulative_BV = weights_BV.cumsum(-1, dtype=torch.float64)
    threshold_B1 = uniform_B[:, None] * cumulative_BV[:, -1:]
    return torch.searchsorted(cumulative_BV, threshold_B1, right=True)[:, 0].clamp(max=weights_BV.shape[-1] - 1)
