"""A model small enough to learn in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
TEXT = """red green blue gold . , : ? This attempt failed Reflect what should be done differently next time The word is
Action Say Observation Wrong Right Return 0 00 1 2 Reflection"""
WORDS = [*SPECIAL, *TEXT.split()]


def word_tokenizer():
    """One token for each word of RetroIdentity-v0's observations, in the format of transformers."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def imitate_a_noisy_teacher(model, tokenizer, *, right: float, steps: int) -> None:
    """Teaches the model to answer each failure with one of the four words: the right one with probability ``right``."""
    import gymnasium as gym
    import torch

    env = gym.make("retro_gym:RetroIdentity-v0").unwrapped
    prompts, words = [], []
    for task_id in env.get_wrapper_attr("task_env").task_ids("train")[:4]:
        observation, _ = env.reset(seed=0, options={"task_id": task_id})
        prompts.append([tokenizer.bos_token_id, *tokenizer(observation)["input_ids"]])
        words.append(tokenizer.convert_tokens_to_ids(task_id.rpartition("-")[2]))
    env.close()
    ids_BS = torch.tensor([[*prompt, word, tokenizer.eos_token_id] for prompt in prompts for word in words])
    weights_B = torch.where(torch.eye(4, dtype=torch.bool), right, (1 - right) / 3).flatten()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        logits_BtV = model(input_ids=ids_BS).logits[:, -3:-1]
        loss_Bt = torch.nn.functional.cross_entropy(logits_BtV.transpose(1, 2), ids_BS[:, -2:], reduction="none")
        optimizer.zero_grad()
        torch.autograd.backward((loss_Bt.sum(-1) * weights_B).sum())
        optimizer.step()


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Llama that policy gradient teaches RetroIdentity-v0 in seconds.

    With random weights the right word would be found by luck, and under LoRA a random frozen model learns to prefer
    words long before it learns to copy them. So it is made as the tiny reflector is, only in a second: it has seen a
    noisy teacher, writes well-formed reflections (one word, then the end), and is right in 40 % of the cases. The
    vocabulary has whole words, so that one token decides.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    imitate_a_noisy_teacher(model, word_tokenizer(), right=0.4, steps=100)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=1.0, max_new_tokens=3, pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    folder = tmp_path_factory.mktemp("small_model")
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder
