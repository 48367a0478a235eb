"""MySQL's functions for TIME values, Unix timestamps, and months written as numbers (``202003``)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

from retro_gym_envs.intercode_sql.mysql.functions.dates import moment_of, shown
from retro_gym_envs.intercode_sql.mysql.functions.values import Value, number, text
from retro_gym_envs.intercode_sql.mysql.functions.weeks import week_of

__all__ = ["CLOCK"]

_MOST = (838 * 3_600 + 59 * 60 + 59) * 10**6  # microseconds: MySQL's TIME ends at 838:59:59
_SPAN = re.compile(r"\s*(-)?(?:(\d{1,3}) )?(\d{1,3})(?::(\d{1,2}))(?::(\d{1,2}))?(?:\.(\d{1,6})\d*)?\s*")
_EPOCH = datetime.datetime(1970, 1, 1)
_PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")
_WIDTHS = {"year": 4, "microsecond": 6}


def _span(value: object) -> int | None:
    """Converts to microseconds: a TIME, the time of day of a DATETIME, or a number ``hhmmss``."""
    said = text(value)
    match = _SPAN.fullmatch(said)
    if match:
        days, hours, minutes, seconds = (int(match[place] or 0) for place in (2, 3, 4, 5))
        if minutes > 59 or seconds > 59:
            return None
        whole = (days * 24 + hours) * 3_600 + minutes * 60 + seconds
        found = whole * 10**6 + int((match[6] or "").ljust(6, "0"))
        return _bounded(-found if match[1] else found)
    moment = moment_of(value)
    if moment is not None:
        return (moment.hour * 3_600 + moment.minute * 60 + moment.second) * 10**6 + moment.microsecond
    digits = re.fullmatch(r"\s*(-?)(\d{1,7})(?:\.0*)?\s*", said)
    if digits is None:
        return None
    hours, rest = divmod(int(digits[2]), 10_000)
    minutes, seconds = divmod(rest, 100)
    if minutes > 59 or seconds > 59:
        return None
    return _bounded((hours * 3_600 + minutes * 60 + seconds) * (-(10**6) if digits[1] else 10**6))


def _bounded(microseconds: int) -> int:
    return max(-_MOST, min(_MOST, microseconds))


def _shown_span(microseconds: int) -> str:
    seconds, fraction = divmod(abs(_bounded(microseconds)), 10**6)
    minutes, second = divmod(seconds, 60)
    said = f"{minutes // 60:02}:{minutes % 60:02}:{second:02}" + (f".{fraction:06}" if fraction else "")
    return f"-{said}" if microseconds < 0 else said


def _is_span(value: object) -> bool:
    return _SPAN.fullmatch(text(value)) is not None


def _timediff(later: object, earlier: object) -> Value:
    """``TIMEDIFF`` of two TIME or two DATETIME values; NULL if they are mixed."""
    if _is_span(later) != _is_span(earlier):
        return None
    first, second = moment_of(later), moment_of(earlier)
    if first and second and not _is_span(later):
        return _shown_span((first - second) // datetime.timedelta(microseconds=1))
    one, other = _span(later), _span(earlier)
    return None if one is None or other is None else _shown_span(one - other)


def _moved(sign: int) -> Callable[[object, object], Value]:
    """Makes ADDTIME and SUBTIME."""

    def function(value: object, span: object) -> Value:
        added, moment = _span(span), moment_of(value)
        if added is None or (moment_of(span) is not None and not _is_span(span)):
            return None
        if moment is not None and not _is_span(value):
            try:
                return shown(moment + sign * datetime.timedelta(microseconds=added))
            except OverflowError:
                return None
        start = _span(value)
        return None if start is None else _shown_span(start + sign * added)

    return function


def _time_to_sec(value: object) -> Value:
    found = _span(value)
    return None if found is None else int(found / 10**6)


def _sec_to_time(seconds: object) -> Value:
    found = number(seconds)
    return _shown_span(round(max(-1e7, min(1e7, found)) * 10**6)) if found == found else None


def _maketime(hour: object, minute: object, second: object) -> Value:
    hours, minutes, seconds = round(number(hour)), round(number(minute)), number(second)
    if not (0 <= minutes < 60 and 0 <= seconds < 60):
        return None
    size = (min(abs(hours), 999) * 3_600 + minutes * 60) * 10**6 + round(seconds * 10**6)
    return _shown_span(-size if hours < 0 else size)


def _unix_timestamp(value: object) -> Value:
    moment = moment_of(value)
    if moment is None:
        return 0
    found = (moment - _EPOCH).total_seconds()
    return 0 if found < 0 else int(found) if found.is_integer() else found


def _from_unixtime(seconds: object) -> Value:
    found = number(seconds)
    if not 0 <= found < 32_536_771_200:
        return None
    return shown(_EPOCH + datetime.timedelta(microseconds=round(found * 10**6)))


def _months(period: object) -> int:
    found = int(max(0.0, min(1e9, number(period))))
    year, month = divmod(found, 100)
    return (year + (2_000 if year < 70 else 1_900 if year < 100 else 0)) * 12 + month - 1


def _period_add(period: object, months: object) -> Value:
    found = _months(period) + int(max(-1e6, min(1e6, number(months))))
    return found // 12 * 100 + found % 12 + 1


def _week(value: object, mode: object = 0) -> Value:
    moment = moment_of(value)
    return None if moment is None else week_of(moment, int(max(0.0, min(1e9, number(mode)))) & 7)[1]


def _yearweek(value: object, mode: object = 0) -> Value:
    moment = moment_of(value)
    if moment is None:
        return None
    year, week = week_of(moment, int(max(0.0, min(1e9, number(mode)))) & 7 | 2)
    return year * 100 + week


def _microsecond(value: object) -> Value:
    found = _span(value)
    return None if found is None else abs(found) % 10**6


def _extract(unit: object, value: object) -> Value:
    """``EXTRACT``: one or several adjacent parts of a time, concatenated: YEAR_MONTH of 2020-03-04 is 202003."""
    first, _, last = text(unit).partition("_")
    moment, span = moment_of(value), None
    if _is_span(value):
        span, moment = _span(value), None
    if moment is not None:
        parts = [getattr(moment, part) for part in _PARTS]
    elif span is not None:
        seconds, fraction = divmod(abs(span), 10**6)
        parts = [0, 0, 0, seconds // 3_600, seconds // 60 % 60, seconds % 60, fraction]
    else:
        return None
    begin, end = _PARTS.index(first), _PARTS.index(last or first)
    found = "".join(f"{parts[place]:0{_WIDTHS.get(_PARTS[place], 2)}}" for place in range(begin, end + 1))
    return -int(found) if span is not None and span < 0 else int(found)


CLOCK: dict[str, tuple[int, Callable[..., Value]]] = {
    "addtime": (2, _moved(1)),
    "extract": (2, _extract),
    "from_unixtime": (1, _from_unixtime),
    "maketime": (3, _maketime),
    "microsecond": (1, _microsecond),
    "period_add": (2, _period_add),
    "period_diff": (2, lambda one, other: _months(one) - _months(other)),
    "sec_to_time": (1, _sec_to_time),
    "subtime": (2, _moved(-1)),
    "time_to_sec": (1, _time_to_sec),
    "timediff": (2, _timediff),
    "unix_timestamp": (1, _unix_timestamp),
    "week": (-1, _week),
    "weekofyear": (1, lambda value: _week(value, 3)),
    "yearweek": (-1, _yearweek),
}
"""Number of arguments and the function, by function name without our prefix; none is called with NULL."""
