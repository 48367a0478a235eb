"""The built-in world: questions and databases without end, in the public data set's own schema.

Task i of a split is generated from (world seed, split, i) when it is first asked for. Each has its own small database
of one of the domains; the values in it are coined words that splits never share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from retro_gym.errors import UnknownTaskError, one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.hotpotqa.names import NameMaker
from retro_gym_envs.intercode_sql import reading
from retro_gym_envs.intercode_sql.database import Column, Database, Table, Value
from retro_gym_envs.intercode_sql.domains import (
    AGGREGATES,
    ATTRIBUTES,
    DOMAINS,
    PERSON_CATEGORIES,
    PERSON_NUMBERS,
    Domain,
)
from retro_gym_envs.intercode_sql.tasks import SPLITS, SQLTask

__all__ = ["SIZES", "BuiltinTasks"]

SIZES = {"train": 20_000, "validation": 1_000, "test": 1_000}
"""Tasks per split."""

_T = TypeVar("_T")


class BuiltinTasks:
    """The generated tasks of one world.

    Args:
        world_seed: another seed is another world.

    >>> tasks = BuiltinTasks(0)
    >>> task = tasks.get("test-00003")
    >>> task == BuiltinTasks(0).get("test-00003"), len(tasks.database("test-00003").tables)
    (True, 3)
    """

    def __init__(self, world_seed: int = 0) -> None:
        self.world_seed = world_seed

    def ids(self, split: str) -> Sequence[str]:
        """``split-00000`` and so on.

        Raises:
            UnknownTaskError: no such split.
        """
        return _ids(split)

    def get(self, task_id: str) -> SQLTask:
        """The task of that id.

        Raises:
            UnknownTaskError: no such task.
        """
        return _generate(self.world_seed, task_id).task

    def database(self, task_id: str) -> Database:
        """The database of a task.

        Raises:
            UnknownTaskError: no such task.
        """
        return _generate(self.world_seed, task_id).database

    def advice(self, task_id: str) -> str:
        """The oracle's reflection: what the question asks for beyond a plain look at one table.

        Raises:
            UnknownTaskError: no such task.
        """
        return _generate(self.world_seed, task_id).advice

    def __deepcopy__(self, memo: dict[int, object]) -> BuiltinTasks:
        return self

    def __repr__(self) -> str:
        return f"BuiltinTasks({self.world_seed})"


@lru_cache(maxsize=len(SPLITS))
def _ids(split: str) -> tuple[str, ...]:
    if split not in SPLITS:
        raise UnknownTaskError(f"split {split!r} is not one of {SPLITS}.")
    return tuple(f"{split}-{i:05d}" for i in range(SIZES[split]))


def _split_of(task_id: str) -> str:
    split, _, number = task_id.rpartition("-")
    if split not in SPLITS or not number.isdecimal() or len(number) != 5 or int(number) >= SIZES[split]:
        raise UnknownTaskError(
            f"task {one_line(task_id)} is not in the built-in world. Its ids run from 'train-00000' to "
            f"'train-{SIZES['train'] - 1}', and so on for {SPLITS}."
        )
    return split


@dataclasses.dataclass(frozen=True)
class _Generated:
    task: SQLTask
    database: Database
    advice: str


@lru_cache(maxsize=1_024)  # a task's database takes about 10 kB
def _generate(world_seed: int, task_id: str) -> _Generated:
    split = _split_of(task_id)
    rng = np.random.default_rng(derive_seed(world_seed, "sql", task_id))
    world = _World(rng, NameMaker(split, rng))
    name = list(_KINDS)[int(rng.choice(len(_KINDS), p=_WEIGHTS / _WEIGHTS.sum()))]
    kind = _KINDS[name]
    asked = kind.write(world)
    task = SQLTask(task_id, world.domain.database, asked.question, asked.gold, kind.hardness)
    return _Generated(task, world.database(), asked.advice)


# -- databases -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Sheet:
    """A table that is being made."""

    noun: str
    label: str
    """The column that names a row; empty for events."""
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    links: tuple[str, ...]
    """The tables, by their nouns, whose keys it holds."""
    rows: list[dict[str, Value]]

    @property
    def name(self) -> str:
        return f"{self.noun}s"

    @property
    def key(self) -> str:
        return f"{self.noun}_id"

    def table(self, order: Sequence[str]) -> Table:
        columns = [Column(self.key, "int", False, "PRI")]
        for name in order:
            columns.append(Column(name, "int" if name in self.numbers else "text"))
        columns += [Column(f"{noun}_id", "int", True, "MUL") for noun in self.links]
        rows = tuple(tuple(row[column.name] for column in columns) for row in self.rows)
        return Table(self.name, tuple(columns), rows)


class _World:
    """One database in the making, and the draws that questions need."""

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
    ) -> _Sheet:
        rows: list[dict[str, Value]] = [{f"{noun}_id": number} for number in range(1, count + 1)]
        for name in numbers:
            attribute = ATTRIBUTES[name]
            values = self.rng.choice(np.arange(attribute.low, attribute.high), size=count, replace=False)
            for row, value in zip(rows, values, strict=True):
                row[name] = int(value)
        for name in categories:
            words = [self._names.word() for _ in range(3)]
            indices = [0, 1, *self.rng.integers(3, size=count - 2)]  # at least two of them occur
            for row, index in zip(rows, self.rng.permutation(indices), strict=True):
                row[name] = words[int(index)]
        for row in rows:
            if label:
                row[label] = self._names.word()
        for linked in links:
            others = self.persons if linked == self.domain.person else self.things
            for row in rows:
                # The last rows of the other table are linked to by none.
                row[f"{linked}_id"] = int(self.rng.integers(1, len(others.rows)))
        return _Sheet(noun, label, numbers, categories, links, rows)

    def database(self) -> Database:
        """The finished database, its columns in random order behind the key."""
        tables = []
        for sheet in (self.things, self.persons, self.events):
            rest = self.some((*sheet.numbers, *sheet.categories))
            tables.append(sheet.table((sheet.label, *rest) if sheet.label else rest))
        return Database(self.domain.database, tuple(sorted(tables, key=lambda table: table.name)))

    def pick(self, options: Sequence[_T]) -> _T:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def some(self, options: Sequence[str], count: int | None = None) -> tuple[str, ...]:
        """So many of them, all by default, in random order."""
        return tuple(options[i] for i in self.rng.permutation(len(options))[:count])

    def sheet(self) -> _Sheet:
        """Things mostly, people now and then."""
        return self.things if self.rng.random() < 0.7 else self.persons


# -- questions -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Asked:
    question: str
    gold: str
    advice: str


def _lookup(world: _World) -> _Asked:
    sheet = world.sheet()
    column = world.pick((*sheet.numbers, *sheet.categories))
    name = world.pick(sheet.rows)[sheet.label]
    form = world.pick(("What is the {c} of the {n} called {x}?", "Give the {c} of the {n} called {x}."))
    question = form.format(c=column, n=sheet.noun, x=name)
    gold = f"SELECT {column} FROM {sheet.name} WHERE {sheet.label} = '{name}'"
    return _Asked(question, gold, reading.sentence(select=column))


def _list(world: _World) -> _Asked:
    sheet = world.sheet()
    column = world.pick((sheet.label, *sheet.numbers, *sheet.categories))
    form = world.pick(("List the {c} of all {n}.", "Show the {c} of every one of the {n}."))
    gold = f"SELECT {column} FROM {sheet.name}"
    return _Asked(form.format(c=column, n=sheet.name), gold, reading.sentence(select=column))


def _count(world: _World) -> _Asked:
    sheet = world.pick((world.things, world.persons, world.events))
    form = world.pick(("How many {n} are there?", "How many {n} do we know of?"))
    return _Asked(
        form.format(n=sheet.name),
        f"SELECT COUNT(*) FROM {sheet.name}",
        reading.sentence(aggregate=("number", sheet.key)),
    )


def _column(world: _World) -> _Asked:
    sheet = world.sheet()
    column = world.pick((*sheet.numbers, *sheet.categories))
    name = world.pick(sheet.rows)[sheet.label]
    question = ATTRIBUTES[column].asks.format(it=f"the {sheet.noun} called {name}")
    gold = f"SELECT {column} FROM {sheet.name} WHERE {sheet.label} = '{name}'"
    return _Asked(question, gold, reading.sentence(select=column))


def _join(world: _World) -> _Asked:
    things, persons = world.things, world.persons
    column = world.pick((*persons.numbers, *persons.categories))
    name = world.pick(things.rows)["title"]
    form = world.pick((f"What is the {column} of {{it}}?", ATTRIBUTES[column].asks))
    question = form.format(it=f"the {persons.noun} of the {things.noun} called {name}")
    key = persons.key
    gold = (
        f"SELECT {persons.name}.{column} FROM {things.name} JOIN {persons.name} "
        f"ON {things.name}.{key} = {persons.name}.{key} WHERE {things.name}.title = '{name}'"
    )
    return _Asked(question, gold, reading.sentence(join=(persons.name, key), select=column))


def _aggregate(world: _World) -> _Asked:
    sheet = world.sheet()
    name = world.pick(tuple(AGGREGATES))
    function, words = AGGREGATES[name]
    if name == "number":
        column = world.pick(sheet.categories)
        question = f"How many different values of {column} do the {sheet.name} have?"
        gold = f"SELECT COUNT(DISTINCT {column}) FROM {sheet.name}"
    else:
        column = world.pick(sheet.numbers)
        question = f"What is the {world.pick(words)} {column} of the {sheet.name}?"
        gold = f"SELECT {function}({column}) FROM {sheet.name}"
    return _Asked(question, gold, reading.sentence(aggregate=(name, column)))


def _condition(world: _World) -> _Asked:
    sheet = world.sheet()
    column = world.pick(sheet.categories)
    value = world.pick(sheet.rows)[column]
    if world.rng.random() < 0.3:
        question = f"How many {sheet.name} with the {column} {value} are there?"
        selected = "COUNT(*)"
    else:
        form = world.pick(("List the {l}s of the {n} with the {c} {v}.", "Which {l}s have the {n} with the {c} {v}?"))
        question = form.format(l=sheet.label, n=sheet.name, c=column, v=value)
        selected = sheet.label
    gold = f"SELECT {selected} FROM {sheet.name} WHERE {column} = '{value}'"
    return _Asked(question, gold, reading.sentence(equals=(column, str(value))))


def _superlative(world: _World) -> _Asked:
    sheet = world.sheet()
    attribute = ATTRIBUTES[world.pick(sheet.numbers)]
    most = world.rng.random() < 0.5
    described = world.pick(
        (
            f"the {attribute.most if most else attribute.least} {sheet.noun}",
            f"the {sheet.noun} with the {'highest' if most else 'lowest'} {attribute.name}",
        )
    )
    question = f"Give the {sheet.label} of {described}."
    direction = "descending" if most else "ascending"
    gold = f"SELECT {sheet.label} FROM {sheet.name} ORDER BY {attribute.name} {'DESC' if most else 'ASC'} LIMIT 1"
    return _Asked(question, gold, reading.sentence(order=(attribute.name, direction)))


def _above(world: _World) -> _Asked:
    sheet = world.sheet()
    column = world.pick(sheet.numbers)
    above = world.rng.random() < 0.5
    side = "above" if above else "below"
    form = world.pick(("List the {l}s of the {n} whose {c} is {s} the average.", "Which {l}s have the {n} of {c} {s} average?"))
    gold = (
        f"SELECT {sheet.label} FROM {sheet.name} WHERE {column} {'>' if above else '<'} "
        f"(SELECT AVG({column}) FROM {sheet.name})"
    )
    question = form.format(l=sheet.label, n=sheet.name, c=column, s=side)
    return _Asked(question, gold, reading.sentence(average=(column, side)))


def _without(world: _World) -> _Asked:
    sheet, other = world.pick(((world.things, world.events), (world.persons, world.things)))
    form = world.pick(("List the {l}s of the {n} without any {o}.", "Which {l}s have the {n} that have no {o}?"))
    gold = f"SELECT {sheet.label} FROM {sheet.name} WHERE {sheet.key} NOT IN (SELECT {sheet.key} FROM {other.name})"
    question = form.format(l=sheet.label, n=sheet.name, o=other.noun)
    return _Asked(question, gold, reading.sentence(absent=(sheet.key, other.name)))


def _group(world: _World) -> _Asked:
    sheet = world.sheet()
    column = world.pick(sheet.categories)
    form = world.pick(("How many {n} are there of each {c}?", "For every {c}, how many {n} are there?"))
    gold = f"SELECT {column}, COUNT(*) FROM {sheet.name} GROUP BY {column}"
    return _Asked(form.format(n=sheet.name, c=column), gold, reading.sentence(group=column))


def _joined_condition(world: _World) -> _Asked:
    things, persons = world.things, world.persons
    column = world.pick(persons.categories)
    linked = {row[persons.key] for row in things.rows}
    value = world.pick([row for row in persons.rows if row[persons.key] in linked])[column]
    if world.rng.random() < 0.5:
        question = f"List the titles of the {things.name} whose {persons.noun} has the {column} {value}."
        selected = f"{things.name}.title"
    else:
        question = f"How many {things.name} have a {persons.noun} with the {column} {value}?"
        selected = "COUNT(*)"
    key = persons.key
    gold = (
        f"SELECT {selected} FROM {things.name} JOIN {persons.name} ON {things.name}.{key} = {persons.name}.{key} "
        f"WHERE {persons.name}.{column} = '{value}'"
    )
    return _Asked(question, gold, reading.sentence(join=(persons.name, key), equals=(column, str(value))))


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A kind of question."""

    write: Callable[[_World], _Asked]
    hardness: str
    weight: float


_KINDS = {
    "lookup": _Kind(_lookup, "easy", 0.10),
    "list": _Kind(_list, "easy", 0.09),
    "count": _Kind(_count, "easy", 0.07),
    "column": _Kind(_column, "easy", 0.10),
    "aggregate": _Kind(_aggregate, "medium", 0.10),
    "condition": _Kind(_condition, "medium", 0.10),
    "group": _Kind(_group, "medium", 0.08),
    "superlative": _Kind(_superlative, "hard", 0.09),
    "join": _Kind(_join, "hard", 0.10),
    "joined condition": _Kind(_joined_condition, "extra", 0.07),
    "above": _Kind(_above, "extra", 0.06),
    "without": _Kind(_without, "extra", 0.06),
}
_WEIGHTS = np.array([kind.weight for kind in _KINDS.values()])
