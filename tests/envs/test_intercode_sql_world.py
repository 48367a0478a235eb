"""The built-in world of InterCodeSQL-v0: determinism, disjoint splits, and questions with one right answer."""

import dataclasses
import itertools
import re
from collections import Counter

import pytest

from retro_gym_envs.intercode_sql.mysql.engine import execute
from retro_gym_envs.intercode_sql.plans import SHAPES
from retro_gym_envs.intercode_sql.questions import FUNCTIONS, WORDINGS
from retro_gym_envs.intercode_sql.sheets import CANDIDATES
from retro_gym_envs.intercode_sql.tasks import SQLTask
from retro_gym_envs.intercode_sql.vocabulary import THINGS
from retro_gym_envs.intercode_sql.world import BuiltinTasks, _filled, _generate
from retro_gym_envs.task_sources import SPLITS

TASKS = BuiltinTasks(0)
SAMPLE = [task_id for split in SPLITS for task_id in TASKS.ids(split)[:100]]


def coined(task_id):
    """The names of tables, columns, rows, people and codes of a task."""
    design = TASKS._generated(task_id).design
    plan = design.plan
    named = {plan.people, plan.people_key, plan.people_label, design.code_table, *design.people, *design.phrases}
    named |= {label for labels in design.labels.values() for label in labels}
    return {name.lower() for name in named | {TASKS.get(task_id).db}} - {""}


def test_the_same_seed_gives_the_same_world():
    for task_id in SAMPLE[::20]:
        twin = BuiltinTasks(0)
        before = TASKS.get(task_id), TASKS.database(task_id).image, TASKS.advice(task_id)
        assert (twin.get(task_id), twin.database(task_id).image, twin.advice(task_id)) == before
    assert BuiltinTasks(1).get("test-00000") != TASKS.get("test-00000")


def test_a_task_does_not_depend_on_what_was_generated_before():
    before, image = TASKS.get("test-00005"), TASKS.database("test-00005").image
    _generate.cache_clear()
    _filled.cache_clear()
    assert (TASKS.database("test-00005").image, TASKS.get("test-00005")) == (image, before)


def check_apart(ids):
    """Splits share no name, no question and no gold query."""
    found = {split: set() for split in SPLITS}
    for task_id in ids:
        task = TASKS.get(task_id)
        found[task_id.partition("-")[0]] |= {*coined(task_id), task.query, task.gold}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not found[one] & found[other]


def test_splits_share_nothing():
    check_apart(SAMPLE)


@pytest.mark.slow
def test_splits_share_nothing_over_all_tasks():
    check_apart([task_id for split in SPLITS for task_id in TASKS.ids(split)])


def test_splits_share_no_wording_and_no_things():
    forms = {split: [form for by_split in WORDINGS.values() for form in by_split[split]] for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not set(forms[one]) & set(forms[other])
        assert not set(THINGS[one]) & set(THINGS[other])
    assert all(set(by_split) == set(SPLITS) for by_split in WORDINGS.values())
    assert set(WORDINGS) == set(SHAPES) > set(FUNCTIONS)


@pytest.mark.parametrize("task_id", SAMPLE[::6])
def test_one_choice_of_names_gives_the_right_answer(task_id):
    task, database, design = TASKS.get(task_id), TASKS.database(task_id), TASKS._generated(task_id).design
    gold = execute(database, task.gold)
    assert gold.rows
    assert all(value is not None for row in gold.rows for value in row)
    assert all(len(design.candidates[slot]) == CANDIDATES for slot in design.faults)
    for chosen in itertools.product(*(design.candidates[slot] for slot in design.faults)):
        plan = dataclasses.replace(design.plan, **dict(zip(design.faults, chosen, strict=True)))
        assert (sorted(map(str, execute(database, plan.sql()).rows)) == sorted(map(str, gold.rows))) == (
            plan.sql() == task.gold
        )
    assert SQLTask.from_json(task.to_json(database), 0).gold == task.gold


@pytest.mark.parametrize("task_id", SAMPLE[::10])
def test_the_question_says_what_the_names_stand_for_and_no_name(task_id):
    task, design = TASKS.get(task_id), TASKS._generated(task_id).design
    for slot in design.plan.slots:
        phrases = {name: design.phrases[name] for name in design.candidates[slot]}
        assert len(set(phrases.values())) == len(phrases)
        assert [name for name, phrase in phrases.items() if re.search(rf"\b{phrase}\b", task.query)] == [
            getattr(design.plan, slot)
        ]
    assert coined(task_id) & set(re.findall(r"\w+", task.query.lower())) <= {design.plan.person.lower()}
    assert "{" not in task.query


def test_causes_are_balanced_and_the_question_does_not_betray_them():
    ids = [f"train-{number:05d}" for number in range(1_500)]
    causes = Counter(TASKS.cause(task_id) for task_id in ids)
    two = sum(count for cause, count in causes.items() if " and " in cause)
    assert 0.15 < two / len(ids) < 0.25
    for shape in SHAPES:
        same = [each for each in ids if TASKS._generated(each).design.plan.shape == shape]
        slots = Counter(slot for each in same for slot in TASKS.cause(each).split(" and "))
        assert len(slots) == 4
        assert max(slots.values()) < 2 * min(slots.values())
    for form in ("What is the", "List the", "Who is"):
        begun = {TASKS.cause(each) for each in ids if TASKS.get(each).query.startswith(form)}
        assert len(begun) >= 4


def test_positions_do_not_betray_the_right_name():
    places = Counter()
    for number in range(1_500):
        design = TASKS._generated(f"train-{number:05d}").design
        for slot in design.faults:
            places[design.candidates[slot].index(getattr(design.plan, slot))] += 1
    assert max(places.values()) < 1.25 * min(places.values())
