"""The loops of others: each runs a few updates on the identity environment, and learns."""

import argparse
import runpy

import gymnasium as gym
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from retro_gym import TokenEnv
from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym_agents.lm.reflector import Reflector


@pytest.fixture
def example(root):
    def load(name):
        return argparse.Namespace(**runpy.run_path(str(root / "examples" / f"{name}.py")))

    return load


def test_the_single_file_ppo_learns(small_model, example, tmp_path):
    script = example("cleanrl_ppo")
    settings = {
        "env_id": "RetroIdentity-v0",
        "reflector": str(small_model),
        "output": str(tmp_path / "adapter"),
        "total_timesteps": 8 * 16 * 10,
        "num_steps": 10,
        "num_minibatches": 2,
        "learning_rate": 3e-3,
    }
    rewards = script.train(script.Args(**settings))
    assert len(rewards) == 8
    assert rewards[0] < 0.65
    assert sum(rewards[-2:]) / 2 > 0.85
    assert Reflector.load(tmp_path / "adapter").name == str(small_model.resolve())


def test_skrl_learns(small_model, example):
    script = example("skrl_ppo")
    args = argparse.Namespace(
        env="RetroIdentity-v0",
        reflector=str(small_model),
        output=None,
        updates=8,
        num_envs=16,
        num_steps=10,
        learning_rate=3e-3,
        seed=0,
    )
    earned = script.train(args)
    assert len(earned) > 300
    assert sum(earned[:40]) / 40 < 0.65
    assert sum(earned[-40:]) / 40 > 0.85


# -- truncated, for one reason or the other ----------------------------------------------------------------------------

FLAKY = "RetroFlakyIdentity-v0"


@pytest.fixture
def flaky():
    """An id whose actor fails in a third of the trials after reflections; those that are right lead to more rewards."""

    def actor(prompts):
        fails = FlakyActor(IdentityActor(), lambda prompt: bool(prompt.reflections) and prompt.seed % 3 == 0)
        return fails.reply(prompts)

    gym.register(
        FLAKY,
        "retro_gym.env:RetroEnv",
        vector_entry_point="retro_gym.vector:RetroVectorEnv",
        kwargs={"task_env": "Identity-v0", "actor": actor},
    )
    yield FLAKY
    gym.registry.pop(FLAKY)


def limited(failures, tokenizer, **options):
    """Episodes that a time limit truncates after their first reflection, whose reward counts."""

    def make():
        return TokenEnv(gym.wrappers.TimeLimit(gym.make(failures.spec.id), 1), tokenizer, **options)

    return SyncVectorEnv([make] * failures.num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


def cleanrl(script, folder, env_id="RetroIdentity-v0", updates=8):
    settings = {"reflector": str(folder), "total_timesteps": updates * 160, "num_steps": 10, "num_minibatches": 2}
    return script.train(script.Args(env_id=env_id, learning_rate=3e-3, **settings))


def skrl(script, folder, env_id="RetroIdentity-v0", updates=8):
    settings = {"reflector": str(folder), "output": None, "num_envs": 16, "num_steps": 10, "seed": 0}
    return script.train(argparse.Namespace(env=env_id, updates=updates, learning_rate=3e-3, **settings))


def test_the_single_file_ppo_counts_what_a_time_limit_has_truncated(small_model, example):
    script = example("cleanrl_ppo")
    script.train.__globals__["TokenVectorEnv"] = limited
    rewards = cleanrl(script, small_model)
    assert 0.2 < rewards[0] < 0.65
    assert sum(rewards[-2:]) / 2 > 0.85


def test_the_single_file_ppo_drops_what_a_failed_actor_has_truncated(small_model, example, flaky):
    rewards = cleanrl(example("cleanrl_ppo"), small_model, flaky)
    assert 0.2 < rewards[0] < 0.65
    assert sum(rewards[-2:]) / 2 > 0.85  # zeros for the failed third would leave at most 0.67


def test_skrl_counts_what_a_time_limit_has_truncated(small_model, example):
    script = example("skrl_ppo")
    script.train.__globals__["TokenVectorEnv"] = limited
    earned = skrl(script, small_model)
    assert len(earned) > 300
    assert sum(earned[-40:]) / 40 > 0.85


def test_skrl_drops_what_a_failed_actor_has_truncated(small_model, example, flaky):
    earned = skrl(example("skrl_ppo"), small_model, flaky)
    assert 150 < len(earned) < 500
    assert sum(earned[-40:]) / 40 > 0.85


def test_the_learner_of_forty_lines_drops_what_a_failed_actor_has_truncated(small_model, example, flaky, capsys):
    settings = {"reflector": str(small_model), "output": None, "updates": 12, "prompts": 16, "samples": 8, "seed": 0}
    example("custom_reinforce").train(argparse.Namespace(env=flaky, learning_rate=3e-3, **settings))
    rewards = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert sum(rewards[-3:]) / 3 > 0.85
