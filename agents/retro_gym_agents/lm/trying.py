"""Trying out what a model supports: a few tokens, computed in two ways that should give the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["a_few_tokens", "same_numbers"]


def a_few_tokens(model: Any, count: int) -> list[int]:
    """Returns ids of tokens that are spread over a model's vocabulary, none of them 0."""
    return [1 + (7 * i) % (model.config.get_text_config().vocab_size - 1) for i in range(count)]


def same_numbers(model: Any, one: Tensor, other: Tensor) -> bool:
    """Returns whether two tensors of a model's outputs differ by no more than its precision explains."""
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance)
