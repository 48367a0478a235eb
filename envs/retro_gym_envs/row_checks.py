"""Refuses rows of data files that violate their schema; errors say what was received, the rule, and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retro_gym.errors import DataError, one_line

__all__ = ["check_keys", "check_texts", "checked_object", "received", "wrong"]


def received(value: object) -> str:
    """Formats a value and its type in one line."""
    try:
        return f"{one_line(value)} ({type(value).__name__})"
    except RecursionError:  # brackets nested hundreds of levels deep
        return f"a {type(value).__name__}"


def wrong(where: str, field: str, value: object, rule: str, remedy: str) -> DataError:
    """Returns the error for a field that violates a rule."""
    return DataError(f"{where}: {field} is {received(value)}; it must be {rule}. {remedy}")


def checked_object(row: object, where: str, keys: Sequence[str]) -> dict[str, Any]:
    """Returns the row if it is a JSON object.

    Raises:
        DataError: it is not an object; the message names the keys of a task.
    """
    if not isinstance(row, dict):
        raise DataError(f"{where}: is {received(row)}; a task is a JSON object with the keys {', '.join(keys)}.")
    return row


def check_keys(row: Mapping[str, Any], where: str, keys: Sequence[str], remedy: str) -> None:
    """Refuses a row that lacks one of the keys.

    Raises:
        DataError: a key is missing.
    """
    missing = [key for key in keys if key not in row]
    if missing:
        raise DataError(
            f"{where}: {', '.join(map(repr, missing))} missing; its keys are {one_line(sorted(row), 120)}. {remedy}"
        )


def check_texts(row: Mapping[str, Any], where: str, keys: Sequence[str]) -> None:
    """Refuses a row in which the value of one of the keys is not a string, or is blank.

    Raises:
        DataError: there is such a value.
    """
    for key in keys:
        if not isinstance(row[key], str) or not row[key].strip():
            raise wrong(where, key, row[key], "a text that is not blank", "Correct it, or delete the record.")
