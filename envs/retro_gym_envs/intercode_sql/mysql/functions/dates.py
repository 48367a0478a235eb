"""MySQL's functions of dates and times. Both are strings here: ``2019-03-04`` and ``2019-03-04 10:00:00``."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable
from functools import lru_cache

from retro_gym_envs.intercode_sql.mysql.functions.values import Value, number, text
from retro_gym_envs.intercode_sql.mysql.functions.weeks import week_of

__all__ = ["DATES", "moment_of", "shown"]

_MOMENT = re.compile(
    r"\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ]+(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6})\d*)?)?)?)?\s*"
)
_CLOCK = re.compile(r"\s*(-?\d{1,3}):(\d{1,2})(?::(\d{1,2}))?(?:\.\d*)?\s*")
_DIGITS = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?")
_UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@lru_cache(maxsize=16_384)
def _parsed(said: str) -> datetime.datetime | None:
    match = _MOMENT.fullmatch(said) or _DIGITS.fullmatch(said)
    if match is None:
        return None
    year, month, day, hour, minute, second, *fraction = (part or "0" for part in match.groups())
    try:
        return datetime.datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), int("".join(fraction).ljust(6, "0"))
        )
    except ValueError:
        return None


def moment_of(value: object) -> datetime.datetime | None:
    """Parses a string or a number as a date and time; None if it is not one."""
    return None if value is None else _parsed(text(value))


def shown(moment: datetime.datetime) -> str:
    """Formats a time as MySQL does."""
    return moment.isoformat(" ", "microseconds" if moment.microsecond else "seconds")


def _of_moment(read: Callable[[datetime.datetime], Value]) -> Callable[[object], Value]:
    """Makes a function of a date that returns NULL for other values."""

    def function(value: object) -> Value:
        moment = moment_of(value)
        return None if moment is None else read(moment)

    return function


def _day_of(value: object) -> Value:
    """Converts for comparison with a DATE column: the date, with a non-zero time; other strings are unchanged."""
    moment = moment_of(value)
    if moment is None:
        return None if value is None else text(value)
    said = shown(moment)
    return said[:10] if said.endswith(" 00:00:00") else said


def _datetime(value: object) -> Value:
    """Converts for comparison with a DATETIME column; other strings are unchanged."""
    moment = moment_of(value)
    return shown(moment) if moment else None if value is None else text(value)


def _digits(value: object) -> Value:
    """Returns the number that a time is in MySQL's arithmetic: 20190304, or 20190304100000."""
    if value is None:
        return None
    found = re.sub(r"\D", "", text(value).partition(".")[0])
    return int(found[:18]) if found else 0


def _clock(value: object) -> tuple[int, int, int] | None:
    """Returns hour, minute and second."""
    if value is None:
        return None
    match = _CLOCK.fullmatch(text(value))
    if match:
        return int(match[1]), int(match[2]), int(match[3] or 0)
    moment = moment_of(value)
    return (moment.hour, moment.minute, moment.second) if moment else None


def _part_of_clock(place: int) -> Callable[[object], Value]:
    def function(value: object) -> Value:
        clock = _clock(value)
        return None if clock is None else abs(clock[place])

    return function


def _time(value: object) -> Value:
    clock = _clock(value)
    return None if clock is None else "{:02}:{:02}:{:02}".format(*clock)


def _datediff(later: object, earlier: object) -> Value:
    first, second = moment_of(later), moment_of(earlier)
    return (first.date() - second.date()).days if first and second else None


def _later(moment: datetime.datetime, months: int) -> datetime.datetime:
    """Adds months; the day is clipped to the last day of the month."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _shift(value: object, amount: object, unit: object) -> Value:
    """``DATE_ADD``: a date stays a date unless hours or smaller units are added."""
    moment = moment_of(value)
    if moment is None or amount is None:
        return None
    name = text(unit)
    try:
        if name in _MONTHS:
            moved = _later(moment, round(number(amount)) * _MONTHS[name])
        else:
            moved = moment + datetime.timedelta(seconds=round(number(amount)) * _UNITS[name])
    except (ValueError, OverflowError, calendar.IllegalMonthError):
        return None
    keeps = len(text(value).strip()) <= 10 and name not in ("second", "minute", "hour")
    return shown(moved)[:10] if keeps else shown(moved)


def _timestampdiff(unit: object, earlier: object, later: object) -> Value:
    """Returns the number of whole units between two times."""
    first, second = moment_of(earlier), moment_of(later)
    if first is None or second is None:
        return None
    name = text(unit)
    sign = 1
    if second < first:
        first, second, sign = second, first, -1
    if name in _UNITS:
        return sign * (int((second - first).total_seconds()) // _UNITS[name])
    months = (second.year - first.year) * 12 + second.month - first.month
    months -= (second.day, second.time()) < (first.day, first.time())
    return sign * (months // _MONTHS[name])


def _makedate(year: object, day: object) -> Value:
    if year is None or day is None or number(day) < 1:
        return None
    try:
        start = datetime.date(int(number(year)), 1, 1)
        return (start + datetime.timedelta(days=int(number(day)) - 1)).isoformat()
    except (ValueError, OverflowError):
        return None


def _from_days(days: object) -> Value:
    try:
        return None if days is None else datetime.date.fromordinal(int(number(days)) - 365).isoformat()
    except (ValueError, OverflowError):
        return None


def _ordinal(day: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th") if day // 10 != 1 else "th"
    return f"{day}{ending}"


_FORMATS: dict[str, Callable[[datetime.datetime], str]] = {
    "Y": lambda m: f"{m.year:04}",
    "y": lambda m: f"{m.year % 100:02}",
    "m": lambda m: f"{m.month:02}",
    "c": lambda m: f"{m.month}",
    "d": lambda m: f"{m.day:02}",
    "e": lambda m: f"{m.day}",
    "D": lambda m: _ordinal(m.day),
    "M": lambda m: calendar.month_name[m.month],
    "b": lambda m: calendar.month_abbr[m.month],
    "W": lambda m: calendar.day_name[m.weekday()],
    "a": lambda m: calendar.day_abbr[m.weekday()],
    "w": lambda m: f"{m.isoweekday() % 7}",
    "j": lambda m: f"{m.timetuple().tm_yday:03}",
    "U": lambda m: f"{week_of(m, 0)[1]:02}",
    "u": lambda m: f"{week_of(m, 1)[1]:02}",
    "V": lambda m: f"{week_of(m, 2)[1]:02}",
    "v": lambda m: f"{week_of(m, 3)[1]:02}",
    "X": lambda m: f"{week_of(m, 2)[0]:04}",
    "x": lambda m: f"{week_of(m, 3)[0]:04}",
    "H": lambda m: f"{m.hour:02}",
    "k": lambda m: f"{m.hour}",
    "h": lambda m: f"{m.hour % 12 or 12:02}",
    "I": lambda m: f"{m.hour % 12 or 12:02}",
    "l": lambda m: f"{m.hour % 12 or 12}",
    "i": lambda m: f"{m.minute:02}",
    "s": lambda m: f"{m.second:02}",
    "S": lambda m: f"{m.second:02}",
    "f": lambda m: f"{m.microsecond:06}",
    "p": lambda m: "AM" if m.hour < 12 else "PM",
    "T": lambda m: m.strftime("%H:%M:%S"),
    "r": lambda m: f"{m.hour % 12 or 12:02}:{m.minute:02}:{m.second:02} {'AM' if m.hour < 12 else 'PM'}",
}
_READS = {"c": "%m", "e": "%d", "M": "%B", "W": "%A", "i": "%M", "s": "%S", "k": "%H", "h": "%I", "l": "%I"}
_READS |= {letter: f"%{letter}" for letter in "YymdbaHISpfj"} | {"T": "%H:%M:%S"}


def _date_format(value: object, form: object) -> Value:
    moment = moment_of(value)
    if moment is None or form is None:
        return None
    return re.sub(r"%(.)", lambda found: _formatted(moment, found[1]), text(form), flags=re.DOTALL)


def _formatted(moment: datetime.datetime, letter: str) -> str:
    known = _FORMATS.get(letter)
    return letter if known is None else known(moment)


def _str_to_date(value: object, form: object) -> Value:
    if value is None or form is None:
        return None
    wanted = re.sub(r"%(.)", lambda found: _READS.get(found[1], "%%"), text(form), flags=re.DOTALL)
    try:
        moment = datetime.datetime.strptime(text(value)[:100], wanted[:100])
    except (ValueError, re.error):
        return None
    return shown(moment) if re.search(r"%[HIMSpf]", wanted) else shown(moment)[:10]


DATES: dict[str, tuple[int, Callable[..., Value]]] = {
    "date": (1, _of_moment(lambda m: shown(m)[:10])),
    "date_format": (2, _date_format),
    "datediff": (2, _datediff),
    "datetime": (1, _datetime),
    "day": (1, _of_moment(lambda m: m.day)),
    "day_of": (1, _day_of),
    "dayname": (1, _of_moment(lambda m: calendar.day_name[m.weekday()])),
    "dayofmonth": (1, _of_moment(lambda m: m.day)),
    "dayofweek": (1, _of_moment(lambda m: m.isoweekday() % 7 + 1)),
    "dayofyear": (1, _of_moment(lambda m: m.timetuple().tm_yday)),
    "digits": (1, _digits),
    "from_days": (1, _from_days),
    "hour": (1, _part_of_clock(0)),
    "last_day": (1, _of_moment(lambda m: f"{m:%Y-%m}-{calendar.monthrange(m.year, m.month)[1]:02}")),
    "makedate": (2, _makedate),
    "minute": (1, _part_of_clock(1)),
    "month": (1, _of_moment(lambda m: m.month)),
    "monthname": (1, _of_moment(lambda m: calendar.month_name[m.month])),
    "quarter": (1, _of_moment(lambda m: (m.month + 2) // 3)),
    "second": (1, _part_of_clock(2)),
    "shift": (3, _shift),
    "str_to_date": (2, _str_to_date),
    "time": (1, _time),
    "timestamp": (1, _of_moment(shown)),
    "timestampdiff": (3, _timestampdiff),
    "to_days": (1, _of_moment(lambda m: m.toordinal() + 365)),
    "weekday": (1, _of_moment(lambda m: m.weekday())),
    "year": (1, _of_moment(lambda m: m.year)),
}
"""Number of arguments and the function, by function name without our prefix."""
