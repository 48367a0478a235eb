"""The estimate of a training pass's memory, against what autograd keeps."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from retro_gym_agents.lm.adapters import LoraSettings, add_lora
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.memory import bytes_per_token, tokens_that_fit
from retro_gym_agents.lm.scoring import score


def kept_by_autograd(model, prompt=96, samples=4, tokens=24):
    """Bytes of the distinct tensors that a scoring pass keeps for its backward pass, per token; without the weights."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes(), storage  # held, so that no address is used again
        return tensor

    ids = torch.randint(3, 90, (samples, tokens), generator=torch.Generator().manual_seed(0))
    prompts = Prompts.from_rows([list(range(3, 3 + prompt % 80)) + [5] * (prompt - prompt % 80)], 0, model.device)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        score(model, prompts, ids, torch.ones_like(ids, dtype=torch.bool), temperature=1.0, num_samples=samples)
    return sum(size for size, _ in kept.values()) / (prompt + samples * tokens)


@pytest.mark.parametrize(("kind", "config"), [(LlamaForCausalLM, LlamaConfig), (Qwen2ForCausalLM, Qwen2Config)])
@pytest.mark.parametrize("shape", [(64, 192, 3, 4, 2, 100), (96, 256, 2, 4, 4, 4_000)])
def test_the_estimate_is_near_what_autograd_keeps(kind, config, shape):
    hidden, inner, layers, heads, pairs, vocabulary = shape
    torch.manual_seed(0)
    model = kind(
        config(
            hidden_size=hidden,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=pairs,
            vocab_size=vocabulary,
            attn_implementation="sdpa",
        )
    )
    model = add_lora(model, LoraSettings(rank=4), "made", 0)
    measured, estimated = kept_by_autograd(model), bytes_per_token(model)
    assert 0.5 < measured / estimated < 2, (measured, estimated)


def test_what_fits():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=2, vocab_size=100))
    assert bytes_per_token(model, checkpointing=True) < bytes_per_token(model)
    assert tokens_that_fit(model) > 100_000
    assert tokens_that_fit(model, checkpointing=True) > tokens_that_fit(model)
    half = model.to(torch.bfloat16)
    assert bytes_per_token(half) < bytes_per_token(model.to(torch.float32))
