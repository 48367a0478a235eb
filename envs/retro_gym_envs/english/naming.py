"""Finds names in English text, however they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["mentioned"]

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def mentioned(names: Iterable[str], text: str) -> list[str]:
    """Returns the names that a text mentions, in the order of their first mention.

    Case, quotes, hyphens and underscores do not matter. A name inside a longer name that is also mentioned does not
    count. A name with a number (``drawer 2``) may also be written ``drawer #2``, ``drawer two``, ``second drawer`` or
    ``drawers 1 and 2``.

    >>> mentioned(["drawer 1", "drawer 2", "drawer 12"], "the drawers 2 and 12")
    ['drawer 2', 'drawer 12']
    >>> mentioned(["Taskin", "Taskin Brelum"], "look up taskin brelum")
    ['Taskin Brelum']
    """
    text = text.lower()
    taken: list[tuple[int, int]] = []
    first: dict[str, int] = {}
    for name in sorted(dict.fromkeys(names), key=lambda each: (-len(each), each)):
        for match in _pattern(name).finditer(text):
            start, end = match.span("shared") if match["shared"] is not None else match.span()
            if not any(start < right and left < end for left, right in taken):
                taken.append((start, end))
                first.setdefault(name, start)
    return sorted(first, key=first.__getitem__)


@lru_cache(maxsize=16_384)
def _pattern(name: str) -> re.Pattern[str]:
    """Returns the pattern of a name; group ``shared`` is its number in a list of numbers (``drawers 1 and 2``)."""
    words = re.split(r"[\s_-]+", name.lower().strip())
    joined = r"[\s_-]+".join(map(re.escape, words))
    written = [rf"{joined}(?:'s|s'|s)?"]
    shared = r"(?P<shared>(?!))"  # matches nothing
    if len(words) > 1 and words[-1].isdecimal():
        kind = r"[\s_-]+".join(map(re.escape, words[:-1]))
        number = int(words[-1])
        numerals = [words[-1], *([_NUMBERS[number]] if number < len(_NUMBERS) else [])]
        written = [rf"{kind} ?(?:no\.? ?|number |nr\.? ?|#)?(?:{'|'.join(numerals)})"]
        ordinals = [rf"{number}(?:st|nd|rd|th)", *([_ORDINALS[number]] if 0 < number < len(_ORDINALS) else [])]
        written.append(rf"(?:{'|'.join(ordinals)}) {kind}")
        shared = (
            rf"{kind}s? (?:#?\w+(?:,? (?:and|or|then|,)? ?))*?(?:, ?|and |or |then )#?(?P<shared>{'|'.join(numerals)})"
        )
    return re.compile(rf"(?<![\w-])(?:{'|'.join(written)}|{shared})(?![\w-])")
