"""What a saved adapter leaves behind: files that peft and transformers load without this package."""

from __future__ import annotations

import json
import os
import shutil
import stat
import warnings

import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym_agents import LoraSettings, Planner, Reflector
from retro_gym_agents.lm import pretrained, sources
from retro_gym_agents.lm.hub import hub_parts
from retro_gym_agents.lm.sources import Base, base_of, find_source, tiny_version

FAILURE = "Question: Who? This attempt failed. What should be done differently next time?"


def disturb(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.trainable.values():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)


@pytest.fixture(scope="module")
def tiny():
    reflector = Reflector.load("tiny")
    disturb(reflector)
    return reflector


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "adapter"
    before = os.umask(0o022)
    tiny.save(folder)
    os.umask(before)
    return folder


def logits(model, tokenizer):
    ids = tokenizer(FAILURE, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return model(input_ids=ids).logits


def quietly(load, *arguments):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        return load(*arguments)


def test_plain_peft_loads_an_adapter_of_the_tiny_model(tiny, saved, monkeypatch, tmp_path):
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer

    monkeypatch.chdir(tmp_path)
    model = quietly(AutoPeftModelForCausalLM.from_pretrained, str(saved))
    tokenizer = AutoTokenizer.from_pretrained(str(saved))
    torch.testing.assert_close(logits(model, tokenizer), logits(tiny.model, tiny.tokenizer))


def test_plain_transformers_does_too(tiny, saved):
    from transformers import AutoModelForCausalLM

    model = quietly(AutoModelForCausalLM.from_pretrained, str(saved))
    torch.testing.assert_close(logits(model, tiny.tokenizer), logits(tiny.model, tiny.tokenizer))


def test_all_files_may_be_read_by_those_who_may_read_the_others(saved):
    assert {stat.S_IMODE(file.stat().st_mode) for file in saved.iterdir()} == {0o644}
    assert {"adapter_model.safetensors", "tokenizer.json", "README.md"} <= {file.name for file in saved.iterdir()}


def test_the_card_names_no_path(saved, small_model, tmp_path):
    Reflector.load(small_model).save(tmp_path / "other")
    for folder, base in ((saved, "the tiny model of retro_gym"), (tmp_path / "other", f"`{small_model.name}`")):
        card = (folder / "README.md").read_text()
        assert base in card
        assert "rank 8" in card
        assert str(small_model.parent) not in card
        assert str(pretrained.tiny_folder()) not in card
        assert "More Information Needed" not in card


def test_the_tokenizer_does_not_say_where_it_came_from(saved):
    config = json.loads((saved / "tokenizer_config.json").read_text())
    assert not {"is_local", "local_files_only", "name_or_path"} & config.keys()


def test_the_tiny_model_is_known_wherever_the_package_is(saved, monkeypatch, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.symlink_to(pretrained.tiny_folder())
    monkeypatch.setattr(sources, "tiny_folder", lambda: moved)
    assert base_of(saved) == Base("tiny")


def rewritten(folder, target, **changes):
    target.mkdir()
    row = json.loads((folder / "adapter_config.json").read_text()) | changes
    (target / "adapter_config.json").write_text(json.dumps(row))
    return target


@pytest.mark.parametrize(
    ("name", "revision"),
    [("tiny", None), ("/gone/tiny/weights", "tiny-VERSION"), ("someone/retro-gym-tiny-VERSION", None)],
)
def test_how_the_tiny_model_is_named(saved, tmp_path, name, revision):
    version = tiny_version()
    named = {
        "base_model_name_or_path": name.replace("VERSION", version),
        "revision": revision and revision.replace("VERSION", version),
    }
    assert base_of(rewritten(saved, tmp_path / "a", **named)) == Base("tiny")


def test_a_revision_of_the_base_model_is_kept(saved, tmp_path):
    named = {"base_model_name_or_path": "someone/base", "revision": "v1"}
    assert base_of(rewritten(saved, tmp_path / "a", **named)) == Base("someone/base", "v1")


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"template": "{history}", "batch_size": 0}', '{"template": 1}', '{"template": "{__class__}"}'],
)
def test_a_planners_options_of_a_stranger(saved, tmp_path, content):
    folder = shutil.copytree(saved, tmp_path / "planner")
    (folder / "planner.json").write_text(content)
    with pytest.raises(ConfigError):
        Planner.load(folder)


def test_an_adapter_of_another_tiny_model_is_refused(saved, tmp_path):
    other = rewritten(saved, tmp_path / "a", revision="tiny-01234567")
    with pytest.raises(ConfigError, match=rf"made for the tiny model 01234567, .* has {tiny_version()}\. Install"):
        base_of(other)
    name = "someone/retro-gym-tiny-01234567"
    published = rewritten(saved, tmp_path / "b", base_model_name_or_path=name, revision=None)
    assert base_of(published) == Base(name)


def test_a_base_model_that_is_not_here(saved, tmp_path):
    other = rewritten(saved, tmp_path / "a", base_model_name_or_path="/home/nobody/model", revision=None)
    with pytest.raises(ConfigError, match="the base model in '/home/nobody/model', which is not there"):
        Reflector.load(other)


def test_an_adapter_of_a_model_with_more_layers_is_refused(small_model, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    config = AutoConfig.from_pretrained(small_model)
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    for name, layers in (("three", 3), ("five", 5)):
        config.num_hidden_layers, config.layer_types = layers, None
        model = AutoModelForCausalLM.from_config(config)
        model.generation_config = GenerationConfig.from_pretrained(small_model)
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    cases = (("five", "three", "28 of its weights .*, and 0 are"), ("three", "five", "0 of its .*, and 28 are missing"))
    for made, base, said in cases:
        folder = tmp_path / f"{made}-on-{base}"
        Reflector.load(tmp_path / made).save(folder)
        row = json.loads((folder / "adapter_config.json").read_text())
        row["base_model_name_or_path"] = str(tmp_path / base)
        (folder / "adapter_config.json").write_text(json.dumps(row))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys", UserWarning)
            with pytest.raises(ConfigError, match=said):
                Reflector.load(folder)


def test_a_server_gets_the_weights_alone(tiny, tmp_path):
    tiny.save_weights(tmp_path / "next")
    names = {file.name for file in (tmp_path / "next").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "generation_config.json"} <= names
    assert not {name for name in names if name.startswith("tokenizer")}


def test_a_merged_model_needs_no_peft(tiny, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    before = tiny.adapter_state()
    tiny.save_merged(tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(logits(model, tokenizer), logits(tiny.model, tiny.tokenizer), atol=1e-4, rtol=1e-4)
    assert not hasattr(model, "peft_config")
    assert model.generation_config.temperature == tiny.sampling.temperature
    assert model.generation_config.max_new_tokens == tiny.sampling.max_new_tokens
    assert len({stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "merged").iterdir()}) == 1
    after = tiny.adapter_state()
    assert all(torch.equal(after[name], weight) for name, weight in before.items()), "the reflector is as it was"
    assert Reflector.load(tmp_path / "merged", lora=None).reflect([FAILURE]) == tiny.reflect([FAILURE])
    with pytest.raises(ConfigError, match="exists"):
        tiny.save_merged(tmp_path / "merged")
    with pytest.raises(ConfigError, match="has no adapter that could be merged"):
        Reflector.load("tiny", lora=None).save_merged(tmp_path / "other")


def test_of_two_roles_one_is_merged(tmp_path):
    reflector = Reflector.load("tiny")
    planner = Planner.beside(reflector, lora=LoraSettings(rank=4))
    disturb(reflector)
    planner.save_merged(tmp_path / "planner")  # its adapter is fresh, so that it is the base model
    model = Reflector.load(tmp_path / "planner", lora=None)
    base = Reflector.load("tiny", lora=None)
    torch.testing.assert_close(logits(model.model, base.tokenizer), logits(base.model, base.tokenizer))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a/b", ("a/b", None)),
        ("a/b@v1", ("a/b", "v1")),
        ("a/b@refs/pr/1", ("a/b", "refs/pr/1")),
        *[
            (text, None)
            for text in ("tiny", "a/b@", "/a/b", "./a/b", "a/b/c", "a/b.gguf", "a b/c", "a:b/c", "", "tests/agents")
        ],
    ],
)
def test_names_on_the_hub(text, parts, root, monkeypatch):
    monkeypatch.chdir(root)
    assert hub_parts(text) == parts


def test_a_revision_is_for_the_hub(saved):
    for source in ("tiny", saved):
        with pytest.raises(ConfigError, match=r"revision is 'v1', but .* is not on the hub"):
            find_source(source, "v1")
    with pytest.raises(ConfigError, match="names the revision 'v2', but revision is 'v1'"):
        find_source("someone/model@v2", "v1")
