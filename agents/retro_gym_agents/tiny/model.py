"""The tiny reflector's network: a standard architecture, initialised so that it can copy.

Copying a name from the prompt takes two attention layers that work together (an induction head, Olsson et al. 2022):
the first adds to every token the identity of the previous token; the second finds an earlier occurrence of the current
token and copies its successor. From random weights, such a pair takes thousands of steps to emerge. So the first two
layers are initialised as one (mimetic initialisation, Trockman & Kolter 2023); all their weights are trained.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch

from retro_gym_agents.tiny.settings import TinyShape

__all__ = ["begin_alike", "induction_accuracy", "make_model"]


_STD = 0.05  # standard deviation of random weights
_NOISE = 0.05  # scale of the random weights in the first two layers
_QUIET = 0.5  # scale of the later layers' random weights
_PREVIOUS = 5.0  # sharpness of "look one token back"
_FAST = 0.1  # radians per token: only rotary frequencies above this distinguish neighbouring positions
_CARRY = 0.2  # strength with which the first layer adds the previous token
_MATCH = 2.5  # sharpness of the match with earlier occurrences of the current token
_COPY = 0.7  # strength with which the successor is copied
_RECALL = 0.4  # the same in the later layers, which find what to copy by its meaning
_ALIKE = 0.9  # correlation of the embeddings of one word's spellings


def make_model(vocabulary: int, shape: TinyShape, tokens: tuple[int, int, int], seed: int) -> Any:
    """Creates a ``LlamaForCausalLM`` with attention biases, which attention to the previous token needs.

    Args:
        vocabulary: number of tokens (V).
        shape: sizes of the network.
        tokens: ids of the padding, BOS and EOS tokens.
        seed: seed of the random weights.
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
    """Initialises the first two layers as an induction head, with some noise, and lets the later ones copy too."""
    size = shape.hidden_size
    same = torch.eye(size)
    turned = torch.linalg.qr(torch.randn(size, size))[0]  # separates the previous token from the current one
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

    # Layer 2: the rotated current token matches the previous-token feature of its successor, which is copied.
    second.q_proj.weight.add_(_MATCH * turned)
    second.k_proj.weight.add_(_MATCH * same)
    second.v_proj.weight.add_(_COPY * same)
    second.o_proj.weight.add_(_COPY * same)

    for layer in model.model.layers[2:]:
        layer.self_attn.v_proj.weight.add_(_RECALL * same)
        layer.self_attn.o_proj.weight.add_(_RECALL * same)


@torch.no_grad()
def begin_alike(model: Any, tokenizer: Any) -> None:
    """Gives the spellings of a word, with a space before it or not, capital or small, embeddings that are alike.

    A name is seldom copied as it stands: it follows a quote in a table, and a space in a sentence. From unrelated
    embeddings, the model would have to learn for each word by itself that its spellings belong together.
    """
    spellings: defaultdict[str, list[int]] = defaultdict(list)
    for token, number in sorted(tokenizer.get_vocab().items()):
        word = tokenizer.convert_tokens_to_string([token]).strip().lower()
        if word.isalpha() and len(word) > 1:
            spellings[word].append(number)
    weight_VD = model.get_input_embeddings().weight
    for numbers in spellings.values():
        own = weight_VD[numbers]
        if len(numbers) > 1:
            weight_VD[numbers] = _ALIKE * own[:1] + (1 - _ALIKE**2) ** 0.5 * own


@torch.no_grad()
def induction_accuracy(model: Any, length: int = 60, rows: int = 16, seed: int = 0) -> float:
    """Returns the next-token accuracy in the second half of random sequences that are repeated once."""
    generator = torch.Generator().manual_seed(seed)
    once_BT = torch.randint(3, model.config.vocab_size, (rows, length), generator=generator)
    twice_BT = torch.cat([once_BT, once_BT], 1)
    guess_BT = model(twice_BT).logits[:, length:-1].argmax(-1)
    return float((guess_BT == twice_BT[:, length + 1 :]).float().mean())
