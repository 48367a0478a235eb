"""What SQLite lacks of MySQL's functions, and MySQL's way to compare texts (``utf8mb4_general_ci``)."""

from __future__ import annotations

import datetime
import sqlite3
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

__all__ = [
    "ALLOWED",
    "COLLATION",
    "OWN_PREFIX",
    "Value",
    "compare",
    "is_own",
    "register_collation",
    "register_functions",
]

Value: TypeAlias = "int | float | str | bytes | None"
"""What a cell of a table holds."""

COLLATION = "general_ci"
OWN_PREFIX = "my_"
"""In front of our own functions: some of MySQL's names (LEFT, IF) are keywords in SQLite."""

# SQLite's functions that MySQL has too and that are deterministic. All others are unknown to the actor.
_SHARED = """
    abs avg ceil ceiling coalesce count cume_dist dense_rank exp first_value floor group_concat ifnull instr lag
    last_value lead like ln lower ltrim max min mod nth_value ntile nullif percent_rank pow power rank replace round
    row_number rtrim sign sqrt substr substring sum trim upper
"""


def compare(left: str, right: str) -> int:
    """-1, 0 or 1: letters alike whatever their case and accents; spaces at the end do not count.

    >>> compare("Gonzalo Higuaín ", "gonzalo higuain")
    0
    >>> compare("a", "B")
    -1
    """
    if left == right:
        return 0
    first, second = _weight(left), _weight(right)
    return (first > second) - (first < second)


@lru_cache(maxsize=16_384)
def _weight(text: str) -> str:
    text = text.rstrip(" ")
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))
    return text.upper()


def register_collation(connection: sqlite3.Connection, key: Callable[[str, str], int] = compare) -> None:
    """Makes texts compare as in MySQL."""
    connection.create_collation(COLLATION, key)


def is_own(name: str) -> bool:
    """Whether it is a function that we bring."""
    return OWN_PREFIX + name.lower() in ALLOWED


def register_functions(connection: sqlite3.Connection, database: str) -> None:
    """Adds our functions under their prefixed names; ``DATABASE()`` gives the name given here."""
    connection.create_function(f"{OWN_PREFIX}database", 0, lambda: database, deterministic=True)
    for name, (arity, function) in _OWN.items():
        connection.create_function(OWN_PREFIX + name, arity, function, deterministic=True)


def _concat(*parts: object) -> str | None:
    return None if any(part is None for part in parts) else "".join(map(_text, parts))


def _concat_ws(separator: object, *parts: object) -> str | None:
    return None if separator is None else _text(separator).join(_text(part) for part in parts if part is not None)


def _if(condition: object, yes: Value, no: Value) -> Value:
    return yes if condition and _number(condition) else no


def _left(text: object, count: object) -> str | None:
    return None if text is None or count is None else _text(text)[: max(0, int(_number(count)))]


def _right(text: object, count: object) -> str | None:
    if text is None or count is None:
        return None
    length = int(_number(count))
    return _text(text)[-length:] if length > 0 else ""


def _char_length(text: object) -> int | None:
    return None if text is None else len(_text(text))


def _length(text: object) -> int | None:
    return None if text is None else len(_text(text).encode())


def _reverse(text: object) -> str | None:
    return None if text is None else _text(text)[::-1]


def _lcase(text: object) -> str | None:
    return None if text is None else _text(text).lower()


def _ucase(text: object) -> str | None:
    return None if text is None else _text(text).upper()


def _year(moment: object) -> int | None:
    day = _day(moment)
    return day.year if day else None


def _month(moment: object) -> int | None:
    day = _day(moment)
    return day.month if day else None


def _dayofmonth(moment: object) -> int | None:
    day = _day(moment)
    return day.day if day else None


def _date(moment: object) -> str | None:
    day = _day(moment)
    return day.isoformat() if day else None


def _datediff(later: object, earlier: object) -> int | None:
    days = _day(later), _day(earlier)
    return (days[0] - days[1]).days if days[0] and days[1] else None


def _day(moment: object) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(_text(moment)[:10])
    except ValueError:
        return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _number(value: object) -> float:
    try:
        number = float(_text(value))
    except ValueError:
        return 0.0
    return number if abs(number) < 1e9 else 1e9  # lengths; NaN compares as false


_OWN: dict[str, tuple[int, Callable[..., Value]]] = {
    "char_length": (1, _char_length),
    "character_length": (1, _char_length),
    "concat": (-1, _concat),
    "concat_ws": (-1, _concat_ws),
    "date": (1, _date),
    "datediff": (2, _datediff),
    "day": (1, _dayofmonth),
    "dayofmonth": (1, _dayofmonth),
    "if": (3, _if),
    "lcase": (1, _lcase),
    "left": (2, _left),
    "length": (1, _length),
    "month": (1, _month),
    "reverse": (1, _reverse),
    "right": (2, _right),
    "ucase": (1, _ucase),
    "year": (1, _year),
}

ALLOWED = frozenset(_SHARED.split()) | {OWN_PREFIX + name for name in (*_OWN, "database")}
"""The functions that a query may call, by the names that SQLite knows them under."""
