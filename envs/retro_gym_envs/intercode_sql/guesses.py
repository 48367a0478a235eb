"""How the scripted actor plays a database without comments: it guesses by the words that question and names share.

It describes the tables that the question names, and writes one query: the first column that the question names from the
first table that it names, filtered by the row that the question calls by name. It uses COUNT if the question says "how
many". It never writes joins, other aggregates, conditions, ORDER BY or nested queries unless a reflection names them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from retro_gym_envs.choices import Choices
from retro_gym_envs.intercode_sql.observations import Schema, mentions, words_of
from retro_gym_envs.intercode_sql.plans import literal
from retro_gym_envs.intercode_sql.steps import AGGREGATES, COUNT, RELATIONS, Steps

__all__ = ["Guess"]

_CALLED = re.compile(r"(\w+) (?:called|named) ['\"]?([A-Z]\w*)")
_COUNTS = re.compile(r"\bhow many\b|\bnumber of\b|\bcount the\b", re.IGNORECASE)
_DESCRIBED = 3  # maximum number of tables that it describes without advice
_BEFORE = 1.5  # score of a named column over the next one
_TEXTS = ("text", "char", "varchar")


@dataclasses.dataclass(frozen=True)
class Guess:
    """A question about a database without comments, as far as it is known."""

    question: str
    schema: Schema
    advice: Sequence[Steps]
    """From each reflection with usable advice, the last one first."""
    choices: Choices

    @property
    def _advised(self) -> Steps:
        return next((known for each in self.advice if (known := each.known_to(self.schema))), Steps())

    def tables(self) -> list[str]:
        """Returns the tables to describe: those that the question and the reflections name."""
        known = self.schema.tables
        named = mentions(known, words_of(self.question))[:_DESCRIBED] or [known[0]]
        advised = [table for advice in self.advice for table in advice.tables if table in known]
        return list(dict.fromkeys([self._main(), *named, *advised]))

    def _main(self) -> str:
        """Returns the table that the advice names, else that of the named entity, else the first one named."""
        told = next((advice.table for advice in self.advice if advice.table in self.schema.tables), None)
        if told:
            return told
        called = _CALLED.search(self.question)
        for words in (called[1] if called else "", self.question):
            named = mentions(self.schema.tables, words_of(words))
            if named:
                return named[0]
        return self.schema.tables[0]

    def query(self) -> str:
        """Writes the query: the actor's own guess, modified by the advice."""
        advice, main = self._advised, self._main()
        query = f"SELECT {self._selected()} FROM {main}"
        if advice.join:
            other, mine, theirs = advice.join
            query += f" JOIN {other} ON {main}.{mine} = {other}.{theirs}"
        conditions = self._conditions()
        if conditions:
            query += f" WHERE {' AND '.join(conditions)}"
        if advice.group:
            query += f" GROUP BY {self._qualified(advice.group)}"
        if advice.order:
            column, direction = advice.order
            by = "COUNT(*)" if column == COUNT else self._qualified(column)
            query += f" ORDER BY {by} {'DESC' if direction == 'descending' else 'ASC'}"
        if advice.first:
            query += f" LIMIT {advice.first}"
        return query

    def _qualified(self, name: str) -> str:
        """Adds the table's name if there are two tables."""
        if self._advised.join is None:
            return name
        tables = [self._main(), self._advised.join[0]]
        home = next((table for table in tables if name in self.schema.names(table)), None)
        return f"{home}.{name}" if home else name

    def _conditions(self) -> list[str]:
        advice, main = self._advised, self._main()
        conditions = []
        called, label = _CALLED.search(self.question), self._label()
        if advice.rows:
            conditions += [
                f"{self._qualified(column)} {RELATIONS[relation]} {literal(value)}"
                for column, relation, value in advice.rows
            ]
        elif called and label:
            conditions.append(f"{self._qualified(label)} = {literal(called[2])}")
        if advice.average:
            column, side = advice.average
            sign = ">" if side == "above" else "<"
            conditions.append(f"{self._qualified(column)} {sign} (SELECT AVG({column}) FROM {main})")
        if advice.absent:
            column, other = advice.absent
            conditions.append(f"{self._qualified(column)} NOT IN (SELECT {column} FROM {other})")
        return conditions

    def _selected(self) -> str:
        advice, columns, label = self._advised, self.schema.names(self._main()), self._label()
        parts = [self._qualified(name) for name in advice.select]
        for name, column in advice.aggregate:
            function = AGGREGATES[name]
            distinct = "DISTINCT " if name == "number" else ""
            parts.append(f"{function}({distinct}{self._qualified(column)})")
        if advice.count:
            parts.append("COUNT(*)")
        if parts:
            return ", ".join(parts)
        if _COUNTS.search(self.question):
            return "COUNT(*)"
        named = mentions(columns, words_of(self.question))
        scores = {name: -_BEFORE * place for place, name in enumerate(named)}
        return self._qualified(
            self.choices.pick("column", scores) if scores else label or (columns[0] if columns else "*")
        )

    def _label(self) -> str | None:
        """Returns the column that names a row: the first text column that is not a key."""
        columns = self.schema.columns.get(self._main(), ())
        texts = (name for name, type_ in columns if type_.startswith(_TEXTS))
        return next((name for name in texts if not name.endswith(("id", "code"))), None)
