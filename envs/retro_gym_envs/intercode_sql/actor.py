"""The scripted SQL actor: reads only the prompt's text and makes the mistakes of real actors.

Without advice it describes the tables that the question names, and writes one query by word overlap: it selects the
first column that the question names from the first table that it names, filtered by the row that it calls by name. It
uses COUNT if the question says "how many". It never writes joins, other aggregates, conditions, ORDER BY or nested
queries, and does not understand a question that paraphrases a column. If a reflection names what was missing, the actor
follows it exactly; the last such reflection counts. A vague reflection has no effect.
"""

from __future__ import annotations

import dataclasses
import re

from retro_gym_envs.intercode_sql.advice import Advice, read_reflection
from retro_gym_envs.intercode_sql.domains import AGGREGATES
from retro_gym_envs.intercode_sql.observations import Schema, mentions, read_schema, words_of
from retro_gym_envs.scripted_actor import ScriptedTextActor, Turns, as_turn, parts_at_question

__all__ = ["ScriptedSQLActor"]

_CALLED = re.compile(r"(\w+) (?:called|named) ['\"]?([A-Z]\w*)")
_COUNTS = re.compile(r"\bhow many\b|\bnumber of\b|\bcount the\b", re.IGNORECASE)
_DESCRIBED = 3  # maximum number of tables that it describes without advice
_LOOKS = re.compile(r"execute\[(?:SHOW|DESC) ")  # actions that read the schema
_TEXTS = ("text", "char", "varchar")


class ScriptedSQLActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns one thought and action."""
        view = _read_prompt(text)
        return as_turn(len(view.turns) + 1, *_decide(view))


@dataclasses.dataclass(frozen=True)
class _View:
    """What the actor has parsed from its prompt."""

    question: str
    advice: tuple[Advice, ...]
    """From each reflection with usable advice, the last one first."""
    turns: Turns
    schema: Schema


def _read_prompt(text: str) -> _View:
    notes, question, turns = parts_at_question(text)
    advice = tuple(filter(None, map(read_reflection, reversed(notes))))
    return _View(question, advice, turns, read_schema(turns))


def _decide(view: _View) -> tuple[str, str]:
    """Returns thought and action for the next turn."""
    actions = [action for action, _ in view.turns]
    if any(action.startswith("execute[") and not _LOOKS.match(action) for action in actions):
        return "That is my answer.", "submit"
    told = next((advice.query for advice in view.advice if advice.query), None)
    if told:
        return "I noted the query last time.", f"execute[{told}]"
    if "execute[SHOW TABLES]" not in actions:
        return "I need to know which tables there are.", "execute[SHOW TABLES]"
    if not view.schema.tables:
        return "There is no table.", "submit"
    for table in _wanted_tables(view):
        if f"execute[DESC {table}]" not in actions:
            return f"I look at the columns of {table}.", f"execute[DESC {table}]"
    advice = next((known for each in view.advice if (known := each.known_to(view.schema))), Advice())
    return "I can ask for it now.", f"execute[{_query(view, advice)}]"


def _wanted_tables(view: _View) -> list[str]:
    """Returns the tables to describe: those that the question and the reflections name."""
    named = mentions(view.schema.tables, words_of(view.question))[:_DESCRIBED] or [view.schema.tables[0]]
    main = _main_table(view)
    advised = [table for advice in view.advice for table in advice.tables if table in view.schema.tables]
    return list(dict.fromkeys([main, *named, *advised]))


def _main_table(view: _View) -> str:
    """Returns the table of the named entity, else the first table that the question names."""
    called = _CALLED.search(view.question)
    if called:
        anchored = mentions(view.schema.tables, words_of(called[1]))
        if anchored:
            return anchored[0]
    named = mentions(view.schema.tables, words_of(view.question))
    return named[0] if named else view.schema.tables[0]


def _query(view: _View, advice: Advice) -> str:
    """Writes a query: the actor's own guess, modified by the advice."""
    main = _main_table(view)
    columns = view.schema.names(main)

    def qualified(name: str) -> str:
        """Adds the table's name if there are two tables."""
        if advice.join is None:
            return name
        tables = [main, advice.join[0]]
        home = next((table for table in tables if name in view.schema.names(table)), None)
        return f"{home}.{name}" if home else name

    label = _label(view, main)
    conditions = []
    called = _CALLED.search(view.question)
    if called and label:
        conditions.append(f"{qualified(label)} = {_literal(called[2])}")
    if advice.equals:
        conditions.append(f"{qualified(advice.equals[0])} = {_literal(advice.equals[1])}")
    if advice.average:
        column, side = advice.average
        sign = ">" if side == "above" else "<"
        conditions.append(f"{qualified(column)} {sign} (SELECT AVG({column}) FROM {main})")
    if advice.absent:
        column, other = advice.absent
        conditions.append(f"{qualified(column)} NOT IN (SELECT {column} FROM {other})")

    if advice.group:
        selected = f"{qualified(advice.group)}, COUNT(*)"
    elif advice.aggregate:
        function, _ = AGGREGATES[advice.aggregate[0]]
        distinct = "DISTINCT " if function == "COUNT" else ""
        selected = f"{function}({distinct}{qualified(advice.aggregate[1])})"
    elif advice.select:
        selected = qualified(advice.select)
    elif _COUNTS.search(view.question):
        selected = "COUNT(*)"
    else:
        named = mentions(columns, words_of(view.question))
        selected = qualified(named[0] if named else label or (columns[0] if columns else "*"))

    query = f"SELECT {selected} FROM {main}"
    if advice.join:
        other, mine, theirs = advice.join
        query += f" JOIN {other} ON {main}.{mine} = {other}.{theirs}"
    if conditions:
        query += f" WHERE {' AND '.join(conditions)}"
    if advice.group:
        query += f" GROUP BY {qualified(advice.group)}"
    if advice.order:
        column, direction = advice.order
        query += f" ORDER BY {qualified(column)} {'DESC' if direction == 'descending' else 'ASC'} LIMIT 1"
    return query


def _label(view: _View, table: str) -> str | None:
    """Returns the column that names a row: the first text column that is not a key."""
    texts = (name for name, type_ in view.schema.columns.get(table, ()) if type_.startswith(_TEXTS))
    return next((name for name in texts if not name.endswith(("id", "code"))), None)


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "").replace("'", "''") + "'"
