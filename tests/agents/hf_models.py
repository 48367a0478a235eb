"""Small models whose words are known: for the tests of the transformers actor."""

import itertools
import string

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from retro_gym.actors import HfActor
from retro_gym.prompts import Prompt
from retro_gym.trajectory import Turn

SPECIAL = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
WORDS = [*SPECIAL, "<think>", "</think>", *string.ascii_letters, *string.digits, *" \n.,:;?!()[]-+*/=<>|'\""]
WORDS += [f"<{number}>" for number in range(-len(WORDS) % 8)]
CHAT = (
    "<s>{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CONTEXT = 512


def make_tokenizer(*, chat=None, pad="<pad>", bos=True):
    """A token for each character: what is decoded is what was encoded."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(["<think>", "</think>"])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token=pad, chat_template=chat
    )


def random_model(family):
    """Random weights, large enough that what is read decides what is written."""
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": len(WORDS), "initializer_range": 0.3}
    llama = {"hidden_size": 32, "intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if family == "gpt2":
            model = GPT2LMHeadModel(GPT2Config(**sizes, **special, hidden_size=32, n_positions=CONTEXT))
        elif family == "qwen3":
            model = Qwen3ForCausalLM(Qwen3Config(**sizes, **llama, **special, head_dim=16))
        else:
            model = LlamaForCausalLM(LlamaConfig(**sizes, **llama, **special))
    return model.eval()


def chain_model(script):
    """A Llama that writes the script behind ``<|assistant|>``: each token is followed by the next one, always."""
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=len(WORDS),
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    chain = [WORDS.index("<|assistant|>"), *make_tokenizer()(script, add_special_tokens=False)["input_ids"], 2]
    assert len(set(chain)) == len(chain), "a token that comes twice has no single follower"
    with torch.no_grad():
        model.model.layers[0].self_attn.o_proj.weight.zero_()
        model.model.layers[0].mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(len(WORDS)))
        model.lm_head.weight.zero_()
        for token, follower in itertools.pairwise(chain):
            model.lm_head.weight[follower, token] = 1.0
    return model


def prompt(number=0, length=1, seed=0, turns=(), stop=("\nObservation",)):
    return Prompt("Answer.", (), (), f"Task {number}: " + "ab cd. " * length, turns, seed=seed, stop=stop)


TURNS = tuple(Turn(f"Thought {i}", f"Say[{i}]", "Wrong. " * i) for i in range(3))
PROMPTS = [
    prompt(number, length, seed=number, turns=TURNS[: number % 4]) for number, length in enumerate([1, 9, 3, 20, 1])
]


def chained(script, **options):
    return HfActor(chain_model(script), make_tokenizer(chat=CHAT), **options)
