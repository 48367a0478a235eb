"""Log-probabilities of tokens from logits, with a memory-efficient backward pass.

Autograd stores the scaled logits, their exponentials and a gradient of the same size for every operation in between;
with a vocabulary of 150,000 these take most of a reflector's memory. Here the gradient is computed directly: for tokens
y with upstream gradients g it is (Σ g)·(−softmax) + g at y, divided by the temperature.

Axes: R rows of logits (of any leading shape), V vocabulary, X tokens looked up in each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["token_logprobs"]

_CHUNK = 2**20  # logits that are processed at once: as many as fit into a processor's cache


def token_logprobs(logits_RV: Tensor, tokens_RX: Tensor, temperature: float) -> Tensor:
    """Returns the log-probabilities (R, X) of tokens under softmax(logits / temperature), in float32 or wider.

    Args:
        logits_RV: logits of any floating type, one distribution for each row.
        tokens_RX: token ids, any number for each row.
        temperature: sampling temperature, above 0.
    """
    flat: Tensor = _TokenLogprobs.apply(logits_RV.flatten(0, -2), tokens_RX.flatten(0, -2), temperature)  # type: ignore[no-untyped-call]
    return flat.view(tokens_RX.shape)


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits_RV: Tensor, tokens_RX: Tensor, temperature: float) -> Tensor:
        wide = torch.promote_types(logits_RV.dtype, torch.float32)
        logprobs_RX = logits_RV.new_empty(tokens_RX.shape, dtype=wide)
        for rows in _chunks(logits_RV):
            scaled_RV = _divided(logits_RV[rows], temperature, wide)
            logprobs_RX[rows] = torch.log_softmax(scaled_RV, -1, dtype=wide).gather(-1, tokens_RX[rows])
        ctx.save_for_backward(logits_RV, tokens_RX)
        ctx.temperature = temperature
        return logprobs_RX

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_RX: Tensor) -> tuple[Tensor, None, None]:
        logits_RV, tokens_RX = ctx.saved_tensors
        grad_RX = grad_RX / ctx.temperature
        total_R1 = grad_RX.sum(-1, keepdim=True)
        grad_RV = torch.empty_like(logits_RV)
        for rows in _chunks(logits_RV):
            weights_RV = torch.softmax(
                _divided(logits_RV[rows], ctx.temperature, grad_RX.dtype), -1, dtype=grad_RX.dtype
            )
            grad_RV[rows] = weights_RV.mul_(-total_R1[rows]).scatter_add_(-1, tokens_RX[rows], grad_RX[rows])
        return grad_RV, None, None


def _divided(logits_RV: Tensor, temperature: float, dtype: torch.dtype) -> Tensor:
    """Divides by the temperature; at 1, the usual one, that would be a pass over the logits for nothing."""
    return logits_RV if temperature == 1 else logits_RV.to(dtype) / temperature


def _chunks(logits_RV: Tensor) -> Iterator[slice]:
    """Yields consecutive slices of the rows."""
    size = max(1, _CHUNK // logits_RV.shape[-1])
    return (slice(start, start + size) for start in range(0, len(logits_RV), size))
