"""The contents of a shop: products, customers' goals, and the search over the products."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from retro_gym_envs.bm25 import Index, bm25_index
from retro_gym_envs.shared import Shared

__all__ = ["Catalog", "Goal", "Product"]

_HITS = 50  # maximum number of products that a search returns, as in WebShop
_QUERY_CHARS = 500  # characters of a query that are used
_CACHED_QUERIES = 4_096
_WORD = re.compile(r"[^\W_]+")
_LUCENE_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they "
    "this to was will with"
)
_STOP_WORDS = frozenset(_LUCENE_STOP_WORDS.split())


@dataclasses.dataclass(frozen=True)
class Product(Shared):
    """One product, cleaned as WebShop cleans its data file. Deep copies are shared."""

    asin: str
    """Its id."""
    name: str
    """The title."""
    category: str
    query: str
    """The query that found the product when the data was collected: the product type, in lower case."""
    product_category: str
    """A path: ``Travel Goods › Bags › backpack``."""
    description: str
    bullets: tuple[str, ...]
    """The content of the page Features."""
    attributes: tuple[str, ...]
    options: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and values of each option; lower case."""
    price: float
    """The price to pay, in dollars."""
    price_tag: str
    """The price as shown on the pages; it may be a range."""
    rating: str = "N.A."
    reviews: tuple[tuple[str, str, str], ...] = ()
    """Title, score and text of each review."""

    def __hash__(self) -> int:
        return hash(self.asin)

    def option_of(self, value: str) -> str:
        """Returns the name of the option with a value (the last such option, as for a click); empty if none."""
        return next((name for name, values in reversed(self.options) if value in values), "")


@dataclasses.dataclass(frozen=True)
class Goal(Shared):
    """What a customer wants: one task. Deep copies are shared."""

    task_id: str
    instruction: str
    """The instruction that the actor reads."""
    asin: str
    """The product that the goal was made from; other products may satisfy it as well."""
    query: str
    name: str
    product_category: str
    attributes: tuple[str, ...]
    options: tuple[str, ...]
    """Wanted option values."""
    price_upper: float
    """In dollars; a million if there is no limit."""
    group: str = ""
    """The category of the wanted product, in the built-in shops."""
    cause: str = ""
    """What the shop calls by names that the instruction does not tell, in the built-in shops."""

    def __hash__(self) -> int:
        return hash(self.task_id)


class Catalog(Shared):
    """The products of a shop, and BM25 over their texts. Deep copies are shared.

    The index covers the same texts as WebShop's: title, description, first bullet point and options, in lower case.
    WebShop's Lucene index uses stemming; this one only strips the plural s.

    Args:
        products: with unique ids.
        every_word: returns only the hits that share the most words with the query, so that pages are short. WebShop's
            own search returns every product that shares a word.

    >>> from retro_gym_envs.webshop.world import BuiltinShops
    >>> catalog = BuiltinShops(0).catalog("test-0000")
    >>> catalog.search(catalog.products[0].name)[0] == catalog.products[0]
    True
    """

    def __init__(self, products: Iterable[Product], *, every_word: bool = False) -> None:
        self.products = tuple(products)
        self._every_word = every_word
        self._by_asin = {product.asin: product for product in self.products}
        self._found: dict[str, tuple[Product, ...]] = {}

    def __len__(self) -> int:
        return len(self.products)

    def get(self, asin: str) -> Product | None:
        """Returns the product with this id."""
        return self._by_asin.get(asin)

    def search(self, query: str) -> tuple[Product, ...]:
        """Returns at most 50 products that share a word with the query, best first; ties in catalogue order."""
        query = query[:_QUERY_CHARS]
        found = self._found.get(query)
        if found is None:
            if len(self._found) >= _CACHED_QUERIES:  # trials of one task repeat the same queries
                self._found.clear()
            found = self._found[query] = self._search(query)
        return found

    def _search(self, query: str) -> tuple[Product, ...]:
        index = self._index
        words = [] if index is None else [w for w in dict.fromkeys(_words(query)) if w in index.vocab_dict]
        if index is None or not words:
            return ()
        scores = index.get_scores(words)
        shared = scores > 0
        if self._every_word:
            counts = np.sum([index.get_scores([word]) > 0 for word in words], axis=0)
            shared &= counts == counts.max()
        hits = np.flatnonzero(shared)
        best = hits[np.argsort(-scores[hits], kind="stable")[:_HITS]]
        return tuple(self.products[i] for i in best)

    @cached_property
    def _index(self) -> Index | None:
        """None if no product contains a word."""
        texts = [_words(_indexed(product)) for product in self.products]
        return bm25_index(texts) if any(texts) else None


def _indexed(product: Product) -> str:
    options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in product.options)
    return " ".join([product.name, product.description, *product.bullets[:1], options])


def _words(text: str) -> list[str]:
    return [
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in _WORD.findall(text.lower())
        if word not in _STOP_WORDS
    ]
