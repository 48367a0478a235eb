"""The public checker: passes what is right, and names what is not."""

import random

import gymnasium as gym
import pytest

from retro_gym import Outcome, RetroEnv, check_retro_env
from retro_gym.errors import ConfigError
from retro_gym.testing import EchoActor, FlakyActor, IdentityEnv, LuckyActor


def says_anything(prompt):
    return bool(prompt.reflections)


def says_carefully(prompt):
    return any("carefully" in reflection for reflection in prompt.reflections)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"reward": "over_control"},
        {"reward": "improvement", "max_reflections": 1},
        {"max_reflections": 9, "memory_window": 1},
        {"actor": LuckyActor({"Say[red]": 0.3, "Say[blue]": 0.3, "": 0.4}), "reward": "over_control"},
        {"max_observation_chars": 50},
        {"render_mode": "ansi"},
    ],
    ids=lambda kwargs: ", ".join(kwargs) or "none",
)
def test_what_is_right_passes(kwargs):
    check_retro_env(RetroEnv(IdentityEnv(), **kwargs))


def test_a_wrapped_environment_passes():
    check_retro_env(gym.make("RetroIdentity-v0"), seed=3, episodes=1)


def test_an_actor_that_fails_now_and_then_passes():
    # Nothing but the reflection may decide, so that reset, branch and step all meet the same failures.
    check_retro_env(RetroEnv(IdentityEnv(), actor=FlakyActor(EchoActor("?"), says_carefully)))


class Base(RetroEnv):
    def __init__(self, **kwargs):
        super().__init__(IdentityEnv(), **kwargs)


class AsciiSpace(Base):
    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Text(10)


class NumberAsObservation(Base):
    def _observation(self):
        return 3


class TooLongObservation(Base):
    def _observation(self):
        return "x" * (self.max_observation_chars + 1)


class NoTaskId(Base):
    def _info(self, *told):
        info = super()._info(*told)
        del info["task_id"]
        return info


class IntAsReturn(Base):
    def _info(self, *told):
        return {**super()._info(*told), "return": 0}


class StaleTrajectory(Base):
    def _info(self, *told):
        if not hasattr(self, "first"):
            self.first = super()._info(*told)["trajectory"]
        return {**super()._info(*told), "trajectory": self.first}


class SharedInfo(Base):
    shared: dict[str, object] = {}

    def _info(self, *told):
        self.shared.update(super()._info(*told))
        return self.shared

    def step(self, action):
        return *super().step(action)[:4], self._info("", False)


class IgnoresItsSeed(Base):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=random.randrange(10**9), options=options)


class BranchSpendsAReflection(Base):
    def branch(self, reflections):
        outcomes = super().branch(reflections)
        self._memory = self._memory.add("spent")
        return outcomes


class BranchPaysOtherwise(Base):
    def branch(self, reflections):
        return [Outcome(o.reflection, 0.5, o.trajectory) for o in super().branch(reflections)]


class CopiesForget(Base):
    def __deepcopy__(self, memo):
        twin = CopiesForget()
        twin.reset(seed=99)
        return twin


class Unpicklable(Base):
    def __init__(self):
        super().__init__(actor=lambda prompts: ["Say[]" for _ in prompts])


class NeverEnds(Base):
    def step(self, action):
        observation, reward, _, truncated, info = super().step(action)
        self._running = True
        return observation, reward, False, truncated, info


class SilentError(Base):
    def __init__(self):
        super().__init__(actor=FlakyActor(EchoActor("?"), says_anything))

    def step(self, action):
        *step, info = super().step(action)
        info.pop("actor_error", None)
        return (*step, info)


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (AsciiSpace, "must take any Unicode text"),
        (NumberAsObservation, "must be a member of the observation space"),
        (TooLongObservation, "must be a member of the observation space"),
        (NoTaskId, "info must hold task_id"),
        (IntAsReturn, "info must hold task_id"),
        (StaleTrajectory, "must be the trajectory of the last trial"),
        (SharedInfo, "a new object"),
        (IgnoresItsSeed, "the same seed must give the same episode"),
        (BranchSpendsAReflection, "branch must not change the state"),
        (BranchPaysOtherwise, "branch must give the same reward as step"),
        (CopiesForget, "a copy made during an episode must continue"),
        (Unpicklable, "cannot be pickled"),
        (NeverEnds, "must terminate when its reflections are spent"),
        (SilentError, "must give the reason in info"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_broken_is_named(broken, promise):
    with pytest.raises(ConfigError, match=promise):
        check_retro_env(broken())


def test_other_environments_are_refused():
    with pytest.raises(ConfigError, match="checks a RetroEnv; received"):
        check_retro_env(IdentityEnv())
