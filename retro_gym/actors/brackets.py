r"""Finds the closing bracket of an action such as ``execute[SELECT a FROM b]``, which may hold brackets and quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["closing_bracket"]

# What may follow an action in brackets.
_LINE_END = re.compile(r"[ \t.;,!*_`~)]*\r?$", re.MULTILINE)
_TELLING = re.compile(r"[\[\]]")
_QUOTE = re.compile(r"[\"`']")
# An apostrophe within a word is not a quote.
_QUOTED_TELLING = re.compile(r"[\[\]\"`]|(?<![^\W_])'|'(?![^\W_])")


def closing_bracket(text: str, start: int, after: re.Pattern[str] = _LINE_END, opened: int = 0) -> int | None:
    """Returns the position of the bracket that closes the one before ``start``; None if it is never closed.

    It is the balancing bracket (brackets within quotes are ignored); a remark after it is not part of the action. If
    none balances, or the rest of its line closes more brackets than it opens, it is the first before ``after``.

    Args:
        text: the whole text.
        start: position after the opening bracket.
        after: pattern of what follows a bracket that certainly closes the action.
        opened: number of brackets that were opened before the action and may be closed after it.

    >>> said = "Finish[Sarn [isle]] as stated in [1]"
    >>> said[: closing_bracket(said, len("Finish[")) + 1]
    'Finish[Sarn [isle]]'
    >>> said = "Finish[a]b]"
    >>> said[: closing_bracket(said, len("Finish[")) + 1]
    'Finish[a]b]'
    """
    plain = _balancing(text, start, _TELLING)
    if plain is not None and after.match(text, plain + 1) and not _QUOTE.search(text, start):
        return plain
    regarded = _balancing(text, start, _QUOTED_TELLING)
    if plain is not None and (regarded is None or plain < regarded) and after.match(text, plain + 1):
        return plain  # what looked like quotes were apostrophes
    for end, telling in ((regarded, _QUOTED_TELLING), (plain, _TELLING)):
        if end is not None and _is_balanced(text[end + 1 :].partition("\n")[0], telling, opened):
            return end
    ends = [end for telling in (_QUOTED_TELLING, _TELLING) if (end := _ending(text, start, telling, after)) is not None]
    return min(ends, default=None)


def _is_balanced(text: str, telling: re.Pattern[str], depth: int) -> bool:
    """Whether a text never closes more brackets than are open; ``depth`` are open at its start."""
    return all(left >= 0 for _, left in _brackets(text, 0, telling, depth))


def _balancing(text: str, start: int, telling: re.Pattern[str]) -> int | None:
    return next((at for at, left in _brackets(text, start, telling, 1) if left == 0), None)


def _ending(text: str, start: int, telling: re.Pattern[str], after: re.Pattern[str]) -> int | None:
    """Returns the first unnested closing bracket that ends its line."""
    excess = 0  # brackets that closed nothing
    for at, left in _brackets(text, start, telling, 1):
        if text[at] == "]":
            excess = min(excess, left)
            if left == excess <= 0 and after.match(text, at + 1):
                return at
    return None


def _brackets(text: str, start: int, telling: re.Pattern[str], depth: int) -> Iterator[tuple[int, int]]:
    """Yields the position of each bracket outside of quotes, and how many are open after it."""
    quote = ""
    for each in telling.finditer(text, start):
        char = each[0]
        if quote:
            quote = "" if char == quote else quote
        elif char in "[]":
            depth += 1 if char == "[" else -1
            yield each.start(), depth
        else:
            quote = char
