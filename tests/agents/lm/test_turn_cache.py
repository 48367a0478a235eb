"""Prompts that go on from what was read before: less is read, and the same is drawn."""

import numpy as np
import pytest
import torch

from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.sampler import can_resume, draw
from retro_gym_agents.lm.samples import Sampling
from retro_gym_agents.lm.turn_cache import TurnCache
from tests.agents.hf_models import make_tokenizer, prompt, random_model
from tests.agents.lm.random_models import build

SAMPLING = Sampling(max_new_tokens=9, temperature=0.8, end_ids=(2,), pad_id=0)
OPENING = [5, 9, 4, 8, 6, 7, 3, 9, 5, 4, 8]


@pytest.fixture(params=["llama", "qwen3", "gpt2"])
def model(request):
    return random_model(request.param)


def drawn(model, rows, memory=None, **options):
    prompts = Prompts.from_rows(rows, 0, "cpu")
    return draw(model, prompts, SAMPLING, seed=range(len(rows)), share_prompt=False, memory=memory, **options)


def assert_same(found, expected):
    assert torch.equal(found.tokens_NT, expected.tokens_NT)
    assert torch.equal(found.mask_NT, expected.mask_NT)
    torch.testing.assert_close(found.logprobs_NT, expected.logprobs_NT, rtol=1e-4, atol=1e-5)


def next_turns(rows, draws):
    """Prompts with what was drawn and an observation of some tokens."""
    found = []
    for number, (row, tokens, mask) in enumerate(zip(rows, draws.tokens_NT, draws.mask_NT, strict=True)):
        found.append([*row, *(token for token in tokens[mask].tolist() if token != 2), 3 + number, 7])
    return found


def test_the_turns_of_a_trial(model):
    memory, rows = TurnCache(), [[*OPENING, 4 + number, *range(3, 3 + number)] for number in range(6)]
    saved = []
    for _ in range(4):
        plain = drawn(model, rows, keep_hidden=True)
        resumed = drawn(model, rows, memory, keep_hidden=True)
        assert_same(resumed, plain)
        torch.testing.assert_close(
            resumed.hidden_NTD[plain.mask_NT], plain.hidden_NTD[plain.mask_NT], rtol=1e-4, atol=1e-5
        )
        saved.append(memory.tokens_saved)
        previous, rows = rows, next_turns(rows, plain)
    assert saved[0] == 0
    assert saved[1] >= sum(map(len, [[*OPENING, 4 + n, *range(3, 3 + n)] for n in range(6)]))
    assert saved[3] - saved[2] >= sum(len(row) - 12 for row in previous), "each turn reads its own words only"
    assert len(memory) == 6, "a longer row takes the place of the one that it goes on from"


def test_rows_that_end_early_and_rows_that_are_new(model):
    memory, rows = TurnCache(), [[*OPENING, number] for number in (3, 4, 5, 6)]
    first = drawn(model, rows, memory, stop=lambda row, tokens: len(tokens) > 2 * row)
    assert not first.mask_NT.all(), "some rows must end early for this test to say something"
    mixed = [*next_turns(rows, first)[:2], [8, 3, 9, 9, 4, 4, 5], [*OPENING[:9], 3, 3, 4], [7]]
    assert_same(drawn(model, mixed, memory), drawn(model, mixed))
    assert memory.tokens_saved >= 2 * 12


def test_only_turns_of_the_same_trial_are_used(model):
    """So that rounding does not depend on what else was read: the same prompts give the same bits."""
    memory, rows = TurnCache(), [OPENING, OPENING, [*OPENING, 3]]
    expected = drawn(model, rows)
    for _ in range(2):
        found = drawn(model, rows, memory)
        assert torch.equal(found.tokens_NT, expected.tokens_NT)
    again = drawn(model, rows, memory)
    assert torch.equal(again.logprobs_NT, found.logprobs_NT)
    assert memory.tokens_saved == 0


def test_what_is_kept_is_limited():
    memory = TurnCache(max_bytes=2 * 4 * 10 * 3 * 4)  # three rows of ten tokens, each with a head of size 4
    states = [(torch.ones(1, 10, 4), torch.ones(1, 10, 4))]
    rows = [np.arange(number, number + 10) for number in range(0, 50, 10)]
    for row in rows:
        memory.add(row, 8, states)
    assert len(memory) == 3
    assert memory.beginning_of(np.array([*rows[1], 5])).length == 0
    assert memory.beginning_of(np.array([*rows[4], 5])).length == 10
    assert memory.beginning_of(np.array([*rows[3][:9], 5])).length == 9
    assert memory.beginning_of(np.array([*rows[2][:8], 5])).length == 0, "no word of the reply"
    assert len(memory) == 1
    memory.clear()
    assert len(memory) == 0


def test_new_weights_forget_what_the_old_ones_read():
    planner = Planner(random_model("llama"), make_tokenizer(), name="small", max_new_tokens=6, greedy=True)
    asked = [prompt(), prompt(length=9)]
    before = [one.generation.token_ids for one in planner.reply(asked)]
    assert [one.generation.token_ids for one in planner.reply(asked)] == before
    with torch.no_grad():
        for weight in planner.trainable.values():
            weight += 0.2
    fresh = Planner(random_model("llama"), make_tokenizer(), name="small", max_new_tokens=6, greedy=True)
    fresh.load_adapter_state(planner.adapter_state())
    changed = [one.generation.logprobs for one in planner.reply(asked)]
    for found, expected in zip(changed, [one.generation.logprobs for one in fresh.reply(asked)], strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    planner.load_adapter_state({name: torch.zeros_like(one) for name, one in planner.adapter_state().items()})
    assert [one.generation.token_ids for one in planner.reply(asked)] == before


def test_a_model_without_an_adapter_is_watched_too():
    planner = Planner(random_model("llama"), make_tokenizer(), name="small", lora=None, max_new_tokens=6, greedy=True)
    planner.reply([prompt()])
    assert len(planner._memory) == 1
    with torch.no_grad():
        next(planner.model.parameters()).add_(0.1)
    assert len(planner._memory.of_weights(planner._weights_version)) == 0


@pytest.mark.parametrize(("kind", "can"), [("llama", True), ("gpt2", True), ("bloom", True), ("mistral", False)])
def test_which_models_can_go_on_from_what_they_have_read(kind, can):
    assert can_resume(build(kind)) is can
