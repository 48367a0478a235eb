"""The teacher of InterCode-SQL: what its reflections say, and what it finds in others'."""

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.trajectory import EndReason, Trajectory, Turn
from retro_gym_envs.intercode_sql.observations import Schema, mentions, words_of
from retro_gym_envs.intercode_sql.steps import Steps, read_steps, spelled_out
from retro_gym_envs.intercode_sql.wording import in_words


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroInterCodeSQL-v0", split="test").unwrapped


@pytest.fixture(scope="module")
def teacher(env):
    return env.task_env.teacher


def test_oracle_and_rule_are_short_grounded_and_do_not_leak(env, teacher):
    for seed in range(40):
        _, info = env.reset(seed=seed)
        task_id = info["task_id"]
        for text in (
            teacher.oracle_reflection(task_id),
            teacher.rule_reflection(env.observation_within(9_000)),
        ):
            check = teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text
            assert len(text.split()) <= 30
            assert not teacher.leaks(text, task_id)
        told = teacher.told_reflection(task_id)
        assert teacher.leaks(told, task_id)
        assert teacher.leaks(told.upper().replace(" ", "  "), task_id)


def test_noisy_is_well_formed_grounded_and_its_most_likely_reflection_is_wrong(env, teacher):
    rng = np.random.default_rng(0)
    likeliest_right = right = total = 0
    for seed in range(40):
        _, info = env.reset(seed=seed)
        texts = [teacher.noisy_reflection(env.trajectory, rng) for _ in range(30)]
        for text in set(texts):
            check = teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text
        oracle = teacher.oracle_reflection(info["task_id"])
        right += texts.count(oracle)
        total += len(texts)
        likeliest_right += max(set(texts), key=texts.count) == oracle
    assert 0.15 < right / total < 0.35
    assert likeliest_right <= 20


def test_noisy_depends_on_its_generator_alone(env, teacher):
    env.reset(seed=3)
    first = [teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


def test_the_teacher_copes_with_trajectories_of_other_actors(teacher):
    rng = np.random.default_rng(0)
    for turns in (
        (),
        (Turn("", "submit", "STATUS: FAIL"),),
        (Turn("", "execute[SHOW TABLES]", "[]"),),
        (Turn("", "execute[SHOW TABLES]", "[('wines',)]"), Turn("", "execute[DESC wines]", "[('wine_id', 'int', 'NO'")),
        (Turn("", "execute[describe `wines`]", "[('price', 'int', 'NO', '', None, '')]"),),
        (Turn("", "execute[DESC wines]", "Error executing query: Table 'x.wines' doesn't exist"),),
    ):
        for question in ("How many?", "Ñandú", ""):
            trajectory = Trajectory("t", 0, f"Question: {question}", turns, 0.0, False, EndReason.FAILED)
            for _ in range(5):
                text = teacher.noisy_reflection(trajectory, rng)
                assert teacher.check_reflection(text, trajectory).well_formed, text
            teacher.rule_reflection(trajectory.render())


def test_check_reflection_tells_form_from_content(env, teacher):
    _, info = env.reset(seed=0)
    right = teacher.oracle_reflection(info["task_id"])
    name = right.rstrip(".").split()[-1]
    wrong = teacher.check_reflection(right.replace(name, "velocity"), env.trajectory)
    assert wrong.well_formed
    assert not wrong.grounded
    for broken in ("Be careful.", f"{right} And so on.", right[:-1], right.lower(), "", "Select the column .", "."):
        assert not teacher.check_reflection(broken, env.trajectory).well_formed, broken


# -- queries in words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "words"),
    [
        (
            "SELECT N FROM W WHERE Age > 3",
            "Query the table w and keep only the rows whose age is above '3' and select n.",
        ),
        (
            "SELECT count(*) FROM a JOIN b ON a.x = b.y",
            "Query the table a and join the table b on x = y and count the rows.",
        ),
        (
            "SELECT c, avg(d) FROM a GROUP BY c",
            "Query the table a and group by c and select c and compute the average of d.",
        ),
        (
            "SELECT c FROM a ORDER BY d DESC LIMIT 3",
            "Query the table a and select c and order by d descending and keep the first 3 rows.",
        ),
        (
            "SELECT c FROM a WHERE k NOT IN (SELECT k FROM b)",
            "Query the table a and keep only the rows whose k is outside of b and select c.",
        ),
    ],
)
def test_a_query_in_words_is_read_again(gold, words):
    assert in_words(gold) == words
    assert spelled_out(read_steps(words)) == words


def test_advice_about_what_was_not_seen_is_dropped():
    schema = Schema(("a", "b"), {"a": (("x", "int"),), "b": (("y", "int"),)})
    steps = Steps(join=("b", "x", "y"), select=("x", "w"), group="z", absent=("x", "c"), order=("w", "ascending"))
    assert steps.known_to(schema) == Steps(join=("b", "x", "y"), select=("x",))
    assert not Steps(join=("c", "x", "y"), average=("z", "above"), rows=(("z", "equal to", "1"),)).known_to(schema)


def test_mentions():
    words = words_of("What are the names and the countries of all car makers?")
    assert mentions(["country", "maker_id", "car_makers", "full_name", "age"], words) == [
        "country",
        "car_makers",
        "maker_id",
        "full_name",
    ]
    assert mentions(["country", "full_name"], words, partly=False) == ["country"]
