"""Parses a reflection into advice for the scripted actor: what to search for, to open and to choose."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

__all__ = ["Advice", "advised_values", "read_reflection"]


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; fields are empty where it says nothing."""

    text: str = ""
    """The text that may name option values: the reflection without prices, ids and queries."""
    query: str | None = None
    """The query to search for."""
    ids: tuple[str, ...] = ()
    """Products to open: every word that looks like an id."""
    place: int | None = None
    """Position of the hit to open, counted from 1."""
    words: tuple[str, ...] = ()
    """Words that the title must contain."""
    limit: float | None = None
    """The maximum price, inclusive."""


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
    """Extracts what can be acted on.

    All of it is later matched against the pages: words that no title contains and values that no product offers have no
    effect. So a vague reflection has none.

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
    """Returns the texts of a product's page that a reflection names literally, in the order of the page.

    A text inside a longer one that is also named does not count (``large`` in ``x-large``), nor does a text after
    "not". Texts of one or two characters must be quoted.

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
