"""TokenVectorEnv: as many TokenEnvs, their trials side by side."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import ClipReward, RecordEpisodeStatistics

import retro_gym
from retro_gym import TokenEnv, TokenVectorEnv
from retro_gym.errors import ActionError, ActorError, ConfigError, EpisodeError
from retro_gym.testing import IdentityActor
from tests.core.characters import Characters, written

IDENTITY = "RetroIdentity-v0"
NUM_ENVS = 3


def make(num_envs=NUM_ENVS, *, max_new_tokens=6, max_prompt_tokens=400, vector=None, env_id=IDENTITY, **kwargs):
    envs = gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **(vector or {}), **kwargs)
    return TokenVectorEnv(envs, Characters(), max_new_tokens=max_new_tokens, max_prompt_tokens=max_prompt_tokens)


def sync(env_id, mode="sync", *, max_prompt_tokens=400, **kwargs):
    wrapper = partial(TokenEnv, tokenizer=Characters(), max_new_tokens=6, max_prompt_tokens=max_prompt_tokens)
    vector = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return gym.make_vec(env_id, NUM_ENVS, mode, vector_kwargs=vector, wrappers=[wrapper], **kwargs)


def plain(value):
    """Arrays as lists, all the way down."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tolist()
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(each) for each in value]
    return value


def play(envs, steps=40):
    rng = np.random.default_rng(0)
    rows = [plain(envs.reset(seed=5))]
    words = [written(word) for word in ("red", "gold", "blue")]
    for step in range(steps):
        actions = [word[step % len(word)] if rng.random() < 0.9 else int(rng.integers(128)) for word in words]
        rows.append(plain(envs.step(np.array(actions))))
    envs.close()
    return rows


@pytest.mark.parametrize("max_prompt_tokens", [400, 110])
@pytest.mark.parametrize("env_id", [IDENTITY, "RetroHotpotQA-v0"])
def test_the_same_as_gymnasiums_sync_vector_env(env_id, max_prompt_tokens):
    kwargs = {"max_reflections": 2, "max_prompt_tokens": max_prompt_tokens}
    ours, theirs = play(make(env_id=env_id, **kwargs)), play(sync(env_id, **kwargs))
    assert ours == theirs
    assert any("final_info" in row[4] for row in ours[1:])


def test_it_works_in_processes_of_its_own():
    assert play(sync(IDENTITY, "async"), 15) == play(sync(IDENTITY), 15)


def test_trials_of_one_step_are_played_side_by_side():
    class Batches(IdentityActor):
        def __init__(self):
            super().__init__()
            self.sizes = []

        def reply(self, prompts):
            self.sizes.append(len(prompts))
            return super().reply(prompts)

    actor = Batches()
    envs = make(5, actor=actor)
    envs.reset(seed=0)
    assert actor.sizes == [5]
    for tokens in ([65] * 5, [66, 2, 66, 2, 66]):
        envs.step(np.array(tokens))
    assert actor.sizes == [5, 2]


def test_a_dead_actor_loses_nothing_that_was_earned():
    class DiesAfter(IdentityActor):
        left = 4

        def reply(self, prompts):
            self.left -= len(prompts)
            return super().reply(prompts) if self.left >= 0 else [ActorError("gone")] * len(prompts)

    envs = make(2, actor=DiesAfter(), max_reflections=1)
    envs.reset(seed=0, options={"task_id": "train-0-red"})
    for token in written("red"):
        _, rewards, terminations, _, _ = envs.step(np.array([token] * 2))
    assert rewards.tolist() == [1.0, 1.0]
    assert terminations.all()
    with pytest.raises(ActorError, match="gone"):
        envs.step(np.array([65, 65]))


def test_disabled_autoreset_leaves_the_reset_to_the_caller():
    envs = make(2, vector={"autoreset_mode": "Disabled"}, max_reflections=1)
    envs.reset(seed=0)
    _, _, terminations, _, infos = envs.step(np.array([2, 65]))
    assert terminations.tolist() == [True, False]
    assert "final_obs" not in infos
    with pytest.raises(EpisodeError, match="episode 0 is not running"):
        envs.step(np.array([65, 65]))
    observations, infos = envs.reset(options={"reset_mask": np.array([True, False])})
    assert infos["_prompt_tokens"].tolist() == [True, False]
    assert observations["ids"][1, 400] == 65
    envs.step(np.array([65, 65]))


@pytest.mark.parametrize("actions", [np.array([1]), np.array([1, 200]), np.array([[1, 2]]), 3])
def test_bad_actions_are_refused(actions):
    envs = make(2)
    envs.reset(seed=0)
    with pytest.raises(ActionError):
        envs.step(actions)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda envs: gym.make_vec(IDENTITY, 2, "sync"), r"a view of a RetroVectorEnv; received.*give .* TokenEnvs"),
        (lambda envs: gym.make(IDENTITY), r"which gym.make_vec\(id, num_envs=n\) makes.*has the view TokenEnv"),
        (RecordEpisodeStatistics, r"wrapped in RecordEpisodeStatistics.*RecordEpisodeStatistics\(TokenVectorEnv\(envs"),
        (lambda envs: ClipReward(RecordEpisodeStatistics(envs), 0, 1), r"in ClipReward.*ClipReward\(TokenVectorEnv"),
    ],
)
def test_other_environments_are_refused_with_a_remedy(made, said):
    with pytest.raises(ConfigError, match=said):
        TokenVectorEnv(made(gym.make_vec(IDENTITY, 2)), Characters())


def test_the_remedy_works():
    envs = RecordEpisodeStatistics(make(2, max_reflections=1))
    envs.reset(seed=0, options={"task_id": "train-0-red"})
    for token in written("red"):
        *_, infos = envs.step(np.array([token, token]))
    assert infos["episode"]["r"].tolist() == [1.0, 1.0]
    assert infos["episode"]["l"].tolist() == [4, 4]


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_the_autoreset_mode_is_where_loops_look_for_it(mode):
    envs = make(2, vector={"autoreset_mode": mode})
    assert envs.autoreset_mode is AutoresetMode(mode)
    assert envs.metadata["autoreset_mode"] is AutoresetMode(mode)
    assert envs.spec.id == IDENTITY
    assert RecordEpisodeStatistics(envs).spec.id == IDENTITY


def test_a_retro_vector_env_is_exported():
    assert isinstance(make(2).env, retro_gym.RetroVectorEnv)
