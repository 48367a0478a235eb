"""MySQL's aggregates that SQLite lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from retro_gym_envs.intercode_sql.mysql.functions.patterns import plain
from retro_gym_envs.intercode_sql.mysql.functions.values import Value, number, text

__all__ = ["AGGREGATES", "only_row"]

_MAX_LENGTH = 20_000  # characters, or values, of a GROUP_CONCAT; SQLite refuses half that length


class _GroupConcat:
    """``GROUP_CONCAT``: flags (``d`` or ``-`` for DISTINCT, then ``a`` or ``d`` per key), separator, value, keys."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, tuple[object, ...]]] = []
        self._length = 0
        self._flags = "-"
        self._separator = ","

    def step(self, flags: str, separator: object, value: object, *keys: object) -> None:
        """Adds a row."""
        if value is None or self._length > _MAX_LENGTH:
            return
        self._flags, self._separator = flags, text(separator)
        self._rows.append((text(value), keys))
        self._length += 1 if flags.startswith("d") else len(self._rows[-1][0]) + 1

    def finalize(self) -> str | None:
        """Returns the concatenated strings."""
        if not self._rows:
            return None
        if self._length > _MAX_LENGTH:
            return " " * self._length
        rows = self._rows
        if self._flags.startswith("d"):
            rows = list({plain(row[0]).rstrip(" "): row for row in reversed(rows)}.values())[::-1]
        for place, direction in reversed(list(enumerate(self._flags[1:]))):
            rows.sort(key=lambda row, place=place: _sort_key(row[1][place]), reverse=direction == "d")  # type: ignore[misc]
        return self._separator.join(said for said, _ in rows)


def _sort_key(value: object) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    return (1, value, "") if isinstance(value, int | float) else (1, 0.0, plain(text(value)))


class _Spread:
    """Variance by Welford's method."""

    sample = False
    root = False

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._squares = 0.0

    def step(self, value: object) -> None:
        """Adds a number."""
        if value is None:
            return
        self._count += 1
        change = number(value) - self._mean
        self._mean += change / self._count
        self._squares += change * (number(value) - self._mean)

    def finalize(self) -> float | None:
        """Returns the variance, or its square root."""
        if self._count <= self.sample:
            return None
        variance = max(0.0, self._squares / (self._count - self.sample))
        return math.sqrt(variance) if self.root else variance


class _SampleVariance(_Spread):
    sample = True


class _Deviation(_Spread):
    root = True


class _SampleDeviation(_Spread):
    sample = root = True


def _bitwise(start: int, combine: Callable[[int, int], int]) -> type[Any]:
    """Makes BIT_AND, BIT_OR or BIT_XOR, on signed 64-bit integers."""

    class Bitwise:
        def __init__(self) -> None:
            self._bits = start

        def step(self, value: object) -> None:
            if value is not None:
                self._bits = combine(self._bits, round(max(-9e18, min(9e18, number(value)))))

        def finalize(self) -> Value:
            return self._bits

    return Bitwise


def only_row(refuse: Callable[[str], None]) -> type[Any]:
    """Makes an aggregate that returns the value of a scalar subquery's only row; NULL if it has none.

    Args:
        refuse: called when there is a second row; this ends the statement.
    """

    class OnlyRow:
        def __init__(self) -> None:
            self._rows = 0
            self._value: Value = None

        def step(self, value: Value) -> None:
            self._rows += 1
            if self._rows > 1:
                refuse("Subquery returns more than 1 row")
                raise ValueError("a second row")
            self._value = value

        def finalize(self) -> Value:
            return self._value

    return OnlyRow


AGGREGATES: dict[str, tuple[int, type[Any]]] = {
    "bit_and": (1, _bitwise(-1, int.__and__)),
    "bit_or": (1, _bitwise(0, int.__or__)),
    "bit_xor": (1, _bitwise(0, int.__xor__)),
    "group_concat": (-1, _GroupConcat),
    "stddev_pop": (1, _Deviation),
    "stddev_samp": (1, _SampleDeviation),
    "var_pop": (1, _Spread),
    "var_samp": (1, _SampleVariance),
}
"""Number of arguments and the class, by function name without our prefix."""
