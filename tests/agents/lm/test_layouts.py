"""The layouts of sampling: how rows are read and stored changes nothing that is drawn."""

import dataclasses

import pytest
import torch

from retro_gym_agents.lm import sampler, shared_rows
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.graphed_rows import GraphedRows, why_not_recorded
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.shared_rows import SharedRows
from tests.agents.lm.random_models import ROWS, SAMPLING, Calls


@pytest.mark.parametrize("num_samples", [1, 4])
def test_a_cache_of_fixed_size_gives_the_same_samples(model, prompts, num_samples, monkeypatch):
    sampling = dataclasses.replace(SAMPLING, max_new_tokens=14)
    settings = {"num_samples": num_samples, "seed": 5, "keep_hidden": True}
    growing = draw(model, prompts, sampling, **settings)
    monkeypatch.setattr(sampler, "shared_rows", GraphedRows)
    fixed = draw(model, prompts, sampling, **settings)
    assert growing.mask_NT.sum(-1).unique().numel() > 1, "rows must end at different steps for this to say something"
    assert torch.equal(fixed.tokens_NT, growing.tokens_NT)
    assert torch.equal(fixed.mask_NT, growing.mask_NT)
    torch.testing.assert_close(fixed.logprobs_NT, growing.logprobs_NT, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fixed.hidden_NTD, growing.hidden_NTD, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tokens", [5, 8, 12])
def test_prompts_are_read_in_groups_of_like_length(model, tokens, monkeypatch):
    prompts = Prompts.from_rows([*ROWS, [18], [19, 20, 21]], pad_id=0, device="cpu")
    settings = {"num_samples": 3, "seed": 5, "keep_hidden": True}
    at_once = draw(model, prompts, SAMPLING, **settings)
    monkeypatch.setattr(shared_rows, "_CPU_TOKENS", tokens)
    calls = Calls(model)
    draws = draw(calls, prompts, SAMPLING, **settings)
    read = calls.tokens[: len(calls.tokens) - at_once.tokens_NT.shape[1] + 1]
    assert len(read) > 1
    assert sum(read) < prompts.ids_PS.numel()
    assert max(read) <= max(tokens, prompts.ids_PS.shape[1])
    assert torch.equal(draws.tokens_NT, at_once.tokens_NT)
    assert torch.equal(draws.mask_NT, at_once.mask_NT)
    torch.testing.assert_close(draws.logprobs_NT, at_once.logprobs_NT, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(draws.hidden_NTD, at_once.hidden_NTD, rtol=1e-4, atol=1e-5)


def test_what_samples_begin_with_is_read_once(model, prompts):
    read = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, given, __: read.append(given[0].shape[1]))
    greedy = draw(model, prompts, SAMPLING, num_samples=5, greedy=True)
    assert set(read[1:]) == {1}
    assert len(read) == greedy.tokens_NT.shape[1]
    read.clear()
    draws = draw(model, prompts, SAMPLING, num_samples=5, seed=5)
    hook.remove()
    for step, columns in enumerate(read[1:], start=1):
        begun = [{tuple(row[:step]) for row in draws.rows()[at : at + 5]} for at in range(0, len(draws.tokens_NT), 5)]
        assert columns <= max(map(len, begun))
    assert max(read[1:]) > 1


def test_a_model_is_recorded_only_if_its_logits_stay_the_same(model):
    class Wrong(GraphedRows):
        def extend(self, token_R):
            step = super().extend(token_R)
            return step._replace(logits_BV=step.logits_BV.roll(1, -1))

    class Failing(GraphedRows):
        def extend(self, token_R):
            raise RuntimeError("operation not permitted when stream is capturing")

    assert why_not_recorded(model) is None
    assert "other logits" in why_not_recorded(model, Wrong)
    assert "not permitted" in why_not_recorded(model, Failing)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_recorded_step_gives_the_same_samples(model, monkeypatch):
    model = model.to("cuda")
    prompts = Prompts.from_rows(ROWS, pad_id=0, device="cuda")
    sampling = dataclasses.replace(SAMPLING, max_new_tokens=14)
    settings = {"num_samples": 4, "seed": 5, "keep_hidden": True}
    replays = []
    replay = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: (replays.append(1), replay(graph)))
    recorded = draw(model, prompts, sampling, **settings)
    assert len(replays) > 2
    monkeypatch.setattr(sampler, "shared_rows", SharedRows)
    plain = draw(model, prompts, sampling, **settings)
    assert torch.equal(recorded.tokens_NT, plain.tokens_NT)
    torch.testing.assert_close(recorded.logprobs_NT, plain.logprobs_NT, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(recorded.hidden_NTD, plain.hidden_NTD, rtol=1e-3, atol=1e-4)
