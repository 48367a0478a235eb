"""How many tokens fit into a training pass: an estimate from a model's shape and the memory of its device.

With an adapter, autograd keeps what the adapter's matrices and the functions between them read: in each layer about six
vectors of the hidden size, the queries, keys and values, and four of the feed-forward size. To that come the logits of
the tokens that are scored, in float32, about half of all where samples share their prompt.
"""

from __future__ import annotations

import os
from typing import Any

import torch

__all__ = ["bytes_per_token", "tokens_that_fit"]

_SHARE = (
    0.5  # of the memory; the rest is for the optimiser, the reference pass, other processes and the estimate's error
)
_FEWEST = 512


def bytes_per_token(model: Any, *, checkpointing: bool = False) -> int:
    """Returns the estimated memory of a token in a forward pass with gradients.

    Args:
        model: a causal LM of transformers.
        checkpointing: whether activations are computed again in the backward pass.
    """
    shape = model.config.get_text_config()
    hidden, layers, heads = shape.hidden_size, shape.num_hidden_layers, shape.num_attention_heads
    head = getattr(shape, "head_dim", None) or hidden // heads
    pairs = getattr(shape, "num_key_value_heads", None) or heads
    inner = getattr(shape, "intermediate_size", None) or 4 * hidden
    layer = 6 * hidden + (heads + 2 * pairs) * head + 4 * inner
    kept = layers * hidden + layer if checkpointing else layers * layer
    return int(kept * model.get_input_embeddings().weight.element_size() + 4 * shape.vocab_size)


def tokens_that_fit(model: Any, *, checkpointing: bool = False) -> int:
    """Returns with how many tokens, padding included, a training pass uses half of the memory beside the weights."""
    device = model.get_input_embeddings().weight.device
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    room = int(_SHARE * (_memory_of(device) - weights))
    return max(_FEWEST, room // bytes_per_token(model, checkpointing=checkpointing))


def _memory_of(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
