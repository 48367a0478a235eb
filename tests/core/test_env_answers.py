"""What a task environment answers is held to Gymnasium's form, and its rewards to finite numbers."""

from decimal import Decimal
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest

from retro_gym import RetroEnv, TextTask
from retro_gym.answers import checked_reset, checked_step
from retro_gym.errors import ActorError, ConfigError, TaskEnvError
from retro_gym.testing import EchoActor, IdentityEnv

RESET: tuple[object, ...] = ("Begin.", {})
STEP: tuple[object, ...] = ("Wrong.", 0.0, True, False, {})


class Answers(gym.Env):
    """Answers what it is told to."""

    observation_space = action_space = gym.spaces.Text(100)

    def __init__(self, reset=RESET, step=STEP):
        self.answers = reset, step

    def reset(self, *, seed=None, options=None):
        return self.answers[0]

    def step(self, action):
        return self.answers[1]


def with_(position, value):
    return tuple(value if i == position else part for i, part in enumerate(STEP))


@pytest.mark.parametrize(
    ("reset", "said"),
    [
        (None, "reset returned the observation None"),
        (("Begin.",), "reset returned 1 values"),
        (["Begin.", {}], "reset returned the observation .* of type list; text"),
        (("Begin.", {}, {}), "reset returned 3 values"),
        (("Begin.", None), "reset returned the info None; a dict"),
        (("Begin.", "info"), "reset returned the info 'info'"),
        ((None, {}), "observation None of type NoneType; text"),
        ((b"Begin.", {}), "of type bytes"),
        (([{"role": "user", "content": "Begin."}], {}), "of type list"),
        (({"text": "Begin."}, {}), "of type dict"),
        ((np.zeros(3), {}), "of type ndarray"),
    ],
)
def test_a_reset_of_another_form(reset, said):
    env = RetroEnv(Answers(reset=reset), actor=EchoActor("x"))
    with pytest.raises(ConfigError, match=said):
        env.reset(seed=0)
    with pytest.raises(ConfigError, match=said):
        TextTask(Answers(reset=reset)).reset(seed=0)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("Wrong.", r"step returned str, .*\(observation, reward, terminated, truncated, info\)"),
        (None, "step returned NoneType"),
        (("Wrong.", 0.0, {}), "step returned 3 values"),
        (["Wrong.", 0.0, True, {}], "step returned 4 values"),
        ((*STEP, 1), "step returned 6 values"),
        (with_(0, None), "observation None"),
        (with_(0, b"no"), "of type bytes"),
        (with_(1, None), "step returned reward None"),
        (with_(1, "good"), "reward 'good'"),
        (with_(1, np.zeros(2)), "reward array"),
        (with_(1, {"a": 1.0}), "reward {'a': 1.0}"),
        (with_(1, "1"), "reward '1'"),
        (with_(1, b"1"), "reward b'1'"),
        (with_(1, np.complex64(1)), r"reward (np\.complex64)?\(1\+0j\)"),
        (with_(2, "False"), "terminated 'False'"),
        (with_(2, float("nan")), "terminated nan"),
        (with_(3, None), "truncated None"),
        *(
            (with_(4, {"success": odd}), "and success ")
            for odd in ("False", "no", float("nan"), [False], {"em": 0}, 0.3)
        ),
        (with_(2, np.array([True, False])), "terminated array"),
        (with_(3, np.array([True, False])), "truncated array"),
        (with_(4, None), "the info None"),
        (with_(4, []), r"the info \[\]"),
    ],
)
def test_a_step_of_another_form(step, said):
    env = RetroEnv(Answers(step=step), actor=EchoActor("x"))
    with pytest.raises(ConfigError, match=said):
        env.reset(seed=0)


@pytest.mark.filterwarnings("ignore:the 8 tasks that were started first")
@pytest.mark.parametrize(
    "reward", [float("nan"), float("inf"), -float("inf"), np.float32("nan"), 10**400, -1e308, Fraction(10**400)]
)
def test_a_reward_that_is_not_finite_voids_the_trial(reward):
    env = RetroEnv(Answers(), actor=EchoActor("x"))
    env.reset(seed=0)
    env.task_env.env.answers = RESET, with_(1, reward)
    _, paid, terminated, truncated, info = env.step("again")
    assert (paid, terminated, truncated) == (0.0, False, True)
    assert "a finite number is required" in info["actor_error"]
    with pytest.raises(ActorError, match="10 tasks in a row; the last time: Answers: step returned a reward of"):
        env.reset(seed=0)


def test_such_a_reward_does_not_touch_the_return_of_a_wrapped_environment():
    task = TextTask(Answers(step=with_(1, float("nan"))))
    task.reset(options={"task_id": "seed-1"})
    with pytest.raises(TaskEnvError):
        task.step("x")
    task.env.answers = RESET, with_(1, 1.0)
    assert task.step("x")[4]["success"]


@pytest.mark.parametrize(
    ("reward", "flag"),
    [
        *[(1, 1), (True, False), (np.float32(0.5), np.bool_(True)), (np.array(0.5), np.array(False)), (np.int64(2), 0)],
        *[(Fraction(1, 2), 1.0), (Decimal("0.5"), np.int64(1))],
    ],
)
def test_numbers_of_other_libraries_become_pythons_own(reward, flag):
    info = {"success": np.bool_(True), "more": 1}
    answer = checked_step(Answers(), ("Right.", reward, flag, flag, info))
    assert answer == ("Right.", float(reward), bool(flag), bool(flag), {"success": True, "more": 1})
    assert [type(part) for part in answer] == [str, float, bool, bool, dict]
    assert type(answer[4]["success"]) is bool
    assert checked_reset(Answers(), ("Begin.", {})) == ("Begin.", {})


def test_what_cannot_be_shown_is_refused_all_the_same():
    class Shy:
        def __repr__(self):
            raise ValueError("never")

    with pytest.raises(ConfigError, match=r"observation <Shy, whose repr raises ValueError> of type Shy"):
        checked_step(Answers(), with_(0, Shy()))


@pytest.mark.parametrize("name", ["observation_space", "action_space"])
def test_an_environment_of_numbers_is_refused(name):
    class Numbers(Answers):
        pass

    setattr(Numbers, name, gym.spaces.Discrete(3))
    with pytest.raises(ConfigError, match=rf"{name} of Numbers is Discrete\(3\); RetroEnv plays environments of text"):
        RetroEnv(Numbers(), actor=EchoActor("x"))


class Ids(IdentityEnv):
    """Has other ids than a sequence."""

    def task_ids(self, split):
        return self.given


@pytest.mark.parametrize("ids", [None, [], {"a"}, (word for word in "ab")])
def test_task_ids_are_a_sequence(ids):
    env = RetroEnv(Ids())
    env.task_env.given = ids
    with pytest.raises(ConfigError, match=r"Ids.task_ids\('train'\) returned .*at least one"):
        env.reset(seed=0)


def test_a_task_environment_is_not_played_without_its_wrapper():
    double = gym.wrappers.TransformReward(IdentityEnv(), lambda reward: 2 * reward)
    with pytest.raises(ConfigError, match="IdentityEnv is wrapped in TransformReward, but a TaskEnv is played without"):
        RetroEnv(double)
    assert RetroEnv(gym.make("HotpotQA-v0", max_episode_steps=2)).task_env.max_turns == 2
    assert RetroEnv(gym.make("HotpotQA-v0")).task_env.max_turns == 6
