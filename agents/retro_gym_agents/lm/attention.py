"""Attention masks: what may attend to what, in the type that a model computes in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["additive_mask", "attention_dtype"]


def attention_dtype(model: Any) -> torch.dtype:
    """The type that a model's attention computes in, and so that of its masks: autocast's where that is on."""
    kind = model.device.type
    dtype: torch.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else model.dtype
    return dtype


def additive_mask(seen_PQC: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention's scores (P, 1, Q, C): 0 where a query sees a column, else the least number there is.

    Args:
        seen_PQC: booleans, for P rows of the batch, Q queries and C columns.
        dtype: of the attention.
    """
    zero = torch.zeros((), dtype=dtype, device=seen_PQC.device)
    return zero.where(seen_PQC, torch.finfo(dtype).min)[:, None]
