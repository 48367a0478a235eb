"""Tokenizers by name, so that the spec of a view goes through JSON."""

import gc
import json
import sys
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

import retro_gym
from retro_gym import ReflectionEnv, TokenEnv, TokenVectorEnv
from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.token_view import naming
from tests.core.characters import Characters

pytest.importorskip("transformers")  # which the extra [train] installs; names are those of reflectors

IDENTITY = "RetroIdentity-v0"


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("cls", [TokenEnv, ReflectionEnv])
def test_a_spec_goes_to_json_and_back(cls):
    env = cls(
        gym.make(IDENTITY, max_reflections=1),
        "tiny",
        max_prompt_tokens=100,
        max_new_tokens=7,
        padding_side="right",
        end_ids=[2, 5],
        info="numbers",
    )
    text = env.spec.to_json()
    again = gym.make(EnvSpec.from_json(text))
    assert json.loads(text)["additional_wrappers"][-1]["kwargs"]["tokenizer"] == "tiny"
    assert again.spec.to_json() == text
    assert (again.get_wrapper_attr("codec").ends, again.get_wrapper_attr("info_mode")) == ({2, 5}, "numbers")
    assert again.action_space == env.action_space
    first, second = env.reset(seed=1), again.reset(seed=1)
    assert same(first[0], second[0])
    assert first[1] == second[1]


def test_views_of_one_name_share_the_tokenizer_as_long_as_it_is_in_use():
    first, second = (TokenEnv(gym.make(IDENTITY), "tiny") for _ in range(2))
    envs = TokenVectorEnv(gym.make_vec(IDENTITY, 2), "tiny")
    assert first.tokenizer is second.tokenizer is envs.codec.tokenizer
    del first, second, envs
    gc.collect()
    assert "tiny" not in naming._loaded


def test_a_folder_is_a_name_too(tmp_path):
    tokenizer = TokenEnv(gym.make(IDENTITY), "tiny").tokenizer
    tokenizer.save_pretrained(tmp_path)
    env = TokenEnv(gym.make(IDENTITY), str(tmp_path))
    assert len(env.tokenizer) == len(tokenizer)


def test_an_adapter_has_the_tokenizer_of_its_base_model(tmp_path):
    (tmp_path / "best").mkdir()  # as a training run leaves it
    (tmp_path / "best" / "adapter_config.json").write_text('{"base_model_name_or_path": "tiny"}')
    tiny = TokenEnv(gym.make(IDENTITY), "tiny").tokenizer
    for folder in (tmp_path, tmp_path / "best"):
        assert len(TokenEnv(gym.make(IDENTITY), str(folder)).tokenizer) == len(tiny)


@pytest.mark.parametrize("library", ["transformers", "torch"])
def test_a_missing_library_names_the_extra(monkeypatch, library):
    monkeypatch.setattr(naming, "_loaded", {})
    for name in [name for name in sys.modules if name.partition(".")[0] == "retro_gym_agents"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[train\]"):
        TokenEnv(gym.make(IDENTITY), "tiny")


def test_workers_of_an_async_vector_make_views_by_name():
    wrapper = partial(TokenEnv, tokenizer="tiny", max_prompt_tokens=100, info="numbers")
    envs = [gym.make_vec(IDENTITY, 2, mode, wrappers=[wrapper]) for mode in ("async", "sync")]
    first, second = (env.reset(seed=3) for env in envs)
    assert same(first[0], second[0])
    assert (first[1]["prompt_tokens"] == second[1]["prompt_tokens"]).all()
    for env in envs:
        env.close()


def test_a_name_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"tokenizer '.*absent' cannot be loaded: .* Give 'tiny', a folder"):
        TokenEnv(gym.make(IDENTITY), str(tmp_path / "absent"))


@pytest.mark.parametrize("cls", [TokenEnv, ReflectionEnv])
@pytest.mark.parametrize("odd", [None, 3, ["tiny"], Characters])
def test_what_is_no_tokenizer(cls, odd):
    with pytest.raises(ConfigError, match=r"tokenizer is .*; give a tokenizer of transformers"):
        cls(gym.make(IDENTITY), odd)


def test_a_view_of_a_view_is_refused():
    view = gym.wrappers.TimeLimit(TokenEnv(gym.make(IDENTITY), Characters()), 5)
    with pytest.raises(ConfigError, match="is a token view already"):
        TokenEnv(view, Characters())


def test_a_vector_has_a_view_of_its_own():
    with pytest.raises(ConfigError, match=r"has several\. Use TokenVectorEnv"):
        TokenEnv(gym.make_vec(IDENTITY, 2), Characters())


def test_the_public_names_are_there():
    assert "RetroVectorEnv" in retro_gym.__all__
