"""The built-in world: what it promises of its tasks, names and splits."""

import re
from collections import Counter

import numpy as np
import pytest

from retro_gym_envs.coined_names import HEADS, TAILS, NameMaker, split_of
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES, SUBJECTS, attributes_of
from retro_gym_envs.hotpotqa.tasks import HotpotTask
from retro_gym_envs.hotpotqa.wording import (
    FORMS,
    NAMESAKES,
    RUMOURS,
    STATEMENTS,
    SUCCESSORS,
    Wanted,
    asked_by,
    described,
    facts_on,
    links_on,
    rumour_on,
)
from retro_gym_envs.hotpotqa.world import CAUSES, BuiltinTasks
from retro_gym_envs.task_sources import SPLITS

COINED = re.compile(rf"\b(?:{'|'.join(HEADS)})(?:{'|'.join(TAILS)})\b")


def coined_words(task):
    return set(COINED.findall(" ".join([task.question, *(" ".join(s) for _, s in task.context)])))


def form_of(task):
    """The question without the entities that it describes."""
    question = task.question
    for entity in asked_by(question).entities:
        question = question.replace(described(entity), "…")
    return question


@pytest.fixture(scope="module")
def tasks():
    source = BuiltinTasks(0)
    return {split: [source.get(task_id) for task_id in source.ids(split)[:300]] for split in SPLITS}


def test_a_task_depends_on_world_split_and_number_alone():
    ids = BuiltinTasks(0).ids("train")
    assert BuiltinTasks(0).get(ids[7]) == BuiltinTasks(0).get(ids[7])
    assert BuiltinTasks(0).get(ids[7]) != BuiltinTasks(1).get(ids[7])
    assert len({BuiltinTasks(0).get(task_id).question for task_id in ids[:300]}) == 300


def test_tasks_have_the_public_schema(tasks):
    for task in tasks["test"]:
        assert HotpotTask.from_json(task.to_json(), "here") == task
        titles = [title for title, _ in task.context]
        assert len(titles) == len(set(titles)) >= 10
        assert len(titles) == 10 or task.type == "comparison"
        assert task.level == "hard"


def test_every_answer_stands_once_in_its_supporting_facts(tasks):
    for task in tasks["test"]:
        sentences = dict(task.context)
        told = [sentences[title][index] for title, index in task.supporting_facts]
        assert len(told) == 2 * (1 + (task.type == "comparison"))
        assert sum(task.answer in sentence for sentence in told[1::2]) == 1
        for stated, (title, _) in zip(told[::2], task.supporting_facts[1::2], strict=True):
            assert re.sub(r" \(.*", "", title) in stated, "the first page names the second"
        assert sum(task.answer in " ".join(each) for each in sentences.values()) == 1, "nowhere else"


@pytest.mark.parametrize(("split", "count"), [("train", 2_000), ("validation", 1_000), ("test", 1_000)])
def test_every_name_is_one_of_its_split_so_that_it_occurs_in_no_other(split, count):
    source = BuiltinTasks(0)
    words = set().union(*(coined_words(source.get(task_id)) for task_id in source.ids(split)[:count]))
    assert len(words) > 5_000
    halves = [re.fullmatch(rf"({'|'.join(HEADS)})({'|'.join(TAILS)})", word).groups() for word in words]
    assert {split_of(HEADS.index(head), TAILS.index(tail)) for head, tail in halves} == {split}


def test_no_form_of_a_question_of_one_split_occurs_in_another():
    source = BuiltinTasks(0)
    ids = {split: source.ids(split) for split in SPLITS} | {"train": source.ids("train")[:6_000]}
    forms = {split: {form_of(source.get(task_id)) for task_id in ids[split]} for split in SPLITS}
    assert len(forms["train"]) == 30 * 10 + 20 * 4, "so these are the forms of all training tasks"
    assert not forms["train"] & forms["test"]
    assert not forms["train"] & forms["validation"]
    assert not forms["validation"] & forms["test"]


def test_names_of_one_task_share_no_half():
    maker = NameMaker("test", np.random.default_rng(0))
    words = [maker.word() for _ in range(150)]
    halves = [re.fullmatch(rf"({'|'.join(HEADS)})({'|'.join(TAILS)})", word).groups() for word in words]
    assert len({head for head, _ in halves}) == len({tail for _, tail in halves}) == 150


def test_words_can_be_read_apart_in_one_way_only():
    heads, tails = set(HEADS), set(TAILS)
    assert len(heads) == len(HEADS)
    assert len(tails) == len(TAILS)
    rng = np.random.default_rng(0)
    for head, tail in zip(rng.choice(HEADS, 500), rng.choice(TAILS, 500), strict=True):
        word = str(head) + str(tail)
        assert sum(word[:cut] in heads and word[cut:] in tails for cut in range(1, len(word))) == 1


def test_causes_are_balanced_and_the_question_does_not_betray_them():
    source = BuiltinTasks(0)
    ids = source.ids("train")[:3_000]
    for kind in ("bridge", "comparison"):
        causes = Counter(source.cause(task_id) for task_id in ids if source.get(task_id).type == kind)
        assert set(causes) == set(CAUSES)
        assert max(causes.values()) < 1.7 * min(causes.values())
    guesses = Counter()
    for split in ("train", "test"):
        seen = {}
        for task_id in source.ids(split)[:1_000]:
            asked = asked_by(source.get(task_id).question)
            features = (asked.attribute.name, asked.entities[0].expression)
            guesses[split] += source.cause(task_id) == seen.get(features)
            seen[features] = source.cause(task_id)
    assert max(guesses.values()) / 1_000 < 1.5 / len(CAUSES)


def test_there_are_many_relations_and_wordings(tasks):
    everything = [task for split in SPLITS for task in tasks[split]]
    assert 0.05 < np.mean([task.type == "comparison" for task in everything]) < 0.2
    asked = [asked_by(task.question) for task in everything]
    assert len({(each.attribute.name, each.entities[0].role.name) for each in asked}) > 150
    assert len({COINED.sub("X", task.question) for task in everything}) > 500


@pytest.mark.parametrize("split", SPLITS)
def test_every_question_and_page_is_read_back(tasks, split):
    for task in tasks[split]:
        asked = asked_by(task.question)
        pages = {title: " ".join(map(str.strip, sentences)) for title, sentences in task.context}
        facts = dict(task.supporting_facts)
        assert len(asked.entities) == 1 + (task.type == "comparison")
        for entity, title in zip(asked.entities, list(facts)[1::2], strict=True):
            links = {link.role: link for link in links_on(pages[entity.subject])}
            assert len(links) == 5
            assert title.startswith(links[entity.role.name].name)
            assert len(facts_on(pages[title])) == 5
            assert set(facts_on(pages[title])) & set(asked.attribute.words)


@pytest.mark.parametrize("name", ROLES)
def test_every_sentence_of_a_role_is_read_back(name):
    role = ROLES[name]
    words = {"noun": role.name, "verb": role.verb, "b": "Brelum Orvin", "x": "Tavora Gramex"}
    for expression in FORMS:
        for forms in (STATEMENTS, NAMESAKES, SUCCESSORS):
            for form in forms[expression]:
                told = form.format(trade=KINDS[role.target].trades[0], **words)
                (link,) = links_on(f"Skumex is a thing. {told} It is old.")
                assert (link.role, link.expression, link.name) == (name, expression, "Brelum Orvin")
                assert bool(link.trade) == (forms is NAMESAKES)
                assert link.names[0] == ("Tavora Gramex" if forms is SUCCESSORS else "Brelum Orvin")
        asked = asked_by(f"Who taught {described(Wanted('Velmora Nights', role, expression))}?")
        assert asked.entities == (Wanted("Velmora Nights", role, expression),)


def test_rumours_are_read_back():
    attribute = ATTRIBUTES["birth year"]
    for form in RUMOURS:
        page = f"Skumex is a thing. {form.format(name=attribute.name, v='1934')} It is old."
        assert rumour_on(page, attribute) == "1934"
        assert rumour_on(page, ATTRIBUTES["debut year"]) is None


def test_relations_refer_to_each_other():
    for target, kinds in SUBJECTS.items():
        for kind in kinds:
            assert len(kind.roles) == 5
            assert {ROLES[name].target for name in kind.roles} == {target}
    assert sum(map(len, SUBJECTS.values())) == 6
    for attribute in ATTRIBUTES.values():
        assert len(attributes_of(attribute.kind, attribute.sort)) == 5
    words = [word for attribute in ATTRIBUTES.values() for word in attribute.words]
    assert len(words) == len(set(words)), "a word names one attribute"
    assert len({role.verb for role in ROLES.values()}) == len(ROLES)
