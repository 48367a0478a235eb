"""The teacher of InterCode-SQL: an oracle that knows the query, and noisy reflections that are often wrong.

The oracle's reflections come with the tasks: the built-in world knows what each question requires beyond a simple
query on one table; on public tasks the reflection states the gold query.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from retro_gym.task_env import checked_task_id
from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick
from retro_gym_envs.intercode_sql.advice import sentence
from retro_gym_envs.intercode_sql.domains import AGGREGATES, ATTRIBUTES
from retro_gym_envs.intercode_sql.observations import Schema, mentions, read_schema, words_of
from retro_gym_envs.intercode_sql.tasks import SQLTask, SQLTasks
from retro_gym_envs.teaching import TaskTeacher, guess

__all__ = ["SQLTeacher", "asked_column", "asked_kind"]

KINDS = ("select", "join", "aggregate", "equals", "order", "group", "average", "absent", "joined equals")
"""Kinds of advice that a reflection can give."""

# Probability that the teacher understands what kind of query a question requires, and probability that it takes the
# first column. The latter exceeds the probability of understanding the column, so its most likely reflection is wrong.
_RIGHT_KIND = 0.4
_HASTY = 0.4
_CUED = 0.65  # probability that a value is named with the column before it in the question

_MOST = "|".join(re.escape(a.most) for a in ATTRIBUTES.values() if a.most)
_LEAST = "|".join(re.escape(a.least) for a in ATTRIBUTES.values() if a.least)
_CUES = {  # the first match counts
    "absent": r"\bwithout any\b|\bhave no\b",
    "average": r"\b(?:above|below) (?:the )?average\b",
    "joined equals": r"\bwhose \w+ has the\b|\bhave a \w+ with the\b",
    "join": rf"\bthe (?!(?:{'|'.join(ATTRIBUTES)})\b)\w+ of the \w+ called\b",
    "order": rf"\b(?:{_MOST}|{_LEAST})\b|\bwith the (?:highest|lowest) \w+\.",
    "equals": r"\bwith the \w+ [A-Z]",
    "group": r"\bof each\b|\b[Ff]or every\b",
    "aggregate": rf"\b(?:{'|'.join(word for _, words in AGGREGATES.values() for word in words)})\b",
}

_ID = r"\w+"
_CLAUSES = (
    rf"join the table {_ID} on {_ID}",
    rf"keep only the rows with the {_ID} \w[\w-]*(?: [A-Z][\w-]*)*",
    rf"keep only the rows with {_ID} (?:above|below) the average",
    rf"leave out the rows whose {_ID} is in {_ID}",
    rf"group by {_ID} and count the rows",
    rf"select {_ID}",
    rf"compute the (?:{'|'.join(AGGREGATES)}) of {_ID}",
    rf"order by {_ID} (?:ascending|descending) and keep the first row",
)
_CLAUSE = re.compile("|".join(_CLAUSES))
_FIXED_WORDS = """
    join the table on keep only rows with above below average leave out whose is in group by and count select compute of
    order ascending descending first row
"""
_FIXED = frozenset(_FIXED_WORDS.split()) | frozenset(AGGREGATES)


def asked_kind(question: str) -> str:
    """Returns the kind of query that a question of the built-in world requires.

    >>> asked_kind("List the titles of the wines without any tasting.")
    'absent'
    """
    return next((kind for kind, cue in _CUES.items() if re.search(cue, question)), "select")


def asked_column(question: str, columns: Sequence[str]) -> str | None:
    """Returns the column that a question of the built-in world asks about, by its name or by a paraphrase.

    >>> asked_column("How heavy is the ship called Brelum?", ["title", "weight"])
    'weight'
    """
    for name in columns:
        attribute = ATTRIBUTES.get(name)
        if attribute is None:
            continue
        before, _, after = attribute.asks.partition("{it}")
        if re.fullmatch(rf"{re.escape(before)}.*{re.escape(after)}", question):
            return name
        if any(word and re.search(rf"\b{word}\b", question) for word in (attribute.most, attribute.least)):
            return name
    named = mentions([name for name in columns if name in ATTRIBUTES], words_of(question), partly=False)
    return named[0] if named else None


class SQLTeacher(TaskTeacher[SQLTask]):
    """Knows what a question requires beyond a simple query on one table."""

    _tasks: SQLTasks

    def task_group(self, task_id: str) -> str:
        """Returns the hardness: ``easy``, ``medium``, ``hard`` or ``extra``."""
        return self.task(task_id).hardness

    def oracle_reflection(self, task_id: str) -> str:
        """Returns what the first query lacks: a join, a condition, an aggregate. On public tasks the gold query."""
        return self._tasks.advice(checked_task_id(task_id))

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is correct only sometimes.

        The teacher chooses the kind of advice, and a column or a table of those described. Both choices are mostly
        guesses, and habit (the first column) decides more often than the question does.
        """
        question = trajectory.task.removeprefix("Question: ").strip()
        schema = read_schema((turn.action, turn.observation) for turn in trajectory.turns)
        described = [table for table, columns in schema.columns.items() if columns]
        if not described:
            words = [word for word in words_of(question) if word not in _FIXED]
            return sentence(select=pick(words or ["rows"], rng))
        kind = asked_kind(question) if rng.random() < _RIGHT_KIND else pick(KINDS, rng)
        return _Lesson(question, schema, described, trajectory.render(), rng).say(kind)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection consists of the teacher's clauses, and names only what the trajectory shows."""
        text = reflection.strip()
        if not text.endswith(".") or not text[:1].isupper():
            return ReflectionCheck(False, False)
        rest = text[:1].lower() + text[1:-1]
        while True:
            clause = _CLAUSE.match(rest)
            if clause is None:
                return ReflectionCheck(False, False)
            rest = rest[clause.end() :]
            if not rest:
                break
            if not rest.startswith(" and "):
                return ReflectionCheck(False, False)
            rest = rest.removeprefix(" and ")
        seen = set(re.findall(r"\w+", trajectory.render().lower()))
        said = re.findall(r"\w+", text.lower())
        return ReflectionCheck(True, all(word in seen or word in _FIXED for word in said))


class _Lesson:
    """What the noisy teacher has read, and its random draws."""

    def __init__(
        self, question: str, schema: Schema, described: list[str], text: str, rng: np.random.Generator
    ) -> None:
        self._question = question
        self._schema = schema
        self._main = described[0]
        self._others = described[1:]
        self._text = text
        self._rng = rng

    def say(self, kind: str) -> str:
        """Returns a reflection of this kind, or of another one if the trajectory offers nothing for it."""
        if kind in ("join", "joined equals", "absent") and not self._others:
            kind = "select" if kind == "join" else "equals"
        values = self._values()
        if "equals" in kind and not values:
            kind = "select"
        match kind:
            case "join":
                other = pick(self._others, self._rng)
                return sentence(join=(other, self._key(other)), select=self._column(other))
            case "joined equals":
                other = pick(self._others, self._rng)
                equals = self._column_of_value(other), pick(values, self._rng)
                return sentence(join=(other, self._key(other)), equals=equals)
            case "absent":
                other = pick(self._others, self._rng)
                return sentence(absent=(self._key(other), other))
            case "equals":
                return sentence(equals=(self._column_of_value(), pick(values, self._rng)))
            case "average":
                side = "below" if "below" in self._question else "above"
                return sentence(average=(self._column(), self._choose(("above", "below"), side)))
            case "order":
                least = re.search(rf"\b(?:{_LEAST}|lowest)\b", self._question)
                right = "ascending" if least else "descending"
                return sentence(order=(self._column(), self._choose(("descending", "ascending"), right)))
            case "group":
                return sentence(group=self._column())
            case "aggregate":
                words = ((name, word) for name, (_, words) in AGGREGATES.items() for word in words)
                asked = next((name for name, word in words if word in self._question), None)
                return sentence(aggregate=(self._choose(tuple(AGGREGATES), asked), self._column()))
            case _:
                return sentence(select=self._column())

    def _column(self, table: str | None = None) -> str:
        names = self._schema.names(table or self._main)
        return self._choose(names, asked_column(self._question, names))

    def _column_of_value(self, table: str | None = None) -> str:
        """Returns mostly the column that is asked for: a model copies a name by the words before it."""
        names = self._schema.names(table or self._main)
        asked = asked_column(self._question, names)
        return asked if asked in names and self._rng.random() < _CUED else self._choose(names, asked)

    def _key(self, other: str) -> str:
        """Returns a column that both tables have, or any column of the other table if there is none."""
        shared = [name for name in self._schema.names(other) if name in self._schema.names(self._main)]
        return pick(shared or self._schema.names(other), self._rng)

    def _values(self) -> list[str]:
        """Returns the names in the question that may be values: capitalised words within a sentence, last one first."""
        found = re.findall(r"(?<=[a-z,] )['\"]?([A-Z]\w*(?:-\w+)*)", self._question)
        return list(dict.fromkeys(reversed(found)))

    def _choose(self, options: Sequence[str], right: str | None) -> str:
        return guess(options, [option for option in options if option == right], self._rng, hasty=_HASTY)
