"""Builds the databases of the built-in world: a table or five alike, a table of codes, and a table of people."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np

from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.functions.registry import register_collations
from retro_gym_envs.intercode_sql.plans import Plan
from retro_gym_envs.intercode_sql.questions import FUNCTIONS
from retro_gym_envs.intercode_sql.vocabulary import (
    DUTIES,
    FEATURE_PARTS,
    FEATURES,
    GROUPS,
    MEASURES,
    OCCASIONS,
    ROLES,
    SHADES,
    THINGS,
)

__all__ = ["CANDIDATES", "Design", "design", "fill"]

CANDIDATES = 5
"""Names that fit the head of a phrase, for the slot that the actor fails at."""
_ROWS = 6
_PEOPLE = 4
_DRAWS = 2_000  # attempts to draw rows for which no wrong choice gives the right answer; some dozens are usual


@dataclasses.dataclass(frozen=True)
class Design:
    """The names of a database, what they stand for, and the question's query."""

    plan: Plan
    candidates: Mapping[str, tuple[str, ...]]
    """The names that fit each slot's head, in random order."""
    phrases: Mapping[str, str]
    """What each name stands for."""
    columns: tuple[str, ...]
    """The columns of the main table, in order."""
    code_table: str
    """The table that explains the codes."""
    meanings: tuple[str, ...]
    """The codes, in order."""
    labels: Mapping[str, tuple[str, ...]]
    """The names of the rows of each main table."""
    people: tuple[str, ...]
    """The names of the people."""
    faults: tuple[str, ...]
    """The slots with several candidates."""


def design(shape: str, faults: tuple[str, ...], split: str, names: NameMaker, rng: np.random.Generator) -> Design:
    """Draws names and their phrases, and which of the candidates the question asks for."""
    feature = pick(tuple(FEATURES), rng)
    measure, other_measure = shuffled(MEASURES, rng)[:2]
    word, *other_words = shuffled(FEATURES[feature], rng)
    role = pick(ROLES, rng)
    kinds = {
        "table": [f"{pick(THINGS[split], rng)} {{}}", GROUPS],
        "measure": [f"{measure} {{}}", OCCASIONS],
        "filter": [f"{feature} {{}}", FEATURE_PARTS],
        "value": [f"{{}} {word}", SHADES],
        "key": [f"{role} {{}}", DUTIES],
    }
    joined = shape in ("holders", "held")
    del kinds["measure" if joined else "key"]
    phrases: dict[str, str] = {}
    candidates: dict[str, tuple[str, ...]] = {}
    for slot, (form, qualifiers) in kinds.items():
        count = CANDIDATES if slot in faults else 1
        found = {_name(slot, names): str(form).format(each) for each in shuffled(qualifiers, rng)[:count]}
        phrases |= found
        candidates[slot] = tuple(found)
    label, other = _name("column", names), _name("column", names)
    phrases |= {label: "name", other: f"{other_measure} {pick(OCCASIONS, rng)}"}
    meanings = list(candidates["value"])
    if "value" not in faults:
        fillers = {_name("value", names): f"{pick(SHADES, rng)} {each}" for each in other_words}
        phrases |= fillers
        meanings += fillers
    columns = (label, other, *candidates["filter"], *candidates.get("measure", ()), *candidates.get("key", ()))
    people = tuple(names.word() for _ in range(_PEOPLE))
    chosen = {slot: pick(options, rng) for slot, options in candidates.items()}
    if shape in FUNCTIONS:
        chosen["function"] = pick(tuple(FUNCTIONS[shape]), rng)
    if joined:
        chosen |= {part: _name(part, names) for part in ("people", "people_key", "people_label")}
        phrases[chosen["people"]] = f"{role}s"
    if shape == "held":
        chosen["person"] = pick(people, rng)
    return Design(
        Plan(shape, label=label, **chosen),
        candidates,
        phrases,
        shuffled(columns, rng),
        _name("table", names),
        shuffled(meanings, rng),
        {table: tuple(names.word() for _ in range(_ROWS)) for table in candidates["table"]},
        people,
        faults,
    )


def _name(part: str, names: NameMaker) -> str:
    return names.word() if part == "value" else names.word().lower()


def fill(design: Design, name: str, rng: np.random.Generator) -> Database:
    """Draws rows until every wrong choice among the candidates gives a wrong answer."""
    for _ in range(_DRAWS):
        database = _filled(design, name, rng)
        if _unambiguous(design, database):
            return database
    raise RuntimeError("the rows of a task leave its answer ambiguous; it needs more rows")  # a bug of ours


def _filled(design: Design, name: str, rng: np.random.Generator) -> Database:
    plan, phrases = design.plan, design.phrases
    coded, keys = design.candidates["filter"], design.candidates.get("key", ())
    numeric = [each for each in design.columns if each not in (*coded, *keys, plan.label)]
    columns = tuple(
        Column(each, "text" if each in (*coded, plan.label) else "int", comment=phrases[each])
        for each in design.columns
    )
    tables = []
    for table, named in design.labels.items():
        cells: dict[str, Sequence[int] | Sequence[str]] = {plan.label: named}
        drawn = rng.choice(np.arange(10, 1_000), size=(len(numeric), _ROWS), replace=False)
        cells |= dict(zip(numeric, drawn.tolist(), strict=True))
        cells |= {key: rng.integers(1, _PEOPLE + 1, size=_ROWS).tolist() for key in keys}
        cells |= {each: [pick(design.meanings, rng) for _ in range(_ROWS)] for each in coded}
        rows = tuple(zip(*(cells[each] for each in design.columns), strict=True))
        tables.append(Table(table, columns, rows, phrases[table]))
    shown = tuple((phrases[each], each) for each in design.meanings)
    tables.append(Table(design.code_table, (Column("meaning", "text"), Column("code", "text")), shown, "codes"))
    if plan.people:
        columns = (Column(plan.people_key, "int", False, "PRI"), Column(plan.people_label, "text"))
        tables.append(Table(plan.people, columns, tuple(enumerate(design.people, start=1)), phrases[plan.people]))
    return Database(name, tuple(sorted(tables, key=lambda table: table.name)))


def _unambiguous(design: Design, database: Database) -> bool:
    """Returns whether the right query alone has the right answer, which is not empty."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        register_collations(connection)
        connection.deserialize(database.image)

        def rows(plan: Plan) -> list[str]:
            return sorted(map(str, connection.execute(plan.sql()).fetchall()))

        right = rows(design.plan)
        if not right or right == ["(None,)"]:
            return False
        options = [design.candidates[slot] for slot in design.faults]
        for chosen in itertools.product(*options):
            plan = dataclasses.replace(design.plan, **dict(zip(design.faults, chosen, strict=True)))
            if plan != design.plan and rows(plan) == right:
                return False
    return True
