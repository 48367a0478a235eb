"""Signatures of the functions that a query may call: number and conversion of arguments, kind of the result."""

from __future__ import annotations

import dataclasses
import enum

from retro_gym_envs.intercode_sql.mysql.functions.registry import ALLOWED, OWN_PREFIX
from retro_gym_envs.intercode_sql.mysql.translation.kinds import Kind

__all__ = ["AGGREGATES", "Given", "Signature", "Wants", "signature"]


class Wants(enum.Enum):
    """How the arguments are converted."""

    ANYTHING = enum.auto()
    NUMBERS = enum.auto()
    """Strings become numbers."""
    LIKES = enum.auto()
    """Alternative values: numbers among strings become strings."""
    EQUALS = enum.auto()
    """They are compared with one another."""


class Given(enum.Enum):
    """Result kinds that depend on the arguments."""

    FIRST = enum.auto()
    """The kind of the first argument."""
    MERGED = enum.auto()
    """The common kind."""
    NUMBER = enum.auto()
    """INT or DECIMAL if all arguments are, REAL otherwise."""
    FRACTION = enum.auto()
    """DECIMAL if all arguments are exact, REAL otherwise."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """The signature of a function."""

    target: str
    """Its name in SQLite."""
    fewest: int
    most: int
    gives: Kind | Given
    wants: Wants = Wants.ANYTHING

    def takes(self, count: int) -> bool:
        """Whether it accepts this number of arguments."""
        return self.fewest <= count <= self.most


_AGGREGATES = """
    any_value avg bit_and bit_or bit_xor count group_concat max min std stddev stddev_pop stddev_samp sum var_pop
    var_samp variance
"""
AGGREGATES = frozenset(_AGGREGATES.split())
"""The functions that reduce many rows to one value."""

_MANY = 100
_OTHER_NAMES = {
    "any_value": "max",
    "greatest": "max",
    "least": "min",
    "mid": "substr",
    "octet_length": "length",
    "schema": "database",
    "std": "stddev_pop",
    "stddev": "stddev_pop",
    "variance": "var_pop",
}


def _alike(
    names: str, fewest: int, most: int, gives: Kind | Given, wants: Wants = Wants.ANYTHING
) -> dict[str, Signature]:
    """Makes the signatures of functions that share one."""
    made = {}
    for name in names.split():
        target = _OTHER_NAMES.get(name, name)
        target = OWN_PREFIX + target if OWN_PREFIX + target in ALLOWED else target
        made[name] = Signature(target, fewest, most, gives, wants)
    return made


_SIGNATURES = {
    # aggregates and window functions
    **_alike("any_value max min first_value last_value", 1, 1, Given.FIRST),
    **_alike("count ntile", 1, 1, Kind.INT),
    **_alike("sum", 1, 1, Given.NUMBER, Wants.NUMBERS),
    **_alike("bit_and bit_or bit_xor", 1, 1, Kind.INT, Wants.NUMBERS),
    **_alike("avg", 1, 1, Given.FRACTION, Wants.NUMBERS),
    **_alike("std stddev stddev_pop stddev_samp var_pop var_samp variance", 1, 1, Kind.REAL, Wants.NUMBERS),
    **_alike("cume_dist percent_rank", 0, 0, Kind.REAL),
    **_alike("dense_rank rank row_number", 0, 0, Kind.INT),
    **_alike("lag lead", 1, 3, Given.FIRST),
    **_alike("nth_value", 2, 2, Given.FIRST),
    # numeric functions
    **_alike("abs", 1, 1, Given.NUMBER, Wants.NUMBERS),
    **_alike("ceil ceiling floor sign", 1, 1, Kind.INT, Wants.NUMBERS),
    **_alike("exp ln sqrt log2 log10 radians degrees sin cos tan asin acos", 1, 1, Kind.REAL, Wants.NUMBERS),
    **_alike("cot", 1, 1, Kind.REAL, Wants.NUMBERS),
    **_alike("atan2", 2, 2, Kind.REAL, Wants.NUMBERS),
    **_alike("atan log", 1, 2, Kind.REAL, Wants.NUMBERS),
    **_alike("pow power", 2, 2, Kind.REAL, Wants.NUMBERS),
    **_alike("pi", 0, 0, Kind.REAL),
    **_alike("mod", 2, 2, Given.NUMBER, Wants.NUMBERS),
    **_alike("round", 1, 2, Given.FIRST, Wants.NUMBERS),
    **_alike("truncate", 2, 2, Given.FIRST, Wants.NUMBERS),
    # choice of a value
    **_alike("coalesce", 1, _MANY, Given.MERGED, Wants.LIKES),
    **_alike("ifnull", 2, 2, Given.MERGED, Wants.LIKES),
    **_alike("greatest least", 2, _MANY, Given.MERGED, Wants.LIKES),
    **_alike("nullif", 2, 2, Given.FIRST, Wants.EQUALS),
    **_alike("field", 2, _MANY, Kind.INT, Wants.EQUALS),
    **_alike("elt", 2, _MANY, Kind.TEXT),
    **_alike("isnull", 1, 1, Kind.INT),
    # string functions
    **_alike("lower lcase upper ucase reverse ltrim rtrim space", 1, 1, Kind.TEXT),
    **_alike("length octet_length char_length character_length ascii", 1, 1, Kind.INT),
    **_alike("concat", 1, _MANY, Kind.TEXT),
    **_alike("concat_ws", 2, _MANY, Kind.TEXT),
    **_alike("left right repeat format", 2, 2, Kind.TEXT),
    **_alike("lpad rpad replace substring_index", 3, 3, Kind.TEXT),
    **_alike("mid", 2, 3, Kind.TEXT),
    **_alike("insert", 4, 4, Kind.TEXT),
    **_alike("find_in_set instr strcmp", 2, 2, Kind.INT),
    **_alike("regexp_like", 2, 3, Kind.INT),
    **_alike("regexp_instr", 2, 6, Kind.INT),
    **_alike("regexp_substr", 2, 5, Kind.TEXT),
    **_alike("regexp_replace", 3, 6, Kind.TEXT),
    **_alike("hex bin oct md5 sha sha1 soundex quote", 1, 1, Kind.TEXT),
    **_alike("unhex", 1, 1, Kind.BINARY),
    **_alike("conv", 3, 3, Kind.TEXT),
    **_alike("ord crc32", 1, 1, Kind.INT),
    **_alike("locate", 2, 3, Kind.INT),
    # date and time functions
    **_alike("week yearweek", 1, 2, Kind.INT),
    **_alike("weekofyear time_to_sec microsecond", 1, 1, Kind.INT),
    **_alike("timediff", 2, 2, Kind.TIME),
    **_alike("sec_to_time", 1, 1, Kind.TIME),
    **_alike("maketime", 3, 3, Kind.TIME),
    **_alike("addtime subtime", 2, 2, Kind.TEXT),
    **_alike("unix_timestamp", 1, 1, Kind.INT),
    **_alike("from_unixtime", 1, 1, Kind.DATETIME),
    **_alike("period_add period_diff", 2, 2, Kind.INT),
    **_alike("year quarter month day dayofmonth dayofweek weekday dayofyear", 1, 1, Kind.INT),
    **_alike("hour minute second to_days", 1, 1, Kind.INT),
    **_alike("dayname monthname", 1, 1, Kind.TEXT),
    **_alike("date last_day from_days", 1, 1, Kind.DATE),
    **_alike("time", 1, 1, Kind.TIME),
    **_alike("timestamp", 1, 1, Kind.DATETIME),
    **_alike("makedate", 2, 2, Kind.DATE),
    **_alike("datediff", 2, 2, Kind.INT),
    **_alike("date_format", 2, 2, Kind.TEXT),
    **_alike("str_to_date", 2, 2, Kind.DATETIME),
    # information functions
    **_alike("database schema", 0, 0, Kind.TEXT),
}


def signature(name: str) -> Signature | None:
    """Returns the signature of the function with this lower-case name; None if there is none."""
    return _SIGNATURES.get(name)
