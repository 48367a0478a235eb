"""LIKE, and REGEXP within bounds: Python's engine can take forever, and nothing interrupts it."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["PatternError", "like", "matches", "plain"]

_MAX_PATTERN = 1_000  # characters
_MAX_WORK = 10_000_000  # steps that a match might take, at worst


class PatternError(Exception):
    """A pattern that MySQL would refuse; the text is its message."""


@lru_cache(maxsize=16_384)
def plain(text: str) -> str:
    """The text in upper case and without accents, letter by letter, so that places in it stay the same.

    >>> plain("Élan ß")
    'ELAN ß'
    """
    if text.isascii():
        return text.upper()
    return "".join(map(_plain_letter, text))


def _plain_letter(letter: str) -> str:
    made = "".join(c for c in unicodedata.normalize("NFD", letter) if not unicodedata.combining(c)).upper()
    return made if len(made) == 1 else letter


def like(text: str, pattern: str, escape: str, *, exact: bool = False) -> bool:
    r"""Whether the whole text is like the pattern, whatever the case and the accents.

    >>> like("Élan", "el%", "\\"), like("50%", "50\\%", "\\"), like("501", "50\\%", "\\")
    (True, True, False)

    Raises:
        PatternError: the pattern is too long.
    """
    if len(pattern) > _MAX_PATTERN:
        raise PatternError("LIKE pattern is too long")
    if not exact:
        text, pattern = plain(text), plain(pattern)
    return _like_pattern(pattern, escape).fullmatch(text) is not None


@lru_cache(maxsize=1_024)
def _like_pattern(pattern: str, escape: str) -> re.Pattern[str]:
    """Between two ``%`` the first place that fits is the right one, so that no way is tried twice."""
    pieces = [""]
    letters = iter(pattern)
    for letter in letters:
        if letter == "%":
            pieces.append("")
        elif letter == "_":
            pieces[-1] += "."
        else:
            pieces[-1] += re.escape(next(letters, letter) if letter == escape else letter)
    first, *middle = pieces
    last = f".*{middle.pop()}" if middle else ""
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + last, re.DOTALL)


def matches(text: str, pattern: str) -> bool:
    """Whether the regular expression is found in the text, whatever the case.

    Raises:
        PatternError: it is none, or might take too long on this text.
    """
    compiled, repeats, choices = _regular(pattern)
    if (len(text) + 1) ** repeats * 2**choices > _MAX_WORK:
        raise PatternError("Timeout exceeded in regular expression match.")
    return compiled.search(text) is not None


@lru_cache(maxsize=1_024)
def _regular(pattern: str) -> tuple[re.Pattern[str], int, int]:
    """The pattern, and how often a match of it may go another way: at any place of the text, or at one of two."""
    if len(pattern) > _MAX_PATTERN:
        raise PatternError("Timeout exceeded in regular expression match.")
    for name, letters in (("alpha", "A-Za-z"), ("digit", "0-9"), ("alnum", "A-Za-z0-9"), ("space", r"\s")):
        pattern = pattern.replace(f"[:{name}:]", letters)
    bare = re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.", "x", pattern).replace("(?:", "(")
    if re.search(r"\\[1-9]", pattern) or "(?" in bare or _repeats_repeats(bare):
        raise PatternError("Timeout exceeded in regular expression match.")
    anchored = bare.startswith("^") and "|" not in bare
    repeats = len(re.findall(r"[*+{]", re.sub(r"^\^?\.\*|\.\*\$?$", "", bare))) + (not anchored)
    try:
        return re.compile(pattern, re.IGNORECASE), repeats, len(re.findall(r"[^*+}(]\?|\|", bare))
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"Illegal argument to a regular expression: {error}") from None


def _repeats_repeats(bare: str) -> bool:
    """Whether something is repeated that holds a repetition or a choice itself, which can take exponential time."""
    opened: list[int] = []
    for place, letter in enumerate(bare):
        if letter == "(":
            opened.append(place)
        elif letter == ")" and opened:
            inner = bare[opened.pop() + 1 : place]
            if bare[place + 1 : place + 2] in ("*", "+", "{") and re.search(r"[*+?{|]", inner):
                return True
    return False
