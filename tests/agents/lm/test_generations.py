"""Reflections say which tokens they are made of, and are scored again from a record."""

import pickle

import pytest
import torch

from retro_gym import Generation, Reflection
from retro_gym.errors import ConfigError
from retro_gym_agents import Reflector
from tests.agents.hf_models import make_tokenizer, random_model

OBSERVATIONS = ["This attempt failed. abc", "Say it again."]


@pytest.fixture
def reflector():
    reflector = Reflector(random_model("llama"), make_tokenizer(), name="small", max_new_tokens=12, temperature=0.7)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in reflector.trainable.values():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return reflector


def test_every_sample_has_its_tokens_and_logprobs(reflector):
    samples = reflector.sample(OBSERVATIONS, num_samples=3, seed=1)
    for row, text in enumerate(samples.texts):
        mask_T = samples.mask_NT[row]
        assert type(text) is Reflection
        assert text.generation == Generation(
            "small",
            tuple(samples.tokens_NT[row][mask_T].tolist()),
            tuple(samples.logprobs_NT[row][mask_T].tolist()),
            0.7,
        )
        assert text == reflector.decode(text.generation.token_ids)
    picked = samples.select([1])
    assert [text.generation for text in picked.texts] == [text.generation for text in samples.texts[3:]]
    assert pickle.loads(pickle.dumps(samples.texts[0])).generation == samples.texts[0].generation


def test_reflect_gives_them_too_and_greedy_ones_are_certain(reflector):
    (sampled, _) = reflector.reflect(OBSERVATIONS, greedy=False, seed=2)
    assert sampled.generation.temperature == 0.7
    (greedy, _) = reflector.reflect(OBSERVATIONS)
    assert greedy.generation.temperature == 0
    assert greedy.generation.logprobs == (0.0,) * len(greedy.generation.token_ids)


def test_reflections_of_a_record_are_scored_as_those_that_were_sampled(reflector):
    samples = reflector.sample(OBSERVATIONS, num_samples=3, seed=1)
    rows = [text.generation.to_json() for text in samples.texts]
    again = reflector.recorded(OBSERVATIONS, [Generation.from_json(row) for row in rows])
    assert torch.equal(again.mask_NT, samples.mask_NT)
    assert torch.equal(again.tokens_NT, samples.tokens_NT)
    assert torch.equal(again.logprobs_NT, samples.logprobs_NT)
    assert (again.texts, again.num_samples, again.temperature) == (samples.texts, 3, 0.7)
    logprobs_NT = reflector.logprobs(again)
    assert torch.equal(logprobs_NT, reflector.logprobs(samples))
    assert logprobs_NT.requires_grad
    warm = reflector.recorded(OBSERVATIONS, [Generation.from_json(row) for row in rows], temperature=2.0)
    assert not torch.allclose(reflector.logprobs(warm), logprobs_NT)


@pytest.mark.parametrize(
    ("generations", "words"),
    [
        ([], "0 generations for 2 prompts"),
        ([Generation("a", (5,), (-1.0,))] * 3, "3 generations for 2 prompts"),
        ([Generation("a", (5,), (-1.0,)), Generation("a", (999,), (-1.0,))], "tokens from 5 to 999"),
        ([Generation("a", (-1,), (-1.0,))] * 2, "tokens from -1 to -1"),
        ([Generation("a", (5,), (-1.0,)), Generation("a", (5,), (-1.0,), 0.5)], r"temperatures \[0.5, 1.0\]"),
    ],
)
def test_records_of_another_kind_are_refused(reflector, generations, words):
    with pytest.raises(ConfigError, match=words):
        reflector.recorded(OBSERVATIONS, generations)


def test_without_a_prompt_nothing_can_be_scored(reflector):
    with pytest.raises(ConfigError, match="there is no prompt for 1 generations"):
        reflector.recorded([], [Generation("a", (5,), (-1.0,))])
