"""What all built-in environments do alike: they refuse what is no action, count turns, and draw tasks by the seed."""

import gymnasium as gym
import pytest

from retro_gym.errors import ActionError, ConfigError, EpisodeError, UnknownTaskError

IDS = ("HotpotQA-v0", "ALFWorld-v0", "InterCodeSQL-v0", "WebShop-v0")


@pytest.fixture(params=IDS)
def env_id(request):
    return request.param


@pytest.fixture
def env(env_id):
    return gym.make(env_id).unwrapped


@pytest.mark.parametrize("action", [None, 3, b"look", ["look"]])
def test_an_action_is_text(env, action):
    env.reset(seed=0)
    with pytest.raises(ActionError):
        env.step(action)


def test_reset_comes_first(env):
    with pytest.raises(EpisodeError):
        env.step("look")


def test_info_is_fresh(env):
    _, info = env.reset(seed=0)
    info["task_id"] = "mine"
    assert env.step("look")[4]["task_id"] != "mine"


@pytest.mark.parametrize("turns", [1, 3])
def test_the_turn_limit_truncates(env_id, turns):
    env = gym.make(env_id, max_turns=turns).unwrapped
    env.reset(seed=0)
    for turn in range(1, turns + 1):
        assert env.step("hm")[1:4] == (0.0, False, turn == turns)
    with pytest.raises(EpisodeError):
        env.step("hm")
    env.reset()
    assert env.step("hm")[3] == (turns == 1)


@pytest.mark.parametrize("turns", [0, "6", True, 2.5])
def test_turns_are_a_whole_number(env_id, turns):
    with pytest.raises(ConfigError, match=f"max_turns is {turns!r}"):
        gym.make(env_id, max_turns=turns)


def test_without_a_task_one_of_train_is_drawn_by_the_seed(env):
    drawn = [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]
    assert set(drawn) <= set(env.task_ids("train"))
    assert len(set(drawn)) > 15
    assert drawn == [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]


@pytest.mark.parametrize("task_id", ["test-1", "dev-00001", 3, ["test-00001"], b"x"])
def test_unknown_tasks_are_refused(env, task_id):
    env.reset(seed=0)
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task_id": task_id})
    with pytest.raises(UnknownTaskError):
        env.task(task_id)
