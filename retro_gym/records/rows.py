"""Conversion between records and rows, with the types of all columns checked."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from retro_gym.errors import RecordError, one_line
from retro_gym.records.schema import KINDS, LATER_COLUMNS, SCHEMA, Record, RunHeader, without_later_columns
from retro_gym.trajectory import Trajectory, Turn

__all__ = ["blank_columns", "record_of", "row_of", "trajectory_of", "with_later_columns"]

_TURN = ("thought", "action", "observation", "reward", "reasoning")


def _turn_to_row(turn: Turn) -> dict[str, Any]:
    return {**{name: getattr(turn, name) for name in _TURN}, "reward": float(turn.reward)}


def _turn_of_row(row: Mapping[str, Any]) -> Turn:
    return Turn(**{name: row[name] for name in _TURN})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{one_line(value)} is no text")
    return value


def _whole(value: Any) -> int:
    if type(value) is int and -(2**63) <= value < 2**63:  # as nearly always
        return value
    number = operator.index(value)
    if isinstance(value, bool) or not -(2**63) <= number < 2**63:
        raise TypeError(f"{one_line(value)} is no whole number of 64 bits")
    return number


def _real(value: Any) -> float:
    if type(value) is float and math.isfinite(value):  # as nearly always
        return value
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise TypeError(f"{one_line(value)} is not finite")
    return float(value)


def _truth(value: Any) -> bool:
    if type(value) is not bool and (value not in (True, False) or isinstance(value, str)):
        raise TypeError(f"{one_line(value)} is no truth value")
    return bool(value)


def _all(check: Callable[[Any], Any], into: type) -> Callable[[Any], Any]:
    return lambda values: into(map(check, values))


# By declared type: an empty value, and the functions that convert a value to JSON types and back.
_TYPES: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "str": ("", _text, _text),
    "int": (0, _whole, _whole),
    "float": (0.0, _real, _real),
    "bool": (False, _truth, _truth),
    "tuple[str, ...]": ([""], _all(_text, list), _all(_text, tuple)),
    "tuple[int, ...]": ([0], _all(_whole, list), _all(_whole, tuple)),
    "tuple[float, ...]": ([0.0], _all(_real, list), _all(_real, tuple)),
    "tuple[Turn, ...]": (
        [_turn_to_row(Turn("", "", ""))],
        lambda turns: list(map(_turn_to_row, turns)),
        lambda rows: tuple(map(_turn_of_row, rows)),
    ),
}
_COLUMNS = {
    name: [(field.name, field.name.rstrip("_"), str(field.type)) for field in dataclasses.fields(kind)]
    for name, kind in KINDS.items()
}

_LATER = {
    kind: {column: LATER_COLUMNS[column] for _, column, _ in columns if column in LATER_COLUMNS}
    for kind, columns in _COLUMNS.items()
}


def blank_columns(kind: str | None = None) -> dict[str, Any]:
    """Returns every column of one kind, or of all kinds, with an empty value of its type."""
    names = KINDS if kind is None else (kind,)
    return {column: _TYPES[declared][0] for name in names for _, column, declared in _COLUMNS[name]}


def row_of(record: Record) -> dict[str, Any]:
    """Returns the row of a record, in JSON types; a header's row has every column of the schema.

    Raises:
        RecordError: a field is of another type than declared, or a number is not finite.
    """
    row = {}
    for name, column, declared in _COLUMNS[record.kind]:
        try:
            row[column] = _TYPES[declared][1](getattr(record, name))
        except (TypeError, ValueError) as error:
            raise RecordError(
                f"a row of kind {record.kind!r} needs {declared} in its column {column!r}: {error}. Correct the value "
                "where it comes from."
            ) from error
    if isinstance(record, RunHeader):
        row = blank_columns() | row
        if record.memory != LATER_COLUMNS["memory"]:  # its trials have later columns
            return {"schema": SCHEMA, "kind": record.kind, **row}
    return {"schema": SCHEMA, "kind": record.kind, **without_later_columns(row)}


def with_later_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row with all columns of its kind, also those that its file does not have."""
    return {**_LATER[row["kind"]], **row}


def record_of(row: Mapping[str, Any]) -> Record:
    """Parses a row: the inverse of :func:`row_of`.

    Raises:
        RecordError: a column is missing or of another type.
    """
    kind = str(row.get("kind"))
    try:
        whole = with_later_columns(row)
        fields = {name: _TYPES[declared][2](whole[column]) for name, column, declared in _COLUMNS[kind]}
        return KINDS[kind](**fields)
    except (LookupError, TypeError, ValueError) as error:
        raise RecordError(
            f"{one_line(row)} is no row of kind {kind!r} ({type(error).__name__}: {error}). Its columns are "
            f"{list(blank_columns(kind)) if kind in KINDS else list(KINDS)}."
        ) from error


def trajectory_of(row: Mapping[str, Any]) -> Trajectory:
    """Parses the trajectory in a row of kind ``trial``.

    Raises:
        DataError: a column is missing or of another type.
    """
    names = [field.name.rstrip("_") for field in dataclasses.fields(Trajectory)]
    return Trajectory.from_json(
        {**{name: row[name] for name in names if name in row}, "error": row.get("error") or None}
    )
