"""Environments of others behind retro_gym.wrap, each with a fault of its own."""

import copy
import pickle
import random

import numpy as np
import pytest

from retro_gym import RetroEnv, Teacher, TextTask, check_retro_env, wrap
from retro_gym.adapting import as_task_env
from retro_gym.errors import ActorError, ConfigError, EpisodeError, TaskEnvError
from retro_gym.testing import EchoActor, IdentityEnv
from tests.core.foreign.games import SEVEN, Dice, Doors, Engine, Fragile, Grid, Tenths, question, say, started, words


@pytest.mark.parametrize("make", [Dice, Engine, lambda: Dice(), Doors, question])
def test_what_is_wrapped_passes_the_check(make):
    env = RetroEnv(wrap(make, max_turns=4), actor=say)
    if make is Doors:
        with pytest.warns(UserWarning, match="harmless"):  # a hundred doors
            check_retro_env(env)
    else:
        check_retro_env(env)


def test_trials_side_by_side_share_no_generators():
    env = RetroEnv(wrap(Dice), actor=say)
    env.reset(seed=0)
    first, *others = env.branch(["again"] * 3)
    assert all(other.trajectory == first.trajectory for other in others)
    assert len({turn.observation for turn in first.trajectory.turns}) == 3


def test_the_generators_of_the_process_are_left_alone():
    torch = pytest.importorskip("torch")

    class Seeding(Dice):
        def reset(self, seed=None):
            torch.manual_seed(0)
            return super().reset(seed) + str(torch.rand(1).item())

    def draws():
        return random.random(), np.random.rand(), torch.rand(1).item()

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = draws()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    task, *_ = started(Seeding)
    task.step("roll")
    task.close()
    assert draws() == expected


def test_an_environment_keeps_its_generators_though_others_draw_in_between():
    tasks = [started(Dice)[0] for _ in range(2)]
    rolled = [tasks[0].step("roll")[0] for _ in range(3)]
    assert rolled == [(random.random(), np.random.rand(), tasks[1].step("roll")[0])[2] for _ in range(3)]


def test_generators_are_seeded_though_the_environment_takes_no_seed():
    class Unseeded:
        def reset(self):
            return str(random.random())

        def step(self, action):
            return str(random.random()), 0.0, False, {}

    tasks = [started(Unseeded, f"seed-{seed}") for seed in (3, 3, 4)]
    texts = [(observation, task.step("x")[0]) for task, observation, _ in tasks]
    assert texts[0] == texts[1] != texts[2]


def test_an_old_method_seed_is_called():
    class Old:
        def seed(self, seed):
            self.rng = random.Random(seed)

        def reset(self, **kwargs):
            assert not kwargs
            return str(self.rng.random())

        def step(self, action):
            return "", 0.0, True, {"TimeLimit.truncated": True}

    class Around(Old):
        def reset(self, **kwargs):
            return self.inner_reset(**kwargs)

        def inner_reset(self):
            return "begin"

    class Plain(Old):
        def reset(self):
            return super().reset()

    assert started(Plain)[1] == started(Plain)[1] != started(Plain, "seed-8")[1]
    task, observation, _ = started(Around)  # takes anything, and hands on what its inside refuses
    assert observation == "begin"
    assert task.step("x")[2:4] == (True, True)


def test_copies_and_pickles_make_their_own():
    task, *_ = started(Engine)
    twins = [copy.deepcopy(task), pickle.loads(pickle.dumps(task))]
    assert [twin.env for twin in twins] == [None, None]
    answers = [(one.reset(options=SEVEN), one.step("x")) for one in (task, *twins)]
    assert answers[0] == answers[1] == answers[2]
    assert len({id(one.env) for one in (task, *twins)}) == 3
    with pytest.raises(EpisodeError, match=r"no task was started in this instance.*Call reset"):
        copy.deepcopy(task).step("x")


def test_an_environment_itself_is_copied_or_the_remedy_is_named():
    env = RetroEnv(Dice(), actor=say)
    assert type(env.task_env) is TextTask
    env.reset(seed=0)
    assert env.branch(["x", "x"])[0].trajectory == env.branch(["x"])[0].trajectory
    env = RetroEnv(Engine(), actor=say)
    env.reset(seed=0)
    with pytest.raises(ConfigError, match=r"Engine cannot be copied \(TypeError.*retro_gym\.wrap\(make\)"):
        env.branch(["x", "x"])
    with pytest.raises(ConfigError, match=r"^Engine cannot be copied.*retro_gym\.wrap"):
        check_retro_env(env)


def test_the_checker_names_an_actor_that_cannot_be_copied():
    class Locked:
        def __init__(self):
            self.engine = Engine()

        def reply(self, prompts):
            return EchoActor("x").reply(prompts)

    with pytest.raises(ConfigError, match=r"But the actor Locked cannot be copied: TypeError"):
        check_retro_env(RetroEnv(wrap(Dice), actor=Locked()))


def test_the_checker_notices_what_a_seed_does_not_determine():
    class Own(Dice):
        def step(self, action):
            return str(random.SystemRandom().random()), 0.0, False, {}

    with pytest.raises(ConfigError, match=r"the same seed must give the same episode.*fresh=True"):
        check_retro_env(RetroEnv(wrap(Own), actor=say))


def test_the_checker_notices_copies_that_share_a_state():
    class Shared(Tenths):
        said = []

        def step(self, action):
            self.said.append(action)
            return str(self.said), 0.0, len(self.said) > 3, {}

        def reset(self):
            self.said.clear()
            return super().reset()

    with pytest.raises(ConfigError, match=r"branch must give the same outcome .*: copies may share no state"):
        check_retro_env(RetroEnv(wrap(Shared), actor=say))


def test_what_carries_something_over_is_made_anew():
    class Counting(Dice):
        count = 0

        def reset(self, seed=None):
            self.count += 1
            return f"{super().reset(seed)} Game {self.count}."

    with pytest.raises(ConfigError, match="the same seed must give the same episode"):
        check_retro_env(RetroEnv(wrap(Counting), actor=say))
    check_retro_env(RetroEnv(wrap(Counting, fresh=True), actor=say))


def test_ten_tenths_are_one():
    task, *_ = started(Tenths)
    assert [task.step("on")[4]["success"] for _ in range(10)] == [False] * 9 + [True]
    assert not wrap(Tenths, solved_at=1.1).solved
    task, *_ = started(Tenths, solved_at=1.001)
    assert not any(task.step("on")[4]["success"] for _ in range(10))


@pytest.mark.parametrize("key", ["success", "is_success", "won", "tasksuccess"])
def test_the_environment_says_itself_what_success_is(key):
    task, *_ = started(Doors, tasks={"train": [{"key": key}]}, task_id=f"key={key}")
    assert task.step("open x")[4]["success"] is False  # though it pays five
    assert task.step(f"open {task.env.door}")[4]["success"] is True


@pytest.mark.parametrize(
    ("success", "expected"),
    [
        ("done", False),
        (lambda info: info["won"], False),
        (lambda info, env: env.door >= 0, True),
        (lambda info: None, True),
    ],
)
def test_success_is_read_as_the_user_says(success, expected):
    task, *_ = started(Doors, success=success)
    assert task.step("open x")[4]["success"] is expected


def test_a_success_that_is_none_is_refused():
    task, *_ = started(lambda: Doors("score"), success=lambda info: 0.3)
    with pytest.raises(ConfigError, match=r"Doors: success is 0\.3; a boolean is required.*success=lambda"):
        task.step("x")
    task, *_ = started(Doors, success=lambda info: info["gone"])
    with pytest.raises(ConfigError, match=r"success raised KeyError \(.*gone"):
        task.step("x")


def test_infos_are_kept_and_reach_the_hooks():
    def observe(raw, info):
        return f"{raw} You may: {', '.join(info['commands'])}."

    task, observation, info = started(Doors, observe=observe)
    assert observation == "Level 0. Which door? You may: open, wait."
    assert info["commands"] == ["open", "wait"]
    assert info["task_id"] == "seed-7"
    assert task.last_info["task_id"] == "their own"
    assert task.step("x")[0] == "Shut. You may: open."
    assert started(Doors)[1] == "Game:\nLevel 0. Which door?"


def test_actions_that_are_none_cost_a_turn():
    task, observation, _ = started(Grid, observe=words, act={"Left": 0, "right": 1})
    assert observation == "Go right. You stand at 0."
    said, *rest, info = task.step("fly")
    assert (said, rest, info["success"]) == (
        "'fly' is no action here. The actions are: left, right.",
        [0.0, False, False],
        False,
    )
    assert [task.step(" RIGHT ")[4]["success"] for _ in range(3)] == [False, False, True]
    task, *_ = started(Grid, observe=words, act=int)
    assert task.step("fly")[0].startswith("'fly' is no action here: invalid literal for int()")
    assert task.step("1")[0] == "Go right. You stand at 1."
    env = RetroEnv(wrap(Grid, observe=words, act={"right": 1}, max_turns=5), actor=EchoActor("fly"))
    env.reset(seed=0)  # an endless loop of such actions ends with the turns
    assert len(env.trajectory.turns) == 5
    task, *_ = started(Grid, observe=words, act=lambda text: text.gone)
    with pytest.raises(ConfigError, match=r"act raised AttributeError.*let it raise a ValueError"):
        task.step("x")


@pytest.mark.parametrize(("options", "named"), [({}, "observe=…"), ({"observe": words}, "act=…")])
def test_what_is_no_text_needs_a_hook(options, named):
    with pytest.raises(ConfigError, match=f"RetroEnv plays environments of text.*{named}"):
        started(Grid, **options)


@pytest.mark.parametrize("raw", [["a", "b"], {"text": "a"}, b"a", None, 3])
def test_an_observation_that_is_no_text_is_refused(raw):
    class Odd(Tenths):
        def reset(self):
            return raw

    with pytest.raises(ConfigError, match=rf"reset returned the observation .* {type(raw).__name__}; text.*observe=…"):
        started(Odd)
    assert started(Odd, observe=str)[1] == str(raw)
    with pytest.raises(ConfigError, match="observe raised TypeError"):
        started(Odd, observe=lambda raw: raw + 1j if raw != 3 else raw + "x")


def test_exceptions_void_the_trial_and_the_next_one_is_played():
    made = []

    def make():
        made.append(Fragile())
        return made[-1]

    env = RetroEnv(wrap(make), actor=say)
    env.reset(seed=0)
    _, reward, _, truncated, info = env.step("break")
    assert (reward, truncated) == (0.0, True)
    assert "Fragile: step raised ZeroDivisionError ('broken')" in info["actor_error"]
    assert env.reset(seed=0)[1]["success"] is False
    assert len(made) == 2  # the one that failed was dropped
    assert [outcome.reward for outcome in env.branch(["break", "x"])] == [None, 0.0]


@pytest.mark.parametrize(("fault", "said"), [("reset", "KeyError"), ("exit", "SystemExit")])
def test_exceptions_of_reset_do_too(fault, said):
    task = wrap(lambda: Fragile(fault))
    with pytest.raises(TaskEnvError, match=f"Fragile: reset raised {said}"):
        task.reset(seed=0)
    with pytest.raises(ActorError, match="10 tasks in a row; the last time: Fragile: reset raised"):
        RetroEnv(task, actor=say).reset(seed=0)


def test_a_factory_that_fails_at_first_is_wrong_and_later_it_is_unlucky():
    def make():
        raise OSError("down")

    with pytest.raises(ConfigError, match=r"make cannot make an environment for task 'seed-7': OSError \('down'\)"):
        started(make)
    left = [Tenths(), OSError("down")]

    def wane():
        if isinstance(left[0], OSError):
            raise left[0]
        return left.pop(0)

    task, *_ = started(wane, fresh=True)
    with pytest.raises(TaskEnvError, match="down"):
        task.reset(options=SEVEN)
    with pytest.raises(ConfigError, match=r"make returned 3 of type int.*reset and step"):
        started(lambda: 3)
    with pytest.raises(ConfigError, match="IdentityEnv is a TaskEnv already"):
        started(IdentityEnv)
    with pytest.raises(ConfigError, match=r"cannot make an environment .*NameNotFound"):
        started("Nowhere-v0")


def test_an_async_one_is_refused():
    class Later(Tenths):
        async def step(self, action):
            return "later", 0.0, True, {}

    task, *_ = started(Later)
    with pytest.raises(ConfigError, match=r"Later\.step is async; it must return its result.*asyncio\.Runner"):
        task.step("x")


def test_environments_are_closed():
    made = []

    def make(seed):
        made.append(Dice())
        return made[-1]

    task, *_ = started(make)
    task.reset(options={"task_id": "seed-8"})  # an argument of make has changed
    task.close()
    task.close()
    assert [game.closed for game in made] == [1, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"make": 3}, "make is 3; give a function or a class"),
        ({"observe": 3}, "observe is 3, which cannot be called"),
        ({"act": {}}, "act is an empty mapping"),
        ({"success": lambda: True}, "success cannot be called with one argument"),
        ({"solved_at": "1"}, "solved_at is '1'"),
        ({"prompt": 3}, "prompt is 3; give TaskPrompt or str"),
        ({"max_turns": 0}, "max_turns is 0"),
        ({"teacher": Teacher}, "teacher is <class"),
        ({"make": Dice(), "fresh": True}, "fresh=True needs a function"),
    ],
)
def test_arguments_are_checked(options, said):
    with pytest.raises(ConfigError, match=said):
        wrap(**{"make": Dice, **options})


def test_a_blocking_one_is_called_in_threads():
    task = wrap(Dice, blocking=True)
    assert task.blocking
    assert not wrap(Dice).blocking
    env = RetroEnv(task, actor=say)
    env.reset(seed=0)
    env.close()


def test_success_threshold_is_for_what_is_not_wrapped():
    with pytest.raises(ConfigError, match="leave success_threshold out, and give solved_at"):
        RetroEnv(wrap(Tenths), actor=say, success_threshold=2.0)
    assert as_task_env(Tenths(), success_threshold=2.0).solved_at == 2.0
    with pytest.raises(ConfigError, match=r"give an environment or the id of one.*retro_gym\.wrap\(make\)"):
        RetroEnv(Tenths, actor=say)
