"""The built-in shops: the same from every seed, apart from each other, and what they are made of."""

import copy
import itertools
import math
import pickle
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym_envs.task_sources import SPLITS
from retro_gym_envs.webshop.catalog import Catalog
from retro_gym_envs.webshop.departments import DEPARTMENTS, OPTIONS
from retro_gym_envs.webshop.observations import asked_in, verdicts_in
from retro_gym_envs.webshop.reward import normalize_color, score
from retro_gym_envs.webshop.world import CAUSES, BuiltinShops, _generated

SHOPS = BuiltinShops(0)
TRAIN = 2_000  # tasks of split train that most tests look at


def task_ids(split, count=TRAIN):
    return SHOPS.ids(split)[:count]


@pytest.fixture(scope="module")
def goals():
    return [SHOPS.get(task_id) for split in SPLITS for task_id in task_ids(split)]


def test_a_world_follows_from_its_seed(goals):
    again, other = BuiltinShops(0), BuiltinShops(1)
    first = {goal.task_id: goal for goal in goals}["test-0000"]
    products = SHOPS.catalog("test-0000").products
    _generated.cache_clear()
    assert again.get("test-0000") == first
    assert again.catalog("test-0000").products == products
    assert other.get("test-0000") != first
    assert copy.deepcopy(again) is again
    assert pickle.loads(pickle.dumps(again)).get("test-0000") == first


# -- splits ----------------------------------------------------------------------------------------------------------


def verdicts(product):
    """The names that the reviews are about, in order, and what each stands for."""
    return verdicts_in(text for _, _, text in product.reviews)


def coined_in(task_id):
    """Ids, makers, and all values and words that are not everybody's."""
    catalog = SHOPS.catalog(task_id)
    ordinary = {value for values in OPTIONS.values() for value in values}
    found = set()
    for product in catalog.products:
        found |= {product.asin, product.name.split()[0]}
        found |= {value for _, values in product.options for value in values} - ordinary
        found |= set(verdicts(product))
    return found


def wording(goal):
    """An instruction without what is drawn into it."""
    asked = asked_in(goal.instruction)
    text = goal.instruction.replace(asked.thing, "THING").replace(asked.attribute, "ATTRIBUTE").replace(" an ", " a ")
    for name, value in asked.options.items():
        text = text.replace(f"{name} {value}", "OPTION")
    return re.sub(r"\d+\.\d\d", "LIMIT", text)


@pytest.mark.parametrize("count", [2_000, pytest.param(None, marks=pytest.mark.slow)])
def test_splits_share_nothing(count):
    """Neither coined names and ids, nor instructions, wordings, titles and things to search for."""
    seen = {split: [set(), set(), set(), set(), set()] for split in SPLITS}
    for split in SPLITS:
        for goal in map(SHOPS.get, task_ids(split, count)):
            parts = coined_in(goal.task_id), {goal.instruction}, {wording(goal)}, {goal.name}
            for known, new in zip(seen[split], (*parts, {asked_in(goal.instruction).thing}), strict=True):
                known |= new
    for train, validation, test in zip(*seen.values(), strict=True):
        assert min(map(len, (train, validation, test))) > 1
        assert not train & validation
        assert not (train | validation) & test


def test_there_are_eleven_wordings(goals):
    assert len({wording(goal) for goal in goals}) == 6 + 2 + 3


# -- goals -----------------------------------------------------------------------------------------------------------


def test_the_shares_of_the_causes(goals):
    for cause, share in CAUSES.items():
        assert [goal.cause for goal in goals].count(cause) / len(goals) == pytest.approx(share, abs=0.03)


def test_an_instruction_does_not_betray_the_cause(goals):
    """Every wording, department, attribute and option occurs with every single cause about equally often."""
    single = [cause for cause in CAUSES if " and " not in cause]
    counts = Counter((wording(goal), goal.cause) for goal in goals if goal.cause in single)
    for text in {wording(goal) for goal in goals}:
        of_all = sum(counts[text, cause] for cause in single)
        for cause in single:
            assert counts[text, cause] / of_all == pytest.approx(0.2, abs=4 * math.sqrt(0.2 * 0.8 / of_all))


def test_an_instruction_says_all_that_is_wanted_and_no_coined_name(goals):
    for goal in goals[::5]:
        asked = asked_in(goal.instruction)
        assert (asked.attribute, asked.limit) == (goal.attributes[0], goal.price_upper)
        assert asked.thing.split()[-1] == goal.query
        assert sorted(asked.options) == sorted(name for name, _ in SHOPS.catalog(goal.task_id).get(goal.asin).options)
        assert not [name for name in coined_in(goal.task_id) if name.lower() in goal.instruction.lower()]


def test_only_one_product_with_only_one_choice_is_right(goals):
    for goal in goals[::5]:
        catalog = SHOPS.catalog(goal.task_id)
        product = catalog.get(goal.asin)
        right = {product.option_of(value): value for value in goal.options}
        assert [each.asin for each in catalog.products if score(each, goal, right).reward == 1.0] == [goal.asin]
        for name, values in product.options:
            for value in values:
                assert (score(product, goal, right | {name: value}).reward == 1.0) == (value in goal.options)


def test_five_names_of_each_sort_that_the_cause_says(goals):
    for goal in goals[::5]:
        catalog = SHOPS.catalog(goal.task_id)
        product = catalog.get(goal.asin)
        asked = asked_in(goal.instruction)
        found = catalog.search(asked.thing)
        assert (product in found) == (goal.cause != "word")
        assert len(product.reviews) == 5 * (1 + (" and " in goal.cause))
        for ordinal, (_, values), wanted in zip(("first", "second"), product.options, goal.options, strict=True):
            coined = f"{ordinal} option" in goal.cause
            assert len(values) == (5 if coined else 2)
            assert (wanted not in asked.options.values()) == coined
        if "maker" in goal.cause or "item" in goal.cause:
            assert len(found) == 5
            assert len({each.name for each in found}) == (5 if "maker" in goal.cause else 1)
        if goal.cause == "word":
            assert product.name.split()[1] in verdicts(found[0])


def test_the_right_name_stands_anywhere(goals):
    """Among the reviews, the values and the results."""
    places = Counter()
    for goal in goals:
        product = SHOPS.catalog(goal.task_id).get(goal.asin)
        if goal.cause in ("first option", "second option"):
            which = goal.cause == "second option"
            places["review", list(verdicts(product)).index(goal.options[which])] += 1
            places["value", product.options[which][1].index(goal.options[which])] += 1
        if goal.cause in ("maker", "item"):
            found = SHOPS.catalog(goal.task_id).search(asked_in(goal.instruction).thing)
            places["result", found.index(product)] += 1
    for kind in ("review", "value", "result"):
        counts = [places[kind, place] for place in range(5)]
        assert min(counts) / sum(counts) > 0.17


def test_reviews_do_not_tell_what_is_wanted(goals):
    """Of the five things, the wanted one has neither the most nor the fewest words in common with the others."""
    ranks, denied, wanted_denied, denying = Counter(), 0, 0, 0
    singles = [goal for goal in goals if " and " not in goal.cause]
    for goal in singles:
        product = SHOPS.catalog(goal.task_id).get(goal.asin)
        asked = asked_in(goal.instruction)
        denials = [
            re.findall(r"(?:not|never|anything but) ([\w -]+?)(?= but|[:,]|$)", text) for _, _, text in product.reviews
        ]
        denied += sum(map(len, denials))
        right = {"word": asked.thing, "first option": next(iter(asked.options.values()))}.get(goal.cause)
        if right is not None:
            names = list(verdicts(product))
            own = next(i for i, name in enumerate(names) if name in (*product.name.split(), *goal.options))
            denying += bool(denials[own])
            wanted_denied += sum(each == right for each in itertools.chain(*denials))
            ranks["of these"] += 1
        if goal.cause == "word":
            words = Counter(word for meaning in verdicts(product).values() for word in meaning.split())
            ranks[sum(words[word] for word in asked.thing.split())] += 1
    assert denied / len(singles) / 5 == pytest.approx(0.5, abs=0.03)
    assert denying / ranks["of these"] == pytest.approx(0.5, abs=0.06)
    assert wanted_denied / ranks["of these"] == pytest.approx(0.5, abs=0.1)
    words = ranks[3] + ranks[4]
    assert ranks[3] / words == pytest.approx(2 / 5, abs=0.08)


def test_a_coined_word_is_no_ordinary_one(goals):
    for goal in goals[::20]:
        for name in coined_in(goal.task_id):
            assert normalize_color(name.lower()) == name.lower()


def test_a_shop_has_a_few_products_of_one_department():
    catalogs = [SHOPS.catalog(task_id) for task_id in task_ids("test")]
    assert {len(catalog) for catalog in catalogs} == {3, 5, 7}
    paths = [{product.product_category.rsplit(" › ", 1)[0] for product in catalog.products} for catalog in catalogs]
    assert all(len(each) == 1 for each in paths)
    assert len(set.union(*paths)) == len(DEPARTMENTS) == 12
    for catalog in catalogs:
        for product in catalog.products:
            assert product.price_tag == f"${product.price}"
            assert product.price > 10


# -- search ----------------------------------------------------------------------------------------------------------

PRODUCTS = tuple(product for task_id in task_ids("test", 60) for product in SHOPS.catalog(task_id).products)
CATALOG = Catalog(PRODUCTS)


def test_search_ranks_by_words_shared():
    product = next(each for each in PRODUCTS if "," in each.name)
    assert CATALOG.search(product.name)[0] == product
    assert CATALOG.search(product.name.upper())[0] == product
    kind = product.query
    assert {hit.query for hit in CATALOG.search(f"{kind}s")[:2]} == {kind}  # plurals
    assert len(CATALOG.search("color")) == 50


def test_search_wants_every_word_only_where_it_is_told_to():
    query = f"{PRODUCTS[0].name} {PRODUCTS[-1].name}"
    every, some = Catalog(PRODUCTS, every_word=True).search(query), CATALOG.search(query)
    assert len(every) < len(some)
    assert list(every) == [hit for hit in some if hit in every]


@pytest.mark.parametrize("query", ["", " ", "the of", "zzzz", "[]", "\ud800", "🙂", "x" * 100_000])
def test_search_finds_nothing_for_what_is_nothing(query):
    assert CATALOG.search(query) == ()


def test_search_in_an_empty_shop():
    assert Catalog([]).search("kettle") == ()


@given(st.text(max_size=80))
def test_any_search_is_answered_alike_twice(query):
    found = CATALOG.search(query)
    assert len(found) <= 50
    assert found == CATALOG.search(query)
