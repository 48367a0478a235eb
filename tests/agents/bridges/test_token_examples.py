"""The loops of others: each runs a few updates on the identity environment, and learns."""

import argparse
import runpy

import pytest

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
