"""The tasks of environments of others: their forms, their solutions, and whether they differ."""

import gymnasium as gym
import pytest

from retro_gym import RetroEnv, Teacher, wrap
from retro_gym.errors import ConfigError, UnknownTaskError
from tests.core.foreign.games import SEVEN, Dice, Doors, Grid, Tenths, question, say, started, words


def test_a_question_is_a_task_of_one_turn():
    env = RetroEnv(wrap(question, gold="answer"), actor=say)
    observation, info = env.reset(options=SEVEN)
    assert "What is 7 + 8?" in observation
    assert "Score: 0" in observation
    assert len(info["trajectory"].turns) == 1
    outcomes = env.branch(["15", "16"])
    assert [(outcome.reward, outcome.success, outcome.leak) for outcome in outcomes] == [
        (1.0, True, True),
        (0.0, False, False),
    ]
    assert env.task_env.teacher.oracle_reflection("seed-7") == "The action that solves this task is: 15"


def test_gold_paths_are_what_the_oracle_says():
    class Path(Tenths):
        def path(self):
            return ["go east", "take coin"] if self.known else None

    def gold(info, env):
        return env.path()

    Path.known = True
    teacher = wrap(Path, gold=gold).teacher  # of a task that was never started
    said = teacher.oracle_reflection("seed-7")
    assert said == "These 2 actions, in this order, solve the task: 1. go east 2. take coin"
    assert teacher.told_reflection("seed-7") == said
    assert [teacher.leaks(text, "seed-7") for text in (said, "Take coin.", "GO  EAST, then take coin")] == [1, 0, 1]
    Path.known = False
    with pytest.raises(ConfigError, match="no gold path for task 'seed-7'"):
        wrap(Path, gold=gold).teacher.oracle_reflection("seed-7")
    with pytest.raises(ConfigError, match="gold returned 3; a list of actions or an answer"):
        started(Path, gold=lambda info: 3)
    with pytest.raises(ConfigError, match="leave gold out"):
        wrap(Path, gold=gold, teacher=Teacher())
    own = Teacher()
    assert wrap(Path, teacher=own).teacher is own
    assert RetroEnv(wrap(Path, gold=gold), actor=say, leak="ignore").leak == "ignore"


def test_tasks_of_all_forms():
    class Loaded(Doors):
        def __init__(self, file="none", size=1):
            self.file, self.size = file, size

        def reset(self, *, seed=None, options=None, name=""):
            return f"{self.file} {self.size} {seed} {options} {name}", {}

    tasks = {
        "train": [3, "a.z8", {"size": 2, "seed": 5, "name": "b"}, {"level": 4}],
        "test": {"hard": {"size": 9}, "easy": "b.z8"},
    }
    task = wrap(Loaded, tasks=tasks)
    ids = ["seed-3", "a.z8", "size=2,seed=5,name=b", "level=4", "hard", "easy"]
    assert [*task.task_ids("train"), *task.task_ids("test")] == ids
    assert [task.reset(options={"task_id": one})[0] for one in ids] == [
        "none 1 3 None ",
        "a.z8 1 None None ",
        "none 2 5 None b",
        "none 1 None {'level': 4} ",
        "none 9 None None ",
        "b.z8 1 None None ",
    ]
    assert task.reset(seed=1)[1]["task_id"] in ids[:4]
    with pytest.raises(UnknownTaskError, match="'nope' is not known; a task is one of"):
        task.reset(options={"task_id": "nope"})
    with pytest.raises(UnknownTaskError, match="split 'dev' is not one of"):
        task.task_ids("dev")


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ({"train": [1, 2], "test": [2]}, "tasks\\['test'\\] holds 'seed-2', which is there in 'train' too.*one split"),
        ({"train": [1, 1]}, "there twice"),
        ({}, "a mapping from each split"),
        ([1, 2], "a mapping from each split"),
        ({"train": []}, "is empty"),
        ({"train": 3}, "a list, a range, or a mapping from ids"),
        ({"train": "abc"}, "a list, a range, or a mapping from ids"),
        ({"train": [-1]}, "holds -1; a task is a seed"),
        ({"train": [True]}, "holds True; a task is a seed"),
        ({"train": [{}]}, "holds {}; a task is"),
        ({"train": {3: 4}}, "has the id 3; ids are text"),
        ({"train": ["a.z8"]}, r"make cannot be called for task 'a\.z8': too many"),
    ],
)
def test_tasks_of_another_form_are_refused(tasks, said):
    with pytest.raises(ConfigError, match=said):
        wrap(Tenths, tasks=tasks)


def test_an_argument_that_nobody_takes_is_named():
    with pytest.raises(ConfigError, match=r"task 'depth=3' gives depth, which neither make nor Tenths\.reset takes"):
        started(Tenths, "depth=3", tasks={"train": [{"depth": 3}]})
    with pytest.raises(
        ConfigError, match="make cannot be called for task 'seed-0': missing a required argument: 'size'"
    ):
        wrap(lambda size: Dice())


def test_one_task_under_many_ids_is_named():
    env = RetroEnv(wrap(Grid, observe=words, act={"left": 0}), actor=say)
    for seed in range(7):
        env.reset(options={"task_id": f"seed-{seed}"})
    with pytest.warns(UserWarning, match=r"the 8 tasks that were started first, seed-0, .* begin alike.*name those"):
        env.reset(options={"task_id": "seed-7"})
    env.reset(options={"task_id": "seed-9"})  # once
    with pytest.warns(UserWarning, match="8 of the first 8 tasks of 'train' begin like one of 'validation'"):
        env.task_env.warn_of_equal_tasks()


def test_tasks_that_differ_in_what_is_hidden_are_not_named():
    class Secret(gym.Env):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.number = int(self.np_random.integers(10**9))
            return "Guess.", {}

    task = wrap(Secret)
    for task_id in task.task_ids("train")[:20]:
        task.reset(options={"task_id": task_id})
    task.warn_of_equal_tasks()


def test_a_gymnasium_id_is_a_factory():
    gym.register("TestDoors-v0", entry_point=Doors)
    try:
        assert started("TestDoors-v0")[1] == started(Doors)[1]
        with pytest.raises(ConfigError, match="make cannot be called for task 'x'"):
            wrap("TestDoors-v0", tasks={"train": ["x"]})
    finally:
        del gym.registry["TestDoors-v0"]
