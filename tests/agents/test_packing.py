"""A packed group against its reflections one by one."""

import pytest
import torch

from retro_gym_agents.packing import block_mask, pack, unpack
from retro_gym_agents.sampler import Prompts
from tests.agents.hf_models import random_model

SAMPLES, WIDTH = 3, 4


@pytest.fixture
def group():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 90, (length,), generator=generator).tolist() for length in (7, 3)]
    return Prompts.from_rows(rows, 0, "cpu"), torch.randint(5, 90, (2 * SAMPLES, WIDTH), generator=generator)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_reflection_is_read_as_if_it_stood_alone(group, family, attention):
    prompts, tokens_NT = group
    model = random_model(family)
    model.set_attn_implementation(attention)
    ids_PL, positions_PL = pack(prompts.ids_PS, prompts.mask_PS, tokens_NT)
    mask = block_mask(prompts.mask_PS, SAMPLES, WIDTH, model.dtype)
    logits_PLV = model(ids_PL, attention_mask=mask, position_ids=positions_PL).logits
    logits_NTV = unpack(logits_PLV, prompts.ids_PS.shape[1], SAMPLES)
    for row, tokens_T in enumerate(tokens_NT):
        prompt = prompts.ids_PS[row // SAMPLES][prompts.mask_PS[row // SAMPLES]]
        alone_TV = model(torch.cat([prompt, tokens_T])[None]).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(logits_NTV[row], alone_TV, rtol=1e-4, atol=1e-4)


def test_one_token_needs_no_more_than_the_prompt(group):
    prompts, tokens_NT = group
    ids_PL, positions_PL = pack(prompts.ids_PS, prompts.mask_PS, tokens_NT[:, :1])
    assert torch.equal(ids_PL, prompts.ids_PS)
    assert positions_PL.tolist() == [[0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1, 2]]
    assert unpack(torch.zeros(2, 7, 5), 7, SAMPLES).shape == (2 * SAMPLES, 1, 5)
