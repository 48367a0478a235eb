"""Queries of the five shapes that the built-in questions require."""

from __future__ import annotations

import dataclasses

__all__ = ["SHAPES", "SLOTS", "Plan", "literal"]

SHAPES = {"list": "easy", "aggregate": "medium", "superlative": "hard", "holders": "hard", "held": "extra"}
"""Shapes of queries, with their hardness as in the public data set."""

SLOTS = ("table", "measure", "filter", "value", "key")
"""The parts of a query that the actor must find a name for."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A query in parts. Parts that its shape does not use are empty."""

    shape: str
    """``list``: a measure of the matching rows; ``aggregate``: a function of it; ``superlative``: the name of the row
    in which it is highest or lowest; ``holders``: the people of the matching rows; ``held``: the names of the matching
    rows of one person."""
    table: str
    filter: str
    """A column; only rows in which it has the value match."""
    value: str
    measure: str = ""
    key: str = ""
    """The column of the table that refers to a person."""
    function: str = ""
    """An aggregate, or ``ASC`` or ``DESC``."""
    label: str = ""
    """The column that names a row."""
    people: str = ""
    """The table of people, its key, the column with their names, and the name of one."""
    people_key: str = ""
    people_label: str = ""
    person: str = ""

    @property
    def slots(self) -> tuple[str, ...]:
        """The parts of this query that the actor must find a name for."""
        return tuple(slot for slot in SLOTS if getattr(self, slot))

    def sql(self) -> str:
        """Returns the query.

        >>> Plan("list", "wines", "colour", "red", measure="price").sql()
        "SELECT price FROM wines WHERE colour = 'red'"
        """
        joined = f" JOIN {self.people} ON {self.key} = {self.people_key}" if self.people else ""
        condition = f"{self.filter} = {literal(self.value)}"
        match self.shape:
            case "aggregate":
                selected, end = f"{self.function}({self.measure})", ""
            case "superlative":
                selected, end = self.label, f" ORDER BY {self.measure} {self.function} LIMIT 1"
            case "holders":
                selected, end = self.people_label, ""
            case "held":
                selected, end = self.label, f" AND {self.people_label} = {literal(self.person)}"
            case _:
                selected, end = self.measure, ""
        return f"SELECT {selected} FROM {self.table}{joined} WHERE {condition}{end}"


def literal(value: str) -> str:
    """Returns a text as a string of SQL."""
    return "'" + value.replace("\\", "").replace("'", "''") + "'"
