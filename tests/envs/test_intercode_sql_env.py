"""InterCodeSQL-v0: observations, rewards, ends, and the promises of a Gymnasium environment."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import time
import warnings

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from retro_gym.errors import ConfigError, EpisodeError, UnknownTaskError
from retro_gym.trajectory import Turn, render_turns
from retro_gym_envs.intercode_sql import InterCodeSQLEnv
from retro_gym_envs.intercode_sql.prompt import INTERCODE_SQL_PROMPT

DUMP = """
USE `mill`;
CREATE TABLE `millers` (`miller_id` int NOT NULL, `surname` text, `town` text, PRIMARY KEY (`miller_id`));
INSERT INTO `millers` VALUES (1,'Ott','Grentum'),(2,'Pym','Sarn');
CREATE TABLE `mills` (
  `mill_id` int NOT NULL, `label` text, `opened` int, `miller_id` int, PRIMARY KEY (`mill_id`), KEY `m` (`miller_id`)
);
INSERT INTO `mills` VALUES (1,'Oskarra',1874,1),(2,'Belum',1901,2),(3,'Dorex',1855,1);
CREATE TABLE `numbers` (`n` int, `word` text);
INSERT INTO `numbers` VALUES {numbers};
"""
NUMBERS = ",".join(f"({n},'{'x' * 400}')" for n in range(40))
TASKS = """
{"db": "mill", "hardness": "easy", "query": "Give the opening year of the mill called Oskarra.",
 "gold": "SELECT opened FROM mills WHERE label = 'Oskarra'"}
{"db": "mill", "hardness": "hard", "query": "How many mills belong to millers from the town Grentum?",
 "gold": "SELECT COUNT(*) FROM mills JOIN millers ON mills.miller_id = millers.miller_id WHERE town = 'Grentum'"}
{"db": "mill", "hardness": "easy", "query": " List\\n all labels. ", "gold": "SELECT label FROM mills"}
"""
NO_CODE = "Error executing query: Your last `execute` action did not contain sql code"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "tasks.json").write_text(TASKS.strip().replace("\n ", " "))
    (tmp_path / "dbs.sql").write_text(DUMP.format(numbers=NUMBERS))
    return {"tasks": str(tmp_path / "tasks.json"), "databases": str(tmp_path / "dbs.sql")}


@pytest.fixture
def env(files):
    return InterCodeSQLEnv(**files)


def play(env, task_id, *actions):
    """The observations behind the actions of a trial."""
    env.reset(options={"task_id": task_id})
    return [env.step(action)[0] for action in actions]


# -- observations ----------------------------------------------------------------------------------------------------


def test_the_question_comes_first(env):
    observation, info = env.reset(options={"task_id": "mill-2"})
    assert observation == "Question: List all labels."
    assert info == {"task_id": "mill-2", "db": "mill", "hardness": "easy", "success": False}


@pytest.mark.parametrize(
    ("action", "observation"),
    [
        ("execute[SHOW TABLES]", "[('millers',), ('mills',), ('numbers',)]"),
        ("  execute[SELECT 1]\n", "[(1,)]"),
        ("execute[SELECT label FROM mills WHERE opened > 3000]", "[]"),
        ("execute[USE mill]", "None"),
        ("execute[SELECT label\nFROM mills LIMIT 1; DROP TABLE mills]", "[('Oskarra',)]"),
        ("execute[SELECT ']']", "[(']',)]"),
        ("I run execute[SELECT 1] now.", "[(1,)]"),
        ("execute[SELECT nme FROM mills]", "Error executing query: Unknown column 'nme' in 'field list'"),
        ("execute[]", "Error executing query: Query was empty"),
        ("execute[SELECT n FROM numbers]", str([(n,) for n in range(25)])),
        ("", NO_CODE),
        ("SELECT 1", NO_CODE),
        ("execute SELECT 1", NO_CODE),
        ("]execute[", NO_CODE),
        ("submit it", NO_CODE),
    ],
)
def test_execute(env, action, observation):
    env.reset(options={"task_id": "mill-0"})
    assert env.step(action)[:4] == (observation, 0.0, False, False)


def test_long_observations_are_cut(env):
    error, rows = play(env, "mill-0", f"execute[SELECT {'x' * 900} FROM mills]", "execute[SELECT * FROM numbers]")
    assert len(error) == 350
    assert len(rows) == 8_000
    assert rows.startswith("[(0, 'xxx")


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actions", "reward", "success"),
    [
        (["execute[SELECT label FROM mills]"], 1.0, True),
        (["execute[SELECT label FROM mills ORDER BY label]"], -0.33, False),
        (["execute[SELECT label FROM mills LIMIT 2]"], 0.67, False),
        (["execute[SELECT opened FROM mills]"], 0.0, False),
        (["execute[SELECT label FROM mills]", "execute[SELECT nme FROM mills]"], 0.0, False),
        (["execute[SELECT label FROM mills]", "execute[USE mill]"], 0.0, False),
        (["execute[SELECT label FROM mills]", "what now?"], 1.0, True),  # nothing was executed in between
        ([], 0.0, False),
    ],
)
def test_submit(env, actions, reward, success):
    play(env, "mill-2", *actions)
    observation, paid, terminated, truncated, info = env.step(" submit\n")
    assert observation == ("STATUS: OK" if success else "STATUS: FAIL")
    assert (paid, terminated, truncated) == (reward, True, False)
    assert info == {"task_id": "mill-2", "db": "mill", "hardness": "easy", "success": success}
    with pytest.raises(EpisodeError, match=r"reset\(\)"):
        env.step("submit")


def test_rows_beyond_those_shown_count(tmp_path, files):
    (tmp_path / "tasks.json").write_text(
        '{"db": "mill", "query": "All?", "gold": "SELECT n FROM numbers", "hardness": "easy"}'
    )
    env = InterCodeSQLEnv(**files)
    play(env, "mill-0", "execute[SELECT n FROM numbers WHERE n < 25]")
    assert env.step("submit")[1] == 0.62
    play(env, "mill-0", "execute[SELECT n FROM numbers]")
    assert env.step("submit")[1] == 1.0


@pytest.mark.parametrize("turns", [1, 3])
def test_the_turn_limit_truncates_and_submits_nothing(files, turns):
    env = InterCodeSQLEnv(**files, max_turns=turns)
    env.reset(options={"task_id": "mill-2"})
    for turn in range(1, turns + 1):
        _, reward, terminated, truncated, info = env.step("execute[SELECT label FROM mills]")
        assert (reward, terminated, truncated, info["success"]) == (0.0, False, turn == turns, False)
    with pytest.raises(EpisodeError):
        env.step("submit")


def test_a_trial_begins_with_nothing_to_submit(env):
    play(env, "mill-2", "execute[SELECT label FROM mills]")
    env.reset(options={"task_id": "mill-2"})
    assert env.step("submit")[1] == 0.0


def test_ten_turns_by_default():
    assert InterCodeSQLEnv.max_turns == 10
    for wrong in (0, "6"):
        with pytest.raises(ConfigError, match="max_turns"):
            InterCodeSQLEnv(max_turns=wrong)


# -- the prompt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "task_id"), [*zip(INTERCODE_SQL_PROMPT.examples, ("mill-0", "mill-1"), strict=True)]
)
def test_the_worked_examples_are_what_the_environment_answers(files, tmp_path, example, task_id):
    dump = DUMP.format(numbers=NUMBERS).replace("CREATE TABLE `numbers` (`n` int, `word` text);", "")
    (tmp_path / "dbs.sql").write_text(re.sub(r"INSERT INTO `numbers`.*", "", dump))
    env = InterCodeSQLEnv(**files)
    first, _ = env.reset(options={"task_id": task_id})
    thoughts, actions = (re.findall(rf"^{label} \d+: (.*)$", example, re.MULTILINE) for label in ("Thought", "Action"))
    turns = [Turn(thought, action, env.step(action)[0]) for thought, action in zip(thoughts, actions, strict=True)]
    assert render_turns(first, turns) == example


def test_the_instruction_names_every_action():
    assert all(name in INTERCODE_SQL_PROMPT.instruction for name in ("execute[", "submit"))


# -- tasks -----------------------------------------------------------------------------------------------------------


def test_tasks_of_a_file(env):
    assert env.task_ids("test") == ("mill-0", "mill-1", "mill-2")
    assert env.task("mill-1").gold.startswith("SELECT COUNT(*)")
    assert env.teacher.task_group("mill-1") == "hard"
    assert env.database("mill-1").name == "mill"
    assert env.teacher.oracle_reflection("mill-2") == "Query the table mills and select label."
    assert env.teacher.told_reflection("mill-2") == "Execute this query: SELECT label FROM mills"
    assert env.teacher.failure_cause("mill-2") == ""
    for unknown in ("mill-9", 3, None, ""):
        with pytest.raises(UnknownTaskError):
            env.task(unknown)
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task_id": 3})


def test_reset_draws_from_train_by_the_seed(env):
    drawn = [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]
    assert set(drawn) == set(env.task_ids("train"))
    assert drawn == [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]


def test_the_gold_query_is_in_no_observation(env):
    for action in ("execute[SHOW TABLES]", "execute[DESC mills]", "hm", "submit"):
        first, info = env.reset(options={"task_id": "mill-0"})
        observation, *_, later = env.step(action)
        assert "SELECT" not in first + str(info) + observation + str(later)


# -- promises of a Gymnasium environment -----------------------------------------------------------------------------


def test_check_env(files):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("InterCodeSQL-v0", **files).unwrapped)
        check_env(gym.make("InterCodeSQL-v0").unwrapped)
        check_env(gym.make("RetroInterCodeSQL-v0", **files).unwrapped)


@pytest.mark.parametrize("builtin", [True, False])
def test_a_copy_goes_on_alike_and_apart(env, builtin, twin_of):
    env = InterCodeSQLEnv() if builtin else env
    task_id = env.task_ids("test")[2]
    env.reset(seed=5, options={"task_id": task_id})
    env.step("execute[SHOW TABLES]")
    env.step(f"execute[{env.task(task_id).gold}]")
    twin = twin_of(env)
    twin.step("execute[SELECT 1]")
    assert env.step("submit")[1] == 1.0
    assert twin.step("submit")[1] == 0.0
    assert twin.reset() == env.reset()
    assert twin.database(task_id) is env.database(task_id)


def test_a_copy_is_small_and_quick(env):
    env.reset(seed=0)
    env.step("execute[SELECT * FROM numbers]")
    assert len(pickle.dumps(InterCodeSQLEnv())) < 5_000
    start = time.perf_counter()
    for _ in range(200):
        copy.deepcopy(env)
    assert time.perf_counter() - start < 2


def test_observations_fit_the_space(tmp_path, files):
    (tmp_path / "tasks.json").write_text(TASKS.strip().replace("\n ", " ").replace(" List", "why " * 9_000))
    env = InterCodeSQLEnv(**files)
    assert len(env.reset(options={"task_id": "mill-2"})[0]) == 8_000


def test_shown_rows_are_python(env):
    (shown,) = play(env, "mill-0", "execute[SELECT label, opened, NULL, 0.5 FROM mills]")
    assert ast.literal_eval(shown)[0] == ("Oskarra", 1874, None, 0.5)
