"""Rules that arguments are held to, each with an error that says what was received and what the rule is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real

from retro_gym.errors import ConfigError, did_you_mean, one_line

__all__ = ["check_choice", "check_positive", "check_type", "check_whole"]


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Refuses what is not one of some names.

    Raises:
        ConfigError: it is not; the error proposes the nearest one.
    """
    known = tuple(choices)
    if value not in known:
        raise ConfigError(f"{name} {value!r} is not one of {known}.{did_you_mean(value, known)}")


def check_positive(**values: object) -> None:
    """Refuses what is no number above 0, or not finite.

    Raises:
        ConfigError: one of the values is such.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise ConfigError(f"{name} is {one_line(value)}; it must be above 0, and finite.")


def check_type(name: str, value: object, *kinds: type) -> None:
    """Refuses what is neither None nor of one of some types.

    Raises:
        ConfigError: it is not.
    """
    if value is not None and not isinstance(value, kinds):
        raise ConfigError(f"{name} is {one_line(value)}; give {' or '.join(kind.__name__ for kind in kinds)}.")


def check_whole(least: int, **values: object) -> None:
    """Refuses what is no whole number, or too small a one.

    Raises:
        ConfigError: one of the values is such.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:  # NumPy's are Integral too
            raise ConfigError(f"{name} is {one_line(value)}; it must be a whole number, at least {least}.")
