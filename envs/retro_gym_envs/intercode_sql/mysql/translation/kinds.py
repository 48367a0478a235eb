"""The kinds of columns and expressions in MySQL, which determine how it compares values."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["EXACT", "MOMENTS", "NUMBERS", "TEXTS", "Kind", "Schema", "base_type", "kind_of_type", "merged"]


class Kind(enum.Enum):
    """A kind of value."""

    INT = "int"
    DECIMAL = "decimal"
    """A number with a fraction that MySQL stores exactly."""
    REAL = "real"
    """A float."""
    TEXT = "text"
    BINARY = "binary"
    """A string that is compared exactly, without a collation."""
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    NULL = "null"
    UNKNOWN = "unknown"
    """A column that the query does not have: SQLite will report it."""


EXACT = frozenset({Kind.INT, Kind.DECIMAL})
NUMBERS = EXACT | {Kind.REAL}
TEXTS = frozenset({Kind.TEXT, Kind.BINARY})
MOMENTS = frozenset({Kind.DATE, Kind.DATETIME})

Schema = tuple[tuple[str, tuple[tuple[str, Kind], ...]], ...]
"""Tables by name, with the name and kind of each column."""

_TYPES = {
    Kind.INT: "int integer bigint smallint tinyint mediumint year bool boolean bit",
    Kind.DECIMAL: "decimal numeric dec fixed",
    Kind.REAL: "double float real",
    Kind.TEXT: "char varchar text tinytext mediumtext longtext enum set",
    Kind.DATE: "date",
    Kind.DATETIME: "datetime timestamp",
    Kind.TIME: "time",
}
_KINDS = {name: kind for kind, names in _TYPES.items() for name in names.split()}


def base_type(written: str) -> str:
    """Returns a column's type without length and sign.

    >>> base_type("int(11) unsigned")
    'int'
    """
    return written.split("(")[0].split(" ")[0].lower()


@lru_cache(maxsize=1_024)
def kind_of_type(written: str) -> Kind:
    """Returns the kind of a column of this type.

    >>> kind_of_type("varchar(20)"), kind_of_type("blob")
    (<Kind.TEXT: 'text'>, <Kind.BINARY: 'binary'>)
    """
    return _KINDS.get(base_type(written), Kind.BINARY)


def merged(kinds: Iterable[Kind]) -> Kind:
    """Returns the common kind of alternative values, as in CASE, IFNULL and UNION.

    >>> merged([Kind.INT, Kind.NULL, Kind.REAL]), merged([Kind.INT, Kind.TEXT])
    (<Kind.REAL: 'real'>, <Kind.TEXT: 'text'>)
    """
    found = set(kinds) - {Kind.NULL}
    if not found:
        return Kind.NULL
    if len(found) == 1:
        return found.pop()
    if Kind.UNKNOWN in found:
        return Kind.UNKNOWN
    if found <= NUMBERS:
        return Kind.DECIMAL if found <= EXACT else Kind.REAL
    return Kind.DATETIME if found <= MOMENTS else Kind.TEXT
