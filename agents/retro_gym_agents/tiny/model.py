"""The tiny reflector's network: a stock architecture that begins its training able to copy.

Copying a name from the prompt takes two attention layers that work together (an induction head, Olsson et al. 2022):
the first tells every token what stood before it, the second looks for the place where the present token stood before
and copies what came next. Left to chance this pair takes thousands of steps to appear. So the first two layers start
as such a pair, a case of mimetic initialisation (Trockman & Kolter 2023); everything in them goes on learning.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

__all__ = ["TinyShape", "induction_accuracy", "make_model"]


@dataclasses.dataclass(frozen=True)
class TinyShape:
    """Sizes of the network. One wide head: a narrow one cannot keep hundreds of names apart."""

    hidden_size: int = 128
    intermediate_size: int = 384
    layers: int = 4
    context: int = 2_048
    """Tokens, prompt and reflection together."""
    rope_theta: float = 1e5


_STD = 0.05  # of random weights
_NOISE = 0.05  # share of randomness left in the weights of the prepared pair
_QUIET = 0.5  # scale of the later layers' random weights
_PREVIOUS = 5.0  # sharpness of "look one token back"
_FAST = 0.1  # radians per token: only rotary frequencies above this tell neighbours apart
_CARRY = 0.2  # how strongly the first layer notes the token before
_MATCH = 2.5  # sharpness of "where did this token stand before"
_COPY = 0.7  # how strongly what came next is copied


def make_model(vocabulary: int, shape: TinyShape, tokens: tuple[int, int, int], seed: int) -> Any:
    """A ``LlamaForCausalLM`` whose attention has biases: the look one token back needs them.

    Args:
        vocabulary: number of tokens (V).
        shape: sizes.
        tokens: ids of padding, begin and end.
        seed: of the random weights.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    pad, bos, eos = tokens
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=shape.context,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        attention_bias=True,
        tie_word_embeddings=True,
        initializer_range=_STD,
        pad_token_id=pad,
        bos_token_id=bos,
        eos_token_id=eos,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _prepare_induction(model, shape)
    return model


@torch.no_grad()
def _prepare_induction(model: Any, shape: TinyShape) -> None:
    """Sets the first two layers to an induction head, with a little noise left in."""
    size = shape.hidden_size
    same = torch.eye(size)
    turned = torch.linalg.qr(torch.randn(size, size))[0]  # keeps "stood before" apart from "stands here"
    for number, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj, layer.mlp.down_proj)
        for projection in projections:
            projection.weight.mul_(_NOISE if number < 2 else _QUIET)
    first, second = (layer.self_attn for layer in model.model.layers[:2])

    # Layer 1: constant queries and keys whose rotary phases agree at a distance of one token.
    half = size // 2
    frequency = shape.rope_theta ** (-torch.arange(half) * 2 / size)
    strength = _PREVIOUS * (frequency > _FAST)
    for projection in (first.q_proj, first.k_proj):
        projection.weight.mul_(0.1)
    first.q_proj.bias[:half] = strength
    first.k_proj.bias[:half] = strength * frequency.cos()
    first.k_proj.bias[half:] = strength * frequency.sin()
    first.v_proj.weight.add_(_CARRY * same)
    first.o_proj.weight.add_(_CARRY * turned)

    # Layer 2: the present token, turned, matches the note of its successor; what stands there is copied.
    second.q_proj.weight.add_(_MATCH * turned)
    second.k_proj.weight.add_(_MATCH * same)
    second.v_proj.weight.add_(_COPY * same)
    second.o_proj.weight.add_(_COPY * same)


@torch.no_grad()
def induction_accuracy(model: Any, length: int = 60, rows: int = 16, seed: int = 0) -> float:
    """How often the model goes on rightly in the second round of a random sequence that is said twice."""
    generator = torch.Generator().manual_seed(seed)
    once_BT = torch.randint(3, model.config.vocab_size, (rows, length), generator=generator)
    twice_BT = torch.cat([once_BT, once_BT], 1)
    guess_BT = model(twice_BT).logits[:, length:-1].argmax(-1)
    return float((guess_BT == twice_BT[:, length + 1 :]).float().mean())
