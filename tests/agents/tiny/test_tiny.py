"""What the tiny model is made of: tokenizer and network."""

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.tiny.model import induction_accuracy, make_model
from retro_gym_agents.tiny.settings import TinyShape
from retro_gym_agents.tiny.tokenizer import build_tokenizer
from retro_gym_envs.coined_names import NameMaker

SMALL = TinyShape(hidden_size=64, intermediate_size=64, layers=2, context=512)


@pytest.fixture(scope="module")
def shipped():
    return Reflector.load("tiny", lora=None)


@pytest.fixture(scope="module")
def observations():
    env = make_retro_env("RetroHotpotQA-v0", split="test")
    return [env.reset(seed=seed)[0] for seed in range(20)]


def test_any_text_comes_back_from_the_tokenizer(shipped, observations):
    for text in (*observations, "反省 🙂 naïve\n\ttabs", ""):
        assert shipped.tokenizer.decode(shipped.tokenizer(text)["input_ids"]) == text


def test_a_name_has_the_same_tokens_wherever_it_stands(shipped):
    def tokens(text):
        return shipped.tokenizer.convert_ids_to_tokens(shipped.tokenizer(text)["input_ids"])

    maker = NameMaker("test", np.random.default_rng(0))
    for word in (maker.word() for _ in range(50)):
        halves = tokens(f" {word}")
        assert len(halves) == 2
        for text in (f"the director, {word}, and", f"of {word}.", f"Search for {word} Nights"):
            found = tokens(text)
            assert any(found[i : i + 2] == halves for i in range(len(found))), (text, found)


def test_a_common_word_is_one_token_and_a_rare_name_two_halves():
    tokenizer = build_tokenizer(
        [f"the film about {name}" for name in ("Velmora", "Taskin", "Brelum") * 4 for _ in "ab"]
    )
    assert len(tokenizer(" film")["input_ids"]) == 1
    rare = build_tokenizer(["the film about Velmora", *["the film"] * 20])
    assert rare.convert_ids_to_tokens(rare(" Velmora")["input_ids"]) == ["ĠVelm", "ora"]


def test_rare_words_in_lower_case_have_halves_too():
    tokenizer = build_tokenizer(["colour velmora or taskin"])
    for text, halves in (("velmin", ["velm", "in"]), (" taskora", ["Ġtask", "ora"])):
        assert tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) == halves


def test_a_word_and_its_number_are_one_token_if_that_is_common():
    tokenizer = build_tokenizer(["on shelf 1, on shelf 2"] * 8 + ["on shelf 1"] * 8)
    first, second = (tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) for text in (" shelf 1", " shelf 2"))
    assert len(first) == 1
    assert second[0] == "Ġshelf"


def test_the_network_can_copy_before_it_has_learned_anything():
    special = (0, 1, 2)
    prepared = make_model(400, TinyShape(context=256), special, seed=0)
    plain = LlamaForCausalLM(prepared.config)
    assert induction_accuracy(prepared) > 0.5
    assert induction_accuracy(plain) < 0.1


def test_weights_follow_from_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, second, other = (make_model(50, SMALL, (0, 1, 2), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
