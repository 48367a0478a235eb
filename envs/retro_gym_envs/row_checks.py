"""Refuses rows of data files that are not what their schema says: with what was received, the rule, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retro_gym.errors import DataError, one_line

__all__ = ["check_keys", "check_texts", "checked_object", "received", "wrong"]


def received(value: object) -> str:
    """A value and its type, in one line."""
    try:
        return f"{one_line(value)} ({type(value).__name__})"
    except RecursionError:  # brackets nested hundreds of levels deep
        return f"a {type(value).__name__}"


def wrong(where: str, field: str, value: object, rule: str, remedy: str) -> DataError:
    """The error of a field that breaks a rule."""
    return DataError(f"{where}: {field} is {received(value)}; it must be {rule}. {remedy}")


def checked_object(row: object, where: str, keys: Sequence[str]) -> dict[str, Any]:
    """The row, when it is a JSON object.

    Raises:
        DataError: it is not; the message names the keys of a task.
    """
    if not isinstance(row, dict):
        raise DataError(f"{where}: is {received(row)}; a task is a JSON object with the keys {', '.join(keys)}.")
    return row


def check_keys(row: Mapping[str, Any], where: str, keys: Sequence[str], remedy: str) -> None:
    """Refuses a row that lacks one of some keys.

    Raises:
        DataError: it does.
    """
    missing = [key for key in keys if key not in row]
    if missing:
        raise DataError(
            f"{where}: {', '.join(map(repr, missing))} missing; its keys are {one_line(sorted(row), 120)}. {remedy}"
        )


def check_texts(row: Mapping[str, Any], where: str, keys: Sequence[str]) -> None:
    """Refuses a row in which one of some values is no text, or blank.

    Raises:
        DataError: there is such a value.
    """
    for key in keys:
        if not isinstance(row[key], str) or not row[key].strip():
            raise wrong(where, key, row[key], "a text that is not blank", "Correct it, or delete the record.")
