"""The questions of the built-in world, by kind, each with its gold query and the oracle's reflection."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from retro_gym_envs.intercode_sql.advice import sentence
from retro_gym_envs.intercode_sql.domains import AGGREGATES, ATTRIBUTES
from retro_gym_envs.intercode_sql.sheets import World

__all__ = ["KINDS", "Asked", "Kind"]


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question, its gold query, and the oracle's reflection."""

    question: str
    gold: str
    advice: str


def _lookup(world: World) -> Asked:
    sheet = world.sheet()
    column = world.pick((*sheet.numbers, *sheet.categories))
    name = world.pick(sheet.rows)[sheet.label]
    form = world.pick(("What is the {c} of the {n} called {x}?", "Give the {c} of the {n} called {x}."))
    question = form.format(c=column, n=sheet.noun, x=name)
    gold = f"SELECT {column} FROM {sheet.name} WHERE {sheet.label} = '{name}'"
    return Asked(question, gold, sentence(select=column))


def _list(world: World) -> Asked:
    sheet = world.sheet()
    column = world.pick((sheet.label, *sheet.numbers, *sheet.categories))
    form = world.pick(("List the {c} of all {n}.", "Show the {c} of every one of the {n}."))
    gold = f"SELECT {column} FROM {sheet.name}"
    return Asked(form.format(c=column, n=sheet.name), gold, sentence(select=column))


def _count(world: World) -> Asked:
    sheet = world.pick((world.things, world.persons, world.events))
    form = world.pick(("How many {n} are there?", "How many {n} do we know of?"))
    return Asked(
        form.format(n=sheet.name),
        f"SELECT COUNT(*) FROM {sheet.name}",
        sentence(aggregate=("number", sheet.key)),
    )


def _column(world: World) -> Asked:
    sheet = world.sheet()
    column = world.pick((*sheet.numbers, *sheet.categories))
    name = world.pick(sheet.rows)[sheet.label]
    question = ATTRIBUTES[column].asks.format(it=f"the {sheet.noun} called {name}")
    gold = f"SELECT {column} FROM {sheet.name} WHERE {sheet.label} = '{name}'"
    return Asked(question, gold, sentence(select=column))


def _join(world: World) -> Asked:
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
    return Asked(question, gold, sentence(join=(persons.name, key), select=column))


def _aggregate(world: World) -> Asked:
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
    return Asked(question, gold, sentence(aggregate=(name, column)))


def _condition(world: World) -> Asked:
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
    return Asked(question, gold, sentence(equals=(column, str(value))))


def _superlative(world: World) -> Asked:
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
    return Asked(question, gold, sentence(order=(attribute.name, direction)))


def _above(world: World) -> Asked:
    sheet = world.sheet()
    column = world.pick(sheet.numbers)
    above = world.rng.random() < 0.5
    side = "above" if above else "below"
    form = world.pick(
        ("List the {l}s of the {n} whose {c} is {s} the average.", "Which {l}s have the {n} of {c} {s} average?")
    )
    gold = (
        f"SELECT {sheet.label} FROM {sheet.name} WHERE {column} {'>' if above else '<'} "
        f"(SELECT AVG({column}) FROM {sheet.name})"
    )
    question = form.format(l=sheet.label, n=sheet.name, c=column, s=side)
    return Asked(question, gold, sentence(average=(column, side)))


def _without(world: World) -> Asked:
    sheet, other = world.pick(((world.things, world.events), (world.persons, world.things)))
    form = world.pick(("List the {l}s of the {n} without any {o}.", "Which {l}s have the {n} that have no {o}?"))
    gold = f"SELECT {sheet.label} FROM {sheet.name} WHERE {sheet.key} NOT IN (SELECT {sheet.key} FROM {other.name})"
    question = form.format(l=sheet.label, n=sheet.name, o=other.noun)
    return Asked(question, gold, sentence(absent=(sheet.key, other.name)))


def _group(world: World) -> Asked:
    sheet = world.sheet()
    column = world.pick(sheet.categories)
    form = world.pick(("How many {n} are there of each {c}?", "For every {c}, how many {n} are there?"))
    gold = f"SELECT {column}, COUNT(*) FROM {sheet.name} GROUP BY {column}"
    return Asked(form.format(n=sheet.name, c=column), gold, sentence(group=column))


def _joined_condition(world: World) -> Asked:
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
    return Asked(question, gold, sentence(join=(persons.name, key), equals=(column, str(value))))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of question."""

    write: Callable[[World], Asked]
    hardness: str
    """As in the public data set; the easy kinds except ``column`` are solved without a reflection."""
    weight: float
    """Sampling weight relative to the other kinds."""


KINDS: dict[str, Kind] = {
    "lookup": Kind(_lookup, "easy", 0.10),
    "list": Kind(_list, "easy", 0.09),
    "count": Kind(_count, "easy", 0.07),
    "column": Kind(_column, "easy", 0.10),
    "aggregate": Kind(_aggregate, "medium", 0.10),
    "condition": Kind(_condition, "medium", 0.10),
    "group": Kind(_group, "medium", 0.08),
    "superlative": Kind(_superlative, "hard", 0.09),
    "join": Kind(_join, "hard", 0.10),
    "joined condition": Kind(_joined_condition, "extra", 0.07),
    "above": Kind(_above, "extra", 0.06),
    "without": Kind(_without, "extra", 0.06),
}
"""By name."""
