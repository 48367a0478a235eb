"""The built-in shops: the same from every seed, apart from each other, and what they are made of."""

import copy
import pickle
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym_envs.webshop.catalog import Catalog
from retro_gym_envs.webshop.departments import DEPARTMENTS, OPTIONS
from retro_gym_envs.webshop.reward import score
from retro_gym_envs.webshop.world import GROUPS, BuiltinShops, _shop

SHOPS = BuiltinShops(0)


@pytest.fixture(scope="module")
def goals():
    return [SHOPS.get(task_id) for task_id in SHOPS.ids("test")]


def test_a_world_follows_from_its_seed(goals):
    again, other = BuiltinShops(0), BuiltinShops(1)
    _shop.cache_clear()
    assert [again.get(goal.task_id) for goal in goals[:20]] == goals[:20]
    assert again.catalog("test-0000").products == _shop(0, "test", 0).catalog.products
    assert not {p.asin + p.name for p in other.catalog("test-0000").products} & {
        p.asin + p.name for p in SHOPS.catalog("test-0000").products
    }
    assert copy.deepcopy(again) is again
    assert pickle.loads(pickle.dumps(again)).get("test-0003") == goals[3]


def test_splits_share_no_product_no_brand_and_no_goal():
    products, brands, instructions = Counter(), Counter(), Counter()
    for split, task_ids in (
        ("test", ["test-0000"]),
        ("validation", ["validation-0000"]),
        ("train", SHOPS.ids("train")[:8]),
    ):
        found = [product for task_id in task_ids for product in SHOPS.catalog(task_id).products]
        products.update({(product.asin) for product in found})
        brands.update({product.name.split()[0] for product in found})
        instructions.update({SHOPS.get(task_id).instruction for task_id in SHOPS.ids(split)[:500]})
        assert len({product.asin for product in found}) == len(found)
    assert max(products.values()) == max(brands.values()) == max(instructions.values()) == 1


def test_a_shop_is_a_few_thousand_products_in_a_dozen_departments():
    catalog = SHOPS.catalog("test-0000")
    assert 1_800 < len(catalog) < 2_500
    assert len({product.product_category.rsplit(" › ", 1)[0] for product in catalog.products}) == len(DEPARTMENTS) == 12
    assert {name for product in catalog.products for name, _ in product.options} == set(OPTIONS)
    for product in catalog.products:
        assert product.price_tag == f"${product.price}"
        for name, values in product.options:
            assert 3 <= len(set(values)) == len(values) <= 4
            assert set(values) <= set(OPTIONS[name])


def test_what_is_wrong_with_the_first_hit_is_what_the_group_says(goals):
    by_id = {goal.task_id: goal for goal in goals}
    for goal in by_id.values():
        catalog = SHOPS.catalog(goal.task_id)
        product = catalog.get(goal.asin)
        query = re.search(rf"(?:a|an) ([a-z]+ [a-z]+ {goal.query})\b", goal.instruction).group(1)
        page = catalog.search(query)[:10]
        first = page[0]
        assert product in page
        right = {product.option_of(value): value for value in goal.options}
        judged = score(first, goal, right)
        assert (first == product) == (goal.group in ("first hit", "options")), goal
        assert (judged.attributes == 0) == ("attribute" in goal.group), goal
        assert judged.price == ("price" not in goal.group), goal
        assert bool(goal.options) == ("options" in goal.group), goal
        assert judged.r_type == 1.0


def test_the_shares_of_the_groups():
    train = [SHOPS.get(task_id).group for task_id in SHOPS.ids("train")[:2_000]]
    for group, share in GROUPS.items():
        assert train.count(group) / len(train) == pytest.approx(share, abs=0.04)


def test_an_instruction_says_all_that_is_wanted(goals):
    for goal in goals:
        assert goal.attributes[0] in goal.instruction
        assert f"price lower than {goal.price_upper:.2f} dollars" in goal.instruction
        product = SHOPS.catalog(goal.task_id).get(goal.asin)
        for value in goal.options:
            assert f"{product.option_of(value)} {value}" in goal.instruction
    assert any(goal.instruction.startswith(("My last", "Not ", "My sister")) for goal in goals)
    assert len({goal.instruction for goal in goals}) == len(goals)


# -- search ----------------------------------------------------------------------------------------------------------


def test_search_ranks_by_words_shared():
    catalog = SHOPS.catalog("test-0000")
    product = catalog.products[7]
    assert catalog.search(product.name)[0] == product
    assert catalog.search(product.name.upper())[0] == product
    kind = product.query
    assert {hit.query for hit in catalog.search(f"{kind}s")[:5]} == {kind}  # plurals
    assert len(catalog.search("color")) == 50
    for family in _shop(0, "test", 0).families:
        assert set(catalog.search(family.query)) == set(family.members)


def test_search_wants_every_word_only_where_it_is_told_to():
    products = SHOPS.catalog("test-0000").products[:200]
    query = f"{products[0].name} {products[1].name}"
    every, some = Catalog(products, every_word=True).search(query), Catalog(products).search(query)
    assert len(every) < len(some)
    assert list(every) == [hit for hit in some if hit in every]


@pytest.mark.parametrize("query", ["", " ", "the of", "zzzz", "[]", "\ud800", "🙂", "x" * 100_000])
def test_search_finds_nothing_for_what_is_nothing(query):
    assert SHOPS.catalog("test-0000").search(query) == ()


def test_search_in_an_empty_shop():
    assert Catalog([]).search("kettle") == ()


@given(st.text(max_size=80))
def test_any_search_is_answered_alike_twice(query):
    catalog = SHOPS.catalog("test-0000")
    found = catalog.search(query)
    assert len(found) <= 50
    assert found == catalog.search(query)
