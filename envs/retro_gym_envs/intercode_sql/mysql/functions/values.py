"""Cell values, and their conversion to strings and numbers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Value", "number", "text"]

Value: TypeAlias = "int | float | str | bytes | None"
"""The value of a table's cell."""

_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def text(value: object) -> str:
    """Converts to a string as MySQL does: a float without a fraction has no decimal point.

    >>> text(5.0), text(0.1), text(b"ab")
    ('5', '0.1', 'ab')
    """
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def number(value: object) -> float:
    """Converts to a number: for a string its leading number, or 0.

    >>> number("18abc"), number(" -1.5e2 "), number("abc"), number(3)
    (18.0, -150.0, 0.0, 3)
    """
    if isinstance(value, int | float):
        return value
    return _leading(text(value))


@lru_cache(maxsize=16_384)
def _leading(said: str) -> float:
    match = _NUMBER.match(said)
    return float(match[1]) if match else 0.0
