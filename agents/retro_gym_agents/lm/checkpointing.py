"""Gradient checkpointing: activations are computed again in the backward pass in place of being kept."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym_agents.lm.adapters import activated, active_adapter, quiet

__all__ = ["checkpoint_activations"]


def checkpoint_activations(model: Any) -> None:
    """Enables gradient checkpointing: layers recompute their activations in the backward pass.

    transformers does so only in training mode. Only the layers themselves are set to training mode; their submodules
    stay in evaluation mode, so that there is no dropout.

    Raises:
        ConfigError: the model does not support gradient checkpointing.
    """
    with quiet():
        try:
            model.gradient_checkpointing_enable(
                {"use_reentrant": False, "context_fn": functools.partial(_same_adapter, model)}
            )
        except ValueError as error:
            raise ConfigError(f"gradient_checkpointing is set, but {type(model).__name__} has none: {error}") from error
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True


def _same_adapter(model: Any) -> tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]:
    """Returns context managers for a layer's forward pass and its recomputation, which activate the same adapter."""
    return contextlib.nullcontext(), activated(model, active_adapter(model))
