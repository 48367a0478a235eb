"""Statistics of masked tensors."""

from __future__ import annotations

from torch import Tensor

__all__ = ["masked_mean"]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean over the mask's True entries, or 0 if there are none.

    >>> import torch
    >>> masked_mean(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([True, True, False]))
    tensor(1.5000)
    """
    return values.where(mask, 0.0).sum() / mask.sum().clamp(min=1)
