"""The grammar of reflections: parses a reflection into advice for the scripted actor, and formats advice as text.

A reflection is a sentence of clauses, each of which changes one part of the next query. Other wordings are understood
if they keep the key words.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import lru_cache

from retro_gym_envs.intercode_sql.observations import Schema

__all__ = ["Advice", "read_reflection", "sentence"]


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; None where it says nothing."""

    query: str | None = None
    """A complete query to run unchanged."""
    join: tuple[str, str, str] | None = None
    """A table to join, and the key columns of the first table and of this one."""
    equals: tuple[str, str] | None = None
    """A column and the value that it must have."""
    average: tuple[str, str] | None = None
    """A column, and ``above`` or ``below`` its average."""
    absent: tuple[str, str] | None = None
    """A column, and a table; rows whose value occurs in the column of the same name there are excluded."""
    group: str | None = None
    """A column to group by and count."""
    select: str | None = None
    """A column to select."""
    aggregate: tuple[str, str] | None = None
    """``average``, ``total``, ``highest``, ``lowest`` or ``number``, and the column to aggregate."""
    order: tuple[str, str] | None = None
    """A column and ``ascending`` or ``descending``: only the first row is kept."""

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"Advice({said})"

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that the advice names."""
        return tuple(named[place] for named, place in ((self.join, 0), (self.absent, 1)) if named)

    def known_to(self, schema: Schema) -> Advice:
        """Returns the advice without parts that name tables or columns not seen yet."""
        columns, tables = schema.all_columns, set(schema.tables)
        join, absent = self.join, self.absent
        return dataclasses.replace(
            self,
            join=join if join and join[0] in tables and {join[1], join[2]} <= columns else None,
            equals=self.equals if self.equals and self.equals[0] in columns else None,
            average=self.average if self.average and self.average[0] in columns else None,
            absent=absent if absent and absent[0] in columns and absent[1] in tables else None,
            group=self.group if self.group in columns else None,
            select=self.select if self.select in columns else None,
            aggregate=self.aggregate if self.aggregate and self.aggregate[1] in columns else None,
            order=self.order if self.order and self.order[0] in columns else None,
        )


def sentence(
    *,
    join: tuple[str, str] | None = None,
    equals: tuple[str, str] | None = None,
    average: tuple[str, str] | None = None,
    absent: tuple[str, str] | None = None,
    group: str | None = None,
    select: str | None = None,
    aggregate: tuple[str, str] | None = None,
    order: tuple[str, str] | None = None,
) -> str:
    """Formats a reflection; the arguments are those of :class:`Advice`.

    >>> sentence(join=("growers", "grower_id"), select="city")
    'Join the table growers on grower_id and select city.'
    """
    clauses = (
        join and f"join the table {join[0]} on {join[1]}",
        equals and f"keep only the rows with the {equals[0]} {equals[1]}",
        average and f"keep only the rows with {average[0]} {average[1]} the average",
        absent and f"leave out the rows whose {absent[0]} is in {absent[1]}",
        group and f"group by {group} and count the rows",
        select and f"select {select}",
        aggregate and f"compute the {aggregate[0]} of {aggregate[1]}",
        order and f"order by {order[0]} {order[1]} and keep the first row",
    )
    said = " and ".join(clause for clause in clauses if clause)
    return f"{said[:1].upper()}{said[1:]}."


_ID = r"['\"`“]?(?:\w+\.)?(\w+)['\"`”]?"
_VALUE = r"(?:['\"“`]([^'\"”`]+)['\"”`]|((?-i:\w[\w-]*(?:\.[0-9]+)?(?: [A-Z][\w-]*)*)))"
_PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "join": rf"\bjoin (?:it |them )?(?:with |to )?(?:the )?(?:table )?{_ID} (?:on|by|using|via) {_ID}"
        rf"(?: ?= ?{_ID})?",
        "equals": rf"\b(?:with|where|whose) (?:the )?(?:column )?{_ID} (?:is |equals |= ?)?{_VALUE}",
        "average": rf"\b(?:with|where|whose) (?:the )?{_ID} (?:is )?(above|below) (?:the )?average\b",
        "absent": rf"\b(?:leave out|drop|exclude) (?:the )?(?:\w+ )?(?:whose|where) {_ID} "
        rf"(?:is|stands|occurs) in {_ID}",
        "group": rf"\bgroup by (?:the )?(?:column )?{_ID}",
        "select": rf"\bselect (?:only )?(?:the )?(?:column )?{_ID}",
        "aggregate": r"\b(?:compute|take|use|select) the (average|total|highest|lowest|number) (?:of|over) (?:the )?"
        rf"(?:column )?{_ID}",
        "order": rf"\border by (?:the )?(?:column )?{_ID} (ascending|descending)",
    }.items()
}
_QUERY = re.compile(r"\bquery: ?[`'\"]?((?:select|with)\b.*)|[`\"](SELECT\b.*?)[`\"]", re.DOTALL | re.IGNORECASE)


@lru_cache(maxsize=4_096)  # the actor parses its reflections in every turn
def read_reflection(text: str) -> Advice:
    """Extracts what can be acted on. A vague reflection ("be more careful") gives empty advice.

    >>> read_reflection("Join the table growers on grower_id and select city.")
    Advice(join=('growers', 'grower_id', 'grower_id'), select='city')
    >>> bool(read_reflection("Next time look more carefully at the question."))
    False
    """
    query = _QUERY.search(text)
    if query:
        return Advice(query=(query[1] or query[2]).strip(" `;."))
    found = {name: match for name, pattern in _PATTERNS.items() if (match := pattern.search(text))}
    parts = {name: tuple((group or "").lower() for group in match.groups()) for name, match in found.items()}
    join = parts.get("join")
    equals = next(_conditions(text), None)
    return Advice(
        join=(join[0], join[1], join[2] or join[1]) if join else None,
        equals=equals,
        average=_pair(parts.get("average")),
        absent=_pair(parts.get("absent")),
        group=parts["group"][0] if "group" in parts else None,
        select=parts["select"][0] if "select" in parts else None,
        aggregate=_pair(parts.get("aggregate")),
        order=_pair(parts.get("order")),
    )


def _pair(parts: tuple[str, ...] | None) -> tuple[str, str] | None:
    return (parts[0], parts[1]) if parts else None


def _conditions(text: str) -> Iterator[tuple[str, str]]:
    """Yields columns and their required values, without comparisons to an average."""
    for match in _PATTERNS["equals"].finditer(text):
        value = match[2] or match[3]
        if value.lower() not in ("above", "below", "is", "in"):
            yield match[1].lower(), value
