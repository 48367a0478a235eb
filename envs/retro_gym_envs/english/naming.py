"""Finds names in English text, however they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Mention", "find_mentions", "mentioned"]

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_VALUES = {word: number for words in (_NUMBERS, _ORDINALS) for number, word in enumerate(words) if word}
_NUMERAL = rf"(?:\d{{1,6}}|{'|'.join(_NUMBERS)})"
_ORDINAL = rf"(?:\d{{1,3}}(?:st|nd|rd|th)|{'|'.join(_ORDINALS[1:])})"


class Mention(NamedTuple):
    """A place where a text mentions a name."""

    start: int
    end: int
    name: str


def mentioned(names: Iterable[str], text: str) -> list[str]:
    """Returns the names that a text mentions, in the order of their first mention.

    Case, quotes, hyphens and underscores do not matter. A name inside a longer name that is also mentioned does not
    count. A name with a number (``drawer 2``) may also be written ``drawer #2``, ``drawer (2)``, ``drawer two``,
    ``second drawer`` or ``drawers 1 and 2``.

    >>> mentioned(["drawer 1", "drawer 2", "drawer 12"], "the drawers 2 and 12")
    ['drawer 2', 'drawer 12']
    >>> mentioned(["Taskin", "Taskin Brelum"], "look up taskin brelum")
    ['Taskin Brelum']
    """
    return list(dict.fromkeys(mention.name for mention in find_mentions(tuple(names), text.lower())))


def find_mentions(names: tuple[str, ...], text: str) -> list[Mention]:
    """Returns the mentions in a text in lower case, from left to right, without overlaps: longer names come first."""
    every = [mention for name in names if (found := _finder(name)) is not None for mention in found.mentions(text)]
    for kind, numbers in _kinds(names):
        every += kind.mentions(text, numbers)
    every.sort(key=lambda mention: (-len(mention.name), mention.name, mention.start))
    taken: list[Mention] = []
    covered = bytearray(len(text))
    for mention in every:
        if covered.find(1, mention.start, mention.end) < 0:
            covered[mention.start : mention.end] = b"\1" * (mention.end - mention.start)
            taken.append(mention)
    return sorted(taken)


class _Finder:
    """Finds a name without a number."""

    def __init__(self, name: str, words: tuple[str, ...]) -> None:
        self._name = name
        self._part = max(words, key=len)
        joined = r"[\s_-]+".join(map(re.escape, words))
        self._pattern = re.compile(rf"(?<![\w-]){joined}(?:'s|s'|s)?(?![\w-])")

    def mentions(self, text: str) -> Iterator[Mention]:
        if self._part in text:
            for match in self._pattern.finditer(text):
                yield Mention(match.start(), match.end(), self._name)


class _Kind:
    """Finds the names of one kind that are told apart by a number."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._part = max(words, key=len)
        kind = r"[\s_-]+".join(map(re.escape, words))
        # Lists of numbers are short: a bound keeps the search linear.
        more = rf"(?:(?:, ?(?:and |or |then )?| and | or | then | & )#?{_NUMERAL}(?![\w-])){{0,12}}"
        sign = r"(?:(?:no|nr|num)\.? ?|numbers? |# ?)?"
        number = rf"[\s_-]?{sign}(?P<open>[(\[{{] ?)?{sign}(?P<first>{_NUMERAL})(?![\w-])(?(open) ?[)\]}}])"
        self._pattern = re.compile(
            rf"(?<![\w-])(?:(?P<ordinal>{_ORDINAL}) {kind}(?![\w-]| ?#?\d)|{kind}s?(?P<one>{number})(?P<more>{more}))"
        )

    def mentions(self, text: str, names: dict[int, str]) -> Iterator[Mention]:
        for match in self._pattern.finditer(text) if self._part in text else ():
            first = match["ordinal"] or match["first"]
            if (name := names.get(_value(first))) is not None:
                yield Mention(match.start(), match.end("ordinal" if match["ordinal"] else "one"), name)
            for numeral in re.finditer(_NUMERAL, match["more"] or ""):
                if (name := names.get(_value(numeral[0]))) is not None:
                    start = match.start("more")
                    yield Mention(start + numeral.start(), start + numeral.end(), name)


def _value(numeral: str) -> int:
    return _VALUES[numeral] if numeral in _VALUES else int(re.match(r"\d+", numeral)[0])  # type: ignore[index]


@lru_cache(maxsize=16_384)
def _split(name: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s_-]+", name.lower().replace("’", "'")) if word)


def _is_numbered(words: tuple[str, ...]) -> bool:
    return len(words) > 1 and words[-1].isascii() and words[-1].isdecimal() and len(words[-1]) < 7


@lru_cache(maxsize=16_384)
def _finder(name: str) -> _Finder | None:
    words = _split(name) or (name.strip().lower(),)
    return None if _is_numbered(words) or not words[0] else _Finder(name, words)


@lru_cache(maxsize=4_096)
def _kind(words: tuple[str, ...]) -> _Kind:
    return _Kind(words)


@lru_cache(maxsize=256)
def _kinds(names: tuple[str, ...]) -> list[tuple[_Kind, dict[int, str]]]:
    found: dict[tuple[str, ...], dict[int, str]] = {}
    for name in names:
        words = _split(name)
        if _is_numbered(words):
            found.setdefault(words[:-1], {}).setdefault(int(words[-1]), name)
    return [(_kind(words), numbers) for words, numbers in found.items()]
