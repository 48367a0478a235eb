import json
import shutil

import numpy as np
import pytest
import torch

from retro_gym.errors import CheckpointError, ConfigError
from retro_gym.token_view.token_env import ReflectionEnv
from retro_gym_agents.lm import pretrained as loading
from retro_gym_agents.lm import sources
from retro_gym_agents.lm.adapters import frozen
from retro_gym_agents.lm.reflector import TINY, LoraSettings, Reflector
from retro_gym_agents.play.envs import make_retro_env
from tests.agents.hf_models import make_tokenizer, random_model

FAILURES = [
    "The word is blue.\nObservation 1: Wrong.\n\nReflection:",
    "This attempt failed.\n\nThe word is red.\nObservation 1: Wrong.\n\nReflection:",
]
CHAT = (
    "{% for m in messages %}Action {{ m.content }} ?{% endfor %}{% if add_generation_prompt %} Reflection :{% endif %}"
)


@pytest.fixture
def reflector(small_model):
    return Reflector.load(small_model)


def disturb(reflector, seed=0):
    """Moves the adapter away from its start, where it changes nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in reflector.trainable.values():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)


def weights(reflector):
    return {name: weight.detach().clone() for name, weight in reflector.model.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# -- sampling ----------------------------------------------------------------


def test_texts_are_the_sampled_tokens(reflector):
    samples = reflector.sample(FAILURES, num_samples=3, seed=1)
    assert samples.num_prompts == 2
    assert len(samples.texts) == 6
    for text, tokens, mask in zip(samples.texts, samples.tokens_NT, samples.mask_NT, strict=True):
        assert text == reflector.tokenizer.decode(tokens[mask], skip_special_tokens=True).strip()
        assert "</s>" not in text
    again = reflector.sample(FAILURES, num_samples=3, seed=1)
    assert again.texts == samples.texts


def test_logprobs_are_those_of_sampling_and_have_a_gradient_to_the_adapter_only(reflector):
    disturb(reflector)
    samples = reflector.sample(FAILURES, num_samples=3, seed=1)
    logprobs_NT = reflector.logprobs(samples)
    torch.testing.assert_close(logprobs_NT.detach(), samples.logprobs_NT, rtol=1e-4, atol=1e-5)
    torch.autograd.backward(logprobs_NT.sum())
    for name, weight in reflector.model.named_parameters():
        assert (weight.grad is not None and bool(weight.grad.abs().sum() > 0)) == ("lora_" in name)


def test_sampling_leaves_every_weight_as_it_was(reflector):
    disturb(reflector)
    reflector.freeze_reference()
    disturb(reflector, seed=1)
    before = weights(reflector)
    samples = reflector.sample(FAILURES, num_samples=2)
    reflector.reference_logprobs(samples)
    assert same(before, weights(reflector))
    assert all(not module.merged_adapters for module in reflector.model.modules() if hasattr(module, "merged_adapters"))


def test_weights_are_put_back_after_an_error(reflector):
    disturb(reflector)
    before = weights(reflector)
    with pytest.raises(ZeroDivisionError), frozen(reflector.model, reflector.adapter_state()):
        raise ZeroDivisionError
    assert same(before, weights(reflector))


def test_the_temperature_is_in_the_logprobs(small_model):
    cold, warm = (Reflector.load(small_model, temperature=temperature) for temperature in (0.5, 1.0))
    samples = warm.sample(FAILURES, num_samples=2, seed=3)
    cold_samples = cold.sample(FAILURES, num_samples=2, seed=3)
    assert samples.temperature == 1.0
    assert cold_samples.temperature == 0.5
    torch.testing.assert_close(cold.logprobs(samples).detach(), samples.logprobs_NT, rtol=1e-4, atol=1e-5)
    assert float(cold_samples.logprobs_NT.exp().sum()) > float(samples.logprobs_NT.exp().sum())


def test_reflect_gives_one_text_each_whatever_the_batch(reflector):
    texts = reflector.reflect(FAILURES * 3, batch_size=4)
    assert texts == reflector(FAILURES * 3)
    assert texts == reflector.reflect(FAILURES) * 3
    assert reflector.reflect([]) == []
    sampled = reflector.reflect(FAILURES * 20, greedy=False, seed=1)
    assert sampled == reflector.reflect(FAILURES * 20, greedy=False, seed=1)
    assert sampled == reflector.reflect(FAILURES * 20, greedy=False, seed=1, batch_size=7)
    assert len(set(sampled)) > 2


def test_sampling_nothing_is_refused(reflector):
    with pytest.raises(ConfigError, match="got 0 and 1"):
        reflector.sample([])
    with pytest.raises(ConfigError, match="got 2 and 0"):
        reflector.sample(FAILURES, num_samples=0)


# -- the reference policy ----------------------------------------------------------------


def test_a_fresh_adapter_is_the_base_model(small_model, reflector):
    base = Reflector.load(small_model, lora=None)
    samples = base.sample(FAILURES, num_samples=2)
    reflector.freeze_reference()
    expected = samples.logprobs_NT
    torch.testing.assert_close(reflector.reference_logprobs(samples), expected, rtol=1e-4, atol=1e-5)
    disturb(reflector)
    torch.testing.assert_close(reflector.reference_logprobs(samples), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(reflector.logprobs(samples).detach(), expected, atol=1e-2)


def test_the_reference_is_the_adapter_at_the_start_of_rl_and_not_the_base(reflector):
    disturb(reflector)
    samples = reflector.sample(FAILURES, num_samples=2)
    reflector.freeze_reference()
    disturb(reflector, seed=1)
    torch.testing.assert_close(reflector.reference_logprobs(samples), samples.logprobs_NT, rtol=1e-4, atol=1e-5)
    assert not reflector.reference_logprobs(samples).requires_grad


def test_no_reference_is_an_error(reflector):
    with pytest.raises(ConfigError, match="freeze_reference"):
        reflector.reference_logprobs(reflector.sample(FAILURES))


# -- saving and loading ----------------------------------------------------------------


def test_a_saved_adapter_comes_back(small_model, tmp_path):
    reflector = Reflector.load(small_model, temperature=0.7, max_new_tokens=2)
    disturb(reflector)
    reflector.save(tmp_path / "adapter")
    loaded = Reflector.load(tmp_path / "adapter")
    assert loaded.sampling == reflector.sampling
    assert loaded.name == reflector.name
    assert same(loaded.adapter_state(), reflector.adapter_state())
    samples = reflector.sample(FAILURES, num_samples=2)
    torch.testing.assert_close(loaded.logprobs(samples), reflector.logprobs(samples))
    assert Reflector.load(tmp_path / "adapter", temperature=0.3).sampling.temperature == 0.3


def test_the_base_model_is_found_from_another_working_directory(small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(small_model.parent)
    Reflector.load(small_model.name).save(tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    assert Reflector.load("adapter").name == str(small_model.resolve())


def test_an_adapter_of_the_tiny_model_finds_it_wherever_it_is(small_model, tmp_path, monkeypatch):
    for module in (loading, sources):
        monkeypatch.setattr(module, "tiny_folder", lambda: small_model)
    Reflector.load(TINY).save(tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(small_model), "peft knows no other name of it"
    moved = shutil.copytree(small_model, tmp_path / "moved")
    for module in (loading, sources):
        monkeypatch.setattr(module, "tiny_folder", lambda: moved)
    assert Reflector.load(tmp_path / "adapter").name == TINY


def test_of_a_run_the_best_adapter_is_taken_or_else_the_last(reflector, tmp_path):
    reflector.save(tmp_path / "adapter")
    assert same(Reflector.load(tmp_path).adapter_state(), reflector.adapter_state())
    disturb(reflector)
    reflector.save(tmp_path / "best")
    assert same(Reflector.load(tmp_path).adapter_state(), reflector.adapter_state())


def test_the_seed_decides_the_new_adapter_and_nothing_else_is_touched(small_model):
    before = torch.get_rng_state()
    one, again, other = (Reflector.load(small_model, seed=seed).adapter_state() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert same(one, again)
    assert not same(one, other)


def test_chosen_layers_and_rank(small_model):
    reflector = Reflector.load(small_model, lora=LoraSettings(rank=2, target_modules="q_proj, v_proj"))
    assert {name.split(".")[-4] for name in reflector.trainable} == {"q_proj", "v_proj"}
    assert {min(weight.shape) for weight in reflector.trainable.values()} == {2}


def test_gpt2_takes_an_adapter_too(small_model):
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    tokenizer = AutoTokenizer.from_pretrained(small_model)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=64)
    with torch.random.fork_rng(devices=[]):
        reflector = Reflector(GPT2LMHeadModel(config), tokenizer, name="gpt2", max_new_tokens=4)
    disturb(reflector)
    samples = reflector.sample(FAILURES, num_samples=2)
    torch.testing.assert_close(reflector.logprobs(samples).detach(), samples.logprobs_NT, rtol=1e-4, atol=1e-5)


def test_half_precision(small_model):
    reflector = Reflector.load(small_model, dtype="bfloat16")
    disturb(reflector)
    reflector.freeze_reference()
    before = weights(reflector)
    samples = reflector.sample(FAILURES, num_samples=2)
    assert samples.logprobs_NT.dtype == torch.float32
    torch.testing.assert_close(reflector.logprobs(samples).detach(), samples.logprobs_NT, rtol=0.1, atol=0.1)
    assert same(before, weights(reflector))
    assert all(weight.dtype == torch.float32 for weight in reflector.trainable.values()), "what learns stays exact"


# -- prompts ----------------------------------------------------------------


def test_plain_text_stands_behind_one_bos_token(reflector):
    ids = reflector.encode("The word is red.")
    assert reflector.tokenizer.decode(ids) == "<s> The word is red ."
    assert reflector.encode("<s> The")[:2] != [1, 1]


def test_no_text_is_still_a_prompt(reflector):
    assert reflector.encode("") == [reflector.tokenizer.bos_token_id]
    reflector.tokenizer.bos_token = None
    assert len(reflector.encode("")) == 1
    assert len(reflector.sample([""]).texts) == 1


def test_a_chat_template_is_used(reflector):
    reflector.tokenizer.chat_template = CHAT
    assert reflector.tokenizer.decode(reflector.encode("The word")) == "Action The word ? Reflection :"


@pytest.mark.parametrize("template", [None, CHAT])
def test_a_long_text_keeps_its_start_and_its_end(small_model, template):
    reflector = Reflector.load(small_model, max_new_tokens=100)  # of a context of 128
    reflector.tokenizer.chat_template = template
    text = reflector.tokenizer.decode(reflector.encode("Wrong " * 200 + "The word is red ."))
    start, end = (
        ("<s> Wrong", "Wrong The word is red .")
        if template is None
        else (
            "Action Wrong",
            "Wrong The word is red . ? Reflection :",
        )
    )
    assert text.startswith(start)
    assert text.endswith(end)
    assert len(text.split()) == 28
    short = "The word is red ."
    assert reflector.fit(short) == short
    assert reflector.fit("Wrong " * 200 + short).endswith(f"Wrong {short}")
    assert short in reflector.tokenizer.decode(reflector.encode(short))


@pytest.mark.parametrize("chat", [None, CHAT])
@pytest.mark.parametrize("room", [60, 150, 300, 450])
def test_both_views_show_a_long_failure_alike(chat, room):
    env = make_retro_env("RetroHotpotQA-v0", max_reflections=2, actor_kwargs={"temperature": 0})  # a retry fails too
    tokenizer = make_tokenizer(chat=chat)  # one token for each character
    reflector = Reflector(random_model("llama"), tokenizer, name="random", lora=None, max_new_tokens=512 - room)
    view = ReflectionEnv(env, tokenizer, max_prompt_tokens=room, max_new_tokens=1, observation="ids")
    for seed in range(3):
        shown, info = view.reset(seed=seed)
        for _ in range(2):
            observation = env.observation_within(env.max_observation_chars)
            ids = reflector.encode(observation)
            assert ids == shown[shown >= 0].tolist()
            assert len(ids) <= room < len(observation)
            assert info["prompt_cut"]
            text = reflector.fit(observation)
            assert text.startswith("This")
            assert text.endswith("Reflection:")
            if room >= 300:
                assert text.startswith("This attempt failed. Reflect: what should be done differently next time?")
                assert env.trajectory.task in text
            shown, _, _, truncated, info = view.step([tokenizer.eos_token_id])
            assert not truncated


def test_a_template_that_is_too_long_by_itself_is_refused_as_in_the_token_view(small_model):
    reflector = Reflector.load(small_model, max_new_tokens=126)
    reflector.tokenizer.chat_template = CHAT
    with pytest.raises(ConfigError, match=r"max_new_tokens is 126, which leaves 2 tokens of .*not even the last word"):
        reflector.encode("The word is red .")


def test_arguments_of_reflect(small_model):
    reflector = Reflector.load(small_model)
    for given, said in (
        ({"observations": "abc"}, "observations is .*'abc'; give a list"),
        ({"batch_size": -1}, "batch_size is -1; it must be a whole number, at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        *(({"seed": seed}, "Give a whole number for each") for seed in (None, 1.5, "a", [1], [1, 2.5])),
    ):
        with pytest.raises(ConfigError, match=said):
            reflector.reflect(**{"observations": ["The word is red .", "The word is blue ."], **given})
    assert reflector.reflect(["The word is red ."], seed=-1) == reflector.reflect(
        ["The word is red ."], seed=np.int64(-1)
    )


def test_without_a_pad_token_an_end_token_fills_the_rows(small_model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_model)
    tokenizer.pad_token = None
    model = AutoModelForCausalLM.from_pretrained(small_model)
    model.generation_config.eos_token_id = [2, 8]
    reflector = Reflector(model, tokenizer, name="x")
    assert reflector.sampling.end_ids == (2, 8)
    assert reflector.sampling.pad_id == 2
    assert len(reflector.sample(FAILURES, num_samples=2).texts) == 4


# -- errors ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_new_tokens": 128}, "context of 128 tokens"),
        ({"lora": LoraSettings(rank=0)}, "rank is 0"),
        ({"lora": LoraSettings(target_modules="attention")}, "LoRA cannot be added"),
        ({"dtype": "float31"}, "float31"),
    ],
)
def test_arguments_out_of_their_rule(small_model, arguments, words):
    with pytest.raises(ConfigError, match=words):
        Reflector.load(small_model, **arguments)


def test_what_cannot_be_loaded(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Reflector.load(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Reflector.load(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ConfigError, match="names no base model"):
        Reflector.load(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": null}')
    with pytest.raises(ConfigError, match="names None as its base model"):
        Reflector.load(tmp_path)
    monkeypatch.setattr(loading.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(ConfigError, match="tiny reflector is missing"):
        Reflector.load(TINY)


def test_a_broken_adapter(reflector, tmp_path):
    reflector.save(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="no adapter that fits"):
        Reflector.load(tmp_path)


def test_what_does_not_fit(small_model, reflector, tmp_path):
    other = Reflector.load(small_model, lora=LoraSettings(rank=2))
    with pytest.raises(CheckpointError, match="do not fit"):
        reflector.load_adapter_state(other.adapter_state())
    with pytest.raises(CheckpointError, match="do not fit"):
        reflector.load_adapter_state(reflector.adapter_state(), other.adapter_state())
    with pytest.raises(ConfigError, match="no adapter to save"):
        Reflector.load(small_model, lora=None).save(tmp_path)


def test_half_a_character_is_no_error(small_model):
    reflector = Reflector.load(small_model)
    assert reflector.encode("The word is \ud800 .") == reflector.encode("The word is \ufffd .")
