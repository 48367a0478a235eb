"""MySQL's functions that SQLite lacks, and MySQL's string comparison."""

from __future__ import annotations

import math
import re
import sqlite3
import unicodedata
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

from retro_gym_envs.intercode_sql.mysql.functions.aggregates import AGGREGATES, only_row
from retro_gym_envs.intercode_sql.mysql.functions.clock import CLOCK
from retro_gym_envs.intercode_sql.mysql.functions.codes import CODES
from retro_gym_envs.intercode_sql.mysql.functions.dates import DATES
from retro_gym_envs.intercode_sql.mysql.functions.patterns import PatternError, like, plain
from retro_gym_envs.intercode_sql.mysql.functions.regular import REGULAR
from retro_gym_envs.intercode_sql.mysql.functions.values import Value, number, text

__all__ = [
    "ALLOWED",
    "COLLATION",
    "NO_PAD",
    "OWN_PREFIX",
    "compare",
    "register_collations",
    "register_functions",
]

COLLATION = "general_ci"
"""Collation of columns (``utf8mb4_general_ci``): ignores case, accents and trailing spaces."""
NO_PAD = "ai_ci"
"""Collation of constants among themselves (``utf8mb4_0900_ai_ci``): trailing spaces count."""
OWN_PREFIX = "my_"
"""Prefix of our own functions: some of MySQL's names (LEFT, IF) are keywords in SQLite."""

_MAX_LENGTH = 20_000  # of a string that is made here; SQLite refuses half that length

_WHOLE = re.compile(r"\s*([+-]?[0-9]+)")  # without an exponent: '1e3' is 1
_CALL = re.compile(rf"\b{OWN_PREFIX}(\w+)\(")

# Deterministic functions that SQLite and MySQL share, with the same results.
_SHARED = """
    abs acos asin avg coalesce cos count cume_dist degrees dense_rank exp first_value ifnull lag last_value
    lead ln log10 log2 ltrim max min nth_value ntile percent_rank pi pow power radians rank replace row_number rtrim
    sign sin sqrt sum tan
"""


def compare(left: str, right: str) -> int:
    """Returns -1, 0 or 1, ignoring case, accents and trailing spaces.

    >>> compare("Gonzalo Higuaín ", "gonzalo higuain")
    0
    >>> compare("a", "B")
    -1
    """
    if left == right:
        return 0
    first, second = _weight(left), _weight(right)
    return (first > second) - (first < second)


def _compare_unpadded(left: str, right: str) -> int:
    return compare(left, right) or (len(left) > len(right)) - (len(left) < len(right))


@lru_cache(maxsize=16_384)
def _weight(said: str) -> str:
    said = said.rstrip(" ")
    if not said.isascii():
        said = "".join(char for char in unicodedata.normalize("NFD", said) if not unicodedata.combining(char))
    return said.upper()


def register_collations(connection: sqlite3.Connection, charge: Callable[[], bool] = lambda: True) -> None:
    """Registers MySQL's string comparison.

    Args:
        connection: the connection to extend.
        charge: called before each comparison; once it returns False, all strings are equal, to end a sort quickly.
    """

    def charged(key: Callable[[str, str], int]) -> Callable[[str, str], int]:
        return lambda left, right: key(left, right) if charge() else 0

    connection.create_collation(COLLATION, charged(compare))
    connection.create_collation(NO_PAD, charged(_compare_unpadded))


def register_functions(
    connection: sqlite3.Connection,
    query: str,
    database: str,
    refuse: Callable[[str], None],
    charge: Callable[[], bool],
) -> None:
    """Registers those of our functions that a query calls, under their prefixed names.

    Args:
        connection: the connection to extend.
        query: in SQLite's dialect.
        database: the value of ``DATABASE()``.
        refuse: called with the reason why a function cannot do what was requested; this ends the statement.
        charge: called before each match of a pattern.
    """

    def guarded(function: Callable[..., Value]) -> Callable[..., Value]:
        def call(*arguments: object) -> Value:
            charge()
            try:
                return None if None in arguments else function(*map(text, arguments))
            except PatternError as error:
                refuse(str(error))
                raise

        return call

    for name in set(_CALL.findall(query)):
        title = OWN_PREFIX + name
        if name in AGGREGATES:
            connection.create_aggregate(title, *AGGREGATES[name])
        elif name == "only_row":
            connection.create_aggregate(title, 1, only_row(refuse))
        elif name in _PATTERNS:
            arity, function = _PATTERNS[name]
            connection.create_function(title, arity, guarded(function), deterministic=True)
        elif name in _OWN:
            connection.create_function(title, *_OWN[name], deterministic=True)
        elif name == "database":
            connection.create_function(title, 0, lambda: database, deterministic=True)


def _of_text(function: Callable[[str], Value]) -> Callable[[object], Value]:
    """Makes a function of a string; NULL stays NULL."""
    return lambda value: None if value is None else function(text(value))


def _strict(function: Callable[..., Value]) -> Callable[..., Value]:
    """Makes a function that returns NULL if any argument is NULL."""
    return lambda *arguments: None if None in arguments else function(*arguments)


def _length(value: object) -> int:
    """Converts a number to a length or a position."""
    found = number(value)
    return int(max(-1e9, min(1e9, found))) if found == found else 0


# -- strings -----------------------------------------------------------------------------------------------------------


def _concat_ws(separator: object, *parts: object) -> str | None:
    return None if separator is None else text(separator).join(text(part) for part in parts if part is not None)


def _char(value: object, size: object = None) -> str | None:
    return None if value is None else text(value) if size is None else text(value)[: max(0, _length(size))]


def _substr(value: object, start: object, length: object = 1e9) -> str:
    said, first, size = text(value), _length(start), _length(length)
    if first == 0 or size <= 0 or -first > len(said):
        return ""
    begin = first - 1 if first > 0 else len(said) + first
    return said[begin : begin + size]


def _right(value: object, count: object) -> str:
    size = _length(count)
    return text(value)[-size:] if size > 0 else ""


def _padded(value: object, length: object, padding: object, *, left: bool) -> str | None:
    said, size, filling = text(value), _length(length), text(padding)
    if size < 0 or (size > len(said) and not filling):
        return None
    missing = min(size - len(said), _MAX_LENGTH)
    if missing <= 0:
        return said[:size]
    more = (filling * (missing // len(filling) + 1))[:missing]
    return more + said if left else said + more


def _repeat(value: object, count: object) -> str:
    said = text(value)
    return said * min(max(0, _length(count)), _MAX_LENGTH // max(1, len(said)) + 1)


def _locate(part: object, value: object, start: object = 1) -> int:
    first = _length(start)
    return plain(text(value)).find(plain(text(part)), first - 1) + 1 if first > 0 else 0


def _insert(value: object, start: object, length: object, part: object) -> str:
    said, first, size = text(value), _length(start), _length(length)
    if not 1 <= first <= len(said):
        return said
    end = first - 1 + size if size >= 0 else len(said)
    return said[: first - 1] + text(part) + said[end:]


def _substring_index(value: object, between: object, count: object) -> str:
    said, separator, wanted = text(value), text(between), _length(count)
    if not separator or wanted == 0:
        return ""
    parts = said.split(separator)
    return separator.join(parts[:wanted] if wanted > 0 else parts[wanted:])


def _trim(value: object, gone: object, side: object) -> str:
    said, part = text(value), text(gone)
    while part and side != "trailing" and said.startswith(part):
        said = said[len(part) :]
    while part and side != "leading" and said.endswith(part):
        said = said[: -len(part)]
    return said


def _find_in_set(part: object, value: object) -> int:
    parts = [_weight(each) for each in text(value).split(",")]
    wanted = _weight(text(part))
    return parts.index(wanted) + 1 if wanted in parts and text(value) else 0


def _chars(*codes: object) -> str:
    found = (int(number(code)) for code in codes if code is not None)
    return "".join(chr(code) for code in found if 0 < code < 0xD800)


def _field(wanted: object, *values: object) -> int:
    keys = [_key(value) for value in values]
    return 0 if wanted is None else keys.index(_key(wanted)) + 1 if _key(wanted) in keys else 0


def _elt(place: object, *values: Value) -> Value:
    wanted = 0 if place is None else _length(place)
    return values[wanted - 1] if 1 <= wanted <= len(values) else None


def _key(value: object) -> object:
    return _weight(value) if isinstance(value, str) else value


def _row_key(*values: object) -> str:
    return repr([_key(value) for value in values])


# -- numbers -----------------------------------------------------------------------------------------------------------


def _rounded(value: object, places: object, how: str) -> Value:
    """Rounds to a number of decimal places; integers stay integers."""
    found = number(value)
    digits = max(-30, min(30, _length(places)))
    if isinstance(found, int) and digits >= 0:
        return found
    try:
        made = Decimal(repr(found)).quantize(Decimal(1).scaleb(-digits), how)
    except InvalidOperation:  # more digits than a float has
        return found
    return int(made) if isinstance(found, int) else float(made)


def _rounded_float(value: object, places: object = 0) -> Value:
    """Rounds like MySQL's floats: halves to the even neighbour, in floating-point arithmetic."""
    found, digits = float(number(value)), max(-30, min(30, _length(places)))
    power = 10.0 ** abs(digits)
    scaled = found * power if digits >= 0 else found / power
    if not math.isfinite(scaled) or abs(scaled) > 2**53:
        return found
    return round(scaled) / power if digits >= 0 else round(scaled) * power


def _decimal(value: object, places: object) -> Value:
    made = _rounded(float(number(value)), places, ROUND_HALF_UP)
    return int(made) if isinstance(made, float) and math.isfinite(made) and not _length(places) else made


def _signed(value: object) -> int:
    if isinstance(value, str | bytes):
        match = _WHOLE.match(text(value))
        whole = int(match[1][:40]) if match else 0
    elif math.isfinite(found := number(value)):
        whole = int(_rounded(found, 0, ROUND_HALF_UP) or 0)
    else:
        whole = 0
    return max(-(2**63), min(2**63 - 1, whole))


def _unsigned(value: object) -> Value:
    whole = _signed(value)
    return whole if whole >= 0 else float(whole + 2**64)  # exceeds SQLite's integers


def _whole(function: Callable[[float], int]) -> Callable[[object], Value]:
    return lambda value: None if value is None else function(number(value)) if math.isfinite(number(value)) else 0


def _div(value: object, by: object) -> Value:
    first, second = number(value), number(by)
    return int(first / second) if second and math.isfinite(first / second) else None


def _mod(value: object, by: object) -> Value:
    first, second = number(value), number(by)
    return math.fmod(first, second) if second and math.isfinite(first) else None


def _atan(rise: object, run: object = 1) -> Value:
    return math.atan2(number(rise), number(run))


def _log(value: object, of: object = None) -> Value:
    first = number(value)
    if of is None:
        return math.log(first) if first > 0 else None
    second = number(of)
    return math.log(second) / math.log(first) if first > 0 and first != 1 and second > 0 else None


def _format(value: object, places: object) -> str:
    digits = max(0, min(30, _length(places)))
    return f"{float(_rounded(number(value), digits, ROUND_HALF_UP) or 0):,.{digits}f}"


_OWN: dict[str, tuple[int, Callable[..., Value]]] = {
    **DATES,
    **{name: (arity, _strict(function)) for name, (arity, function) in CLOCK.items()},
    **{name: (arity, function if name == "quote" else _strict(function)) for name, (arity, function) in CODES.items()},
    "ascii": (1, _of_text(lambda said: said.encode()[0] if said else 0)),
    "atan": (-1, _strict(_atan)),
    "atan2": (2, _strict(_atan)),
    "bitxor": (2, _strict(lambda left, right: _signed(left) ^ _signed(right))),
    "ceil": (1, _whole(math.ceil)),
    "ceiling": (1, _whole(math.ceil)),
    "char": (-1, _char),
    "char_length": (1, _of_text(len)),
    "character_length": (1, _of_text(len)),
    "chars": (-1, _chars),
    "concat": (-1, _strict(lambda *parts: "".join(map(text, parts)))),
    "concat_ws": (-1, _concat_ws),
    "cot": (1, _strict(lambda angle: 1 / math.tan(number(angle)) if math.tan(number(angle)) else None)),
    "decimal": (2, _strict(_decimal)),
    "div": (2, _strict(_div)),
    "elt": (-1, _elt),
    "field": (-1, _field),
    "find_in_set": (2, _strict(_find_in_set)),
    "floor": (1, _whole(math.floor)),
    "format": (2, _strict(_format)),
    "insert": (4, _strict(_insert)),
    "instr": (2, _strict(lambda value, part: _locate(part, value))),
    "lcase": (1, _of_text(str.lower)),
    "left": (2, _strict(lambda value, count: text(value)[: max(0, _length(count))])),
    "length": (1, _of_text(lambda said: len(said.encode()))),
    "locate": (-1, _strict(_locate)),
    "log": (-1, _strict(_log)),
    "lower": (1, _of_text(str.lower)),
    "lpad": (3, _strict(lambda *given: _padded(*given, left=True))),
    "mod": (2, _strict(_mod)),
    "repeat": (2, _strict(_repeat)),
    "reverse": (1, _of_text(lambda said: said[::-1])),
    "right": (2, _strict(_right)),
    "round": (-1, _strict(lambda value, places=0: _rounded(value, places, ROUND_HALF_UP))),
    "round_float": (-1, _strict(_rounded_float)),
    "row_key": (-1, _strict(_row_key)),
    "rpad": (3, _strict(lambda *given: _padded(*given, left=False))),
    "signed": (1, _strict(_signed)),
    "space": (1, _strict(lambda count: _repeat(" ", count))),
    "strcmp": (2, _strict(lambda left, right: compare(text(left), text(right)))),
    "substr": (-1, _strict(_substr)),
    "substring_index": (3, _strict(_substring_index)),
    "trim": (3, _strict(_trim)),
    "truncate": (2, _strict(lambda value, places: _rounded(value, places, ROUND_DOWN))),
    "ucase": (1, _of_text(str.upper)),
    "unsigned": (1, _strict(_unsigned)),
    "upper": (1, _of_text(str.upper)),
}
_PATTERNS: dict[str, tuple[int, Callable[..., Value]]] = {
    "like": (3, like),
    "like_binary": (3, lambda *given: like(*given, exact=True)),
    **{name: (-1, function) for name, function in REGULAR.items()},
}

_MADE = (*_OWN, *_PATTERNS, *AGGREGATES, "database", "only_row")
ALLOWED = frozenset(_SHARED.split()) | {OWN_PREFIX + name for name in _MADE}
"""The functions that a query may call, by their names in SQLite."""
