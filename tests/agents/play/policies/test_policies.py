from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.seeding import derive_seed
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import (
    BASELINES,
    VAGUE_REFLECTION,
    BaselinePolicy,
    Policy,
    ReflectorPolicy,
    make_policy,
)


def failures(num: int = 12):
    envs = []
    for i, word in zip(range(num), ["red", "green", "blue", "gold"] * num, strict=False):
        env = make_retro_env("RetroIdentity-v0", split="test")
        env.reset(seed=i, options={"task_id": f"test-{i}-{word}"})
        envs.append(env)
    return envs


def reflections(policy: Policy, envs, seed: int = 0):
    observations = [env.observation_within(env.max_observation_chars) for env in envs]
    return policy.reflect(observations, envs, [seed + i for i in range(len(envs))])


class FakeReflector:
    loaded: list[tuple[str, dict[str, object]]] = []  # emptied by the fixture
    batches: list[int] = []  # likewise

    @classmethod
    def load(cls, name, **kwargs):
        cls.loaded.append((name, kwargs))
        return cls()

    def sample(self, observations, *, greedy, seed):
        self.batches.append(len(observations))
        return SimpleNamespace(
            texts=tuple(f"{text}:{greedy}:{seed}" for text in observations),
            prompts=SimpleNamespace(lengths=np.full(len(observations), 10)),
            num_tokens=3 * len(observations),
        )


@pytest.fixture
def fake_reflector(monkeypatch):
    module = ModuleType("retro_gym_agents.lm.reflector")
    module.Reflector = FakeReflector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "retro_gym_agents.lm.reflector", module)
    monkeypatch.setattr(FakeReflector, "loaded", [])
    monkeypatch.setattr(FakeReflector, "batches", [])
    return FakeReflector


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_a_policy_that_writes_one_text_each(name):
    policy = make_policy(name)
    assert isinstance(policy, Policy)
    assert policy.name == name
    envs = failures(3)
    before = [env.trajectory for env in envs]
    texts = reflections(policy, envs)
    assert len(texts) == 3
    assert all(isinstance(text, str) for text in texts)
    assert texts == reflections(policy, envs)
    assert [env.trajectory for env in envs] == before


def test_what_the_baselines_say():
    envs = failures(4)
    assert reflections(make_policy("none"), envs) == [""] * 4
    assert reflections(make_policy("vague"), envs) == [VAGUE_REFLECTION] * 4
    assert reflections(make_policy("oracle"), envs) == ["red", "green", "blue", "gold"]


def test_shuffled_is_the_oracle_on_other_tasks_of_the_split():
    env = make_retro_env("RetroIdentity-v0", split="test", num_tasks=4)
    env.reset(seed=0, options={"task_id": "test-2-blue"})
    texts = make_policy("shuffled").reflect(["failed"] * 60, [env] * 60, range(60))
    assert set(texts) == {"red", "green", "gold"}


def test_shuffled_and_noisy_are_drawn_from_the_seeds():
    envs = failures(12)
    for name in ("shuffled", "noisy"):
        policy = make_policy(name)
        assert reflections(policy, envs, seed=1) == reflections(policy, envs, seed=1)
        assert reflections(policy, envs, seed=1) != reflections(policy, envs, seed=2)


def test_shuffled_needs_a_second_task():
    env = make_retro_env("RetroIdentity-v0", split="test", num_tasks=1)
    env.reset(seed=0, options={"task_id": "test-0-red"})
    with pytest.raises(ConfigError, match="has only one"):
        make_policy("shuffled").reflect([""], [env], [0])


def test_reflector_is_loaded_when_first_asked_and_once(fake_reflector):
    policy = make_policy("tiny", greedy=True, device="meta", dtype="bfloat16")
    assert policy.name == "tiny"
    assert fake_reflector.loaded == []
    first = policy.reflect(["a", "b"], [], [3, 4])
    assert first == policy.reflect(["a", "b"], [], [3, 4])
    assert [text.split(":")[:2] for text in first] == [["a", "True"], ["b", "True"]]
    assert first != policy.reflect(["a", "b"], [], [3, 5])
    assert fake_reflector.loaded == [("tiny", {"lora": None, "device": "meta", "dtype": "bfloat16"})]
    assert policy.parameters["dtype"] == "bfloat16"
    assert "dtype" not in make_policy("tiny").parameters


def test_a_dtype_is_checked_before_anything_is_loaded(fake_reflector):
    with pytest.raises(ConfigError, match=r"dtype 'bfloat' is not one of .* Did you mean 'bfloat16'"):
        make_policy("tiny", dtype="bfloat")
    assert fake_reflector.loaded == []


def test_a_reflector_may_be_renamed(fake_reflector):
    policy = ReflectorPolicy("tiny", greedy=True)
    policy.name += ", greedy"
    policy.reflect(["a"], [], [0])
    assert fake_reflector.loaded == [("tiny", {"lora": None, "device": "cpu", "dtype": None})]


def test_reflector_reads_in_batches_and_counts_tokens(fake_reflector):
    policy = ReflectorPolicy("tiny", batch_size=2)
    texts = policy.reflect(list("abcde"), [], list(range(5)))
    assert [text[0] for text in texts] == list("abcde")
    assert fake_reflector.batches == [2, 2, 1]
    assert (policy.prompt_tokens, policy.completion_tokens) == (50, 15)


@pytest.mark.parametrize("name", ["org/tiny", "org/none", "o/racle", "oracle-7b", "tiny-llama", "none-of-it", "gpt2"])
def test_a_hub_name_may_hold_a_baselines_name(name):
    policy = make_policy(name)
    assert isinstance(policy, ReflectorPolicy)
    assert policy.name == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [("orcale", "oracle"), ("oracl", "oracle"), ("noisey", "noisy"), ("tini", "tiny"), ("nome", "none")],
)
def test_a_slip_of_the_pen_is_noticed(name, meant):
    with pytest.raises(ConfigError, match=f"Did you mean '{meant}'"):
        make_policy(name)


def test_what_a_task_gets_depends_on_its_own_seed_alone():
    """Not on how many tasks there are, nor on their order, nor on the size of the batches."""
    env = make_retro_env("RetroHotpotQA-v0")
    observations = [env.reset(seed=seed)[0] for seed in range(8)] * 8
    seeds = [derive_seed(7, place) for place in range(64)]
    texts = ReflectorPolicy("tiny").reflect(observations, [], seeds)
    assert len(set(texts)) > 8
    assert ReflectorPolicy("tiny").reflect(observations[:20], [], seeds[:20]) == texts[:20]
    assert ReflectorPolicy("tiny", batch_size=3).reflect(observations[:20], [], seeds[:20]) == texts[:20]
    assert ReflectorPolicy("tiny", batch_size=1).reflect(observations[:6], [], seeds[:6]) == texts[:6]
    backwards = ReflectorPolicy("tiny", batch_size=5).reflect(observations[::-1], [], seeds[::-1])
    assert backwards == texts[::-1]


def test_unloaded_reflector_is_loaded_again(fake_reflector):
    policy = ReflectorPolicy("tiny")
    policy.reflect(["a"], [], [0])
    policy.unload()
    policy.reflect(["a"], [], [0])
    assert len(fake_reflector.loaded) == 2


@pytest.mark.parametrize("inner", [".", "best", "adapter"])
def test_folder_of_a_run_or_of_an_adapter_is_taken(tmp_path, inner, fake_reflector):
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / "adapter_config.json").write_text("{}")
    policy = make_policy(str(tmp_path))
    policy.reflect(["a"], [], [0])
    assert fake_reflector.loaded[0][0] == policy.name == str(tmp_path)


def test_hub_names_are_left_to_the_loader():
    assert make_policy("Qwen/Qwen2.5-1.5B-Instruct").name == "Qwen/Qwen2.5-1.5B-Instruct"
    assert make_policy("gpt2").name == "gpt2"


def test_names_that_lead_nowhere_are_refused_at_once(tmp_path):
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(ConfigError, match=r"holds \['notes.txt'\]"):
        make_policy(str(tmp_path))
    with pytest.raises(ConfigError, match="is a file"):
        make_policy(str(tmp_path / "notes.txt"))
    with pytest.raises(ConfigError, match="no such folder"):
        make_policy(str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="no such folder"):
        make_policy("./absent")
    for spec in ("openai:", "opnai:model", "replay:"):
        with pytest.raises(ConfigError, match=r"'openai:MODEL', 'hf:MODEL' or 'replay:FILE'"):
            make_policy(spec)
    with pytest.raises(ConfigError, match="Did you mean 'vague'"):
        make_policy("vauge")
    with pytest.raises(ConfigError, match="Did you mean 'none'"):
        BaselinePolicy("non")
    with pytest.raises(ConfigError, match="batch_size is 0"):
        ReflectorPolicy("tiny", batch_size=0)


def test_missing_torch_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "retro_gym_agents.lm.reflector", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[train\]"):
        make_policy("tiny").reflect(["a"], [], [0])
