"""The built-in shops: an unlimited supply of goals, each with a small shop of its own, generated from a seed.

A shop calls one or two things by coined names that no instruction contains: what it sells, the makers, the values of an
option. Customers' reviews tell what each of these names stands for. Which things they are is drawn by the task's seed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.task_sources import GeneratedTasks, split_of_number
from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.departments import ATTRIBUTES, DEPARTMENTS, OPTIONS, Department
from retro_gym_envs.webshop.observations import VERDICT
from retro_gym_envs.webshop.reward import normalize_color
from retro_gym_envs.webshop.tasks import ShopTasks

__all__ = ["CAUSES", "BuiltinShops"]

CAUSES: dict[str, float] = {
    "word": 0.16,
    "maker": 0.16,
    "item": 0.16,
    "first option": 0.16,
    "second option": 0.16,
    "maker and first option": 0.04,
    "maker and second option": 0.04,
    "item and first option": 0.04,
    "item and second option": 0.04,
    "first option and second option": 0.04,
}
"""What the shop calls by names that the instruction does not tell, and the probability of each:

- word: the thing itself; a search for it finds other things.
- maker, item: five products differ in an attribute that their titles do not tell, but in the maker or only in the id.
- first option, second option: the values of an option.
"""

_NAMES = 5  # names of one sort, one of which is right
_PLAIN_VALUES = 2  # values of an option that the shop calls as everybody does
_IDS = 100_000
_DENIED_SHARE = 0.5  # share of the reviews that also deny what another name stands for

_ORDINARY = re.compile("|".join((*ATTRIBUTES, *(value for values in OPTIONS.values() for value in values))))
# The name directly follows what it stands for, so that a small model can copy it from there.
_PRAISE = ("{} {}", "the {} {}", "such {} {}", "really {} {}", "{} {} indeed")
_DENIAL = ("{} {}, not {}", "{} {}, never {}", "not {2} but {0} {1}", "anything but {2}: {0} {1}")
_STARS = ("3", "4", "5")
_PATH = ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2))  # pairs of material and kind, of which any may be the wanted one

_WORDINGS: dict[str, tuple[str, ...]] = {
    "train": (
        "I am looking for {thing} that is {attribute}, with {first} and {second}",
        "I need {thing} which is {attribute}, {first}, {second}",
        "Find me {thing} that is {attribute} with {second} and {first}",
        "I want to buy {thing}; make sure that it is {attribute}, with {first} and {second}",
        "Please get me {thing}, {attribute}, {second}, {first}",
        "We need {thing} with {first} that is {attribute}, {second}",
    ),
    "validation": (
        "I would like {thing}, {first}, which is {attribute}, {second}",
        "Order {thing} for me that is {attribute}: {first} and {second}",
    ),
    "test": (
        "I am shopping for {thing}, {second} and {first}, which must be {attribute}",
        "My sister would like {thing} with {first} and {second} that is {attribute}",
        "Purchase {thing}: {attribute}, {first} and {second}",
    ),
}
_PRICE = ", and price lower than {:.2f} dollars"  # WebShop's own wording

_Review = tuple[str, str, str]


class BuiltinShops(GeneratedTasks[Goal], ShopTasks):
    """The generated goals and shops of one world.

    >>> shops = BuiltinShops(0)
    >>> goal = shops.get("test-0003")
    >>> goal == BuiltinShops(0).get("test-0003"), shops.catalog("test-0003").get(goal.asin).name == goal.name
    (True, True)
    """

    sizes: ClassVar[Mapping[str, int]] = {"train": 20_000, "validation": 500, "test": 500}
    digits: ClassVar[Mapping[str, int]] = {"train": 5, "validation": 4, "test": 4}

    def get(self, task_id: str) -> Goal:
        """Returns the goal with this id."""
        return _generated(self.world_seed, self.task_split(task_id), task_id)[0]

    def catalog(self, task_id: str) -> Catalog:
        """Returns the products of the goal's shop."""
        return _generated(self.world_seed, self.task_split(task_id), task_id)[1]


@lru_cache(maxsize=4_096)
def _generated(world_seed: int, split: str, task_id: str) -> tuple[Goal, Catalog]:
    rng = np.random.default_rng(derive_seed(world_seed, task_id))
    wish = _wish(split, rng)
    cause = list(CAUSES)[int(rng.choice(len(CAUSES), p=list(CAUSES.values())))]
    shop = _ShopMaker(wish, cause, split, rng)
    products = shop.products()
    wanted = next(each for each in products if wish.attribute in each.attributes and each.price <= wish.limit)
    goal = Goal(
        task_id,
        _instruction(wish, split, rng),
        wanted.asin,
        wanted.query,
        wanted.name,
        wanted.product_category,
        (wish.attribute,),
        tuple(shop.chosen),
        wish.limit,
        wish.department.category,
        cause,
    )
    return goal, Catalog(shuffled(products, rng), every_word=True)


@dataclasses.dataclass(frozen=True)
class _Wish:
    """What a customer wants, in everybody's words."""

    department: Department
    material: str
    kind: str
    attribute: str
    options: Mapping[str, str]
    limit: float

    @property
    def thing(self) -> str:
        return f"{self.material} {self.kind}"


def _wish(split: str, rng: np.random.Generator) -> _Wish:
    """Draws a wish; material and kind of thing together belong to one split."""
    category = pick(sorted({each.category for each in DEPARTMENTS}), rng)
    department = pick([each for each in DEPARTMENTS if each.category == category], rng)
    things = [
        (material, kind)
        for i, material in enumerate(department.materials)
        for j, kind in enumerate(department.kinds)
        if split_of_number(i + j) == split
    ]
    return _Wish(
        department,
        *pick(things, rng),
        pick(department.attributes, rng),
        {name: pick(OPTIONS[name], rng) for name in department.options},
        10.0 * int(rng.integers(2, 10)),
    )


def _instruction(wish: _Wish, split: str, rng: np.random.Generator) -> str:
    first, second = (f"{name} {value}" for name, value in wish.options.items())
    text = pick(_WORDINGS[split], rng).format(
        thing=_with_article(wish.thing), attribute=wish.attribute, first=first, second=second
    )
    return text + _PRICE.format(wish.limit)


def _with_article(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


class _ShopMaker:
    """Draws the products of one shop.

    Args:
        wish: what the customer wants.
        cause: what the shop calls by coined names.
        split: the split that the names belong to.
        rng: the source of randomness.
    """

    def __init__(self, wish: _Wish, cause: str, split: str, rng: np.random.Generator) -> None:
        self._wish, self._cause, self._split, self._rng = wish, cause, split, rng
        self._words = _words(split, rng)
        self._ids = _ids(split, rng)
        self._reviews: list[_Review] = []
        self._options: list[tuple[str, tuple[str, ...]]] = []
        self.chosen: list[str] = []
        """Values that fit the wish, as the shop calls them."""
        for ordinal, (name, value) in zip(("first", "second"), wish.options.items(), strict=True):
            coined = f"{ordinal} option" in cause
            values = names = self._among(value, OPTIONS[name], _NAMES if coined else _PLAIN_VALUES)
            if coined:
                names = tuple(next(self._words) for _ in values)
                self._review(names, values)
            self._options.append((name, names))
            self.chosen.append(names[values.index(value)])

    def products(self) -> list[Product]:
        """Returns all products, the wanted one among them."""
        if self._cause == "word":
            return self._under_other_words()
        if "maker" in self._cause or "item" in self._cause:
            return self._with_bare_titles()
        wish = self._wish
        other = self._among(wish.attribute, wish.department.attributes, 2)
        dear = wish.limit + int(self._rng.integers(1, 10)) + 0.5
        return [
            *(self._titled(wish.thing, attribute, wish.kind) for attribute in other),
            self._titled(wish.thing, wish.attribute, wish.kind, dear),
        ]

    def _with_bare_titles(self) -> list[Product]:
        """Returns products whose titles do not tell their attributes."""
        wish = self._wish
        attributes = self._among(wish.attribute, wish.department.attributes, _NAMES)
        ids = tuple(next(self._ids) for _ in attributes)
        makers = tuple(next(self._words).title() for _ in attributes)
        if "item" in self._cause:
            makers = makers[:1] * _NAMES
        self._review(ids if "item" in self._cause else makers, attributes)
        return [
            self._product(asin, f"{maker} {wish.thing}", attribute, wish.kind)
            for asin, maker, attribute in zip(ids, makers, attributes, strict=True)
        ]

    def _under_other_words(self) -> list[Product]:
        """Returns products under words of the shop's own, and two that a search for the thing finds instead.

        The five things form a path, on which neighbours share the material or the kind. The wanted one stands anywhere
        on it, so that the words of the reviews do not tell it. Nor do the titles of what is found instead.
        """
        wish, rng = self._wish, self._rng
        kinds = [each for each in shuffled(wish.department.kinds, rng) if each != wish.kind]
        materials = [each for each in shuffled(wish.department.materials, rng) if each != wish.material]
        turned = rng.random() < 0.5
        path = [(first, second) if turned else (second, first) for first, second in _PATH]
        place = pick(path, rng)
        on_path = [
            (*others[:index], wanted, *others[index:2])
            for others, wanted, index in zip((materials, kinds), (wish.material, wish.kind), place, strict=True)
        ]
        things = [(on_path[0][material], on_path[1][kind]) for material, kind in path]
        words = tuple(next(self._words) for _ in things)
        self._review(words, [" ".join(each) for each in things])
        others = [each for each in wish.department.attributes if each != wish.attribute]
        found = [self._titled(kind, pick(others, rng), kind) for kind in kinds[2:4]]
        made = f"Made of {wish.material}."
        products = [dataclasses.replace(each, options=(), description=made) for each in found]
        for word, thing in zip(words, things, strict=True):
            title = f"{next(self._words).title()} {word}"  # without attributes, so that no other query finds it
            attribute = wish.attribute if thing == (wish.material, wish.kind) else pick(others, rng)
            products.append(self._product(next(self._ids), title, attribute, thing[1]))
        return products

    def _review(self, names: Sequence[str], meanings: Sequence[str]) -> None:
        """Adds a review for each name, in random order; what some of them deny is drawn without regard to the wish."""
        rng = self._rng
        for name, meaning in shuffled(tuple(zip(names, meanings, strict=True)), rng):
            denied = pick([each for each in meanings if each != meaning], rng)
            wordings = _DENIAL if rng.random() < _DENIED_SHARE else _PRAISE
            self._reviews.append((VERDICT, pick(_STARS, rng), pick(wordings, rng).format(meaning, name, denied)))

    def _titled(self, thing: str, attribute: str, kind: str, price: float | None = None) -> Product:
        title = f"{next(self._words).title()} {thing}, {attribute}"
        return self._product(next(self._ids), title, attribute, kind, price)

    def _product(self, asin: str, title: str, attribute: str, kind: str, price: float | None = None) -> Product:
        price = price or self._wish.limit - int(self._rng.integers(1, 10)) - 0.5
        department = self._wish.department
        return Product(
            asin=asin,
            name=title,
            category=department.category,
            query=kind,
            product_category=" › ".join((*department.path, kind)),
            description="",
            bullets=(f"Made by {title.split()[0]}.", f"It is {attribute}."),  # only the first is searched
            attributes=(attribute,),
            options=tuple(self._options),
            price=price,
            price_tag=f"${price}",
            reviews=tuple(self._reviews),
        )

    def _among(self, wanted: str, all_: Sequence[str], count: int) -> tuple[str, ...]:
        """Returns a number of different values in random order, the wanted one among them."""
        others = shuffled([each for each in all_ if each != wanted], self._rng)[: count - 1]
        return shuffled((wanted, *others), self._rng)


def _words(split: str, rng: np.random.Generator) -> Iterator[str]:
    """Yields coined words in lower case; the reward takes none for an ordinary word."""
    names = NameMaker(split, rng)
    while True:
        word = names.word().lower()
        if normalize_color(word) == word and not _ORDINARY.search(word):
            yield word


def _ids(split: str, rng: np.random.Generator) -> Iterator[str]:
    """Yields different ids of products."""
    used: set[int] = set()
    while True:
        number = int(rng.integers(_IDS))
        if split_of_number(sum(map(int, str(number)))) == split and number not in used:
            used.add(number)
            yield f"B{number:05d}"
