"""LIKE, and the normalisation of letters that it uses."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["MAX_PATTERN", "PatternError", "like", "plain"]

MAX_PATTERN = 1_000
"""Maximum characters of a pattern."""


class PatternError(Exception):
    """A pattern that MySQL would refuse; the text is its message."""


@lru_cache(maxsize=16_384)
def plain(text: str) -> str:
    """Converts to upper case without accents, letter by letter, so that positions do not change.

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
    r"""Whether the whole text matches the pattern, ignoring case and accents.

    >>> like("Élan", "el%", "\\"), like("50%", "50\\%", "\\"), like("501", "50\\%", "\\")
    (True, True, False)

    Raises:
        PatternError: the pattern is too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError("LIKE pattern is too long")
    if not exact:
        text, pattern = plain(text), plain(pattern)
    return _like_pattern(pattern, escape).fullmatch(text) is not None


@lru_cache(maxsize=1_024)
def _like_pattern(pattern: str, escape: str) -> re.Pattern[str]:
    """Compiles the pattern. Each part between two ``%`` takes its first match, so that there is no backtracking."""
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
