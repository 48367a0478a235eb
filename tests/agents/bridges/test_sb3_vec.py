"""TokenVectorEnv under Stable-Baselines3: the same episodes as one after the other, and their trials side by side."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers.vector import RecordEpisodeStatistics

pytest.importorskip("stable_baselines3", reason="the extra [sb3] is not installed")

from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from retro_gym import TokenVectorEnv
from retro_gym.actors import Reply
from retro_gym.errors import ActorError, ConfigError, EpisodeError
from retro_gym_agents.bridges.sb3.vec_env import TokenVecEnv
from retro_gym_agents.bridges.token_options import token_options
from retro_gym_agents.lm.reflector import Reflector
from tests.agents.bridges.test_sb3 import learn, make_env, make_model


def vec_env(folder, *, num_envs=4, max_reflections=1, vec_options=None, **options):
    reflector = Reflector.load(folder)
    inner = gym.make_vec("RetroIdentity-v0", num_envs, max_reflections=max_reflections, **(vec_options or {}))
    return TokenVecEnv(TokenVectorEnv(inner, reflector.tokenizer, **{**token_options(reflector), **options}))


def plain(value):
    """Arrays as lists, so that infos can be compared."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("max_reflections", [1, 2])
@pytest.mark.parametrize("observation", ["dict", "ids"])
def test_steps_are_those_of_a_dummy_vec_env(small_model, observation, max_reflections):
    sides = [
        make(small_model, num_envs=4, observation=observation, max_reflections=max_reflections)
        for make in (vec_env, make_env)
    ]
    assert sides[0].observation_space == sides[1].observation_space
    assert sides[0].action_space == sides[1].action_space
    for env in sides:
        env.seed(5)
    first, second = (env.reset() for env in sides)
    assert plain(first) == plain(second)
    assert plain(sides[0].reset_infos) == plain(sides[1].reset_infos)
    rng, ended = np.random.default_rng(0), 0
    for _ in range(40):
        actions = rng.integers(sides[0].action_space.n, size=4)
        first, second = (env.step(actions) for env in sides)
        assert plain(first) == plain(second)
        assert first[1].dtype == second[1].dtype == np.float32
        assert plain(sides[0].reset_infos) == plain(sides[1].reset_infos)
        ended += int(first[2].sum())
    assert ended > 10


def test_ppo_learns_the_same_from_it(small_model):
    logs = [learn(make_model(small_model, make(small_model, num_envs=4)), 3) for make in (vec_env, make_env)]
    np.testing.assert_array_equal(logs[0].actions, logs[1].actions)
    np.testing.assert_array_equal(logs[0].rewards, logs[1].rewards)
    np.testing.assert_allclose(logs[0].logprobs, logs[1].logprobs, atol=1e-5)


def test_tasks_are_chosen_by_options(small_model):
    env = vec_env(small_model, num_envs=2)
    env.seed(0)
    env.reset()
    (chosen, _) = [info["task_id"] for info in env.reset_infos]
    env.set_options({"task_id": chosen})
    env.reset()
    assert [info["task_id"] for info in env.reset_infos] == [chosen, chosen]
    env.reset()  # options count for one reset only
    assert [info["task_id"] for info in env.reset_infos] != [chosen, chosen]
    env.set_options([{"task_id": chosen}, {}])
    with pytest.raises(ConfigError, match="give every episode a task_id, or no options"):
        env.reset()


def test_attributes_are_those_of_the_text_environments(small_model):
    env = vec_env(small_model, num_envs=3)
    env.reset()
    assert len(env.get_attr("trajectory")) == 3
    assert env.get_attr("render_mode", indices=1) == [None]
    env.set_attr("note", "x", indices=[0, 2])
    assert [hasattr(one, "note") for one in env.env.env.envs] == [True, False, True]
    assert len(env.env_method("branch", ["a", "b"], indices=0)[0]) == 2
    assert env.env_is_wrapped(gym.Wrapper) == [False] * 3
    env.close()


def test_it_is_monitored_like_any_other(small_model):
    env = VecMonitor(vec_env(small_model))
    log = learn(make_model(small_model, env), 2)
    assert log.means
    assert {"r", "l", "t"} <= set(log.model.ep_info_buffer[0])


class Batches:
    """An actor that notes how many prompts it gets at once, and fails from some call on."""

    def __init__(self, fails_after=None):
        self.sizes = []
        self.fails_after = fails_after

    def reply(self, prompts):
        self.sizes.append(len(prompts))
        if self.fails_after is not None and len(self.sizes) > self.fails_after:
            return [ActorError("gone") for _ in prompts]
        return [Reply("Action 1: Say[nothing]", 1, 1) for _ in prompts]


def step_to_the_end(env, steps):
    env.seed(0)
    env.reset()
    return [env.step(np.full(env.num_envs, min(env.env.codec.ends))) for _ in range(steps)]


def test_trials_are_played_side_by_side(small_model):
    actor = Batches()
    step_to_the_end(vec_env(small_model, num_envs=4, vec_options={"actor": actor}), 2)
    assert set(actor.sizes) == {4}


def test_a_failed_actor_is_told_by_a_truncation(small_model):
    env = vec_env(small_model, num_envs=2, vec_options={"actor": Batches(fails_after=1)})
    ((observation, _, dones, infos),) = step_to_the_end(env, 1)
    assert dones.tolist() == [True, True]
    for i, info in enumerate(infos):
        assert info["TimeLimit.truncated"]
        assert "gone" in str(info["actor_error"])
        assert set(info["terminal_observation"]) == {"ids", "mask"}
        np.testing.assert_array_equal(info["terminal_observation"]["ids"], observation["ids"][i])
    with pytest.raises(ActorError):
        env.step(np.zeros(2, dtype=np.int64))


def test_waiting_for_nothing_is_refused(small_model):
    env = vec_env(small_model)
    env.reset()
    env.step(np.zeros(4, dtype=np.int64))
    with pytest.raises(EpisodeError, match="no step is pending"):
        env.step_wait()


def test_other_environments_are_refused(small_model):
    with pytest.raises(ConfigError, match="wraps a TokenVectorEnv; received"):
        TokenVecEnv(DummyVecEnv([lambda: gym.make("CartPole-v1")]))
    with pytest.raises(ConfigError, match="autoreset mode is Disabled"):
        vec_env(small_model, vec_options={"autoreset_mode": "Disabled"})


def test_wrappers_of_gymnasium_are_refused_with_those_that_work(small_model):
    with pytest.raises(ConfigError, match=r"wrapped in RecordEpisodeStatistics.*VecMonitor\(TokenVecEnv\(env\)\)"):
        TokenVecEnv(RecordEpisodeStatistics(vec_env(small_model).env))


def test_infos_without_last_observations_are_refused(small_model):
    with pytest.raises(ConfigError, match="info is 'none', so the last observations"):
        vec_env(small_model, info="none")


def test_numbers_as_infos(small_model):
    envs = vec_env(small_model, info="numbers")
    envs.reset()
    _, _, dones, infos = envs.step(np.full(envs.num_envs, 2))
    assert dones.all()
    assert {info["reflection_tokens"] for info in infos} == {1}
    assert all("terminal_observation" in info for info in infos)
