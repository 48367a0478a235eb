"""Attention masks in the data type that a model computes in, and which models have full attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["additive_mask", "attention_dtype", "why_not_full_attention"]


def attention_dtype(of: Any) -> torch.dtype:
    """Returns the data type of the attention and the masks of a model, or of a tensor in it: autocast's if it is on."""
    kind = of.device.type
    dtype: torch.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else of.dtype
    return dtype


def additive_mask(seen_PQC: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns an additive attention mask (P, 1, Q, C): 0 where a query attends to a column, else the type's minimum.

    Args:
        seen_PQC: boolean mask for P rows of the batch, Q queries and C columns.
        dtype: data type of the attention.
    """
    zero = torch.zeros((), dtype=dtype, device=seen_PQC.device)
    return zero.where(seen_PQC, torch.finfo(dtype).min)[:, None]


def why_not_full_attention(model: Any) -> str | None:
    """Returns what a model's configuration says against full attention in every layer; None if nothing."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    for layer in layers or ():
        if layer != "full_attention":
            return f"it has layers of type {layer!r}"
    if layers is None and getattr(config, "sliding_window", None) is not None:
        return f"its attention has a sliding window of {config.sliding_window} tokens"
    return None
