"""Stable-Baselines3's PPO on tokens: the incremental policy equals the naive one, learns, and is saved safely."""

import base64
import importlib
import json
import pickle
import sys
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch

pytest.importorskip("stable_baselines3", reason="the extra [sb3] is not installed")

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from retro_gym import ReflectionEnv, TokenEnv, token_text_equivalence
from retro_gym.errors import ConfigError, DivergedError, MissingExtraError
from retro_gym_agents.bridges.sb3.policy import LoraCausalPolicy
from retro_gym_agents.bridges.token_options import token_options
from retro_gym_agents.lm.adapters import LoraSettings
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.token_reader import rows_of


class Log(BaseCallback):
    """What a run samples, and what its reflections earn."""

    def __init__(self):
        super().__init__()
        self.actions, self.logprobs, self.values, self.rewards = [], [], [], []
        self.earned = []

    def _on_rollout_start(self):
        self.earned.append([])

    def _on_step(self):
        rewards, infos = self.locals["rewards"], self.locals["infos"]
        self.earned[-1] += [float(reward) for reward, info in zip(rewards, infos, strict=True) if "reflection" in info]
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        self.actions.append(buffer.actions.copy())
        self.logprobs.append(buffer.log_probs.copy())
        self.values.append(buffer.values.copy())
        self.rewards.append(buffer.rewards.copy())

    @property
    def means(self):
        return [sum(earned) / len(earned) for earned in self.earned]


class Worthless(gym.RewardWrapper):
    """Pays nothing: the control that must not learn."""

    def reward(self, reward):
        return 0.0


def make_env(folder, cls=TokenEnv, *, num_envs=8, paid=True, max_reflections=1, **options):
    reflector = Reflector.load(folder)

    def make():
        env = gym.make("RetroIdentity-v0", max_reflections=max_reflections)
        return cls(env if paid else Worthless(env), reflector.tokenizer, **{**token_options(reflector), **options})

    return DummyVecEnv([make] * num_envs)


def make_model(folder, env, *, n_steps=8, policy=None, **options):
    settings = {
        "n_steps": n_steps,
        "batch_size": n_steps * env.num_envs,
        "n_epochs": 2,
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "learning_rate": 3e-3,
        "seed": 0,
        "device": "cpu",
        **options,
    }
    return PPO(LoraCausalPolicy, env, policy_kwargs={"reflector": str(folder), **(policy or {})}, **settings)


def learn(model, updates):
    log = Log()
    model.learn(updates * model.n_steps * model.n_envs, callback=log)
    return log


@pytest.mark.parametrize("cls", [TokenEnv, ReflectionEnv])
@pytest.mark.parametrize(("observation", "padding_side"), [("dict", "left"), ("ids", "right")])
def test_incremental_and_naive_are_the_same_run(small_model, cls, observation, padding_side):
    logs = []
    for incremental in (True, False):
        env = make_env(small_model, cls, num_envs=4, observation=observation, padding_side=padding_side)
        n_steps = 8 if cls is TokenEnv else 3
        model = make_model(small_model, env, n_steps=n_steps, batch_size=n_steps, policy={"incremental": incremental})
        logs.append(learn(model, 3))
    first, second = logs
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.rewards, second.rewards)
    np.testing.assert_allclose(first.logprobs, second.logprobs, atol=1e-4)
    np.testing.assert_allclose(first.values, second.values, atol=1e-4)
    assert np.ptp(first.actions) > 0
    assert first.means == second.means


def test_the_update_finds_the_probabilities_that_were_sampled(small_model):
    env = make_env(small_model, observation="ids")
    model = make_model(small_model, env, learning_rate=0.0)
    learn(model, 1)
    batch = next(model.rollout_buffer.get(64))
    values, logprobs, entropy = model.policy.evaluate_actions(batch.observations, batch.actions.long().flatten())
    torch.testing.assert_close(logprobs, batch.old_log_prob, atol=1e-4, rtol=0)
    torch.testing.assert_close(values.flatten(), batch.old_values, atol=1e-4, rtol=0)
    distribution = model.policy.get_distribution(batch.observations)
    torch.testing.assert_close(entropy, distribution.entropy(), atol=1e-4, rtol=0)


def test_ids_arrive_as_they_are(small_model):
    env = make_env(small_model, num_envs=2)
    obs = env.reset()
    rows, *_ = rows_of({key: torch.as_tensor(value) for key, value in obs.items()})
    for row, ids, mask in zip(rows, obs["ids"], obs["mask"], strict=True):
        assert row.dtype == np.int64
        assert row.tolist() == ids[mask == 1].tolist()


def test_nothing_that_was_read_outlives_an_update(small_model):
    env = make_env(small_model, num_envs=2)
    model = make_model(small_model, env)
    obs = {key: torch.as_tensor(value) for key, value in env.reset().items()}
    with torch.no_grad():
        before = model.policy.predict_values(obs), model.policy.get_distribution(obs).distribution.logits
    batch = learn(model, 1) and next(model.rollout_buffer.get(16))
    for change in ("step", "load"):
        with torch.no_grad():
            model.policy.get_distribution(obs)  # read with the present weights
        if change == "step":
            loss = model.policy.evaluate_actions(batch.observations, batch.actions.long().flatten())[1].mean()
            model.policy.optimizer.zero_grad()
            torch.autograd.backward(loss)
            model.policy.optimizer.step()
        else:
            state = {name: weight + 0.05 for name, weight in model.policy.reflector.adapter_state().items()}
            model.policy.reflector.load_adapter_state(state)
        with torch.no_grad():
            after = model.policy.get_distribution(obs).distribution.logits
            model.policy.incremental = False
            expected = model.policy.get_distribution(obs).distribution.logits
            model.policy.incremental = True
        torch.testing.assert_close(after, expected, atol=1e-5, rtol=1e-5)
        assert (after - before[1]).abs().max() > 1e-3


def test_it_learns(small_model):
    means = learn(make_model(small_model, make_env(small_model, num_envs=16), learning_rate=2e-3), 10).means
    assert means[0] < 0.65
    assert sum(means[-2:]) / 2 > 0.85


def test_it_learns_nothing_where_nothing_is_paid(small_model):
    """The control. Its reward hides what it may have learned, so its reflections are paid afterwards."""
    model = make_model(small_model, make_env(small_model, num_envs=16, paid=False), learning_rate=2e-3)
    assert sum(learn(model, 10).means) == 0.0
    again = make_model(small_model, make_env(small_model, num_envs=16), learning_rate=0.0)
    again.policy.load_state_dict(model.policy.state_dict())
    (earned,) = learn(again, 1).means
    assert earned < 0.65


def test_whole_reflections_are_learned_too(small_model):
    env = make_env(small_model, ReflectionEnv, num_envs=16)
    means = learn(make_model(small_model, env, n_steps=4, learning_rate=2e-3), 8).means
    assert means[0] < 0.65
    assert sum(means[-2:]) / 2 > 0.85


# -- saving ------------------------------------------------------------------------------------------------------------


def logits_of(model, env):
    obs = {key: torch.as_tensor(value) for key, value in env.reset().items()}
    with torch.no_grad():
        return model.policy.get_distribution(obs).distribution.logits


def test_a_zip_holds_settings_adapter_and_value_head(small_model, tmp_path):
    env = make_env(small_model, num_envs=2)
    model = make_model(small_model, env, policy={"reflector_kwargs": {"lora": {"rank": 2}}})
    learn(model, 1)
    model.save(tmp_path / "model.zip")
    env.seed(3)
    expected = logits_of(model, env)
    again = PPO.load(tmp_path / "model.zip", env=env, device="cpu")
    env.seed(3)
    torch.testing.assert_close(logits_of(again, env), expected)
    assert learn(again, 1).means
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        data = json.loads(archive.read("data"))
        stored = torch.load(archive.open("policy.pth"), weights_only=True)
    assert data["policy_kwargs"] == {"reflector": str(small_model), "reflector_kwargs": {"lora": {"rank": 2}}}
    assert {name.split(".")[0] for name in stored} == {"adapter", "value_head"}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_the_safe_way_runs_no_code_from_a_zip(small_model, tmp_path):
    env = make_env(small_model, num_envs=2)
    model = make_model(small_model, env)
    learn(model, 1)
    model.save(tmp_path / "good.zip")
    code = base64.b64encode(pickle.dumps(Evil(tmp_path / "touched"))).decode()
    with zipfile.ZipFile(tmp_path / "good.zip") as good, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name == "data":
                content = json.dumps({"policy_class": {":type:": "x", ":serialized:": code}}).encode()
            bad.writestr(name, content)
    env.seed(3)
    expected = logits_of(model, env)
    again = make_model(small_model, env)
    again.set_parameters(tmp_path / "bad.zip")
    assert not (tmp_path / "touched").exists()
    env.seed(3)
    torch.testing.assert_close(logits_of(again, env), expected)


def test_the_adapter_is_a_reflector(small_model, tmp_path):
    model = make_model(small_model, make_env(small_model, num_envs=2))
    learn(model, 1)
    model.policy.reflector.save(tmp_path / "adapter")
    loaded = Reflector.load(tmp_path / "adapter").adapter_state()
    for name, weight in model.policy.reflector.adapter_state().items():
        torch.testing.assert_close(loaded[name], weight)


def test_a_policy_by_itself(small_model, tmp_path):
    env = make_env(small_model, num_envs=2)
    model = make_model(small_model, env)
    learn(model, 1)
    model.policy.save(tmp_path / "policy.pt")
    again = LoraCausalPolicy.load(tmp_path / "policy.pt", device="cpu")
    obs = env.reset()
    assert again.predict(obs, deterministic=True)[0].tolist() == model.predict(obs, deterministic=True)[0].tolist()
    one = {key: value[0] for key, value in obs.items()}
    assert again.predict(one, deterministic=True)[0].shape == ()
    given = make_model(small_model, env, policy={"reflector": Reflector.load(small_model)})
    with pytest.raises(ConfigError, match=r"Save the adapter \(policy\.reflector\.save"):
        given.policy.save(tmp_path / "other.pt")


# -- what is trained, and what is refused ------------------------------------------------------------------------------


def test_only_adapter_and_value_head_are_trained(small_model):
    reflector = Reflector.load(small_model)
    model = make_model(small_model, make_env(small_model), policy={"reflector": reflector})
    given = {id(weight) for group in model.policy.optimizer.param_groups for weight in group["params"]}
    head = {id(weight) for weight in model.policy.value_head.parameters()}
    assert given == {id(weight) for weight in reflector.trainable.values()} | head
    frozen = {
        name: weight.clone() for name, weight in reflector.model.named_parameters() if name not in reflector.trainable
    }
    before = reflector.adapter_state()
    learn(model, 1)
    weights = dict(reflector.model.named_parameters())
    assert all(torch.equal(weights[name], weight) for name, weight in frozen.items())
    assert any(not torch.equal(reflector.trainable[name], weight) for name, weight in before.items())
    assert not reflector.model.training


def test_a_policy_that_has_diverged_chooses_no_token(small_model):
    env = make_env(small_model, num_envs=2)
    model = make_model(small_model, env)
    observation = model.policy.obs_to_tensor(env.reset())[0]
    model.policy.forward(observation)
    with torch.no_grad():
        next(iter(model.policy.adapter.values())).fill_(float("nan"))
    for choose in (model.policy.forward, model.policy.get_distribution):
        with pytest.raises(DivergedError, match="no token is chosen"):
            choose(observation)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"reflector_kwargs": {"lora": None}}, "no adapter, so there is nothing to train"),
        ({"reflector": "nowhere"}, "reflector 'nowhere' cannot be loaded"),
        ({"reflector_kwargs": {"lora": LoraSettings(rank=0)}}, "rank is 0"),
    ],
    ids=str,
)
def test_bad_reflectors_are_refused(small_model, policy, message):
    env = make_env(small_model, num_envs=1)
    with pytest.raises(ConfigError, match=message):
        make_model(small_model, env, policy=policy)


def test_environments_that_do_not_fit_are_refused(small_model):
    with pytest.raises(ConfigError, match="an observation has up to 514 tokens, but the model's context only 128"):
        make_model(small_model, make_env(small_model, num_envs=1, max_prompt_tokens=512))
    with pytest.raises(ConfigError, match="tokens to choose from, the model only"):
        make_model(small_model, make_env(small_model, num_envs=1, vocab_size=1_000))
    with pytest.raises(ConfigError, match="LoraCausalPolicy plays TokenEnv and ReflectionEnv; received"):
        make_model(small_model, DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    env = make_env(small_model, num_envs=1)
    with pytest.raises(ConfigError, match="use_sde is True"):
        LoraCausalPolicy(env.observation_space, env.action_space, lambda _: 0.1, True, reflector=str(small_model))


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "retro_gym_agents.bridges.sb3.policy")
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.distributions", None)
    with pytest.raises(MissingExtraError, match=r"stable_baselines3 is not installed\. .*retro-gym\[sb3\]"):
        importlib.import_module("retro_gym_agents.bridges.sb3.policy")


@pytest.mark.parametrize("cls", [TokenEnv, ReflectionEnv])
def test_the_prompt_is_the_one_that_the_reflector_makes(small_model, cls):
    reflector = Reflector.load(small_model)
    env = gym.make("RetroIdentity-v0")
    text, _ = env.reset(seed=1)
    shown, _ = cls(env, reflector.tokenizer, observation="ids", **token_options(reflector)).reset(seed=1)
    assert shown[shown >= 0].tolist() == reflector.encode(text)
    token_text_equivalence(env, reflector.tokenizer, **token_options(reflector))


class Coin(gym.RewardWrapper):
    """Pays for a reflection at random: the control that learns nothing of use."""

    def reward(self, reward):
        return float(self.np_random.integers(2))


def success_after_ppo(paid):
    """The share of validation tasks that the tiny reflector solves with one sampled reflection: before and after."""
    from retro_gym_agents.play.validation import Validation

    reflector = Reflector.load("tiny")
    validation = Validation("RetroHotpotQA-v0", {"max_reflections": 1}, actor="scripted", num_tasks=150, seed=0)
    before = validation.success(reflector)

    def make():
        env = gym.make("RetroHotpotQA-v0", max_reflections=1, disable_env_checker=True)
        return TokenEnv(env if paid else Coin(env), reflector.tokenizer, **token_options(reflector))

    options = {"n_steps": 96, "batch_size": 32 * 96, "n_epochs": 4, "learning_rate": 1e-3}
    learn(make_model("tiny", DummyVecEnv([make] * 32), policy={"reflector": reflector}, **options), 8)
    after = validation.success(reflector)
    print(f"{'paid' if paid else 'a coin'}: {before:.3f} before, {after:.3f} after")
    return before, after


@pytest.mark.slow
def test_ppo_improves_the_tiny_reflector_on_hotpotqa():
    before, after = success_after_ppo(paid=True)
    assert after >= before + 0.10


@pytest.mark.slow
def test_ppo_improves_nothing_where_a_coin_decides():
    before, after = success_after_ppo(paid=False)
    assert after < before + 0.05
