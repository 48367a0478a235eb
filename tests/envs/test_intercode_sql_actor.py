"""The scripted SQL actor, played on the built-in test tasks and on public ones: what helps it, and what must not."""

import random
import re

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym.testing.hosting import hosted_prompt
from retro_gym_envs.intercode_sql.actor import ScriptedSQLActor
from retro_gym_envs.intercode_sql.advice import FORMS, read_advice, sentence, stated_query
from retro_gym_envs.intercode_sql.comments import fitting, read_notes
from retro_gym_envs.scripted_actor import turns_in
from tests.envs.first_trials import share, solved_unaided, success_at_trial_1, success_with_anothers_oracle

TASKS = 100
NOUNS = {"table": "table", "measure": "column", "filter": "column", "value": "value", "key": "column"}
QUALIFIED = "I should look at the comments more carefully and use the right tables, columns and values."


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroInterCodeSQL-v0", split="test").unwrapped


@pytest.fixture(scope="module")
def solved(env):
    return solved_unaided(env, TASKS)


@pytest.fixture(scope="module")
def none(env, solved):
    return success_at_trial_1(env, solved, lambda _: "")


def observation(env):
    return env.observation_within(16_000)


def notes(env):
    return read_notes(turns_in(observation(env)))


def open_slots(env, task_id):
    """The slots that several names fit, with these."""
    fits = fitting(env.task_env.task(task_id).query, notes(env))
    return {slot: names for slot, names in fits.items() if len(names) > 1}


def right(env, task_id):
    """The names in the oracle's reflection, by slot."""
    said = env.task_env.teacher.oracle_reflection(task_id).rstrip(".").split(" and ")
    begun = {slot: form.partition("{")[0] for slot, form in FORMS.items()}
    found = {
        slot: next((part.split()[-1] for part in said if part.lower().startswith(start)), "")
        for slot, start in begun.items()
    }
    return {slot: name for slot, name in found.items() if name}


def tried(env, task_id):
    """The names that the failed query used for the slots that several fit."""
    query = env.trajectory.turns[-2].action
    return {
        slot: next(name for name in names if re.search(rf"\b{name}\b", query))
        for slot, names in open_slots(env, task_id).items()
    }


# -- what must not work ----------------------------------------------------------------------------------------------


def test_a_plain_retry_helps_sometimes(solved, none):
    assert 0.1 <= share(solved) <= 0.3
    assert 0.2 <= none <= 0.42


def listed(names):
    return f"Use the columns, tables and values {', '.join(names)}."


_RANDOM = random.Random(0)
USELESS = {
    "vague": lambda env, task_id: QUALIFIED,
    "the task": lambda env, task_id: env.task_env.task(task_id).query,
    "the task as advice": lambda env, task_id: f"Use the right columns: {env.task_env.task(task_id).query}",
    "the beginning": lambda env, task_id: observation(env)[:600],
    "more of the beginning": lambda env, task_id: observation(env)[:1_000],
    "the end": lambda env, task_id: observation(env)[-600:],
    "the actions": lambda env, task_id: "Use " + "; ".join(turn.action for turn in env.trajectory.turns),
    "every name": lambda env, task_id: listed(notes(env).phrases()),
    "three names": lambda env, task_id: listed(_RANDOM.sample(list(notes(env).phrases()), 3)),
    "every name by itself": lambda env, task_id: " ".join(f"Use {name}." for name in notes(env).phrases()),
    "the first that fit": lambda env, task_id: listed(names[0] for names in open_slots(env, task_id).values()),
    "the last that fit": lambda env, task_id: listed(names[-1] for names in open_slots(env, task_id).values()),
    "all that fit": lambda env, task_id: listed(name for names in open_slots(env, task_id).values() for name in names),
    "the last name seen": lambda env, task_id: f"Use {list(notes(env).phrases())[-1]}.",
    "the comments": lambda env, task_id: f"Use this: {env.trajectory.turns[1].observation}",
}


@pytest.mark.parametrize("name", USELESS)
def test_what_does_not_read_the_failure_earns_nothing(env, solved, none, name):
    assert success_at_trial_1(env, solved, lambda task_id: USELESS[name](env, task_id)) <= none + 0.1


def test_another_tasks_oracle_earns_nothing(env, solved, none):
    assert success_with_anothers_oracle(env, solved) <= none + 0.04
    train = env.task_env.task_ids("train")
    for number, task_id in enumerate(list(solved)[:20]):
        learnt = env.task_env.teacher.oracle_reflection(train[number])
        env.reset(seed=0, options={"task_id": task_id})
        assert len({outcome.trajectory.turns for outcome in env.branch(["", learnt])}) == 1


# -- what must work --------------------------------------------------------------------------------------------------


def test_the_oracle_and_the_rule_solve_everything(env, solved):
    teacher = env.task_env.teacher
    assert success_at_trial_1(env, solved, teacher.oracle_reflection) >= 0.97
    assert success_at_trial_1(env, solved, lambda _: teacher.rule_reflection(observation(env))) >= 0.97


@pytest.mark.parametrize("seed", [1, 7])
def test_the_rule_holds_in_other_worlds(seed):
    env = gym.make("RetroInterCodeSQL-v0", split="test", world_seed=seed).unwrapped
    solved = solved_unaided(env, 30)
    assert success_at_trial_1(env, solved, lambda _: env.task_env.teacher.rule_reflection(observation(env))) >= 0.95


def test_the_teacher_brings_a_little(env, solved, none):
    rng = np.random.default_rng(0)
    noisy = success_at_trial_1(env, solved, lambda _: env.task_env.teacher.noisy_reflection(env.trajectory, rng))
    assert none + 0.03 <= noisy <= none + 0.3


REWORDED = (
    "I should have used the {noun} {right} instead of {tried}.",
    "in my previous attempt i used {tried}. next time i will use {right}.",
    'The right {noun} is "{right}".',
    "Replace {tried} with {right}.",
    "{tried} should have been {right}.",
    "Because {right} stands for the {phrase}, it must be used.",
    "Do not use {tried}. Use {right}.",
    "The {phrase} is stored in `{right}`.",
    "It was a mistake to use {tried}; the {noun} {right} is needed.",
    "The {noun} {right} should be used.",
    "I overlooked that {right} is the {phrase}.",
    "Next time, write {right} where I wrote {tried}!",
)


@pytest.mark.parametrize("form", REWORDED)
def test_it_understands_other_words_for_the_same(env, solved, form):
    def reword(task_id):
        used, phrases = tried(env, task_id), notes(env).phrases()
        return " ".join(
            form.format(noun=NOUNS[slot], right=name, tried=used[slot], phrase=phrases[name])
            for slot, name in right(env, task_id).items()
            if used[slot] != name
        )

    some = dict(list(solved.items())[:50])
    assert success_at_trial_1(env, some, reword) >= 0.85


IDLE = (
    "Do not use the {noun} {right}.",
    "The {noun} {right} is wrong.",
    "I used the {noun} {right}.",
    "Should I use the {noun} {right}?",
    "Sing a song for {right}.",
    "Avoid {right}.",
)


@pytest.mark.parametrize("form", IDLE)
def test_denied_reported_asked_and_absurd_mentions_are_no_advice(env, solved, none, form):
    def say(task_id):
        return " ".join(form.format(noun=NOUNS[slot], right=name) for slot, name in right(env, task_id).items())

    assert success_at_trial_1(env, solved, say) <= none + 0.06


# -- memory, prompt, temperature -------------------------------------------------------------------------------------


def failures(env, *, faults):
    for task_id in env.task_env.task_ids("test"):
        if env.task_env.teacher.failure_cause(task_id).count(" and ") == faults - 1:
            _, info = env.reset(seed=0, options={"task_id": task_id})
            if not info["success"]:
                yield task_id


def noted(env, task_id, *reflections):
    """Success of the last trial, with a memory of these reflections."""
    trial = gym.make("RetroInterCodeSQL-v0", split="test", max_reflections=len(reflections)).unwrapped
    trial.reset(seed=0, options={"task_id": task_id})
    for reflection in reflections:
        _, _, terminated, _, info = trial.step(reflection)
        if terminated:
            break
    return info["success"]


def test_the_last_reflection_on_a_part_counts(env):
    task_id = next(failures(env, faults=1))
    oracle = env.task_env.teacher.oracle_reflection(task_id)
    ((slot, name),) = right(env, task_id).items()
    wrong = next(each for each in open_slots(env, task_id)[slot] if each != name)
    assert noted(env, task_id, oracle.replace(name, wrong), oracle)
    assert noted(env, task_id, oracle.replace(name, wrong), "Look again.", oracle)


def test_advice_on_another_part_is_not_lost(env):
    task_id = next(failures(env, faults=2))
    phrases = notes(env).phrases()
    first, second = (sentence({slot: name}, phrases) for slot, name in right(env, task_id).items())
    assert noted(env, task_id, first, second)


def test_it_reads_the_prompts_text_and_nothing_else(env):
    """Behind a server it gets the text only, in one message or in many."""
    actor = ScriptedSQLActor()
    next(failures(env, faults=1))
    trajectory, task_env = env.trajectory, env.task_env
    memory = (task_env.teacher.oracle_reflection(trajectory.task_id),)
    for count in range(len(trajectory.turns)):
        turns = trajectory.turns[:count]
        prompt = Prompt(task_env.prompt.instruction, task_env.prompt.examples, memory, trajectory.task, turns, seed=7)
        expected = actor.reply([prompt])[0].text
        for request in ({"prompt": prompt.text}, *({"messages": prompt.messages(s)} for s in ("chat", "user"))):
            assert actor.reply([hosted_prompt({**request, "seed": 7})])[0].text == expected
    assert actor.reply([Prompt("", (), (), "", (), seed=0)])[0].text.startswith("Thought 1: ")


def test_at_temperature_0_it_does_not_depend_on_the_seed():
    cold = gym.make("RetroInterCodeSQL-v0", split="test", actor_kwargs={"temperature": 0.0}).unwrapped
    for task_id in cold.task_env.task_ids("test")[:10]:
        played = set()
        for seed in range(3):
            cold.reset(seed=seed, options={"task_id": task_id})
            played.add(cold.trajectory.turns)
        assert len(played) == 1


def test_the_same_seed_gives_the_same_trial_and_another_one_another(env):
    def plays(seed):
        turns = []
        for task_id in env.task_env.task_ids("test")[:10]:
            env.reset(seed=seed, options={"task_id": task_id})
            turns.append(env.trajectory.turns)
        return turns

    assert plays(0) == plays(0) != plays(1)


def test_what_is_needed_is_seen_in_every_failure(env):
    for seed in range(3):
        for task_id in env.task_env.task_ids("test")[:60]:
            _, info = env.reset(seed=seed, options={"task_id": task_id})
            if not info["success"]:
                text = observation(env)
                assert env.task_env.teacher.rule_reflection(text) == env.task_env.teacher.oracle_reflection(task_id)
                assert len(text) < 2_000


# -- reading ---------------------------------------------------------------------------------------------------------


def test_too_many_names_confuse_it():
    options = ["dalor", "vikum", "brelin"]
    assert read_advice(["Use dalor, vikum and brelin."], options).confused
    assert not read_advice(["Use dalor or vikum."], options).confused
    assert not read_advice(["Use dalor."], options).confused


FIVE = ["warurex", "sirazum", "dalor", "vikum", "brelin"]
FOR_SIRAZUM = """
    I used warurex when it should have been sirazum. | sirazum holds the height as declared.
    WHERE ... = 'sirazum' | Since sirazum holds the height as measured, it is the column to compute with.
    {"where_value": "sirazum"} | The height when new is stored in sirazum.
    As sirazum is the price last year, select it. | {"column": "sirazum"}
    the property in the question is kept in sirazum | the person in the question is referenced by sirazum.
    WHERE lorim = 'sirazum' | JOIN sumirith ON sirazum = lorim | JOIN ... ON sirazum = ...
    sirazum means faded stars. | I should have used sirazum, since it is faded red.
    The code for faded red is sirazum. | I mistook warurex for sirazum. | sirazum, not warurex.
    It was sirazum all along. | Consider sirazum. | I overlooked that sirazum is the price when new.
"""


@pytest.mark.parametrize(
    "said", [each.strip() for line in FOR_SIRAZUM.strip().splitlines() for each in line.split("|")]
)
def test_usual_wordings_are_advice(said):
    assert read_advice([said], FIVE, [*FIVE, "lorim", "sumirith"]).told == ("sirazum",)


@pytest.mark.parametrize(
    ("said", "confused"),
    [
        ("Not warurex, not dalor, not vikum, not brelin.", True),
        ("Use sirazum. Avoid warurex, dalor and vikum.", True),
        ("Use sirazum. Avoid warurex and dalor.", False),
        ("I used warurex, dalor and vikum. Use sirazum.", False),
    ],
)
def test_speaking_of_too_many_names_confuses_it(said, confused):
    assert read_advice([said], FIVE).confused == confused


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Execute this query: SELECT a FROM b WHERE c = 'd;e';", "SELECT a FROM b WHERE c = 'd;e'"),
        ("Do not execute this query: SELECT a FROM b", ""),
        ("Look more carefully.", ""),
        ("", ""),
    ],
)
def test_stated_query(text, query):
    assert stated_query(text) == query


# -- public tasks ----------------------------------------------------------------------------------------------------


def test_it_plays_public_tasks(shared_data):
    folder = shared_data / "intercode_sql"
    env = gym.make(
        "RetroInterCodeSQL-v0",
        tasks=str(folder / "ic_spider_dev_100_1033.json"),
        databases=str(folder / "ic_spider_dbs.sql"),
    ).unwrapped
    teacher = env.task_env.teacher
    ids = env.task_env.task_ids("test")[::15]
    solved = {task_id: env.reset(seed=0, options={"task_id": task_id})[1]["success"] for task_id in ids}
    assert 0.01 <= share(solved) <= 0.2
    assert success_at_trial_1(env, solved, lambda _: "Look more carefully.") <= share(solved) + 0.05
    assert success_at_trial_1(env, solved, teacher.oracle_reflection) >= 0.55
    assert success_at_trial_1(env, solved, teacher.told_reflection) == 1.0
    assert success_at_trial_1(env, solved, lambda _: teacher.rule_reflection(observation(env))) <= 0.5
    assert not any(teacher.leaks(teacher.oracle_reflection(task_id), task_id) for task_id in ids)
    assert all(teacher.leaks(teacher.told_reflection(task_id), task_id) for task_id in ids)
    rng = np.random.default_rng(0)
    for task_id in ids:
        env.reset(seed=0, options={"task_id": task_id})
        assert teacher.check_reflection(teacher.noisy_reflection(env.trajectory, rng), env.trajectory).grounded
