"""Week numbers in MySQL's eight modes."""

from __future__ import annotations

import datetime

__all__ = ["week_of"]

_MONDAY, _WHOLE_YEAR, _OTHER_RULE = 1, 2, 4


def week_of(day: datetime.date, mode: int) -> tuple[int, int]:
    """Returns the year and week number of a day.

    Args:
        day: any day.
        mode: the mode of ``WEEK``, 0 to 7. In odd modes weeks begin on Monday, in the others on Sunday. In modes 2, 3,
            6 and 7 the days before a year's first week belong to the last week of the previous year, otherwise to week
            0. The first week is the first with at least four days in the year in modes 1, 3, 4 and 6, otherwise the
            first complete one.

    >>> week_of(datetime.date(2008, 2, 20), 0), week_of(datetime.date(2008, 12, 31), 3)
    ((2008, 7), (2009, 1))
    """
    year, ordinal = day.year, day.toordinal()
    if mode & _WHOLE_YEAR:
        if ordinal < _first(year, mode):
            year -= 1
        elif ordinal >= _first(year + 1, mode):
            year += 1
    return year, (ordinal - _first(year, mode)) // 7 + 1


def _first(year: int, mode: int) -> int:
    """Returns the ordinal of the first day of the first week."""
    before = year - 1
    new_year = before * 365 + before // 4 - before // 100 + before // 400 + 1  # datetime has no year 0 or 10,000
    weekday = (new_year - 1 if mode & _MONDAY else new_year) % 7
    by_half = bool(mode & _MONDAY) != bool(mode & _OTHER_RULE)
    return new_year - weekday + 7 * (weekday > 3 if by_half else weekday > 0)
