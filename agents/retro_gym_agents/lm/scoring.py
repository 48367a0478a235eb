"""Differentiable log-probabilities of reflections that were sampled before, for policy updates.

A group's prompt and what its K reflections have in common is computed once, see :mod:`retro_gym_agents.lm.packing`, and
logits are computed only where a reflection's token is predicted. For models whose attention does not support the block
mask (sliding windows, positions derived from the mask), every reflection is a row of its own: ``share_prompt=False``.

Axes: see :mod:`retro_gym_agents.lm.samples`; V vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from retro_gym_agents.lm.attention import attention_dtype, why_not_full_attention
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.block_attention import attends_in_blocks
from retro_gym_agents.lm.kv_cache import CACHE
from retro_gym_agents.lm.logprobs import token_logprobs
from retro_gym_agents.lm.packing import Packed, pack
from retro_gym_agents.lm.shared_rows import read_prompts
from retro_gym_agents.lm.trying import a_few_tokens, same_numbers

__all__ = ["Scores", "score", "why_not_shared"]


@dataclasses.dataclass(frozen=True)
class Scores:
    """Log-probabilities of given tokens under the present weights."""

    logprobs_NT: Tensor
    """Log-probabilities at the sampling temperature, float32, differentiable; 0 where the samples' mask is False."""
    hidden_NTD: Tensor | None
    """The last hidden state that each token is predicted from, if requested; 0 where the mask is False."""


def score(
    model: Any,
    prompts: Prompts,
    tokens_NT: Tensor,
    mask_NT: Tensor,
    *,
    temperature: float,
    num_samples: int = 1,
    share_prompt: bool = True,
    keep_hidden: bool = False,
) -> Scores:
    """Computes the log-probabilities of given tokens, differentiable in the model's weights.

    Args:
        model: a causal LM of transformers.
        prompts: P prompts.
        tokens_NT: K rows for each prompt.
        mask_NT: True for tokens, False for padding at the end of a row.
        temperature: sampling temperature of the tokens.
        num_samples: K.
        share_prompt: see the module's docstring; False runs one plain forward pass without a cache.
        keep_hidden: also returns the hidden states.
    """
    if share_prompt and num_samples > 1:  # a single reflection has nothing to share
        return _packed(model, prompts, tokens_NT, mask_NT, temperature, keep_hidden)
    return _plain(model, prompts.repeat(num_samples), tokens_NT, mask_NT, temperature, keep_hidden)


def _packed(
    model: Any, prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor, temperature: float, hidden: bool
) -> Scores:
    packed = pack(prompts, tokens_NT, mask_NT)
    checkpointing = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    way = _in_one if checkpointing or attends_in_blocks(model) else _in_two
    first, rest = way(model, prompts, packed, hidden)
    first_P1X = token_logprobs(first.logits_PCV, packed.next_PCX[:, :1], temperature)
    rest_PMX = token_logprobs(rest.logits_PCV, packed.next_PCX[:, 1:], temperature)
    logprobs_NT = packed.unpack(torch.cat([first_P1X, rest_PMX], 1))
    hidden_NTD = None
    if first.hidden_PCD is not None and rest.hidden_PCD is not None:
        hidden_PCD = torch.cat([first.hidden_PCD, rest.hidden_PCD], 1)
        hidden_NTD = packed.unpack_states(hidden_PCD).where(mask_NT[..., None], 0.0)
    return Scores(logprobs_NT.where(mask_NT, 0.0), hidden_NTD)


class _Columns(NamedTuple):
    """Predictions after C tokens of each prompt's row: the prompt's last token, or the packed reflections' tokens."""

    logits_PCV: Tensor
    hidden_PCD: Tensor | None


def _in_two(model: Any, prompts: Prompts, packed: Packed, hidden: bool) -> tuple[_Columns, _Columns]:
    """Evaluates the prompts (C = 1) and then, with their key-value cache, the reflections (C = M).

    Then the prompts need no block mask: they use faster attention kernels, and the mask has M rows instead of L.
    """
    from transformers import DynamicCache

    prompts_out = read_prompts(model, prompts, DynamicCache(config=model.config), hidden=hidden)
    first = _Columns(prompts_out.logits, prompts_out.hidden_states[-1][:, -1:] if hidden else None)
    if not packed.num_packed:  # every reflection is one token long
        return first, _Columns(first.logits_PCV[:, :0], None if first.hidden_PCD is None else first.hidden_PCD[:, :0])
    width = packed.prompt_width
    out = model(
        input_ids=packed.ids_PL[:, width:],
        attention_mask=packed.mask(attention_dtype(model), of_prompts=False),
        position_ids=packed.positions_PL[:, width:],
        use_cache=True,
        output_hidden_states=hidden,
        **{CACHE: getattr(prompts_out, CACHE)},
    )
    return first, _Columns(out.logits, out.hidden_states[-1] if hidden else None)


def _in_one(model: Any, prompts: Prompts, packed: Packed, hidden: bool) -> tuple[_Columns, _Columns]:
    """Does the same in one pass.

    For gradient checkpointing, which does not support a cache, and where attention is computed in blocks, for which the
    mask of the whole costs little.
    """
    rest = packed.num_packed
    out = model(
        input_ids=packed.ids_PL,
        attention_mask=packed.mask(attention_dtype(model)),
        position_ids=packed.positions_PL,
        use_cache=False,
        logits_to_keep=1 + rest,
        output_hidden_states=hidden,
    )
    logits = out.logits.split([1, rest], 1)
    states = out.hidden_states[-1][:, -1 - rest :].split([1, rest], 1) if hidden else (None, None)
    return _Columns(logits[0], states[0]), _Columns(logits[1], states[1])


def _plain(
    model: Any, prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor, temperature: float, hidden: bool
) -> Scores:
    """Runs one forward pass over whole rows, each with a prompt of its own."""
    width = tokens_NT.shape[1]
    mask = torch.cat([prompts.mask_PS, mask_NT], -1).long()
    out = model(
        input_ids=torch.cat([prompts.ids_PS, tokens_NT], -1),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=width + 1,
        output_hidden_states=hidden,
    )
    logprobs_NT = token_logprobs(out.logits[:, :-1], tokens_NT[..., None], temperature)[..., 0]
    hidden_NTD = None
    if hidden:
        hidden_NTD = out.hidden_states[-1][:, -width - 1 : -1].where(mask_NT[..., None], 0.0)
    return Scores(logprobs_NT.where(mask_NT, 0.0), hidden_NTD)


@torch.no_grad()
def why_not_shared(model: Any) -> str | None:
    """Returns why a model does not support shared prompts; None if it gives the same log-probabilities as plain rows.

    Sliding windows are detected in the configuration, because they only affect long texts; everything else is tested on
    a few tokens.
    """
    reason = why_not_full_attention(model)
    if reason is not None:
        return f"{reason}, which does not support a block mask"
    device = model.get_input_embeddings().weight.device
    some = a_few_tokens(model, 14)
    prompts = Prompts.from_rows([some[:5], some[5:8]], 0, device)
    tokens_NT = torch.tensor(some[2:14], device=device).view(4, 3)
    mask_NT = torch.ones_like(tokens_NT, dtype=torch.bool)
    plain = score(model, prompts, tokens_NT, mask_NT, temperature=1.0, num_samples=2, share_prompt=False).logprobs_NT
    if not plain.isfinite().all():
        return None  # the test says nothing about masks; sampling will refuse the model
    try:
        shared = score(model, prompts, tokens_NT, mask_NT, temperature=1.0, num_samples=2).logprobs_NT
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # the model refuses the mask
        return f"it refuses the block mask ({type(error).__name__}: {error})"
    if not same_numbers(model, plain, shared):
        return f"it ignores the block mask: log-probabilities differ by {float((plain - shared).abs().max()):.2g}"
    return None
