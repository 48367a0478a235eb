"""The built-in world of InterCodeSQL-v0: determinism, disjoint splits, and questions that mean what they say."""

import re

import pytest
from retro_gym_envs.intercode_sql.domains import ATTRIBUTES, DOMAINS

from retro_gym_envs.intercode_sql.advice import read_reflection
from retro_gym_envs.intercode_sql.mysql.engine import execute
from retro_gym_envs.intercode_sql.questions import KINDS
from retro_gym_envs.intercode_sql.tasks import SQLTask
from retro_gym_envs.intercode_sql.teacher import asked_column, asked_kind
from retro_gym_envs.intercode_sql.world import BuiltinTasks
from retro_gym_envs.task_sources import SPLITS

TASKS = BuiltinTasks(0)
SAMPLE = [task_id for split in SPLITS for task_id in TASKS.ids(split)[:150]]


def values(task_id):
    return {
        value
        for table in TASKS.database(task_id).tables
        for row in table.rows
        for value in row
        if isinstance(value, str)
    }


def test_the_same_seed_gives_the_same_world():
    for task_id in SAMPLE[::20]:
        twin = BuiltinTasks(0)
        before = TASKS.get(task_id), TASKS.database(task_id).image, TASKS.advice(task_id)
        assert (twin.get(task_id), twin.database(task_id).image, twin.advice(task_id)) == before
    assert BuiltinTasks(1).get("test-00000") != TASKS.get("test-00000")


def test_a_task_does_not_depend_on_what_was_generated_before():
    from retro_gym_envs.intercode_sql.world import _generate

    before = TASKS.get("test-00005")
    _generate.cache_clear()
    assert TASKS.get("test-00005") == before


def test_splits_share_no_value():
    found = {split: set() for split in SPLITS}
    for task_id in SAMPLE:
        found[task_id.split("-")[0]] |= values(task_id)
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]
    assert not found["validation"] & found["test"]


@pytest.mark.parametrize("task_id", SAMPLE[::3])
def test_the_answer_has_rows_and_the_question_names_what_it_needs(task_id):
    task, database = TASKS.get(task_id), TASKS.database(task_id)
    result = execute(database, task.gold)
    assert result.rows, task
    assert all(value is not None for row in result.rows for value in row)
    for literal in re.findall(r"= '(\w+)'", task.gold):
        assert literal in task.query
    assert "{" not in task.query + task.gold
    assert len(database.tables) == 3
    assert SQLTask.from_json(task.to_json(database), 0).gold == task.gold


def test_all_domains_and_kinds_are_asked():
    assert {TASKS.get(task_id).db for task_id in SAMPLE} == {domain.database for domain in DOMAINS}
    assert {TASKS.get(task_id).hardness for task_id in SAMPLE} == {"easy", "medium", "hard", "extra"}
    assert {kind.hardness for kind in KINDS.values()} == {"easy", "medium", "hard", "extra"}


def test_the_teacher_can_read_every_question():
    """What it understands now and then is what the oracle says: kind and column."""
    for task_id in SAMPLE:
        task, database = TASKS.get(task_id), TASKS.database(task_id)
        advice = read_reflection(TASKS.advice(task_id))
        asked = asked_kind(task.query)
        if advice.select and not advice.join:
            assert asked == "select"
            columns = [column.name for table in database.tables for column in table.columns]
            assert asked_column(task.query, columns) in (advice.select, None)
        elif advice.join:
            assert asked == ("join" if advice.select else "joined equals")
        elif not task.query.startswith("How many") or "different" in task.query or "each" in task.query:
            assert getattr(advice, asked) is not None, task
        for stated in (advice.aggregate, advice.order, advice.average):
            if stated and not stated[0].endswith("_id") and stated[0] in ATTRIBUTES:
                assert asked_column(task.query, [stated[0]]) == stated[0]


def test_columns_have_one_meaning():
    names = [*ATTRIBUTES, "title", "name"]
    assert len(set(names)) == len(names)
    assert all(attribute.asks.count("{it}") == 1 for attribute in ATTRIBUTES.values())
    assert len(DOMAINS) == 12
    nouns = [noun for domain in DOMAINS for noun in domain.nouns]
    assert len(set(nouns)) == len(nouns)
