"""Reading a shop's texts as far as the scripted actor and the noisy teacher need it: instruction, pages, reflection.

Everything here works on text alone, that of the built-in shops as well as WebShop's own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from retro_gym_envs.webshop.pages import BUY, NEXT, PREVIOUS, SEPARATOR, TO_SEARCH
from retro_gym_envs.webshop.wares import ATTRIBUTES, OPTIONS

__all__ = [
    "Advice",
    "Hit",
    "Item",
    "advised_values",
    "asked",
    "hits_on",
    "instruction_of",
    "item_on",
    "query_of",
    "read_reflection",
]

_OPTION_NAMES = "|".join(OPTIONS)


@dataclasses.dataclass(frozen=True)
class Hit:
    """A product on a page of results."""

    asin: str
    title: str
    price: float
    """In dollars; the lower end of a range."""


@dataclasses.dataclass(frozen=True)
class Item:
    """A product's own page."""

    offered: tuple[str, ...]
    """Names and values of its options, in the order of the page; the page does not tell which is which."""
    title: str

    @property
    def options(self) -> dict[str, list[str]]:
        """Values by name, where the names are those of the built-in shops."""
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
    """What is asked for, from the text of the first page.

    >>> instruction_of("WebShop [SEP] Instruction: [SEP] i need a kettle, and price lower than 40.00 [SEP] Search")
    'i need a kettle, and price lower than 40.00'
    """
    _, _, text = task.partition("Instruction:")
    return text.removeprefix(SEPARATOR).removesuffix(f"{SEPARATOR}Search").strip()


def hits_on(page: str) -> list[Hit]:
    """The products on a page of results; none on other pages.

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
    """What a product's page shows; None on other pages.

    >>> item_on("Back to Search [SEP] < Prev [SEP] size [SEP] small [SEP] Ansel mug [SEP] Price: $18.5 [SEP] Buy Now")
    Item(offered=('size', 'small'), title='Ansel mug')
    """
    nodes = page.split(SEPARATOR)
    price = next((i for i, node in enumerate(nodes) if node.startswith("Price: ")), 0)
    if price < 3 or nodes[:2] != [TO_SEARCH, PREVIOUS] or BUY not in nodes:
        return None
    return Item(tuple(nodes[2 : price - 1]), nodes[price - 1])


_LEAD_IN = re.compile(
    r"\b(?:look(?:ing)? for|need|want|like|buy|find|get|purchase|shop(?:ping)? for|order|search(?:ing)? for"
    r"|interested in)\b(?: to (?:buy|find|get|purchase|order|have))?(?: me)?(?: to (?:buy|find))?"
    r"(?: (?:a|an|some|the|my|any)\b)?",
    re.IGNORECASE,
)
_HEAD_END = re.compile(
    r"[,;.!?](?:\s|$)|\b(?:that|which|with|in (?:a |the )?(?:color|size|finish|flavor|scent)|and price|it must|they)\b"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_QUERY_WORDS = 12


def query_of(instruction: str) -> str:
    """What a hasty customer searches for: the thing itself, up to the first condition.

    >>> query_of("My last one was color grey. I need a canvas gym backpack that is handmade, and price lower than 40")
    'canvas gym backpack'
    """
    sentences = _SENTENCE.split(instruction)
    asking = next((each for each in sentences if _LEAD_IN.search(each)), instruction)
    lead_in = _LEAD_IN.search(asking)
    thing = asking[lead_in.end() :] if lead_in else asking
    end = _HEAD_END.search(thing)
    head = " ".join((thing[: end.start()] if end and end.start() > 2 else thing).split()[:_QUERY_WORDS])
    return re.sub(r"[\[\]]", " ", head).strip(' "') or "product"


@dataclasses.dataclass(frozen=True)
class _Asked:
    attribute: str | None
    options: dict[str, str]
    limit: str | None


def asked(instruction: str) -> _Asked:
    """What an instruction of the built-in shops asks for: attribute, options by name, and price limit.

    >>> found = asked("Not color navy again. I need a jug that is dripless, color pink, and price lower than 90.00")
    >>> found.attribute, found.options, found.limit
    ('dripless', {'color': 'pink'}, '90')
    """
    wish = next((each for each in _SENTENCE.split(instruction) if _LEAD_IN.search(each)), instruction)
    limit = re.search(r"lower than (\d+)", instruction)
    return _Asked(
        next((name for name in ATTRIBUTES if re.search(rf"\b{name}\b", wish)), None),
        dict(re.findall(rf"\b({_OPTION_NAMES}) ([\w-]+)", wish)),
        limit.group(1) if limit else None,
    )


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; empty parts where it says nothing."""

    text: str = ""
    """What may name option values: the reflection without prices, ids and queries."""
    query: str | None = None
    """What to search for."""
    ids: tuple[str, ...] = ()
    """Products to open: what looks like an id."""
    place: int | None = None
    """Which hit to open, counted from 1."""
    words: tuple[str, ...] = ()
    """What the title has to contain."""
    limit: float | None = None
    """The price to stay below or at."""


_QUERY = re.compile(r"""\bsearch(?:ing)?(?: for)? ?(?:"([^"]+)"|\[([^\]]+)\])""", re.IGNORECASE)
_ID = re.compile(r"\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{5,10}\b")
_LIMIT = re.compile(
    r"\b(?:(?:lower|less|cheaper|no more) than|below|under|at most|up to|within) \$?(\d+(?:\.\d+)?)(?: dollars)?",
    re.IGNORECASE,
)
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_PLACE = re.compile(rf"\bthe ({'|'.join(_ORDINALS)}) (?:one|product|item|hit|result)\b", re.IGNORECASE)
_THE_ONE = re.compile(
    r"\bthe ([a-z][a-z -]*?) (?:one|product|item)\b"
    r"|\b(?:one|product|item) (?:that is|which is) ([a-z][a-z -]*?)(?= and\b| but\b|[.,;:!?]|\s*$)",
    re.IGNORECASE,
)


def read_reflection(text: str) -> Advice:
    """What a reflection says that can be acted on.

    Everything in it is tried on the pages later: words that stand in no title and values that no product offers mean
    nothing. So a vague reflection changes nothing.

    >>> advice = read_reflection("Buy one that is waterproof and lower than 40 dollars and choose the color teal.")
    >>> advice.words, advice.limit
    (('waterproof',), 40.0)
    """
    query = _QUERY.search(text)
    rest = _QUERY.sub(" ", text)
    limit = _LIMIT.search(rest)
    rest = _LIMIT.sub(" ", rest)
    ids = tuple(dict.fromkeys(_ID.findall(rest)))
    rest = _ID.sub(" ", rest)
    place = _PLACE.search(rest)
    rest = _PLACE.sub(" ", rest)
    words = tuple(next(group for group in found.groups() if group) for found in _THE_ONE.finditer(rest))
    return Advice(
        text=rest,
        query=next(group for group in query.groups() if group) if query else None,
        ids=ids,
        place=_ORDINALS.index(place.group(1).lower()) + 1 if place else None,
        words=tuple(each.lower() for each in words),
        limit=float(limit.group(1)) if limit else None,
    )


_NEGATED = re.compile(r"\b(?:not|instead of|rather than|wrong(?: \w+)?|never)(?: the)?(?: \w+)? $", re.IGNORECASE)


def advised_values(advice: Advice, offered: Sequence[str]) -> list[str]:
    """The texts of a product's page that a reflection names as they stand there, in the order of the page.

    A text within a longer one that is named too does not count (``large`` in ``x-large``), nor does one behind a "not".
    Texts of one or two characters must be quoted.

    >>> advised_values(read_reflection("Choose the size x-large, not the color teal."), ["large", "x-large", "teal"])
    ['x-large']
    """
    text = advice.text.lower()
    taken: list[tuple[int, int]] = []
    named: set[str] = set()
    for value in sorted(set(offered), key=lambda each: (-len(each), each)):
        pattern = re.escape(value.lower())
        if len(value) < 3 or value.isdigit():
            pattern = f'["\\[]{pattern}["\\]]'
        for found in re.finditer(rf"(?<![\w-]){pattern}(?![\w-])", text):
            start, end = found.span()
            if any(start < right and left < end for left, right in taken):
                continue
            taken.append((start, end))
            if not _NEGATED.search(text[:start].replace('"', "")):
                named.add(value)
    return [value for value in dict.fromkeys(offered) if value in named]
