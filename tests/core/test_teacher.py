"""Teachers: where they are found, and how their absence is noticed."""

import gymnasium as gym
import pytest

from retro_gym import RetroEnv, Teacher, TextTask
from retro_gym.errors import ConfigError
from retro_gym.testing import IdentityEnv


class Guide(Teacher):
    def oracle_reflection(self, task_id):
        return f"oracle on {task_id}"


class Game(gym.Env):
    """A text environment that knows nothing of teachers."""

    observation_space = action_space = gym.spaces.Text(100)

    def reset(self, *, seed=None, options=None):
        return "start", {}

    def step(self, action):
        return "end", 1.0, True, False, {}


class GuidedGame(Game, Guide):
    """A text environment that is its own teacher."""


class GuidedTask(TextTask, Guide):
    """An adapter that is the teacher of its game."""


class OtherOrder(Guide, TextTask):
    """The same, with the bases in the other order."""


@pytest.mark.parametrize("env", [GuidedTask(Game()), OtherOrder(Game()), TextTask(GuidedGame())])
def test_adapter_and_game_may_be_teachers(env):
    assert env.teacher.oracle_reflection("seed-1") == "oracle on seed-1"
    env.teacher.require("oracle_reflection")
    assert [env.teacher.defines(name) for name in ("oracle_reflection", "leaks")] == [True, False]
    with pytest.raises(ConfigError, match="noisy_reflection is needed here but not defined"):
        env.teacher.require("noisy_reflection(trajectory, rng)".partition("(")[0])


def test_a_game_without_a_teacher_says_so():
    with pytest.raises(ConfigError, match=r"Game has no teacher, and oracle_reflection is needed here\. Derive it"):
        TextTask(Game()).teacher.require("oracle_reflection")


def test_the_remedy_for_an_old_subclass_names_its_own_bases():
    with pytest.raises(ConfigError, match=r"'class Old\(TextTask, Teacher\)'"):
        type("Old", (TextTask,), {"task_group": lambda self, task_id: ""})


@pytest.mark.parametrize("teacher", [None, Guide, "oracle"])
def test_what_is_no_teacher_is_refused_at_the_door(teacher):
    kind = type("Odd", (IdentityEnv,), {"teacher": teacher})
    with pytest.raises(ConfigError, match=r"an instance of retro_gym\.Teacher is required"):
        RetroEnv(kind())
