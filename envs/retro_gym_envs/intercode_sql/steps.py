"""Reads the parts of a query that a reflection spells out, for databases without comments."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import lru_cache

from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.intercode_sql.observations import Schema

__all__ = ["AGGREGATES", "CLAUSES", "COUNT", "RELATIONS", "Steps", "read_steps", "spelled_out"]

AGGREGATES = {"average": "AVG", "total": "SUM", "highest": "MAX", "lowest": "MIN", "number": "COUNT"}
"""SQL's names of aggregates, by their names in reflections; ``number`` is of different values."""
RELATIONS = {"equal to": "=", "other than": "!=", "above": ">", "below": "<", "at least": ">=", "at most": "<="}
"""SQL's comparisons, by their names in reflections."""
COUNT = "count"
"""Stands for the number of rows in an order."""


@dataclasses.dataclass(frozen=True)
class Steps:
    """What a reflection tells the actor to do; empty where it says nothing."""

    table: str | None = None
    """The table to begin with."""
    join: tuple[str, str, str] | None = None
    """A table to join, and the key columns of the first table and of this one."""
    rows: tuple[tuple[str, str, str], ...] = ()
    """Conditions: columns, relations (``equal to``, ``other than``, ``above``, ``below``) and values."""
    average: tuple[str, str] | None = None
    """A column, and ``above`` or ``below`` its average."""
    absent: tuple[str, str] | None = None
    """A column, and a table; rows whose value occurs in the column of the same name there are excluded."""
    group: str | None = None
    """A column to group by."""
    select: tuple[str, ...] = ()
    """Columns to select."""
    aggregate: tuple[tuple[str, str], ...] = ()
    """Names of aggregates and their columns."""
    count: bool = False
    """Whether to count rows."""
    order: tuple[str, str] | None = None
    """A column, or ``count``, and ``ascending`` or ``descending``."""
    first: int = 0
    """How many rows are kept; 0 for all."""

    def __bool__(self) -> bool:
        return any(vars(self).values())

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it names."""
        named = (self.table, self.join and self.join[0], self.absent and self.absent[1])
        return tuple(filter(None, named))

    def known_to(self, schema: Schema) -> Steps:
        """Returns the parts whose tables and columns have been seen."""
        columns, tables = schema.all_columns, set(schema.tables)
        join, absent = self.join, self.absent
        return dataclasses.replace(
            self,
            table=self.table if self.table in tables else None,
            join=join if join and join[0] in tables and {join[1], join[2]} <= columns else None,
            rows=tuple(each for each in self.rows if each[0] in columns),
            average=self.average if self.average and self.average[0] in columns else None,
            absent=absent if absent and absent[0] in columns and absent[1] in tables else None,
            group=self.group if self.group in columns else None,
            select=tuple(each for each in self.select if each in columns),
            aggregate=tuple(each for each in self.aggregate if each[1] in columns),
            order=self.order if self.order and self.order[0] in {*columns, COUNT} else None,
        )


def spelled_out(steps: Steps) -> str:
    """Formats a reflection.

    >>> spelled_out(Steps(table="wines", join=("growers", "grower_id", "id"), select=("city",)))
    'Query the table wines and join the table growers on grower_id = id and select city.'
    """
    join = steps.join
    clauses = (
        steps.table and f"query the table {steps.table}",
        join and f"join the table {join[0]} on {join[1]}" + ("" if join[1] == join[2] else f" = {join[2]}"),
        *(f"keep only the rows whose {column} is {relation} '{value}'" for column, relation, value in steps.rows),
        steps.average and f"keep only the rows with {steps.average[0]} {steps.average[1]} the average",
        steps.absent and f"keep only the rows whose {steps.absent[0]} is outside of {steps.absent[1]}",
        steps.group and f"group by {steps.group}",
        *(f"select {column}" for column in steps.select),
        *(f"compute the {name} of {column}" for name, column in steps.aggregate),
        steps.count and "count the rows",
        steps.order and f"order by {steps.order[0]} {steps.order[1]}",
        steps.first and f"keep the first {steps.first} rows",
    )
    said = " and ".join(clause for clause in clauses if clause)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


CLAUSES = (
    r"query the table \w+",
    r"join the table \w+ on \w+(?: = \w+)?",
    rf"keep only the rows whose \w+ is (?:{'|'.join(RELATIONS)}) '[^']+'",
    r"keep only the rows with \w+ (?:above|below) the average",
    r"keep only the rows whose \w+ is outside of \w+",
    r"group by \w+",
    r"select \w+",
    rf"compute the (?:{'|'.join(AGGREGATES)}) of \w+",
    r"count the rows",
    r"order by \w+ (?:ascending|descending)",
    r"keep the first \d+ rows",
)
"""Patterns of the clauses of such a reflection."""

_ID = r"['\"`]?(?:\w+\.)?(\w+)['\"`]?"
_VALUE = r"(?:'([^']+)'|\"([^\"]+)\"|`([^`]+)`|(\w[\w-]*(?:\.[0-9]+)?))"
_PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "table": rf"\b(?:query|use|from|begin with|start from) (?:the )?table {_ID}",
        "join": rf"\bjoin (?:with |to )?(?:the )?(?:table )?{_ID} (?:on|by|using|via) {_ID}(?: ?= ?{_ID})?",
        "rows": rf"\b(?:with|where|whose) (?:the )?(?:column )?{_ID} (?:is |= ?)?({'|'.join(RELATIONS)})? ?{_VALUE}",
        "average": rf"\b(?:with|where|whose) (?:the )?{_ID} (?:is )?(above|below) (?:the )?average\b",
        "absent": rf"\b(?:whose|where) {_ID} is (?:absent from|missing from|outside of|outside) (?:the table )?{_ID}",
        "group": rf"\bgroup by (?:the )?(?:column )?{_ID}",
        "select": rf"\bselect (?:only )?(?:the )?(?:column )?{_ID}",
        "aggregate": rf"\b(?:compute|take|use|select) the ({'|'.join(AGGREGATES)}) (?:of|over) (?:the )?{_ID}",
        "count": r"\bcount the rows\b",
        "order": rf"\border by (?:the )?(?:column )?{_ID} (ascending|descending)",
        "first": r"\b(?:keep|take|return) (?:only )?the first (?:(\d+) )?rows?\b",
    }.items()
}


@lru_cache(maxsize=4_096)  # the actor parses its reflections in every turn
def read_steps(text: str) -> Steps:
    """Extracts what can be acted on from the clauses that speak for something.

    >>> read_steps("Join the table growers on grower_id and select city.").select
    ('city',)
    >>> bool(read_steps("Do not select city."))
    False
    """
    said = " , ".join(clause.text for clause in read_clauses(text) if clause.stance is Stance.FOR)
    found = {name: [match.groups() for match in pattern.finditer(said)] for name, pattern in _PATTERNS.items()}
    first = {name: matches[0] for name, matches in found.items() if matches}
    join = first.get("join")
    return Steps(
        table=first["table"][0] if "table" in first else None,
        join=(join[0], join[1], join[2] or join[1]) if join else None,
        rows=tuple(_conditions(found["rows"])),
        average=_pair(first.get("average")),
        absent=_pair(first.get("absent")),
        group=first["group"][0] if "group" in first else None,
        select=tuple(dict.fromkeys(match[0] for match in found["select"] if match[0] != "the")),
        aggregate=tuple(dict.fromkeys((name, column) for name, column in found["aggregate"])),
        count=bool(found["count"]),
        order=_pair(first.get("order")),
        first=int(first["first"][0] or 1) if "first" in first else 0,
    )


def _pair(parts: tuple[str, ...] | None) -> tuple[str, str] | None:
    return (parts[0], parts[1]) if parts else None


def _conditions(matches: list[tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    """Yields columns, relations and values, without comparisons to an average."""
    for column, relation, *written in matches:
        value = next(filter(None, written))
        if value not in ("the", "is", "absent", "missing", "outside", *RELATIONS):
            yield column, relation or "equal to", value
