"""The built-in world: what it promises of its tasks, names and splits."""

import re

import numpy as np
import pytest

from retro_gym_envs.coined_names import HEADS, TAILS, NameMaker
from retro_gym_envs.hotpotqa.observations import asked_attribute, asked_role, candidates, roles_on, spans, value_of
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES
from retro_gym_envs.hotpotqa.tasks import HotpotTask
from retro_gym_envs.hotpotqa.world import BuiltinTasks
from retro_gym_envs.task_sources import SPLITS

COINED = re.compile(rf"\b(?:{'|'.join(HEADS)})(?:{'|'.join(TAILS)})\b")


def coined_words(task):
    return set(COINED.findall(" ".join([task.question, *(" ".join(s) for _, s in task.context)])))


@pytest.fixture(scope="module")
def tasks():
    source = BuiltinTasks(0)
    return {split: [source.get(task_id) for task_id in source.ids(split)[:200]] for split in SPLITS}


def test_a_task_depends_on_world_split_and_number_alone():
    ids = BuiltinTasks(0).ids("train")
    assert BuiltinTasks(0).get(ids[7]) == BuiltinTasks(0).get(ids[7])
    assert BuiltinTasks(0).get(ids[7]) != BuiltinTasks(1).get(ids[7])
    assert len({BuiltinTasks(0).get(task_id).question for task_id in ids[:300]}) == 300


def test_tasks_have_the_public_schema(tasks):
    for task in tasks["test"]:
        assert HotpotTask.from_json(task.to_json(), "here") == task
        assert len(task.context) == 10
        assert len({title for title, _ in task.context}) == 10
        assert task.level == "hard"


def test_every_answer_stands_in_its_supporting_facts(tasks):
    for task in tasks["test"]:
        sentences = dict(task.context)
        told = [sentences[title][index] for title, index in task.supporting_facts]
        if task.type == "bridge":
            assert len(told) == 2
            assert task.answer in told[1]
            assert task.supporting_facts[1][0] in told[0], "the first page names the second"
        else:
            assert task.answer in {title for title, _ in task.supporting_facts}


def test_no_name_of_one_split_occurs_in_another(tasks):
    words = {split: set().union(*map(coined_words, tasks[split])) for split in SPLITS}
    assert all(len(found) > 1_000 for found in words.values())
    assert not words["train"] & words["test"]
    assert not words["train"] & words["validation"]
    assert not words["validation"] & words["test"]


def test_names_of_one_task_share_no_half():
    maker = NameMaker("test", np.random.default_rng(0))
    words = [maker.word() for _ in range(80)]
    halves = [re.fullmatch(rf"({'|'.join(HEADS)})({'|'.join(TAILS)})", word).groups() for word in words]
    assert len({head for head, _ in halves}) == len({tail for _, tail in halves}) == 80


def test_words_can_be_read_apart_in_one_way_only():
    heads, tails = set(HEADS), set(TAILS)
    assert len(heads) == len(HEADS)
    assert len(tails) == len(TAILS)
    rng = np.random.default_rng(0)
    for head, tail in zip(rng.choice(HEADS, 500), rng.choice(TAILS, 500), strict=True):
        word = str(head) + str(tail)
        assert sum(word[:cut] in heads and word[cut:] in tails for cut in range(1, len(word))) == 1


def test_there_are_many_relations_and_wordings(tasks):
    everything = [task for split in SPLITS for task in tasks[split]]
    bridges = [task for task in everything if task.type == "bridge"]
    assert 0.7 < len(bridges) / len(everything) < 0.9
    pairs = {(asked_role(task.question), asked_attribute(task.question).name) for task in bridges}
    assert None not in {role for role, _ in pairs}
    assert len(pairs) > 60
    shapes = {COINED.sub("X", task.question) for task in everything}
    assert len(shapes) > 250


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_sentence_of_an_attribute_is_read_back(name):
    attribute = ATTRIBUTES[name]
    value = {"year": "1934", "number": "12,345", "person": "Tavora Brelin", "place": "Tavora", "name": "Tavora Medal"}
    for sentence in attribute.sentences:
        text = f"Skumex is a thing. {sentence.format(b='Brelum Orvin', v=value[attribute.value])} It is old."
        assert value_of(attribute, text) == value[attribute.value]


@pytest.mark.parametrize("name", ROLES)
def test_every_sentence_of_a_role_is_read_back_even_with_an_aside(name):
    role = ROLES[name]
    for sentence in role.sentences:
        told = sentence.format(b="Brelum Orvin")
        assert roles_on(f"Skumex is a thing. {told} It is old.") == [(name, "Brelum Orvin")]
        assert roles_on(f"Skumex is a thing. {told.removesuffix('.')}, born in 1934. It is old.") == [
            (name, "Brelum Orvin")
        ]


def test_relations_refer_to_each_other():
    for kind in KINDS.values():
        assert set(kind.roles) <= set(ROLES)
        assert set(kind.attributes) <= set(ATTRIBUTES)
    assert {role.target for role in ROLES.values()} <= set(KINDS)


def test_comparison_questions_offer_three_candidates(tasks):
    for task in tasks["test"]:
        if task.type == "comparison":
            assert len(candidates(task.question)) == 3
            assert task.answer in candidates(task.question)
        else:
            assert candidates(task.question) == []
            assert len(spans(task.question)) == 1
