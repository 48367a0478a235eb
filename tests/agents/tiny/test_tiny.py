"""How the tiny reflector is made, in small: tokenizer, network, curriculum, and a build of a few steps."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.tiny import build as building
from retro_gym_agents.tiny.build import BuildConfig, build
from retro_gym_agents.tiny.model import TinyShape, induction_accuracy, make_model
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


def test_the_oracle_is_withdrawn():
    config = BuildConfig(steps=600, oracle_share=0.8, oracle_until=0.5)
    shares = [building._oracle_share(config, step) for step in (1, 300, 350, 400, 600)]
    assert shares == pytest.approx([0.8, 0.8, 0.4, 0.0, 0.0])


def few_steps(folder, **fields):
    return build(
        BuildConfig(
            output=folder,
            env_ids=("RetroHotpotQA-v0",),
            steps=2,
            prompts_per_step=4,
            tokenizer_texts=40,
            warmup_steps=1,
            shape=SMALL,
            **fields,
        )
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "measure", lambda *args, **kwargs: "not measured")
        folders = [few_steps(tmp_path_factory.mktemp(name)) for name in ("first", "second")]
        onward = few_steps(tmp_path_factory.mktemp("onward"), start=folders[0], seed=3)
    return (*folders, onward)


def test_a_build_leaves_a_reflector(built):
    tokenizer, model = AutoTokenizer.from_pretrained(built[0]), AutoModelForCausalLM.from_pretrained(built[0])
    assert model.config.vocab_size == len(tokenizer)
    generation = json.loads((built[0] / "generation_config.json").read_text())
    assert (generation["do_sample"], generation["temperature"], generation["max_new_tokens"]) == (True, 0.8, 40)
    assert len(Reflector.load(built[0], lora=None).reflect(["Question: Who owns Velmora Works?"])) == 1


def test_the_same_seed_builds_the_same_weights(built):
    first, second, onward = ((folder / "model.safetensors").read_bytes() for folder in built)
    assert first == second
    assert first != onward


def test_what_is_learned_are_the_reflections(built):
    """The loss of some lessons falls when the network is trained on just these."""
    torch.manual_seed(0)
    tokenizer, model = AutoTokenizer.from_pretrained(built[0]), AutoModelForCausalLM.from_pretrained(built[0])
    config = BuildConfig(env_ids=("RetroHotpotQA-v0",), prompts_per_step=4)
    lessons = next(building._batches(config))
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss, total = building._loss(model, tokenizer, lessons, config, generator)
        optimizer.zero_grad()
        torch.autograd.backward(total)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_a_batch_holds_failures_of_one_environment_and_of_like_length():
    config = BuildConfig(env_ids=("RetroHotpotQA-v0", "RetroInterCodeSQL-v0"), prompts_per_step=4)
    batches = building._batches(config)
    for _ in range(3):
        for schema in (False, True):
            lessons = next(batches)
            assert all(("SHOW TABLES" in lesson.observation) == schema for lesson in lessons)
            lengths = [len(lesson.observation) for lesson in lessons]
            assert max(lengths) <= 1.5 * min(lengths)
