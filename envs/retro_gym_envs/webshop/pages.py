"""The pages of the shop, as WebShop's simple text mode shows them: the texts of a page joined by ``[SEP]``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

from retro_gym_envs.shared import Shared
from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.reward import score

__all__ = [
    "BUY",
    "NEXT",
    "PREVIOUS",
    "SEPARATOR",
    "SUB_PAGES",
    "TO_SEARCH",
    "LocalShop",
    "Page",
    "PageKind",
    "Shop",
    "done_page",
    "plain",
]

SEPARATOR = " [SEP] "
TO_SEARCH, NEXT, PREVIOUS, BUY = "Back to Search", "Next >", "< Prev", "Buy Now"
SUB_PAGES = ("Description", "Features", "Reviews")
_PAGE_SIZE = 10  # products on a page of results

PageKind: TypeAlias = Literal["search", "results", "item", "sub", "done"]


@dataclasses.dataclass(frozen=True)
class Page(Shared):
    """The content of a page, and what can be clicked."""

    kind: PageKind
    nodes: tuple[str, ...]
    """The texts, from top to bottom."""
    buttons: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """Ids of the products that can be opened."""
    options: tuple[tuple[str, str], ...] = ()
    """Name and value of every option that can be chosen."""
    reward: float | None = None
    """The reward of a purchase."""

    @property
    def text(self) -> str:
        """The text that the actor reads."""
        return SEPARATOR.join(self.nodes)

    @cached_property
    def clickables(self) -> tuple[str, ...]:
        """The possible arguments of ``click[…]``, in lower case, as WebShop lists them."""
        return tuple(dict.fromkeys((*map(plain, (*self.buttons, *self.links)), *self.choices)))

    @cached_property
    def choices(self) -> dict[str, tuple[str, str]]:
        """Name and value of the option for each clickable text; if two options share a text, the later one."""
        return {plain(value): (name, value) for name, value in self.options}


class Shop(Protocol):
    """A source of pages: a catalogue in this process, or a running WebShop server."""

    def start(self) -> Page:
        """Returns the page with the instruction and the search bar."""
        ...

    def results(self, keywords: str, number: int) -> Page:
        """Returns a page of results, counted from 1."""
        ...

    def item(self, asin: str, keywords: str, number: int, options: Mapping[str, str]) -> Page:
        """Returns a product's own page."""
        ...

    def sub(self, name: str, asin: str, keywords: str, number: int, options: Mapping[str, str]) -> Page:
        """Returns a product's description, features or reviews."""
        ...

    def buy(self, asin: str, options: Mapping[str, str]) -> Page:
        """Buys the product and returns the last page, with the reward."""
        ...


class LocalShop:
    """The pages of a catalogue, for one goal.

    Args:
        catalog: the products.
        goal: the goal.
    """

    def __init__(self, catalog: Catalog, goal: Goal) -> None:
        self._catalog = catalog
        self._goal = goal

    def start(self) -> Page:
        """Returns the page with the instruction and the search bar."""
        return Page("search", ("WebShop", "Instruction:", " ".join(self._goal.instruction.split()), "Search"))

    def results(self, keywords: str, number: int) -> Page:
        """Returns ten products with their prices."""
        found = self._catalog.search(keywords)
        shown = found[(number - 1) * _PAGE_SIZE : number * _PAGE_SIZE]
        buttons = [TO_SEARCH]
        if number > 1:
            buttons.append(PREVIOUS)
        if number * _PAGE_SIZE < len(found):
            buttons.append(NEXT)
        nodes = [TO_SEARCH, f"Page {number} (Total results: {len(found)})", *buttons[1:]]
        for product in shown:
            nodes += (product.asin, product.name, product.price_tag)
        return Page("results", tuple(nodes), tuple(buttons), tuple(product.asin for product in shown))

    def item(self, asin: str, keywords: str, number: int, options: Mapping[str, str]) -> Page:
        """Returns options, title, price and the buttons."""
        product = self._product(asin)
        nodes = [TO_SEARCH, PREVIOUS]
        for name, values in product.options:
            nodes += (name, *values)
        nodes += (product.name, f"Price: {product.price_tag}", f"Rating: {product.rating}", *SUB_PAGES, BUY)
        offered = tuple((name, value) for name, values in product.options for value in values)
        return Page("item", tuple(nodes), (TO_SEARCH, PREVIOUS, *SUB_PAGES, BUY), (), offered)

    def sub(self, name: str, asin: str, keywords: str, number: int, options: Mapping[str, str]) -> Page:
        """Returns one of :data:`SUB_PAGES`."""
        product = self._product(asin)
        match name:
            case "Description":
                told, nothing = [product.description], "No Description"
            case "Features":
                told, nothing = [*product.bullets], "No Features"
            case _:
                told = [f'"{title}" {stars} {text}' for title, stars, text in product.reviews]
                nothing = "No reviews found"
        nodes = [" ".join(text.split()) for text in told if text.strip()] or [nothing]
        return Page("sub", (TO_SEARCH, PREVIOUS, *nodes), (TO_SEARCH, PREVIOUS))

    def buy(self, asin: str, options: Mapping[str, str]) -> Page:
        """Returns the page with the reward, rounded to two decimals in the text."""
        reward = score(self._product(asin), self._goal, options).reward
        return done_page(reward)

    def _product(self, asin: str) -> Product:
        product = self._catalog.get(asin)
        assert product is not None, "only what a page links to is opened"
        return product


def plain(text: str) -> str:
    """Normalises a clicked text for comparison: removes differences of case and spacing."""
    return " ".join(text.lower().split())


def done_page(reward: float) -> Page:
    """Returns the page after a purchase. It reveals nothing of the goal but the score."""
    told = ("Thank you for shopping with us!", "Your score (min 0.0, max 1.0)", f"{reward:.2f}")
    return Page("done", told, reward=reward)
