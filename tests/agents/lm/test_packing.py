"""A packed group against its reflections one by one."""

import pytest
import torch

from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.logprobs import token_logprobs
from retro_gym_agents.lm.packing import pack
from tests.agents.hf_models import random_model

SAMPLES, WIDTH = 3, 4
LENGTHS = torch.tensor([4, 2, 3, 4, 1, 3])


@pytest.fixture
def group():
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, 90, (length,), generator=generator).tolist() for length in (7, 3)]
    tokens_NT = torch.randint(5, 90, (2 * SAMPLES, WIDTH), generator=generator)
    return Prompts.from_rows(rows, 0, "cpu"), tokens_NT, torch.arange(WIDTH) < LENGTHS[:, None]


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_reflection_is_read_as_if_it_stood_alone(group, family, attention):
    prompts, tokens_NT, mask_NT = group
    model = random_model(family)
    model.set_attn_implementation(attention)
    packed = pack(prompts, tokens_NT, mask_NT)
    logits_PLV = model(packed.ids_PL, attention_mask=packed.mask(model.dtype), position_ids=packed.positions_PL).logits
    width = packed.prompt_width
    logits_NTV = packed.unpack_states(logits_PLV[:, width - 1 :])
    logprobs_NT = packed.unpack(token_logprobs(logits_PLV[:, width - 1 :], packed.next_PCX, 1.0))
    for row, (tokens_T, mask_T) in enumerate(zip(tokens_NT, mask_NT, strict=True)):
        prompt = prompts.ids_PS[row // SAMPLES][prompts.mask_PS[row // SAMPLES]]
        alone_TV = model(torch.cat([prompt, tokens_T[mask_T]])[None]).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(logits_NTV[row, mask_T], alone_TV, rtol=1e-4, atol=1e-4)
        told_T = torch.log_softmax(alone_TV, -1).gather(1, tokens_T[mask_T][:, None])[:, 0]
        torch.testing.assert_close(logprobs_NT[row, mask_T], told_T, rtol=1e-4, atol=1e-4)


def test_what_reflections_begin_with_is_packed_once():
    prompts = Prompts.from_rows([[90, 91, 92], [80]], 0, "cpu")
    said = [[5, 6, 7, 2], [5, 6, 8], [5, 6, 7, 2], [9], [4, 2], [5, 2]]
    tokens_NT = torch.tensor([row + [0] * (4 - len(row)) for row in said])
    packed = pack(prompts, tokens_NT, torch.arange(4) < torch.tensor(list(map(len, said)))[:, None])
    assert packed.ids_PL.tolist() == [[90, 91, 92, 5, 6, 7], [0, 0, 80, 4, 5, 0]]
    assert packed.positions_PL.tolist() == [[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 0]]
    assert packed.sees_PML[0].int().tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]]
    assert packed.sees_PML[1].int().tolist() == [[0, 0, 1, 1, 0, 0], [0, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 0]]
    assert packed.next_PCX.tolist() == [
        [[5, 0, 0], [6, 0, 0], [7, 8, 0], [2, 0, 0]],
        [[9, 4, 5], [2, 0, 0], [2, 0, 0], [0, 0, 0]],
    ]
    told_NT = packed.unpack(packed.next_PCX)
    assert all(told[: len(row)].tolist() == row for told, row in zip(told_NT, said, strict=True))


def test_one_token_needs_no_more_than_the_prompt(group):
    prompts, tokens_NT, mask_NT = group
    packed = pack(prompts, tokens_NT[:, :1], mask_NT[:, :1])
    assert torch.equal(packed.ids_PL, prompts.ids_PS)
    assert packed.positions_PL.tolist() == [[0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1, 2]]
    assert packed.num_packed == 0
    assert torch.equal(packed.unpack(packed.next_PCX), tokens_NT[:, :1])
