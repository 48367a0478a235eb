"""Parses instructions and pages for the scripted actor and for the rules that read its failures.

Covers the built-in shops and WebShop's own texts.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping

from retro_gym_envs.webshop.departments import ATTRIBUTES, OPTIONS
from retro_gym_envs.webshop.pages import BUY, NEXT, PREVIOUS, SEPARATOR, TO_SEARCH

__all__ = [
    "VERDICT",
    "Asked",
    "Hit",
    "Item",
    "asked_in",
    "hits_on",
    "instruction_of",
    "item_on",
    "query_of",
    "reviews_on",
    "verdicts_in",
    "words_of",
]

_ANY_VALUE = "|".join(value for values in OPTIONS.values() for value in values)


@dataclasses.dataclass(frozen=True)
class Hit:
    """A product on a page of results."""

    asin: str
    title: str
    price: float
    """In dollars; the minimum of a range."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A product's own page."""

    offered: tuple[str, ...]
    """Names and values of its options, in the order of the page; the page does not distinguish them."""
    title: str

    @property
    def options(self) -> dict[str, list[str]]:
        """Values by option name, if the names are those of the built-in shops."""
        options: dict[str, list[str]] = {}
        name = ""
        for text in self.offered:
            if text in OPTIONS:
                name = text
                options[name] = []
            elif name:
                options[name].append(text)
        return options


def instruction_of(task: str) -> str:
    """Returns the instruction from the text of the first page.

    >>> instruction_of("WebShop [SEP] Instruction: [SEP] i need a kettle, and price lower than 40.00 [SEP] Search")
    'i need a kettle, and price lower than 40.00'
    """
    _, _, text = task.partition("Instruction:")
    return text.removeprefix(SEPARATOR).removesuffix(f"{SEPARATOR}Search").strip()


def hits_on(page: str) -> list[Hit]:
    """Returns the products on a page of results; none on other pages.

    >>> hits_on("Back to Search [SEP] Page 1 (Total results: 1) [SEP] B00017 [SEP] Ansel kettle [SEP] $18.5")
    [Hit(asin='B00017', title='Ansel kettle', price=18.5)]
    """
    nodes = page.split(SEPARATOR)
    if len(nodes) < 2 or nodes[0] != TO_SEARCH or not nodes[1].startswith("Page "):
        return []
    rest = [node for node in nodes[2:] if node not in (NEXT, PREVIOUS)]
    found = []
    for asin, title, tag in zip(rest[::3], rest[1::3], rest[2::3], strict=False):
        price = re.search(r"\d+(?:\.\d+)?", tag.replace(",", ""))
        found.append(Hit(asin, title, float(price.group()) if price else 0.0))
    return found


def item_on(page: str) -> Item | None:
    """Parses a product's page; None on other pages.

    >>> item_on("Back to Search [SEP] < Prev [SEP] size [SEP] small [SEP] Ansel mug [SEP] Price: $18.5 [SEP] Buy Now")
    Item(offered=('size', 'small'), title='Ansel mug')
    """
    nodes = page.split(SEPARATOR)
    price = next((i for i, node in enumerate(nodes) if node.startswith("Price: ")), 0)
    if price < 3 or nodes[:2] != [TO_SEARCH, PREVIOUS] or BUY not in nodes:
        return None
    return Item(tuple(nodes[2 : price - 1]), nodes[price - 1])


VERDICT = "Verdict"
"""The title of the built-in shops' reviews."""

_REVIEW = re.compile(rf'"{VERDICT}" [\d.]+ (.*)')
_MEANING_AND_NAME = r"(.+) ([a-z]+|[A-Z][a-z]+|B\d+)"
_VERDICTS = tuple(
    re.compile(form.format(_MEANING_AND_NAME))
    for form in (
        "not .+ but {}",
        "anything but .+: {}",
        "{}, (?:not|never) .+",
        "{} indeed",
        "(?:the|such|really) {}",
        "{}",
    )
)


def verdicts_in(texts: Iterable[str]) -> dict[str, str]:
    """Returns the names that texts of a built-in shop's reviews are about, and what each stands for.

    >>> verdicts_in(["anything but teal: navy ostrin", "wheat popcorn velum, not oat granola"])
    {'ostrin': 'navy', 'velum': 'wheat popcorn'}
    """
    found = (next((match for form in _VERDICTS if (match := form.fullmatch(text))), None) for text in texts)
    return {match[2]: match[1] for match in found if match}


def reviews_on(page: str) -> dict[str, str]:
    """Returns the names that the reviews on a page are about, with what each stands for; none on other pages.

    >>> reviews_on('Back to Search [SEP] < Prev [SEP] "Verdict" 4 really zinc ostrin [SEP] "Hm" 3.0 It leaks.')
    {'ostrin': 'zinc'}
    """
    if not page.startswith(f"{TO_SEARCH}{SEPARATOR}{PREVIOUS}") or BUY in page:
        return {}
    return verdicts_in(match[1] for node in page.split(SEPARATOR) if (match := _REVIEW.fullmatch(node)))


def words_of(text: str) -> list[str]:
    """Returns the words of a text in lower case.

    >>> words_of("Ansel kettle, fade resistant")
    ['ansel', 'kettle', 'fade', 'resistant']
    """
    return re.findall(r"[^\W_]+", text.lower())


_LEAD_IN = re.compile(
    r"\b(?:look(?:ing)? for|need|want|like|buy|find|get|purchase|shop(?:ping)? for|order|search(?:ing)? for"
    r"|interested in)\b(?: to (?:buy|find|get|purchase|order|have))?(?: me)?(?: to (?:buy|find))?"
    r"(?: (?:a|an|some|the|my|any)\b)?",
    re.IGNORECASE,
)
_HEAD_END = re.compile(
    r"[,;:.!?](?:\s|$)|\b(?:that|which|with|in (?:a |the )?(?:color|size|finish|flavor|scent)|for me|and price|it must"
    r"|they)\b"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_QUERY_WORDS = 12


def query_of(instruction: str) -> str:
    """Returns a careless customer's query: the product type, up to the first condition.

    >>> query_of("My last one was too small. I need a canvas backpack that is handmade, and price lower than 40")
    'canvas backpack'
    """
    sentences = _SENTENCE.split(instruction)
    asking = next((each for each in sentences if _LEAD_IN.search(each)), instruction)
    lead_in = _LEAD_IN.search(asking)
    thing = asking[lead_in.end() :] if lead_in else asking
    end = _HEAD_END.search(thing)
    head = " ".join((thing[: end.start()] if end and end.start() > 2 else thing).split()[:_QUERY_WORDS])
    return re.sub(r"[\[\]]", " ", head).strip(' "') or "product"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What an instruction asks for."""

    thing: str
    """The product type, as a careless customer would search for it."""
    attribute: str | None
    """One of the attributes of the built-in shops."""
    options: Mapping[str, str]
    """Values by name of option, for the options of the built-in shops."""
    limit: float
    """The maximum price in dollars; infinite if there is none."""


def asked_in(instruction: str) -> Asked:
    """Returns what an instruction asks for.

    >>> asked_in("I need a steel jug that is dripless, color pink, and price lower than 90.00 dollars")
    Asked(thing='steel jug', attribute='dripless', options={'color': 'pink'}, limit=90.0)
    """
    limit = re.search(r"lower than (\d+(?:\.\d+)?)", instruction)
    return Asked(
        query_of(instruction),
        next((name for name in ATTRIBUTES if re.search(rf"\b{name}\b", instruction)), None),
        dict(re.findall(rf"\b({'|'.join(OPTIONS)}) ({_ANY_VALUE})(?![\w-])", instruction)),
        float(limit.group(1)) if limit else math.inf,
    )
