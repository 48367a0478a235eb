"""WebShop's scripted actor, oracle and noisy teacher, played in the built-in test shop."""

import re

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym.testing.hosting import hosted_prompt
from retro_gym.trajectory import Turn
from retro_gym_envs.webshop.actor import ScriptedShopActor
from retro_gym_envs.webshop.advice import advised_values, read_reflection
from retro_gym_envs.webshop.observations import asked, hits_on, item_on, query_of
from retro_gym_envs.webshop.prompt import WEBSHOP_PROMPT

TASKS = 200
VAGUE = (
    "Look more carefully.",
    "Try again and think step by step.",
    "I should have read the instruction and checked all options and the price before I bought the first item.",
    "Choose the right one next time! Not the wrong product, but the one that is best.",
    "",
)


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroWebShop-v0", split="test").unwrapped


@pytest.fixture(scope="module")
def outcomes(env):
    """Of the first test tasks: id, group, success at trial 0 and, for failures, what each sort of reflection earns."""
    rng = np.random.default_rng(0)
    task_ids = env.task_env.task_ids("test")[:TASKS]
    found = []
    for task_id, other in zip(task_ids, (*task_ids[1:], task_ids[0]), strict=True):
        observation, info = env.reset(seed=0, options={"task_id": task_id})
        noisy = [env.task_env.teacher.noisy_reflection(env.trajectory, rng) for _ in range(4)]
        oracle = env.task_env.teacher.oracle_reflection
        texts = [*VAGUE, oracle(task_id), oracle(other), *noisy]
        earned = [info["success"]] * len(texts)
        if not info["success"]:
            earned = [outcome.success for outcome in env.branch(texts)]
        found.append((env.task_env.teacher.task_group(task_id), info["success"], earned, len(observation)))
    return found


def test_unaided_it_fails_mostly(outcomes):
    assert 0.15 <= np.mean([success for _, success, _, _ in outcomes]) <= 0.5
    assert {group for group, success, _, _ in outcomes if success} == {"first hit"}
    assert len({group for group, success, _, _ in outcomes if not success}) == 5


def test_a_vague_reflection_brings_nothing(outcomes):
    for _, success, earned, _ in outcomes:
        assert earned[: len(VAGUE)] == [success] * len(VAGUE)


def test_the_oracle_solves_nearly_everything(outcomes):
    assert np.mean([earned[len(VAGUE)] for _, _, earned, _ in outcomes]) >= 0.98


def test_another_tasks_oracle_brings_next_to_nothing(outcomes):
    unaided = np.mean([success for _, success, _, _ in outcomes])
    assert np.mean([earned[len(VAGUE) + 1] for _, _, earned, _ in outcomes]) <= unaided + 0.05


def test_the_noisy_teacher_is_between(outcomes):
    unaided = np.mean([success for _, success, _, _ in outcomes])
    gain = np.mean([earned[len(VAGUE) + 2 :] for _, _, earned, _ in outcomes]) - unaided
    assert 0.05 < gain < 0.25
    right = [np.mean(earned[len(VAGUE) + 2 :]) for group, success, earned, _ in outcomes if not success]
    assert 0.05 < np.mean(right) < 0.3


def test_what_the_reflector_reads_is_short(outcomes):
    lengths = [length for _, _, _, length in outcomes]
    assert np.median(lengths) < 2_500
    assert np.percentile(lengths, 95) < 4_000


def test_each_group_needs_what_its_name_says(env):
    for group, part in (("attribute", "that is {}"), ("price", "lower than"), ("options", "choose")):
        task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.teacher.task_group(t) == group)
        assert (
            part.format(env.task_env.goal(task_id).attributes[0])
            in env.task_env.teacher.oracle_reflection(task_id).lower()
        )


def test_a_wrong_name_leads_astray(env):
    task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.teacher.task_group(t) == "options")
    env.reset(seed=0, options={"task_id": task_id})
    goal = env.task_env.goal(task_id)
    product = env.task_env.catalog(task_id).get(goal.asin)
    right, value = env.task_env.teacher.oracle_reflection(task_id), goal.options[0]
    others = [each for each in dict(product.options)[product.option_of(value)] if each != value]
    texts = [right, *(right.replace(value, other) for other in others), right.replace(value, "unheard")]
    assert [outcome.success for outcome in env.branch(texts)] == [True, False, *[False] * len(others)]


@pytest.mark.parametrize(
    "form",
    [
        "Open {id} and pick {values}.",
        "The hit {id} is the one to buy; do not forget to select {values}!",
        'Next time click[{id}], then choose {values}, and only then "Buy Now".',
    ],
)
@pytest.mark.parametrize("group", ["options", "attribute and options", "price and options"])
def test_it_understands_other_words_for_the_same(env, form, group):
    task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.teacher.task_group(t) == group)
    env.reset(seed=0, options={"task_id": task_id})
    goal = env.task_env.goal(task_id)
    assert env.branch([form.format(id=goal.asin, values=" and ".join(goal.options))])[0].success


def test_the_place_on_the_page_is_understood(env):
    ordinals = ("second", "third", "fourth", "fifth")
    task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.teacher.task_group(t) == "attribute")
    env.reset(seed=0, options={"task_id": task_id})
    page = hits_on(env.trajectory.turns[0].observation)
    place = [hit.asin for hit in page].index(env.task_env.goal(task_id).asin)
    assert env.branch([f"Buy the {ordinals[place - 1]} product."])[0].success


def test_the_last_reflection_that_is_not_empty_counts(env):
    task_id = next(t for t in env.task_env.task_ids("test") if env.task_env.teacher.task_group(t) == "options")
    env.reset(seed=0, options={"task_id": task_id})
    env.step("Choose the color unheard.")
    assert env.branch([env.task_env.teacher.oracle_reflection(task_id)])[0].success


# -- the actor alone -------------------------------------------------------------------------------------------------

TASK = "WebShop [SEP] Instruction: [SEP] i would like a jute kettle, and price lower than 40.00 dollars [SEP] Search"
RESULTS = (
    "Back to Search [SEP] Page 1 (Total results: 2) [SEP] Next > [SEP] B00017 [SEP] Ansel kettle [SEP] $48.5 "
    "[SEP] B00018 [SEP] Tarn kettle, matte [SEP] $8.5 to $10.5"
)


def replies(*reflections, turns=()):
    """The action that the actor takes, from the parts of a prompt, from its text, and from a server's request."""
    prompt = Prompt(WEBSHOP_PROMPT.instruction, WEBSHOP_PROMPT.examples, reflections, TASK, tuple(turns), seed=1)
    told = [prompt, hosted_prompt({"messages": prompt.messages("chat")}), hosted_prompt({"prompt": prompt.text})]
    actions = {reply.text for reply in ScriptedShopActor().reply(told)}
    assert len(actions) == 1
    return actions.pop().partition(f"Action {len(turns) + 1}: ")[2]


def test_it_reads_the_prompts_text_and_nothing_else():
    assert replies() == "search[jute kettle]"
    assert replies('Search for "kettle of Tarn" and buy B00018.') == "search[kettle of Tarn]"
    found = Turn("", "search[jute kettle]", RESULTS)
    assert replies(turns=[found]) == "click[B00017]"
    assert replies("Buy one that is matte.", turns=[found]) == "click[B00018]"
    assert replies("Stay below $20", turns=[found]) == "click[B00018]"
    assert replies("Stay below $2", turns=[found]) == "click[B00017]"  # which is nothing that the page shows
    assert replies("Buy B00099.", turns=[found]) == "click[Next >]"


def test_a_search_that_finds_nothing_is_tried_in_other_words():
    nothing = "Back to Search [SEP] Page 1 (Total results: 0)"
    turns = [Turn("", "search[x y]", nothing)]
    assert replies('Search for "x y".', turns=turns) == "click[Back to Search]"
    turns.append(Turn("", "click[Back to Search]", TASK))
    assert replies('Search for "x y".', turns=turns) == "search[jute kettle]"
    turns += [Turn("", "search[jute kettle]", nothing), Turn("", "click[Back to Search]", TASK)]
    assert replies('Search for "x y".', turns=turns) == "search[kettle]"


@given(st.lists(st.text(max_size=40), max_size=3), st.lists(st.text(max_size=60), max_size=4))
def test_no_prompt_upsets_it(reflections, observations):
    turns = tuple(Turn("", "search[x]", text) for text in observations)
    prompt = Prompt("Buy.", (), tuple(reflections), TASK, turns, seed=0)
    (reply,) = ScriptedShopActor().reply([prompt])
    assert re.fullmatch(r"Thought \d+: .+\nAction \d+: (?:search|click)\[.+\]", reply.text)


# -- the teacher -----------------------------------------------------------------------------------------------------


def test_teacher_is_well_formed_and_grounded(env):
    rng = np.random.default_rng(0)
    seen = set()
    for seed in range(100):
        env.reset(seed=seed)
        for _ in range(4):
            text = env.task_env.teacher.noisy_reflection(env.trajectory, rng)
            check = env.task_env.teacher.check_reflection(text, env.trajectory)
            assert check.well_formed, text
            assert check.grounded, text
            assert len(text.split()) <= 20
            seen.add(text)
        right = env.task_env.teacher.check_reflection(
            env.task_env.teacher.oracle_reflection(env.trajectory.task_id), env.trajectory
        )
        assert right.well_formed
        assert right.grounded
    assert len(seen) > 200


def test_teacher_depends_on_its_generator_alone(env):
    env.reset(seed=3)
    first = [env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


@pytest.mark.parametrize(
    ("text", "well_formed"),
    [
        ("Buy one that is waterproof.", True),
        ("Next time buy one that is sugar free and lower than 40 dollars.", True),
        ("Buy one that is lower than 40 dollars and choose the color teal and the size x-large.", True),
        ("  Choose the color teal.\n", True),
        ("Choose the color teal", False),
        ("Choose the color teal. Be careful.", False),
        ("Choose the color.", False),
        ("Choose the color unheard.", False),
        ("Buy one that is .", False),
        ("Buy one that is  and choose the color teal.", False),
        ("Buy one that is waterproof and .", False),
        ("Buy one that is waterproof lower than 40 dollars.", False),
        ("Next time .", False),
        (".", False),
        ("", False),
    ],
)
def test_check_reflection_tells_the_form(env, text, well_formed):
    env.reset(seed=0)
    check = env.task_env.teacher.check_reflection(text, env.trajectory)
    assert check.well_formed == well_formed
    assert not (check.grounded and not check.well_formed)


def test_check_reflection_tells_what_was_seen(env):
    env.reset(seed=0)
    text = env.trajectory.render()
    limit = asked(text).limit
    check = env.task_env.teacher.check_reflection
    colors = ("teal", "navy", "coral", "white", "pink")
    for word in colors:
        assert check(f"Choose the color {word}.", env.trajectory).grounded == (f" {word} " in text)
    assert 0 < sum(f" {word} " in text for word in colors) < len(colors)
    assert check(f"Buy one that is lower than {limit} dollars.", env.trajectory).grounded
    assert not check(f"Buy one that is lower than {limit}7 dollars.", env.trajectory).grounded


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "query"),
    [
        (
            "i'm looking for a pair of wool socks in size large, and price lower than 40.00 dollars",
            "pair of wool socks",
        ),
        ("I need to find a 3 ounce jar of honey that is organic.", "3 ounce jar of honey"),
        ("find me kettles", "kettles"),
        ("Not color navy again. I want to buy an oak bench; make sure that it is sturdy", "oak bench"),
        ("wool socks", "wool socks"),
        ("i need [a]", "a"),
        ("", "product"),
    ],
)
def test_query_of(instruction, query):
    assert query_of(instruction) == query


@pytest.mark.parametrize(
    ("text", "offered", "named"),
    [
        ("Choose the color teal.", ["teal", "navy"], ["teal"]),
        ("Choose Teal and LARGE.", ["teal", "large", "x-large"], ["teal", "large"]),
        ("It should be x-large.", ["large", "x-large"], ["x-large"]),
        ("Choose navy, not teal; not the color pink.", ["teal", "navy", "pink"], ["navy"]),
        ("Choose navy instead of teal.", ["teal", "navy"], ["navy"]),
        ('Choose "3 ounce (pack of 1)".', ["3 ounce (pack of 1)", "3 ounce"], ["3 ounce (pack of 1)"]),
        ("Choose size 9.", ["9", "10"], []),
        ('Choose "9" below 10 dollars.', ["9", "10"], ["9"]),
        ("Look more carefully.", ["teal"], []),
    ],
)
def test_advised_values(text, offered, named):
    assert advised_values(read_reflection(text), offered) == named


@pytest.mark.parametrize("page", ["", "Invalid action!", "OK.", "You have clicked teal.", TASK, " [SEP] " * 9])
def test_other_pages_are_neither_results_nor_products(page):
    assert hits_on(page) == []
    assert item_on(page) is None
