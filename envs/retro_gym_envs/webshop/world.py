"""The built-in shops: an unlimited supply of catalogues and goals, generated from a seed.

Validation and test have one shop each, train has eight. A shop sells 500 *families*: three to five products that match
the same query (``canvas hiking backpack``) and differ in attribute, price and options. Goal i of a split is generated
from (world seed, split, i) when it is first requested, given the first page of results. So it is known what the first
hit lacks; the goal's group names it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.task_sources import SPLITS, GeneratedTasks
from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.departments import ATTRIBUTES, DEPARTMENTS, OPTIONS, Department
from retro_gym_envs.webshop.tasks import ShopTasks

__all__ = ["GROUPS", "BuiltinShops"]

GROUPS: dict[str, float] = {
    "first hit": 0.32,
    "options": 0.25,
    "attribute": 0.15,
    "price": 0.1,
    "attribute and options": 0.11,
    "price and options": 0.07,
}
"""What must be considered besides taking the first hit, and the probability of each group."""

_SHOPS = {"train": 8, "validation": 1, "test": 1}
_FAMILIES = 500  # families per shop
_MEMBERS = (3, 6)  # products of a family: minimum and exclusive maximum
_BRANDS = 120  # maximum number per shop
_TOLD = (*ATTRIBUTES, *(value for values in OPTIONS.values() for value in values))  # not in brands: rewards use them
_OPTIONS_SHARE = 0.75  # share of families whose products have options
_SECOND_OPTION = 0.4  # probability that a goal with options wants two
_ASIDE_SHARE = 0.35  # share of instructions that mention an unwanted option
_PAGE = 10  # products on a page of results

_TITLES = (
    "{brand} {material} {use} {kind}, {attribute}",
    "{brand} {use} {kind} of {material}, {attribute}",
)
_WANTS = ("I am looking for {a}", "I need {a}", "Find me {a}", "I want to buy {a}", "Please get me {a}")
_THAT = (" that is {}", " which is {}", "; make sure that it is {}")  # reflections use the same phrase
_WITH_OPTIONS = (" with {}", ", {}", " in {}")
_ASIDES = ("My last one was {}. ", "Not {} again. ", "My sister has {}. ")
_PRICE = ", and price lower than {:.2f} dollars"  # WebShop's own wording


class BuiltinShops(GeneratedTasks[Goal], ShopTasks):
    """The generated shops and goals of one world.

    >>> shops = BuiltinShops(0)
    >>> goal = shops.get("test-0003")
    >>> goal == BuiltinShops(0).get("test-0003"), len(shops.catalog("test-0003")) > 1_500
    (True, True)
    """

    sizes: ClassVar[Mapping[str, int]] = {"train": 20_000, "validation": 500, "test": 500}
    digits: ClassVar[Mapping[str, int]] = {"train": 5, "validation": 4, "test": 4}

    def get(self, task_id: str) -> Goal:
        """Returns the goal with this id."""
        return _goal(self.world_seed, self.task_split(task_id), task_id)

    def catalog(self, task_id: str) -> Catalog:
        """Returns the products of the goal's shop."""
        return _shop_of(self.world_seed, self.task_split(task_id), task_id).catalog


# -- shops -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Family:
    """Products that match the same query."""

    query: str
    kind: str
    common: str
    """An attribute that all of them have, and no title contains."""
    members: tuple[Product, ...]


@dataclasses.dataclass(frozen=True)
class _Shop:
    catalog: Catalog
    families: tuple[_Family, ...]


def _shop_of(world_seed: int, split: str, task_id: str) -> _Shop:
    """Returns the shop of a task; tasks are assigned to the shops of a split in turn."""
    return _shop(world_seed, split, int(task_id.rpartition("-")[2]) % _SHOPS[split])


@lru_cache(maxsize=16)
def _shop(world_seed: int, split: str, number: int) -> _Shop:
    rng = np.random.default_rng(derive_seed(world_seed, "shop", split, number))
    names = NameMaker(split, rng)
    words = (names.word() for _ in range(_BRANDS))
    brands = [word for word in words if not any(told in word.lower() for told in _TOLD)]
    first_id = (list(SPLITS).index(split) * 8 + number) * _FAMILIES * _MEMBERS[1]
    ids = iter((first_id + rng.permutation(_FAMILIES * _MEMBERS[1])).tolist())
    combinations = [
        (department, kind, material, use)
        for department in DEPARTMENTS
        for kind in department.kinds
        for material in department.materials
        for use in department.uses
    ]
    drawn = rng.choice(len(combinations), size=_FAMILIES, replace=False)
    families = []
    for index in drawn:
        department, kind, material, use = combinations[index]
        families.append(_family(department, kind, material, use, brands, ids, rng))
    products = [product for family in families for product in family.members]
    catalog = Catalog((products[i] for i in rng.permutation(len(products))), every_word=True)
    return _Shop(catalog, tuple(families))


def _family(
    department: Department,
    kind: str,
    material: str,
    use: str,
    brands: list[str],
    ids: Iterator[int],
    rng: np.random.Generator,
) -> _Family:
    count = int(rng.integers(*_MEMBERS))
    common, *others = shuffled(department.attributes, rng)
    in_titles, spare = others[:count], others[count:]
    offered = {
        name: shuffled(OPTIONS[name], rng)[: int(rng.integers(3, 5))]
        for name in department.options
        if rng.random() < _OPTIONS_SHARE
    }
    form, base = pick(_TITLES, rng), float(rng.integers(15, 70))
    members = []
    for attribute, brand in zip(in_titles, shuffled(brands, rng), strict=False):
        price = round(base * float(rng.uniform(0.6, 1.6))) + 0.5
        attributes = (attribute, common, *spare[:1])
        members.append(
            Product(
                asin=f"B{next(ids):05d}",
                name=form.format(brand=brand, material=material, use=use, kind=kind, attribute=attribute),
                category=department.category,
                query=kind,
                product_category=" › ".join((*department.path, kind)),
                description=f"Made by {brand}. It is {' and '.join(attributes)}.",
                bullets=tuple(f"It is {each}." for each in attributes),
                attributes=attributes,
                options=tuple(offered.items()),
                price=price,
                price_tag=f"${price}",
            )
        )
    return _Family(f"{material} {use} {kind}", kind, common, tuple(members))


# -- goals -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Want:
    """A goal before its instruction is written."""

    product: Product
    attribute: str
    options: tuple[tuple[str, str], ...]
    limit: float


@lru_cache(maxsize=4_096)
def _goal(world_seed: int, split: str, task_id: str) -> Goal:
    shop = _shop_of(world_seed, split, task_id)
    rng = np.random.default_rng(derive_seed(world_seed, task_id))
    group = list(GROUPS)[int(rng.choice(len(GROUPS), p=list(GROUPS.values())))]
    while True:
        family = pick(shop.families, rng)
        want = _want(group, family, shop.catalog.search(family.query)[:_PAGE], rng)
        if want is not None:
            break
    product = want.product
    return Goal(
        task_id,
        _instruction(family, want, rng),
        product.asin,
        product.query,
        product.name,
        product.product_category,
        (want.attribute,),
        tuple(value for _, value in want.options),
        want.limit,
        group,
    )


def _want(group: str, family: _Family, page: Sequence[Product], rng: np.random.Generator) -> _Want | None:
    """Draws a goal of this group that fits this page of results; None if there is none."""
    first, hits = page[0], [product for product in page if product in family.members]
    if first not in hits:
        return None
    if "attribute" in group:
        product = pick(hits[1:], rng) if len(hits) > 1 else first
        attribute = product.attributes[0]
        limit = _limit(max(first.price, product.price), rng)
        if attribute in first.attributes:
            return None
    elif "price" in group:
        limit = _limit(pick(hits, rng).price, rng)
        product = next((each for each in page if each.price <= limit), first)
        attribute = family.common
        if product is first or product not in hits:
            return None
    else:
        product, attribute = first, pick((first.attributes[0], family.common), rng)
        limit = _limit(first.price, rng)
    options: tuple[tuple[str, str], ...] = ()
    if "options" in group:
        if not product.options:
            return None
        count = min(len(product.options), 1 + (rng.random() < _SECOND_OPTION))
        chosen = sorted(rng.permutation(len(product.options))[:count].tolist())
        options = tuple((product.options[i][0], pick(product.options[i][1], rng)) for i in chosen)
    return _Want(product, attribute, options, limit)


def _limit(price: float, rng: np.random.Generator) -> float:
    """Draws one of the next three multiples of ten above a price. WebShop does so too, but with an unseeded source."""
    return 10.0 * (int(price // 10) + int(rng.integers(1, 4)))


def _instruction(family: _Family, want: _Want, rng: np.random.Generator) -> str:
    article = "an" if family.query[0] in "aeiou" else "a"
    text = pick(_WANTS, rng).format(a=f"{article} {family.query}") + pick(_THAT, rng).format(want.attribute)
    if want.options:
        named = " and ".join(f"{name} {value}" for name, value in want.options)
        text += pick(_WITH_OPTIONS, rng).format(named)
    aside = ""
    if want.product.options and rng.random() < _ASIDE_SHARE:
        name, values = pick(want.product.options, rng)
        others = [value for value in values if (name, value) not in want.options]
        aside = pick(_ASIDES, rng).format(f"{name} {pick(others, rng)}")
    return aside + text + _PRICE.format(want.limit)
