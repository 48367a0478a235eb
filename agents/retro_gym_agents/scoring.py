"""The log-probabilities of reflections that were sampled before, differentiable: what an update is made of.

A group's prompt is computed once for all K reflections on it, see :mod:`retro_gym_agents.packing`, and logits are
computed only where a reflection's token is predicted. Models whose attention cannot take the block mask (sliding
windows, positions derived from the mask) are run plainly, one row for each reflection: ``share_prompt=False``.

Axes: see :mod:`retro_gym_agents.samples`; V vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from retro_gym_agents.attention import attention_dtype
from retro_gym_agents.packing import Packed, pack
from retro_gym_agents.sampler import read_prompts
from retro_gym_agents.samples import Prompts

__all__ = ["Scores", "score", "why_not_shared"]


@dataclasses.dataclass(frozen=True)
class Scores:
    """What the model now thinks of tokens that were sampled before."""

    logprobs_NT: Tensor
    """Under the temperature of sampling, float32, differentiable; 0 where the samples' mask is False."""
    hidden_NTD: Tensor | None
    """The last hidden state that each token is predicted from, when it was asked for; 0 where the mask is False."""


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
    """The log-probabilities of given tokens, differentiable in the model's weights.

    Args:
        model: a causal LM of transformers.
        prompts: P of them.
        tokens_NT: K rows for each prompt.
        mask_NT: which of the tokens count: those up to the end of each row.
        temperature: what the tokens were sampled under.
        num_samples: K.
        share_prompt: see the module's docstring; False is one plain forward pass without a cache.
        keep_hidden: whether the hidden states are returned as well.
    """
    run = _packed if share_prompt and num_samples > 1 else _plain  # alone, a reflection shares with no one
    return run(model, prompts, tokens_NT, mask_NT, temperature, num_samples, keep_hidden)


def _packed(
    model: Any, prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor, temperature: float, samples: int, hidden: bool
) -> Scores:
    packed = pack(prompts, tokens_NT, mask_NT)
    checkpointing = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    logits_PCV, states_PCD = (_in_one if checkpointing else _in_two)(model, prompts, packed, hidden)
    first_PK = _logprobs(logits_PCV[:, 0], packed.first_PK, temperature)
    rest_PM1 = _logprobs(logits_PCV[:, 1:], packed.targets_PM[..., None], temperature)
    logprobs_NT = packed.unpack(first_PK[..., None], rest_PM1)[..., 0]
    hidden_NTD = None
    if states_PCD is not None:
        hidden_NTD = packed.unpack(states_PCD[:, :1].expand(-1, samples, -1), states_PCD[:, 1:])
    return Scores(logprobs_NT.where(mask_NT, 0.0), hidden_NTD)


def _in_two(model: Any, prompts: Prompts, packed: Packed, hidden: bool) -> tuple[Tensor, Tensor | None]:
    """Logits (P, 1 + M, V) and hidden states by two passes, the second one over the cache of the first.

    The prompts then need no block mask: attention has faster kernels for them, and the mask has M rows instead of L.
    """
    from transformers import DynamicCache

    first = read_prompts(model, prompts, DynamicCache(config=model.config), hidden=hidden)
    outputs = [first]
    if packed.targets_PM.shape[1]:
        width = packed.prompt_width
        rest = model(
            input_ids=packed.ids_PL[:, width:],
            attention_mask=packed.mask(attention_dtype(model), of_prompts=False),
            position_ids=packed.positions_PL[:, width:],
            past_key_values=first.past_key_values,
            use_cache=True,
            output_hidden_states=hidden,
        )
        outputs.append(rest)
    logits_PCV = torch.cat([out.logits for out in outputs], 1)
    if not hidden:
        return logits_PCV, None
    states = [out.hidden_states[-1] for out in outputs]
    return logits_PCV, torch.cat([states[0][:, -1:], *states[1:]], 1)


def _in_one(model: Any, prompts: Prompts, packed: Packed, hidden: bool) -> tuple[Tensor, Tensor | None]:
    """The same by one pass, for gradient checkpointing, which takes no cache."""
    columns = packed.targets_PM.shape[1] + 1
    out = model(
        input_ids=packed.ids_PL,
        attention_mask=packed.mask(attention_dtype(model)),
        position_ids=packed.positions_PL,
        use_cache=False,
        logits_to_keep=columns,
        output_hidden_states=hidden,
    )
    return out.logits, out.hidden_states[-1][:, -columns:] if hidden else None


def _logprobs(logits_V: Tensor, tokens_X: Tensor, temperature: float) -> Tensor:
    """Of X tokens under one distribution; any axes may stand before V and X. Float32."""
    scaled_V = logits_V.float() / temperature
    return scaled_V.gather(-1, tokens_X) - scaled_V.logsumexp(-1, keepdim=True)


def _plain(
    model: Any, prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor, temperature: float, samples: int, hidden: bool
) -> Scores:
    """One forward pass over whole rows."""
    prompts, width = prompts.repeat(samples), tokens_NT.shape[1]
    mask = torch.cat([prompts.mask_PS, mask_NT], -1).long()
    out = model(
        input_ids=torch.cat([prompts.ids_PS, tokens_NT], -1),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=width + 1,
        output_hidden_states=hidden,
    )
    logprobs_NT = _logprobs(out.logits[:, :-1], tokens_NT[..., None], temperature)[..., 0]
    hidden_NTD = None
    if hidden:
        hidden_NTD = out.hidden_states[-1][:, -width - 1 : -1].where(mask_NT[..., None], 0.0)
    return Scores(logprobs_NT.where(mask_NT, 0.0), hidden_NTD)


@torch.no_grad()
def why_not_shared(model: Any) -> str | None:
    """Why a model must be run plainly; None where the shared layout gives the log-probabilities of plain rows.

    Sliding windows are refused by the configuration, since they show on long texts only; everything else is tried out
    on a few tokens.
    """
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    for layer in layers or ():
        if layer != "full_attention":
            return f"it has layers of type {layer!r}, which know no block mask"
    if layers is None and getattr(config, "sliding_window", None) is not None:
        return f"its attention has a sliding window of {config.sliding_window} tokens"
    device = model.get_input_embeddings().weight.device
    some = [1 + (7 * i) % (config.vocab_size - 1) for i in range(14)]
    prompts = Prompts.from_rows([some[:5], some[5:8]], 0, device)
    tokens_NT = torch.tensor(some[2:14], device=device).view(4, 3)
    mask_NT = torch.ones_like(tokens_NT, dtype=torch.bool)
    plain = score(model, prompts, tokens_NT, mask_NT, temperature=1.0, num_samples=2, share_prompt=False).logprobs_NT
    try:
        shared = score(model, prompts, tokens_NT, mask_NT, temperature=1.0, num_samples=2).logprobs_NT
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # the model's refusal: no bug of ours
        return f"it refuses the block mask ({type(error).__name__}: {error})"
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    if not torch.allclose(plain, shared, rtol=tolerance, atol=tolerance):
        return f"it does not heed the block mask: log-probabilities differ by {float((plain - shared).abs().max()):.2g}"
    return None
