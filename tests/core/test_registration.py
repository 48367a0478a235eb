"""Every registered id, held to Gymnasium's contract and to ours."""

import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from retro_gym import RetroEnv, TaskEnv, UnicodeText, check_retro_env
from retro_gym.registration import RETRO_IDS, TASK_IDS, register_all

ALL_IDS = sorted([*TASK_IDS, *RETRO_IDS])
HEADINGS = (
    r"## Description",
    r"## Observation( space)?",
    r"## Action( space)?",
    r"## Rewards",
    r"## Starting state",
    r"## Episode end",
    r"## Arguments",
    r"## Version history",
)


@pytest.fixture
def make():
    made = []

    def make(env_id, **kwargs):
        made.append(gym.make(env_id, **kwargs))
        return made[-1]

    yield make
    for env in made:
        env.close()


def random_texts(count, seed):
    """Any code points at all, lone surrogates and controls included; empty, short, and longer than any limit."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        length = int(rng.choice([0, 1, 5, 30, 200])) if i % 500 else 50_000
        yield "".join(map(chr, rng.integers(0, 0x110000, size=length)))


def test_every_task_environment_has_its_meta_environment():
    assert {f"Retro{task_id}": task_id for task_id in TASK_IDS} == RETRO_IDS
    assert set(ALL_IDS) <= set(gym.registry)
    assert all(re.fullmatch(r"\w+-v\d+", env_id) for env_id in ALL_IDS)


def test_registering_again_changes_nothing_and_warns_of_nothing():
    before = {env_id: gym.registry[env_id] for env_id in ALL_IDS}
    register_all()
    assert all(gym.registry[env_id] is before[env_id] for env_id in ALL_IDS)


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_gymnasiums_own_check_has_nothing_to_say(env_id, make):
    env = make(env_id)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("env_id", sorted(RETRO_IDS))
@pytest.mark.parametrize("reward", ["return", "over_control"])
def test_our_own_check_passes(env_id, reward, make):
    check_retro_env(make(env_id, reward=reward))


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_a_spec_goes_to_json_and_back(env_id, make):
    spec = make(env_id).spec
    again = gym.envs.registration.EnvSpec.from_json(spec.to_json())
    assert again.id == env_id
    first, second = make(again), make(spec)
    assert first.reset(seed=1) == second.reset(seed=1)


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_the_docstring_is_a_manual(env_id, make):
    documented = type(make(env_id).unwrapped).__doc__
    places = [re.search(rf"^\s*{heading}$", documented, re.MULTILINE) for heading in HEADINGS]
    assert [h for h, place in zip(HEADINGS, places, strict=True) if place is None] == []
    starts = [place.start() for place in places]
    assert starts == sorted(starts)


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_spaces_take_any_text(env_id, make):
    env = make(env_id)
    assert isinstance(env.observation_space, UnicodeText)
    assert isinstance(env.action_space, UnicodeText)


@pytest.mark.parametrize("env_id", sorted(TASK_IDS))
def test_a_task_environment_keeps_its_contract(env_id, make):
    env = make(env_id).unwrapped
    assert isinstance(env, TaskEnv)
    splits = {split: list(env.task_ids(split)) for split in ("train", "validation", "test")}
    assert all(splits.values())
    assert len({task_id for ids in splits.values() for task_id in ids}) == sum(map(len, splits.values()))
    task_id = splits["test"][0]
    first = env.reset(seed=1, options={"task_id": task_id})
    assert first == env.reset(seed=1, options={"task_id": task_id})
    assert first[1]["task_id"] == task_id
    assert isinstance(env.step("nonsense")[4]["success"], bool)
    assert isinstance(env.teacher.oracle_reflection(task_id), str)
    assert env.prompt.instruction
    retro = RetroEnv(env)
    retro.reset(seed=0)
    teacher, failure = env.teacher, retro.trajectory
    reflections = [teacher.noisy_reflection(failure, np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4, 5)]
    assert reflections[0] == reflections[1]
    assert len(set(reflections)) > 1
    assert all(teacher.check_reflection(reflection, failure).well_formed for reflection in reflections)
    assert not teacher.check_reflection("Look more carefully.", failure).well_formed
    assert isinstance(teacher.task_group(task_id), str)


@pytest.mark.parametrize("env_id", sorted(TASK_IDS))
def test_ten_thousand_random_actions_raise_nothing(env_id, make):
    env = make(env_id)
    env.reset(seed=0)
    for action in random_texts(10_000, seed=0):
        observation, _, terminated, truncated, _ = env.step(action[:1_000])
        assert len(observation) <= env.observation_space.max_length
        if terminated or truncated:
            env.reset()


@pytest.mark.parametrize("env_id", sorted(RETRO_IDS))
@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_reflections_raise_nothing(env_id, count, make):
    env = make(env_id, disable_env_checker=True)
    texts = list(random_texts(count, seed=1))
    position = 0
    while position < len(texts):
        env.reset(seed=position)
        terminated = truncated = False
        # Most of them side by side, which is quicker; the rest as an agent would send them.
        outcomes = env.unwrapped.branch(texts[position : position + 200])
        assert all(outcome.reward is not None for outcome in outcomes)
        position += 200
        while not (terminated or truncated):
            _, _, terminated, truncated, info = env.step(texts[position % len(texts)])
            position += 1
        assert "actor_error" not in info
