"""Builds the databases of the built-in world: three small tables of a domain, filled with numbers and coined words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.intercode_sql.domains import ATTRIBUTES, DOMAINS, PERSON_CATEGORIES, PERSON_NUMBERS, Domain
from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table

__all__ = ["Sheet", "World"]

_T = TypeVar("_T")


@dataclasses.dataclass
class Sheet:
    """A table under construction."""

    noun: str
    label: str
    """The column that names a row; empty for events."""
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    links: tuple[str, ...]
    """The tables, by their nouns, to whose keys it refers."""
    rows: list[dict[str, int | str]]
    """Rows as mappings from column to value."""

    @property
    def name(self) -> str:
        """The table's name."""
        return f"{self.noun}s"

    @property
    def key(self) -> str:
        """The primary key column."""
        return f"{self.noun}_id"

    def table(self, order: Sequence[str]) -> Table:
        """Returns the finished table, with these columns between the primary key and the foreign keys."""
        columns = [Column(self.key, "int", False, "PRI")]
        for name in order:
            columns.append(Column(name, "int" if name in self.numbers else "text"))
        columns += [Column(f"{noun}_id", "int", True, "MUL") for noun in self.links]
        rows = tuple(tuple(row[column.name] for column in columns) for row in self.rows)
        return Table(self.name, tuple(columns), rows)


class World:
    """A database under construction, and the random draws that questions need."""

    def __init__(self, rng: np.random.Generator, names: NameMaker) -> None:
        self.rng = rng
        self._names = names
        self.domain: Domain = self.pick(DOMAINS)
        thing, person, event = self.domain.nouns
        self.persons = self._sheet(person, "name", PERSON_NUMBERS, PERSON_CATEGORIES, (), int(rng.integers(4, 6)))
        numbers = self.some(self.domain.numbers, 3)
        self.things = self._sheet(thing, "title", numbers, self.domain.categories, (person,), int(rng.integers(7, 10)))
        self.events = self._sheet(event, "", ("guests",), ("place",), (thing,), int(rng.integers(5, 8)))

    def _sheet(
        self,
        noun: str,
        label: str,
        numbers: tuple[str, ...],
        categories: tuple[str, ...],
        links: tuple[str, ...],
        count: int,
    ) -> Sheet:
        rows: list[dict[str, int | str]] = [{f"{noun}_id": number} for number in range(1, count + 1)]
        for name in numbers:
            attribute = ATTRIBUTES[name]
            values = self.rng.choice(np.arange(attribute.low, attribute.high), size=count, replace=False)
            for row, value in zip(rows, values, strict=True):
                row[name] = int(value)
        for name in categories:
            words = [self._names.word() for _ in range(3)]
            indices = [0, 1, *self.rng.integers(3, size=count - 2)]  # at least two different values occur
            for row, index in zip(rows, self.rng.permutation(indices), strict=True):
                row[name] = words[int(index)]
        for row in rows:
            if label:
                row[label] = self._names.word()
        for linked in links:
            others = self.persons if linked == self.domain.person else self.things
            for row in rows:
                # No row refers to the last rows of the other table.
                row[f"{linked}_id"] = int(self.rng.integers(1, len(others.rows)))
        return Sheet(noun, label, numbers, categories, links, rows)

    def database(self) -> Database:
        """Returns the finished database, with columns in random order after the key."""
        tables = []
        for sheet in (self.things, self.persons, self.events):
            rest = self.some((*sheet.numbers, *sheet.categories))
            tables.append(sheet.table((sheet.label, *rest) if sheet.label else rest))
        return Database(self.domain.database, tuple(sorted(tables, key=lambda table: table.name)))

    def pick(self, options: Sequence[_T]) -> _T:
        """Returns one of the options, drawn uniformly."""
        return pick(options, self.rng)

    def some(self, options: Sequence[str], count: int | None = None) -> tuple[str, ...]:
        """Returns ``count`` of the options (all by default) in random order."""
        return shuffled(options, self.rng)[:count]

    def sheet(self) -> Sheet:
        """Draws a table: mostly entities, sometimes people."""
        return self.things if self.rng.random() < 0.7 else self.persons
