"""The scripted SQL actor, the oracle and the noisy teacher, played on the built-in test tasks and on public ones."""

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym.testing.hosting import hosted_prompt
from retro_gym.trajectory import EndReason, Trajectory, Turn
from retro_gym_envs import teaching
from retro_gym_envs.intercode_sql import teacher
from retro_gym_envs.intercode_sql.actor import ScriptedSQLActor
from retro_gym_envs.intercode_sql.advice import Advice, read_reflection
from retro_gym_envs.intercode_sql.observations import Schema, mentions, words_of
from tests.envs.first_trials import share, solved_unaided, success_at_trial_1, success_with_anothers_oracle

TASKS = 200
VAGUE = (
    "",
    "Look more carefully.",
    "Try again and think step by step.",
    "I should select the right columns, join the tables where needed and order by what was asked.",
    "Be careful with the aggregate! Group by the right thing, and keep only the rows with what the question wants.",
)


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroInterCodeSQL-v0", split="test").unwrapped


@pytest.fixture(scope="module")
def solved(env):
    return solved_unaided(env, TASKS)


def failure(env, containing):
    """The id of a test task that is failed and whose oracle says this, the trial being played."""
    for task_id in env.task_env.task_ids("test"):
        if containing in env.task_env.teacher.oracle_reflection(task_id):
            _, info = env.reset(seed=0, options={"task_id": task_id})
            if not info["success"]:
                return task_id
    raise AssertionError(containing)


# -- success rates ---------------------------------------------------------------------------------------------------


def test_unaided_it_fails_mostly(env, solved):
    assert 0.15 <= share(solved) <= 0.4
    assert all(env.task_env.teacher.task_group(task_id) == "easy" for task_id, success in solved.items() if success)


@pytest.mark.parametrize("vague", VAGUE)
def test_a_vague_reflection_brings_nothing(env, solved, vague):
    assert success_at_trial_1(env, solved, lambda _: vague) == share(solved)


def test_the_oracle_solves_everything(env, solved):
    assert success_at_trial_1(env, solved, env.task_env.teacher.oracle_reflection) >= 0.98


def test_another_tasks_oracle_brings_next_to_nothing(env, solved):
    shuffled = success_with_anothers_oracle(env, solved)
    assert share(solved) <= shuffled <= share(solved) + 0.04


def test_the_teacher_brings_a_little(env, solved):
    rng = np.random.default_rng(0)
    noisy = success_at_trial_1(env, solved, lambda _: env.task_env.teacher.noisy_reflection(env.trajectory, rng))
    assert share(solved) + 0.05 <= noisy <= share(solved) + 0.25


def test_failures_are_short_to_read(env, solved):
    lengths = [len(env.reset(seed=0, options={"task_id": t})[0]) for t, success in solved.items() if not success]
    assert np.median(lengths) < 1_500
    assert np.percentile(lengths, 95) < 2_500


# -- the teacher and the check ---------------------------------------------------------------------------------------


def test_the_teacher_is_well_formed_grounded_and_usually_wrong(env):
    rng = np.random.default_rng(0)
    right = total = 0
    for seed in range(60):
        env.reset(seed=seed)
        texts = {env.task_env.teacher.noisy_reflection(env.trajectory, rng) for _ in range(8)}
        for text in texts:
            check = env.task_env.teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text
            assert len(text.split()) <= 20
        right += sum(outcome.success for outcome in env.branch(sorted(texts)))
        total += len(texts)
    assert 0.05 < right / total < 0.25


def test_what_is_needed_stands_in_the_trajectory(env, solved, monkeypatch):
    """A teacher that guesses nothing and reads everything is always right: so a learner can be."""
    for module, name, value in (
        (teacher, "_RIGHT_KIND", 1.0),
        (teaching, "_UNDERSTOOD", 1.0),
        (teacher, "_HASTY", 0.0),
    ):
        monkeypatch.setattr(module, name, value)
    rng = np.random.default_rng(0)
    assert success_at_trial_1(env, solved, lambda _: env.task_env.teacher.noisy_reflection(env.trajectory, rng)) >= 0.98


def test_the_oracle_says_only_what_can_be_read(env, solved):
    for task_id, success in solved.items():
        if not success:
            env.reset(seed=0, options={"task_id": task_id})
            check = env.task_env.teacher.check_reflection(
                env.task_env.teacher.oracle_reflection(task_id), env.trajectory
            )
            assert check.well_formed
            assert check.grounded


def test_the_teacher_depends_on_its_generator_alone(env):
    env.reset(seed=3)
    first = [env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


def test_the_teacher_copes_with_trajectories_of_other_actors(env):
    rng = np.random.default_rng(0)
    for turns in (
        (),
        (Turn("", "submit", "STATUS: FAIL"),),
        (Turn("", "execute[SHOW TABLES]", "[]"),),
        (Turn("", "execute[DESC wines]", "[('wine_id', 'int', 'NO'"),),
        (Turn("", "execute[describe `wines`]", "[('price', 'int', 'NO', '', None, '')]"),),
        (Turn("", "execute[DESC wines]", "Error executing query: Table 'x.wines' doesn't exist"),),
    ):
        for question in ("How many?", "Ñandú", ""):
            trajectory = Trajectory("t", 0, f"Question: {question}", turns, 0.0, False, EndReason.FAILED)
            for _ in range(10):
                text = env.task_env.teacher.noisy_reflection(trajectory, rng)
                assert env.task_env.teacher.check_reflection(text, trajectory).well_formed, text


def test_check_reflection_tells_form_from_content(env):
    task_id = failure(env, "select")
    right = env.task_env.teacher.oracle_reflection(task_id)
    column = read_reflection(right).select
    assert env.task_env.teacher.check_reflection(right, env.trajectory).grounded
    wrong = env.task_env.teacher.check_reflection(right.replace(column, "velocity"), env.trajectory)
    assert wrong.well_formed
    assert not wrong.grounded
    for broken in (
        "Be careful.",
        right + " And so on.",
        right[:-1],
        right.lower(),
        "",
        "Select .",
        f"Select {column} and.",
    ):
        assert not env.task_env.teacher.check_reflection(broken, env.trajectory).well_formed


# -- the actor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clause", "wrong"),
    [
        ("Join the table", lambda text: text.split(" and ")[1].capitalize()),
        ("Compute the average", lambda text: text.replace("average", "total")),
        ("Keep only the rows with the", lambda text: text[:-1] + "ox."),
        ("descending", lambda text: text.replace("descending", "ascending")),
        ("Leave out", lambda text: text.split(" whose ")[0] + "."),
        ("above the average", lambda text: text.replace("above", "below")),
    ],
)
def test_each_part_of_a_reflection_matters(env, clause, wrong):
    right = env.task_env.teacher.oracle_reflection(failure(env, clause))
    assert [outcome.success for outcome in env.branch([right, wrong(right)])] == [True, False]


@pytest.mark.parametrize(
    ("clause", "form"),
    [
        (" and select", 'Next time join {join[0]} on `{join[1]}`, then select the column "{select}"!'),
        ("Order by", "You should order by the column {order[0]} {order[1]} and keep the first row only."),
        ("Keep only the rows with the", "I forgot the condition: use rows where {equals[0]} is '{equals[1]}'."),
        ("Compute the", "Take the {aggregate[0]} of the column {aggregate[1]} instead."),
    ],
)
def test_it_understands_other_words_for_the_same(env, clause, form):
    right = env.task_env.teacher.oracle_reflection(failure(env, clause))
    said = form.format(**vars(read_reflection(right)))
    assert [outcome.success for outcome in env.branch([right, said])] == [True, True]


def test_the_last_reflection_that_says_something_counts(env):
    task_id = failure(env, "Compute the")
    right = env.task_env.teacher.oracle_reflection(task_id)
    wrong = right.replace("of ", "of not_a_column_")
    for noted, success in (([right, "Look again."], True), ([wrong, right], True), ([right, wrong], True)):
        env.reset(seed=0, options={"task_id": task_id})
        for reflection in noted:
            _, _, terminated, _, info = env.step(reflection)
            if terminated:
                break
        assert info["success"] == success


def test_a_stated_query_is_run_as_it_is(env):
    task_id = failure(env, "Join the table")
    gold = env.task_env.task(task_id).gold
    (outcome,) = env.branch([f"Execute this query: {gold}"])
    assert outcome.success
    assert [turn.action for turn in outcome.trajectory.turns] == [f"execute[{gold}]", "submit"]
    assert env.branch([f"Run `{gold}` next time."])[0].success


def test_it_reads_the_prompts_text_and_nothing_else(env):
    """Behind a server it gets the text only, in one message or in many."""
    actor = ScriptedSQLActor()
    failure(env, "Join the table")
    trajectory, task_env = env.trajectory, env.task_env
    noted = (task_env.teacher.oracle_reflection(trajectory.task_id),)
    for count in range(len(trajectory.turns)):
        turns = trajectory.turns[:count]
        prompt = Prompt(task_env.prompt.instruction, task_env.prompt.examples, noted, trajectory.task, turns, seed=1)
        expected = actor.reply([prompt])[0].text
        for request in ({"prompt": prompt.text}, *({"messages": prompt.messages(s)} for s in ("chat", "user"))):
            assert actor.reply([hosted_prompt({**request, "seed": 7})])[0].text == expected
    assert actor.reply([Prompt("", (), (), "", (), seed=0)])[0].text.startswith("Thought 1: ")


def test_it_plays_public_tasks(shared_data):
    folder = shared_data / "intercode_sql"
    env = gym.make(
        "RetroInterCodeSQL-v0",
        tasks=str(folder / "ic_spider_dev_100_1033.json"),
        databases=str(folder / "ic_spider_dbs.sql"),
    ).unwrapped
    ids = env.task_env.task_ids("test")[::9]
    solved = {task_id: env.reset(seed=0, options={"task_id": task_id})[1]["success"] for task_id in ids}
    assert 0.01 <= share(solved) <= 0.2
    assert success_at_trial_1(env, solved, lambda _: "Look more carefully.") == share(solved)
    assert success_at_trial_1(env, solved, env.task_env.teacher.oracle_reflection) == 1.0
    rng = np.random.default_rng(0)
    for seed in range(30):
        env.reset(seed=seed)
        assert env.task_env.teacher.check_reflection(
            env.task_env.teacher.noisy_reflection(env.trajectory, rng), env.trajectory
        ).grounded


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Join the table a_b on x and select c.", Advice(join=("a_b", "x", "x"), select="c")),
        ("join a on t.x = a.y", Advice(join=("a", "x", "y"))),
        ("Keep only the rows with the city Velmora.", Advice(equals=("city", "Velmora"))),
        (
            "Keep only the rows with the city New York and select name.",
            Advice(equals=("city", "New York"), select="name"),
        ),
        ("Keep only the rows with price above the average.", Advice(average=("price", "above"))),
        ("Leave out the rows whose a_id is in bs.", Advice(absent=("a_id", "bs"))),
        ("Group by color and count the rows.", Advice(group="color")),
        ("Compute the number of city.", Advice(aggregate=("number", "city"))),
        ("Order by age descending and keep the first row.", Advice(order=("age", "descending"))),
        ("Execute this query: SELECT a FROM b WHERE c = 'd;e';", Advice(query="SELECT a FROM b WHERE c = 'd;e'")),
        ("The answer is `SELECT 1`.", Advice(query="SELECT 1")),
        ("Look more carefully.", Advice()),
        ("", Advice()),
    ],
)
def test_read_reflection(text, advice):
    assert read_reflection(text) == advice


def test_advice_about_what_was_not_seen_is_dropped():
    schema = Schema(("a", "b"), {"a": (("x", "int"),), "b": (("y", "int"),)})
    advice = Advice(join=("b", "x", "y"), select="x", group="z", absent=("x", "c"), order=("w", "ascending"))
    assert advice.known_to(schema) == Advice(join=("b", "x", "y"), select="x")
    assert not Advice(join=("c", "x", "y"), average=("z", "above"), equals=("z", "1")).known_to(schema)


def test_mentions():
    words = words_of("What are the names and the countries of all car makers?")
    assert mentions(["country", "maker_id", "car_makers", "full_name", "age"], words) == [
        "country",
        "car_makers",
        "maker_id",
        "full_name",
    ]
    assert mentions(["country", "full_name"], words, partly=False) == ["country"]
