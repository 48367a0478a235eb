"""A packed group against its reflections one by one."""

import pytest
import torch

from retro_gym_agents.lm.batching import Prompts
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
    first_PKV = logits_PLV[:, width - 1 : width].expand(-1, SAMPLES, -1)
    logits_NTV = packed.unpack(first_PKV, logits_PLV[:, width:])
    for row, (tokens_T, mask_T) in enumerate(zip(tokens_NT, mask_NT, strict=True)):
        prompt = prompts.ids_PS[row // SAMPLES][prompts.mask_PS[row // SAMPLES]]
        alone_TV = model(torch.cat([prompt, tokens_T[mask_T]])[None]).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(logits_NTV[row, mask_T], alone_TV, rtol=1e-4, atol=1e-4)
        assert not logits_NTV[row, ~mask_T].any()


def test_only_the_ends_of_rows_are_padded(group):
    prompts, tokens_NT, mask_NT = group
    packed = pack(prompts, tokens_NT, mask_NT)
    fed_P = (LENGTHS - 1).view(2, SAMPLES).sum(-1)
    assert packed.ids_PL.shape == (2, 7 + int(fed_P.max()))
    assert (packed.group_PL > 0).sum(-1).tolist() == fed_P.tolist()
    row = packed.group_PL[1].tolist()
    assert row == [-1] * 4 + [0] * 3 + [1] * 3 + [3] * 2 + [-1]
    assert packed.positions_PL[1, 7:12].tolist() == [3, 4, 5, 3, 4]
    targets = [
        token for tokens, mask in zip(tokens_NT[SAMPLES:], mask_NT[SAMPLES:], strict=True) for token in tokens[mask][1:]
    ]
    assert packed.targets_PM[1, :5].tolist() == [int(token) for token in targets]


def test_one_token_needs_no_more_than_the_prompt(group):
    prompts, tokens_NT, mask_NT = group
    packed = pack(prompts, tokens_NT[:, :1], mask_NT[:, :1])
    assert torch.equal(packed.ids_PL, prompts.ids_PS)
    assert packed.positions_PL.tolist() == [[0, 1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 1, 2]]
    rows = packed.unpack(torch.ones(2, SAMPLES, 5), torch.ones(2, 0, 5))
    assert torch.equal(rows, torch.ones(2 * SAMPLES, 1, 5))
