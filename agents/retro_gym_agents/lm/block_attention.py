"""Attention in half precision on a CPU, a block of queries at a time.

PyTorch's attention on a CPU computes in bfloat16 at a fraction of the speed of its matrix products. Here each block of
queries is two such products with a softmax in float32 between them, over no more columns than the block sees; the
backward pass computes the weights of a block again instead of keeping them (Dao et al. 2022, arXiv 2205.14135). For
prompts of 500 tokens it takes half of the time, forward and backward.

Everything else (float32, other devices) goes to transformers' ``sdpa``.

Axes: B rows, H heads of keys and values, N = B·H, G heads of queries for each of these, Q queries, C columns, D head
size, R = G times the queries of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from retro_gym_agents.lm.attention import additive_mask, attention_dtype

__all__ = ["attend_in_blocks", "attends_in_blocks", "use_block_attention"]

_NAME = "retro_gym_blocks"
_QUERIES = 64  # of a block
_ELSEWHERE = ("position_bias", "cache", "softcap")  # options that only sdpa knows


def use_block_attention(model: Any) -> None:
    """Lets a model on a CPU use this attention if it uses ``sdpa``, which has the same masks."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    on_cpu = model.get_input_embeddings().weight.device.type == "cpu"
    if on_cpu and getattr(base.config, "_attn_implementation", None) == "sdpa":
        AttentionInterface.register(_NAME, _forward)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        base.set_attn_implementation(_NAME)


def attends_in_blocks(model: Any) -> bool:
    """Whether a model computes its attention in blocks, as things are now."""
    named = getattr(model.config, "_attn_implementation", None) == _NAME
    return named and model.device.type == "cpu" and attention_dtype(model) == torch.bfloat16


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """Returns softmax(q·kᵀ · scaling + mask)·v (B, G·H, Q, D), differentiable once.

    Args:
        query: (B, G·H, Q, D).
        key: (B, H, C, D), in the queries' data type.
        value: the same.
        mask: (B or 1, 1, Q, C), boolean (True is seen) or additive; None for causal attention, where the last
            query sees the last column.
        scaling: factor of the products.
    """
    out: Tensor = _BlockAttention.apply(query, key, value, mask, scaling)  # type: ignore[no-untyped-call]
    return out


def _forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The attention function of transformers' interface."""
    kind, queries, columns = query.device.type, query.shape[2], key.shape[2]
    dtype = attention_dtype(query)
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    if (
        kind != "cpu"
        or dtype != torch.bfloat16
        or dropout
        or (attention_mask is None and not (causal and queries in (1, columns)))
        or (attention_mask is not None and attention_mask.shape[1] != 1)
        or any(options.get(name) is not None for name in _ELSEWHERE)
    ):
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **options
        )
        return out, None
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    attended = attend_in_blocks(query.to(dtype), key.to(dtype), value.to(dtype), attention_mask, scaling)
    return attended.transpose(1, 2).contiguous(), None


class _BlockAttention(torch.autograd.Function):
    """The forward pass, and a backward pass that computes the weights again."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
        out = torch.empty_like(query)
        value_NCD = value.flatten(0, 1)
        with torch.autocast(query.device.type, enabled=False):
            for rows, weights, seen in _blocks(query * scaling, key, mask):
                _rows(out, key, rows).copy_(_heads(weights @ value_NCD[:, :seen], key, rows))
        ctx.save_for_backward(query, key, value)
        ctx.mask, ctx.scaling = mask, scaling
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        query, key, value = ctx.saved_tensors
        query, grad = query * ctx.scaling, grads[0].to(query.dtype)
        key_NCD, value_NCD = key.flatten(0, 1), value.flatten(0, 1)
        grad_query = torch.empty_like(query)
        grad_key, grad_value = (torch.zeros_like(one, dtype=torch.float32) for one in (key_NCD, value_NCD))
        with torch.autocast(query.device.type, enabled=False):
            for rows, weights, seen in _blocks(query, key, ctx.mask):
                grad_NRD = _flat(grad, key, rows)
                grad_value[:, :seen] += weights.mT @ grad_NRD
                grad_weights = grad_NRD @ value_NCD[:, :seen].mT
                grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
                grad_key[:, :seen] += grad_scores.mT @ _flat(query, key, rows)
                _rows(grad_query, key, rows).copy_(_heads(grad_scores @ key_NCD[:, :seen], key, rows))
        grad_key, grad_value = grad_key.view_as(key).to(key.dtype), grad_value.view_as(value).to(value.dtype)
        return grad_query * ctx.scaling, grad_key, grad_value, None, None


def _blocks(query: Tensor, key: Tensor, mask: Tensor | None) -> Iterator[tuple[slice, Tensor, int]]:
    """Yields the queries of each block, their weights (N, R, seen) and how many columns they see."""
    for start in range(0, query.shape[2], _QUERIES):
        rows = slice(start, min(query.shape[2], start + _QUERIES))
        if mask is None:
            seen = key.shape[2] - query.shape[2] + rows.stop
            sees = torch.ones(rows.stop - start, seen, dtype=torch.bool).tril(seen - rows.stop + start)
            bias = additive_mask(sees[None], query.dtype)
        else:
            bias, seen = _seen(mask[:, :, rows], key.shape[2], query.dtype)
        scores = _flat(query, key, rows) @ key.flatten(0, 1)[:, :seen].mT
        _heads(scores, key, rows).add_(bias[:, :, None])
        yield rows, scores.softmax(-1), seen  # computed in float32, also in half precision


def _seen(mask: Tensor, columns: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """Returns the additive mask of a block up to the last column that it sees, and how many columns that are."""
    sees = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min
    last = sees.flatten(0, 2).any(0).nonzero()
    seen = int(last[-1]) + 1 if len(last) else columns
    mask = mask[..., :seen]
    if mask.dtype == torch.bool:
        return additive_mask(mask[:, 0], dtype), seen
    return mask.clamp(min=torch.finfo(dtype).min), seen


def _rows(whole: Tensor, key: Tensor, rows: slice) -> Tensor:
    """Returns a view (B, H, G, block, D) of some queries."""
    batch, heads, queries, size = whole.shape
    return whole.view(batch, key.shape[1], heads // key.shape[1], queries, size)[:, :, :, rows]


def _flat(whole: Tensor, key: Tensor, rows: slice) -> Tensor:
    """Returns some queries as (N, R, D)."""
    return _rows(whole, key, rows).flatten(2, 3).flatten(0, 1)


def _heads(flat_NRD: Tensor, key: Tensor, rows: slice) -> Tensor:
    """Returns (N, R, D) as (B, H, G, block, D)."""
    return flat_NRD.view(*key.shape[:2], -1, rows.stop - rows.start, flat_NRD.shape[-1])
