"""Checks of arguments; each error says what was received and what is required."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

from retro_gym.errors import ConfigError, UnsupportedArgumentError, did_you_mean, one_line

__all__ = ["check_choice", "check_positive", "check_render_mode", "check_type", "check_whole"]


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Checks that a value is one of some names.

    Raises:
        ConfigError: it is not; the error suggests the nearest one.
    """
    known = tuple(choices)
    if value not in known:
        raise ConfigError(f"{name} {value!r} is not one of {known}.{did_you_mean(value, known)}")


def check_positive(**values: object) -> None:
    """Checks that values are finite numbers above 0.

    Raises:
        ConfigError: one of them is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise ConfigError(f"{name} is {one_line(value)}; it must be above 0, and finite.")


def check_render_mode(mode: str | None, modes: Sequence[str]) -> None:
    """Checks that a render mode is None or one of an environment's own.

    Raises:
        UnsupportedArgumentError: it is not; libraries that offer a mode of theirs try again without it.
    """
    if mode is not None and mode not in modes:
        raise UnsupportedArgumentError(f"render_mode {mode!r} is not one of {tuple(modes)}.{did_you_mean(mode, modes)}")


def check_type(name: str, value: object, *kinds: type) -> None:
    """Checks that a value is None or of one of some types.

    Raises:
        ConfigError: it is not.
    """
    if value is not None and not isinstance(value, kinds):
        raise ConfigError(f"{name} is {one_line(value)}; give {' or '.join(kind.__name__ for kind in kinds)}.")


def check_whole(least: int, **values: object) -> None:
    """Checks that values are whole numbers of at least ``least``.

    Raises:
        ConfigError: one of them is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:  # NumPy's are Integral too
            raise ConfigError(f"{name} is {one_line(value)}; it must be a whole number, at least {least}.")
