"""Small models with random weights, prompts for them, and a count of what a model is given."""

import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from retro_gym_agents.lm.samples import Sampling

VOCABULARY = 50
SAMPLING = Sampling(temperature=0.7, max_new_tokens=6, end_ids=tuple(range(3, 9)), pad_id=0)
ROWS = [[5, 6, 7, 8, 9, 10, 11], [12, 13], [14, 15, 16, 17]]
SIZES = {"vocab_size": VOCABULARY, "initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 3, "pad_token_id": 0}
LAYERS = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def build(kind: str):
    torch.manual_seed(0)
    match kind:
        case "llama":
            return LlamaForCausalLM(LlamaConfig(**SIZES, **LAYERS, num_key_value_heads=2)).eval()
        case "qwen3":
            return Qwen3ForCausalLM(Qwen3Config(**SIZES, **LAYERS, num_key_value_heads=2, head_dim=8)).eval()
        case "gpt2":
            return GPT2LMHeadModel(GPT2Config(**SIZES, n_embd=32, n_layer=2, n_head=4, n_positions=64)).eval()
        case "mistral":
            return MistralForCausalLM(MistralConfig(**SIZES, **LAYERS, num_key_value_heads=2, sliding_window=4)).eval()
        case "bloom":
            return BloomForCausalLM(BloomConfig(**SIZES, hidden_size=32, n_layer=2, n_head=4)).eval()
    raise AssertionError(kind)


class Calls:
    """Counts the tokens that a model is given."""

    def __init__(self, model):
        self.model, self.tokens = model, []

    def __call__(self, **kwargs):
        self.tokens.append(kwargs["input_ids"].numel())
        return self.model(**kwargs)

    def __getattr__(self, name):
        return getattr(self.model, name)
