"""The same seed gives the same episodes alone, in a SyncVectorEnv and in an AsyncVectorEnv."""

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from retro_gym.registration import RETRO_IDS

NUM_ENVS = 3
STEPS = 8
SEED = 11
REFLECTIONS = ("red", "blue", "反省 🙂 \ud800", "", "x" * 2_000, "Search for the second name.", "gold")

KINDS = {
    "sync": ("sync", {}),
    "async, shared memory": ("async", {"shared_memory": True}),
    "async, pipes": ("async", {"shared_memory": False}),
}


def plan(step, index):
    return REFLECTIONS[(step * 5 + index * 3) % len(REFLECTIONS)]


def kwargs_of(env_id):
    return {"max_observation_chars": 4_000, "max_reflections": 2}


def alone(env_id, index, mode):
    """The steps of one environment, with what each autoreset mode makes of an episode's end."""
    env = gym.make(env_id, **kwargs_of(env_id))
    observation, info = env.reset(seed=SEED + index)
    rows = [(observation, 0.0, False, info["task_id"])]
    done = False
    for step in range(STEPS):
        if mode is AutoresetMode.NEXT_STEP and done:
            observation, info = env.reset()
            rows.append((observation, 0.0, False, info["task_id"]))
            done = False
            continue
        observation, reward, terminated, truncated, info = env.step(plan(step, index))
        done = terminated or truncated
        if mode is AutoresetMode.SAME_STEP and done:
            observation, info = env.reset()
        rows.append((observation, reward, done, info["task_id"]))
    env.close()
    return rows


def together(env_id, kind, mode):
    """The same from a vector environment: a list of steps for each environment in it."""
    vectorization_mode, options = KINDS[kind]
    envs = gym.make_vec(
        env_id,
        num_envs=NUM_ENVS,
        vectorization_mode=vectorization_mode,
        vector_kwargs={"autoreset_mode": mode, **options},
        **kwargs_of(env_id),
    )
    observations, infos = envs.reset(seed=SEED)
    zeros, never = np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, dtype=bool)
    steps = [(observations, zeros, never, infos["task_id"])]
    for step in range(STEPS):
        observations, rewards, terminations, truncations, infos = envs.step([plan(step, i) for i in range(NUM_ENVS)])
        steps.append((observations, rewards, terminations | truncations, infos["task_id"]))
    envs.close()
    return [[tuple(part[i] for part in step) for step in steps] for i in range(NUM_ENVS)]


@pytest.mark.parametrize("env_id", sorted(RETRO_IDS))
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP], ids=lambda mode: mode.name)
@pytest.mark.parametrize("kind", KINDS)
def test_together_as_alone(env_id, kind, mode):
    expected = [alone(env_id, index, mode) for index in range(NUM_ENVS)]
    assert together(env_id, kind, mode) == expected
    assert any(done for rows in expected for *_, done, _ in rows)


def make_identity():
    return gym.make("RetroIdentity-v0", max_reflections=4)


@pytest.mark.parametrize("shared_memory", [True, False])
def test_what_copy_means_for_observations(shared_memory):
    envs = gym.vector.AsyncVectorEnv([make_identity] * 2, shared_memory=shared_memory, copy=True)
    kept, _ = envs.reset(seed=0)
    before = copy.deepcopy(kept)
    changed, *_ = envs.step(["first", "second"])
    assert kept == before
    assert changed != kept
    envs.close()


def test_without_copy_shared_memory_gives_a_view():
    envs = gym.vector.AsyncVectorEnv([make_identity] * 2, shared_memory=True, copy=False)
    view, _ = envs.reset(seed=0)
    before = tuple(view)
    envs.step(["first", "second"])
    assert tuple(view) != before
    assert "Reflection 1: first" in view[0]
    assert "Reflection 1: second" in view[1]
    envs.close()


def test_info_of_a_vector_environment():
    envs = gym.make_vec("RetroIdentity-v0", num_envs=2, vectorization_mode="sync")
    _, infos = envs.reset(seed=0)
    assert infos["return"].dtype == np.float64
    assert infos["success"].dtype == bool
    assert [trajectory.task_id for trajectory in infos["trajectory"]] == infos["task_id"].tolist()
    envs.close()
