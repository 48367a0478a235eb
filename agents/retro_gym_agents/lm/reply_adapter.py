"""Adapters that act on the reply alone: activated LoRA (Greenewald et al. 2025, arXiv 2504.12397).

Such an adapter is switched on at the prompt's last token. The tokens before, the *context*, are read by the base model
without a gradient, so that an update pays for the reply's tokens only, and for one forward pass over the context. The
gradient is exact: nothing before the last token depends on the adapter.

In an adapter's files it is peft's ``alora_invocation_tokens``, with the prompt's last token, so that peft reads the
adapter as this package does. In memory the layers are plain LoRA, and what is read says whether they are on.

Axes: P prompts, S prompt tokens, K samples per prompt, R = P·K.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retro_gym.errors import ConfigError
from retro_gym_agents.lm.batching import Prompts

__all__ = ["acts_on_replies", "base_alone", "check_everywhere", "context_and_last", "mark", "recognise"]

_MARK = "retro_gym_reply_only"  # an attribute of peft's config, which is not one of its fields


def mark(config: Any) -> None:
    """Marks the adapter of a peft config as one that acts on the reply alone."""
    setattr(config, _MARK, True)


def acts_on_replies(config: Any) -> bool:
    """Returns whether the adapter of a peft config acts on the reply alone."""
    return bool(getattr(config, _MARK, False))


def recognise(model: Any, adapter: str, folder: Path) -> None:
    """Makes plain layers of those that peft has loaded from an activated LoRA, and marks its config.

    Raises:
        ConfigError: the adapter begins before the prompt's last token.
    """
    config = model.peft_config[adapter]
    tokens = getattr(config, "alora_invocation_tokens", None)
    if not tokens:
        return
    if len(tokens) != 1:
        raise ConfigError(
            f"the adapter in {folder} is activated by {len(tokens)} tokens; here one is activated at the prompt's last "
            "token. Train it with one invocation token, or take a LoRA that acts on all tokens."
        )
    config.alora_invocation_tokens = None
    mark(config)
    for layer in model.modules():
        getattr(layer, "lora_variant", {}).pop(adapter, None)


def check_everywhere(model: Any, reads: str) -> None:
    """Refuses a model whose adapter acts on the reply alone.

    Args:
        model: an :class:`~retro_gym_agents.lm.adapted_model.AdaptedModel`.
        reads: what reads prompt and reply alike.

    Raises:
        ConfigError: the adapter acts on the reply alone.
    """
    if model.reply_only:
        raise ConfigError(
            f"the adapter acts on the reply alone (reply_only=True), but {reads}. Give an adapter without reply_only."
        )


def context_and_last(prompts: Prompts, samples: int) -> tuple[Prompts, Tensor]:
    """Returns the contexts, and each prompt's last token once for each of its samples (R)."""
    ids_PS, mask_PS = prompts.ids_PS[:, :-1], prompts.mask_PS[:, :-1]
    if not ids_PS.shape[1]:  # models refuse rows without tokens, so that these get a column of padding
        ids_PS, mask_PS = prompts.ids_PS, torch.zeros_like(prompts.mask_PS)
    return Prompts(ids_PS, mask_PS), prompts.ids_PS[:, -1].repeat_interleave(samples)


@contextlib.contextmanager
def base_alone(model: Any) -> Iterator[None]:
    """Switches the adapters and gradients off."""
    layers = [module for module in model.modules() if hasattr(module, "merged_adapters")]
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True  # peft's own context manager freezes the weights as well, and does not undo it
    try:
        with torch.no_grad():
            yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer._disable_adapters = was
