"""WebShop's teacher: forms, rules, leaks; and what the actor understands of its advice in other words."""

import re
from collections import Counter

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym_envs.webshop.advice import Advice, advice_on, ids_in, quoted_query
from retro_gym_envs.webshop.observations import asked_in, hits_on, item_on, query_of, reviews_on
from retro_gym_envs.webshop.rule import advise, doubts_in
from retro_gym_envs.webshop.world import CAUSES


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroWebShop-v0", split="test").unwrapped


@pytest.fixture
def teacher(env):
    return env.task_env.teacher


def failures(env, count):
    """Resets to failed trials on tasks of many causes; yields task id and observation."""
    for seed, task_id in enumerate(env.task_env.task_ids("test")[:count]):
        observation, info = env.reset(seed=seed, options={"task_id": task_id})
        if not info["success"]:
            yield task_id, observation


# -- forms -----------------------------------------------------------------------------------------------------------


def test_reflections_are_short_well_formed_and_grounded(env, teacher):
    rng = np.random.default_rng(0)
    seen = set()
    for task_id, _ in failures(env, 100):
        texts = [teacher.noisy_reflection(env.trajectory, rng) for _ in range(4)]
        for text in (*texts, teacher.oracle_reflection(task_id)):
            check = teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text
            assert len(text.split()) <= 21
        seen.update(texts)
    assert len(seen) > 100


def test_the_noisy_teacher_depends_on_its_generator_alone_and_is_wrong_most_often(env, teacher):
    for task_id, _ in failures(env, 30):
        rng = np.random.default_rng(5)
        texts = Counter(teacher.noisy_reflection(env.trajectory, rng) for _ in range(400))
        assert texts == Counter(
            teacher.noisy_reflection(env.trajectory, each) for each in [np.random.default_rng(5)] for _ in range(400)
        )
        if " and " not in teacher.failure_cause(task_id):
            assert 0.25 < texts[teacher.oracle_reflection(task_id)] / 400 < 0.45
            assert texts.most_common(1)[0][0] != teacher.oracle_reflection(task_id) or max(texts.values()) < 180


@pytest.mark.parametrize(
    ("text", "well_formed"),
    [
        ("Search for ostrin.", True),
        ("Open B04711.", True),
        ("Buy the solar Ostrin.", True),
        ("Choose the teal ostrin as the color.", True),
        ("Choose the teal ostrin as the color and choose the x-large velmor as the size.", True),
        ("Open the solar B04711 and choose the teal ostrin as the color.", True),
        ("Buy the extra soft Ostrin and choose the small ostrin as the size.", True),
        ("Search for the steel jug ostrin.", True),
        ("  Choose the x-large ostrin as the size.\n", True),
        ("Choose the teal ostrin as the color", False),
        ("Choose the teal ostrin as the color. Be careful.", False),
        ("Choose as the color.", False),
        ("Choose the heavy ostrin as the weight.", False),
        ("Open ostrin.", False),
        ("Search for .", False),
        ("", False),
    ],
)
def test_check_reflection_tells_the_form(env, teacher, text, well_formed):
    env.reset(seed=0)
    check = teacher.check_reflection(text, env.trajectory)
    assert check.well_formed == well_formed
    assert not check.grounded


def test_groups_and_causes(env, teacher):
    ids = env.task_env.task_ids("test")
    assert {teacher.failure_cause(task_id) for task_id in ids} == set(CAUSES)
    assert {teacher.task_group(task_id) for task_id in ids} == {"fashion", "garden", "grocery", "beauty", "electronics"}


# -- leaks -----------------------------------------------------------------------------------------------------------


def test_only_what_is_told_outright_leaks(env, teacher):
    rng = np.random.default_rng(0)
    for task_id, observation in failures(env, 60):
        told = teacher.told_reflection(task_id)
        goal = env.task_env.goal(task_id)
        assert teacher.leaks(told, task_id)
        assert teacher.leaks(f"  {told.upper()} ", task_id)
        assert not teacher.leaks(told.replace(goal.options[1], "it"), task_id)
        for text in (
            teacher.oracle_reflection(task_id),
            teacher.rule_reflection(observation),
            teacher.noisy_reflection(env.trajectory, rng),
            env.trajectory.task,
            "",
        ):
            assert not teacher.leaks(text, task_id), text


# -- the same in other words -----------------------------------------------------------------------------------------

ACTS = {
    "word": ("search for {n}", "use {n} as the query", "{n} should be searched for", "{n} is what they call it here"),
    "maker": ("buy the one from {n}", "go for the {n} one", "the {n} one should be bought", "{n} is the right maker"),
    "item": ("open {n}", "click on product {n}", "{n} should be opened", "{n} is the right product"),
    "option": ("choose the {k} {n}", "pick {n} as the {k}", "{n} should be chosen as the {k}", "{n} is the right {k}"),
}


def said(doubt, form):
    return ACTS.get(doubt.kind, ACTS["option"])[form].format(k=doubt.kind, n=doubt.right)


REWORDED = {
    "next time": "Next time I should {0}.",
    "after a report": "In my previous attempt I took {taken}, which failed. {1} instead!",
    "with a reason": "I need to {0} because the reviews say that it is what the customer wants.",
    "passive": "{2}.",
    "statement": "{3}.",
    "lower case": "next time {1}, then buy it",
    "omitted": "Do not forget to {0} this time!",
    "with what was wrong": "{0} instead of {taken}.",
    "denied first": "{taken} was wrong. {3}.",
    "list": "1. {0}\n2. Buy it.",
    "polite": "Please {0} and only then click Buy Now.",
    "explained": "The reviews tell that {3}, so {0}.",
}
NO_ADVICE = ("Do not {0}.", "Should I {0}?", "Sing a song for {right}.", "It would be wrong to {0}.", "{right}")


def worded(form, doubts):
    """One sentence of a form for each doubt."""
    texts = []
    for doubt in doubts:
        text = form.format(*(said(doubt, i) for i in range(4)), taken=doubt.taken, right=doubt.right)
        texts.append(text[0].upper() + text[1:] if form[0] != "n" else text)
    return " ".join(texts)


def test_the_actor_understands_advice_in_other_words(env):
    understood = {name: [] for name in REWORDED}
    for _, observation in failures(env, 40):
        doubts = doubts_in(observation)
        if any(doubt.taken == doubt.right for doubt in doubts):
            continue  # nothing was wrong with that one
        outcomes = env.branch([worded(form, doubts) for form in REWORDED.values()])
        for name, outcome in zip(REWORDED, outcomes, strict=True):
            understood[name].append(outcome.success)
    assert {name: round(np.mean(each), 2) for name, each in understood.items() if np.mean(each) < 0.9} == {}


def test_what_is_no_advice_does_not_act_like_it(env):
    blank, earned = [], []
    for _, observation in failures(env, 60):
        doubts = doubts_in(observation)
        first, *others = env.branch(["", *(worded(form, doubts) for form in NO_ADVICE)])
        blank.append(first.success)
        earned.append([each.success for each in others])
    assert (np.mean(earned, axis=0) <= np.mean(blank) + 0.1).all()


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "advice"),
    [
        (["Choose teal."], Advice(("teal",))),
        (["Choose Teal!", "Be careful."], Advice(("teal",))),
        (["Choose teal.", "Choose navy."], Advice(("navy",))),
        (["Choose navy instead of teal."], Advice(("navy",), ("teal",))),
        (["Choose navy, since coral is something else."], Advice(("navy",))),
        (["Do not choose teal."], Advice((), ("teal",))),
        (["Choose teal, navy or coral."], Advice(confused=True)),
        (["Sing of teal in a song."], Advice()),
        (["Look more carefully."], Advice()),
        ([], Advice()),
    ],
)
def test_advice_on_options(notes, advice):
    assert advice_on(notes, ["teal", "navy", "coral"]) == advice


NAMES = ["preruda", "toruta", "velmor", "ostrin", "dalkin"]
FOR_TORUTA = """
    I chose preruda when it should have been toruta. | It was toruta all along. | I mixed up preruda and toruta.
    Consider toruta. | How about toruta? | Swap preruda for toruta. | Replace preruda with toruta.
    toruta, not preruda. | Switch preruda for toruta. | Change preruda for toruta.
    No more preruda; toruta from now on. | This time: toruta. | toruta rather than preruda.
    preruda is wrong, so toruta it is. | I overlooked toruta. | The key is toruta. | teal: toruta
    color = toruta | The seller that you are after is toruta. | They show that toruta is soothing.
    The reviews said that toruta is individually wrapped, but I took preruda instead. | Only toruta is brushed.
    toruta is solar powered, so buy it. | The review says that toruta is quilted. | toruta is the padded one.
"""
NOTHING_ABOUT_TORUTA = """
    toruta is a funny word. | The word toruta is printed in green. | Search for a rhyme with toruta. | I chose toruta.
    I will buy a book about toruta. | I like the sound of toruta. | I wonder if I should take toruta. | toruta
    Should I choose toruta? | Write a poem about toruta. | toruta was made on a Tuesday.
"""


def sentences(table):
    return [sentence.strip() for line in table.strip().splitlines() for sentence in line.split("|")]


@pytest.mark.parametrize("sentence", sentences(FOR_TORUTA))
def test_usual_wordings_are_advice(sentence):
    assert advice_on([sentence], NAMES).wanted == ("toruta",)


@pytest.mark.parametrize("sentence", sentences(NOTHING_ABOUT_TORUTA))
def test_other_sentences_with_a_name_are_none(sentence):
    assert advice_on([sentence], NAMES).wanted == ()


@pytest.mark.parametrize(
    ("note", "confused"),
    [
        ("Not preruda, not velmor, not ostrin, not dalkin.", True),
        ("preruda is teal. toruta is navy. velmor is white. ostrin is pink.", True),
        ("Choose toruta. Avoid preruda, velmor and ostrin.", True),
        ("Choose toruta. Avoid preruda and velmor.", False),
        ("I tried preruda, velmor and ostrin. Choose toruta.", False),
    ],
)
def test_a_reflection_that_speaks_of_too_many_names_confuses(note, confused):
    assert advice_on([note], NAMES).confused == confused


def test_two_names_of_one_thing_are_one():
    things = {"Ostrin": "B1", "B1": "B1", "Velmor": "B2", "B2": "B2"}
    assert advice_on(["Buy B2 from Velmor, not B1 from Ostrin."], things) == Advice(("B2",), ("B1",))


def test_queries_and_ids():
    assert quoted_query(['Do not search for "x".', 'Search for "a b" and buy.']) == "a b"
    assert quoted_query(['Avoid searching for "x".']) is None
    assert ids_in(["Do not open B00017. Open B00204."]) == ["b00204"]


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ([("word", "ostrin", "steel jug")], "Search for the steel jug ostrin."),
        (
            [("color", "ostrin", "teal"), ("maker", "Velmor", "solar")],
            "Buy the solar Velmor and choose the teal ostrin as the color.",
        ),
        ([("size", "a", ""), ("color", "b", "")], "Choose a as the size and choose b as the color."),
    ],
)
def test_advise(choices, text):
    assert advise(choices) == text


@pytest.mark.parametrize(
    ("instruction", "query"),
    [
        ("i'm looking for a pair of wool socks in size large, and price lower than 40.00", "pair of wool socks"),
        ("I need to find a 3 ounce jar of honey that is organic.", "3 ounce jar of honey"),
        ("find me kettles", "kettles"),
        ("Not color navy again. I want to buy an oak bench; make sure that it is sturdy", "oak bench"),
        ("Purchase an oak bench: sturdy", "oak bench"),
        ("wool socks", "wool socks"),
        ("i need [a]", "a"),
        ("", "product"),
    ],
)
def test_query_of(instruction, query):
    assert query_of(instruction) == query
    assert asked_in(instruction).thing == query


@pytest.mark.parametrize("page", ["", "Invalid action!", "OK.", "You have clicked teal.", " [SEP] " * 9])
def test_other_pages_are_neither_results_nor_products_nor_reviews(page):
    assert hits_on(page) == []
    assert item_on(page) is None
    assert reviews_on(page) == {}


@pytest.mark.parametrize("text", ["", "Reflection:", "Return: 0.00", "WebShop [SEP] Instruction: [SEP] x [SEP] Search"])
def test_the_rule_reads_any_text(teacher, text):
    assert re.fullmatch(r"[A-Z][\w ]+\.", teacher.rule_reflection(text))
