"""The environment whose best reflection is known. (The doubles are tested with the actors.)"""

import numpy as np
import pytest

from retro_gym import RetroEnv
from retro_gym.errors import ConfigError, UnknownTaskError
from retro_gym.testing import IdentityEnv


def earned(env, reflect, episodes=40):
    rng = np.random.default_rng(0)
    total = 0.0
    for seed in range(episodes):
        _, info = env.reset(seed=seed)
        total += env.step(reflect(env, info, rng))[1]
    return total / episodes


@pytest.fixture
def env():
    return RetroEnv(IdentityEnv(), max_reflections=1)


def test_the_oracle_always_earns_one(env):
    assert earned(env, lambda env, info, rng: env.task_env.teacher.oracle_reflection(info["task_id"])) == 1.0


def test_a_noisy_reflection_is_right_one_time_in_four(env):
    mean = earned(env, lambda env, info, rng: env.task_env.teacher.noisy_reflection(env.trajectory, rng), episodes=400)
    assert 0.18 < mean < 0.32


def test_a_vague_or_wrong_reflection_earns_nothing(env):
    assert earned(env, lambda env, info, rng: "Look more carefully.") == 0.0
    wrong = {"red": "green", "green": "blue", "blue": "gold", "gold": "red"}
    assert earned(env, lambda env, info, rng: wrong[info["task_id"].rpartition("-")[2]]) == 0.0


@pytest.mark.parametrize(
    ("action", "right"),
    [("Say[red]", True), (" Say[ red ]\n", True), ("Say[blue]", False), ("red", False), ("Say[red] now", False)],
)
def test_what_counts_as_said(action, right):
    env = IdentityEnv()
    env.reset(options={"task_id": "train-0-red"})
    observation, reward, terminated, truncated, info = env.step(action)
    assert (observation, reward, info["success"]) == (("Right.", 1.0, True) if right else ("Wrong.", 0.0, False))
    assert (terminated, truncated) == (True, False)


def test_bad_arguments():
    with pytest.raises(ConfigError, match=r"words is \(\)"):
        IdentityEnv(words=())
    with pytest.raises(ConfigError, match="num_tasks 0"):
        IdentityEnv(num_tasks=0)
    with pytest.raises(UnknownTaskError, match="'dev'"):
        IdentityEnv().task_ids("dev")
    with pytest.raises(UnknownTaskError, match="pink"):
        IdentityEnv().teacher.oracle_reflection("train-0-pink")
