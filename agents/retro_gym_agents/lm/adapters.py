"""A model with an adapter while nothing is learned: no gradients, merged weights, another adapter for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from retro_gym.errors import DivergedError

__all__ = ["frozen", "trainable_weights"]


def trainable_weights(model: Any) -> dict[str, torch.nn.Parameter]:
    """The weights that learn, by name: the adapter's, where there is one."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _merge(model: Any) -> None:
    try:
        model.merge_adapter(safe_merge=True)
    except ValueError as error:  # peft's word for weights that are not finite
        raise DivergedError(f"the adapter cannot be merged into its base model: {error}") from error


@contextlib.contextmanager
def frozen(model: Any, adapter: Mapping[str, Tensor] | None = None) -> Iterator[None]:
    """No gradients and no checkpointing; in float32 the adapter is merged into the base for speed.

    Merging happens in copies and the originals are put back, so that no rounding error is left behind.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        adapter: weights, by name, that stand in for the trainable ones as long as it lasts.

    Raises:
        DivergedError: the merged weights are not finite.
    """
    trainable = trainable_weights(model)
    present = {name: weight.data for name, weight in trainable.items()}
    layers = [module for module in model.modules() if hasattr(module, "merged_adapters")]
    bases = [list(layer.get_base_layer().parameters(recurse=False)) for layer in layers]
    originals = [[weight.data for weight in base] for base in bases]
    merge = bool(layers) and model.dtype == torch.float32
    training = [module for module in model.modules() if module.training]  # layers that checkpoint take no cache
    try:
        for module in training:
            module.training = False
        for name, weight in trainable.items():
            weight.data = weight.data if adapter is None else adapter[name]
        if merge:
            _merge(model)
        with torch.no_grad():
            yield
    finally:
        if merge:
            for layer, base, original in zip(layers, bases, originals, strict=True):
                layer.merged_adapters.clear()
                for weight, data in zip(base, original, strict=True):
                    weight.data = data
        for name, weight in trainable.items():
            weight.data = present[name]
        for module in training:
            module.training = True
