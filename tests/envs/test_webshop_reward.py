"""WebShop's reward: against an implementation of its own, its corners, and what the built-in goals are worth."""

import dataclasses
import re

import numpy as np
import pytest
from rapidfuzz import fuzz

from retro_gym_envs.webshop import reward
from retro_gym_envs.webshop.catalog import Goal, Product
from retro_gym_envs.webshop.departments import ATTRIBUTES, DEPARTMENTS, OPTIONS
from retro_gym_envs.webshop.reward import normalize_color, nouns, score, similarity
from retro_gym_envs.webshop.world import BuiltinShops

SHOPS = BuiltinShops(0)


# -- the published formula, written down a second time ---------------------------------------------------------------


def published(bought, wanted, options):
    """r_type · (attributes + options + price) / (|attributes| + |options| + 1), term by term."""

    def alike(first, second):
        clean = [" ".join(re.sub(r"[^a-z0-9]", " ", text.lower()).split()) for text in (first, second)]
        return round(fuzz.token_set_ratio(*clean)) > 85

    def told(text):
        everything = [bought.name, " ".join(bought.bullets), bought.description]
        return any(text in part.lower() for part in everything)

    attributes = 0
    for attribute in wanted.attributes:
        if any(alike(own, attribute) for own in bought.attributes) or told(attribute):
            attributes += 1
    chosen = 0
    goal_options = [normalize_color(value) for value in wanted.options]
    for name, value in options.items():
        value = normalize_color(value)
        hit = value in goal_options if name == "size" else any(alike(value, each) for each in goal_options)
        chosen += hit or told(value)
    price = 1 if bought.price <= wanted.price_upper else 0
    ours, theirs = nouns(bought.name), nouns(wanted.name)
    title = len([noun for noun in set(theirs) if noun in ours]) / len(theirs) if theirs else 0.2
    categories = [
        {part.strip() for part in path.split("›")} for path in (bought.product_category, wanted.product_category)
    ]
    r_type = 1.0
    if bought.query != wanted.query and len(categories[0] & categories[1]) < 2 and title <= 0.2:
        r_type = 0.5
    if title < 0.1:
        r_type = 0.1
    if title == 0:
        r_type = 0.0
    return r_type * ((attributes + chosen + price) / (len(wanted.attributes) + len(wanted.options) + 1))


FILLER = ("harp", "spider", "bulb", "wick", "lamp", "shade", "porch", "orchard", "tinsel", "gable", "spoon", "knot")


def test_a_thousand_random_purchases_are_worth_what_the_formula_says():
    rng = np.random.default_rng(0)
    products = [product for task_id in SHOPS.ids("test")[:100] for product in SHOPS.catalog(task_id).products]
    rewards, r_types = [], set()
    for number in range(1_000):
        goal = SHOPS.get(f"test-{rng.integers(100):04d}")
        kin = [each for each in products if each.query == goal.query]
        product = products[rng.integers(len(products))] if number % 2 else kin[rng.integers(len(kin))]
        options = {name: values[rng.integers(len(values))] for name, values in product.options if rng.random() < 0.7}
        if number % 3 == 0:  # options that were wanted, whatever the product offers
            options |= {SHOPS.catalog(goal.task_id).get(goal.asin).option_of(value): value for value in goal.options}
        if number % 4 == 0:  # goals that want more, and products of another path whose titles share few words
            wanted = tuple(rng.choice([*ATTRIBUTES, *product.attributes], size=rng.integers(1, 4), replace=False))
            filler = " ".join(rng.permutation(FILLER)[: rng.integers(0, 12)])
            goal = dataclasses.replace(
                goal, attributes=wanted, name=f"{goal.name} {filler}", query="", product_category=""
            )
        judged = score(product, goal, options)
        r_types.add(judged.r_type)
        rewards.append(judged.reward)
        assert judged.reward == pytest.approx(published(product, goal, options), abs=1e-12)
    assert len({round(each, 3) for each in rewards}) > 15
    assert {0.0, 1.0} <= set(rewards)
    assert {0.0, 0.1, 0.5, 1.0} == r_types


# -- the built-in goals ----------------------------------------------------------------------------------------------


def right_options(goal, product):
    return {product.option_of(value): value for value in goal.options}


@pytest.mark.parametrize("split", ["validation", "test", "train"])
def test_buying_the_goal_with_its_options_scores_one(split):
    for task_id in SHOPS.ids(split)[:: 20 if split == "train" else 1]:
        goal = SHOPS.get(task_id)
        product = SHOPS.catalog(task_id).get(goal.asin)
        assert score(product, goal, right_options(goal, product)).reward == 1.0, task_id


def test_a_wrong_or_missing_option_is_never_worth_one():
    tried = 0
    for task_id in SHOPS.ids("test"):
        goal = SHOPS.get(task_id)
        product = SHOPS.catalog(task_id).get(goal.asin)
        right = right_options(goal, product)
        for name in right:
            others = [value for value in dict(product.options)[name] if value != right[name]]
            for choice in ({name: value} for value in others):
                tried += 1
                assert score(product, goal, right | choice).reward < 1.0
            assert score(product, goal, {k: v for k, v in right.items() if k != name}).reward < 1.0
    assert tried > 300


def test_no_two_words_of_the_built_in_shops_match_each_other():
    fuzzy = [values for name, values in OPTIONS.items() if name != "size"]
    for words in (*fuzzy, *(each.attributes for each in DEPARTMENTS)):
        for first in words:
            for second in words:
                if first != second:
                    assert similarity(normalize_color(first), normalize_color(second)) <= 85, (first, second)
    values = {value for each in OPTIONS.values() for value in each}
    words = {word for each in DEPARTMENTS for word in (*each.kinds, *each.materials)}
    assert not values & (set(ATTRIBUTES) | words)
    for task_id in (*SHOPS.ids("test"), *SHOPS.ids("validation"), *SHOPS.ids("train")[:500]):
        for product in SHOPS.catalog(task_id).products:
            text = " ".join((product.name, product.description, *product.bullets)).lower()
            offered = [value for _, values in product.options for value in values]
            assert not [value for value in offered if normalize_color(value) in text], product


# -- corners ---------------------------------------------------------------------------------------------------------

PRODUCT = Product(
    "B1",
    "Ansel Zinc Watering Can",
    "garden",
    "watering cans",
    "Home › Garden › Cans",
    "A can. With a long spout.",
    ("Holds two liters", "Rust resistant"),
    ("leak proof", "zinc"),
    (("color", ("light blue", "green | grey")), ("size", ("small", "large"))),
    27.5,
    "$27.5",
)
GOAL = Goal(
    "g", "…", "B1", "watering cans", "Ansel Zinc Watering Can", "Home › Garden › Cans", ("leak proof",), (), 30.0
)


def test_it_is_one_for_what_was_wanted_and_less_by_each_part():
    assert score(PRODUCT, GOAL, {}).reward == 1.0
    assert score(PRODUCT, dataclasses.replace(GOAL, price_upper=27.49), {}).reward == 0.5
    assert score(PRODUCT, dataclasses.replace(GOAL, price_upper=27.5), {}).reward == 1.0
    both = dataclasses.replace(GOAL, options=("green | grey", "large"))
    assert score(PRODUCT, both, {}).reward == 0.5
    assert score(PRODUCT, both, {"color": "green | grey"}).reward == 0.75
    assert score(PRODUCT, both, {"color": "green | grey", "size": "small"}).reward == 0.75
    assert score(PRODUCT, both, {"color": "green | grey", "size": "large"}).reward == 1.0


@pytest.mark.parametrize(
    ("attribute", "found"),
    [
        ("leak proof", True),
        ("proof leak", True),  # the order does not matter
        ("leak", True),  # nor what one side says beside it
        ("leek proof", True),  # nor a letter in ten
        ("long spout", True),  # said in the description
        ("liters rust", True),  # bullet points are read as one text
        ("Rust", False),  # but in lower case only, as published
        ("waterproof", False),
    ],
)
def test_attributes(attribute, found):
    assert score(PRODUCT, dataclasses.replace(GOAL, attributes=(attribute,)), {}).attributes == found


@pytest.mark.parametrize(
    ("wanted", "chosen", "matches"),
    [
        (("dark grey",), {"color": "light grey"}, 0),  # dark comes before grey in the list of colours, light after it
        (("navy and blue",), {"color": "sky blue"}, 1),  # both are blue
        (("large",), {"size": "x-large"}, 0),  # sizes must be the same
        (("large",), {"Size": "large"}, 1),
        (("pack of 12",), {"pack": "12 pack"}, 1),
        (("large",), {"fit": "x-large"}, 1),  # other options need not
        ((), {"material": "zinc"}, 1),  # what the title says is a match even where nothing was wanted
    ],
)
def test_options(wanted, chosen, matches):
    assert score(PRODUCT, dataclasses.replace(GOAL, options=wanted), chosen).options == matches


def test_it_can_exceed_one_as_published():
    assert score(PRODUCT, GOAL, {"material": "zinc"}).reward == 1.5


@pytest.mark.parametrize(
    ("name", "query", "category", "r_type"),
    [
        ("Ansel Zinc Watering Can", "other", "Other", 1.0),
        ("Tarn zinc pot with lid", "other", "Other", 1.0),
        ("Clay jar of Tarn with saucer and watering rose", "watering cans", "Other", 1.0),
        ("Zinc ore", "other", "Home › Garden", 1.0),
        ("Paper cup", "watering cans", "Home › Garden › Cans", 0.0),
    ],
)
def test_type(name, query, category, r_type):
    other = dataclasses.replace(PRODUCT, name=name, query=query, product_category=category)
    assert score(other, GOAL, {}).r_type == r_type


def test_type_of_titles_that_share_little():
    goal = dataclasses.replace(GOAL, name="Quill lamp shade fabric drum table floor bedroom lantern harp spider")
    for shared, r_type in (("quill", 0.1), ("quill lamp", 0.5), ("quill lamp shade", 1.0), ("", 0.0)):
        goal = dataclasses.replace(GOAL, name=f"{'quill lamp shade'} drum table floor porch hall harp spider bulb wick")
        other = dataclasses.replace(PRODUCT, name=f"{shared} pot", query="x", product_category="y")
        assert score(other, goal, {}).r_type == r_type


def test_a_title_without_nouns_counts_as_a_fifth():
    goal = dataclasses.replace(GOAL, name="2 x 4")
    assert score(PRODUCT, goal, {}).title_score == 0.2
    assert score(PRODUCT, goal, {}).r_type == 1.0
    other = dataclasses.replace(PRODUCT, query="x", product_category="y")
    assert score(other, goal, {}).r_type == 0.5


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Velmora UL-Listed 3.1 Cable for JBL, Black", ["velmora", "ul", "cable", "jbl", "black"]),
        ("A Bed, a Table and a Seed", ["bed", "table", "seed"]),
        ("Cookie cookie COOKIE", ["cookie"] * 3),
        ("Waterproof Wireless Adjustable Family", []),
        ("D.O.N. Issue 2", ["d.o.n", "issue"]),
        ("12 34", []),
        ("", []),
        ("反省 Löffel", ["反省", "löffel"]),
    ],
)
def test_nouns(name, found):
    assert nouns(name) == found


def test_letters_beyond_ascii_do_not_count_as_thefuzz_has_it():
    assert similarity("crème brûlée", "crme brle") == 100
    assert similarity("", "") == similarity("é", "é") == 0


def test_the_first_colour_of_the_list_counts():
    assert [normalize_color(text) for text in ("violet lavender", "reddish", "XL", "")] == ["lavender", "red", "XL", ""]
    assert list(reward._COLORS) == sorted(reward._COLORS)
    assert len(reward._COLORS) == 102
