"""The scripted SQL actor: reads only the prompt's text and makes the mistakes of real actors.

It reads the comments of tables, columns and codes, and finds what the question asks for by their heads: for "the price
when new" it looks for a price. It overlooks the qualifiers. Where several names fit, it takes one of them, the first a
little more often than the others, unless a reflection names the right one, or speaks against some. A reflection that
wants more than two of them, or speaks for and against more than three, confuses it: it takes the first. The question's
own words are no news to it.

A database without comments is played by the rules of :mod:`~retro_gym_envs.intercode_sql.guesses`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from retro_gym_envs.choices import Choices
from retro_gym_envs.intercode_sql.advice import read_advice, stated_query
from retro_gym_envs.intercode_sql.comments import (
    LOOK_AT_TABLES,
    Notes,
    fitting,
    look_at_codes,
    look_at_columns,
    look_at_people,
    read_notes,
)
from retro_gym_envs.intercode_sql.guesses import Guess
from retro_gym_envs.intercode_sql.observations import read_schema, words_of
from retro_gym_envs.intercode_sql.plans import Plan
from retro_gym_envs.intercode_sql.questions import FUNCTIONS
from retro_gym_envs.intercode_sql.steps import read_steps
from retro_gym_envs.scripted_actor import ScriptedTextActor, Turns, as_turn, parts_at_question

__all__ = ["ScriptedSQLActor"]

_LOOKS = re.compile(r"execute\[(?:SHOW |DESC |SELECT .* FROM information_schema\.)")
_FIRST = 0.2  # score of the first name that fits
_TOLD = 9.0  # of a name that a reflection wants
_SHUNNED = -4.0  # of a name that a reflection speaks against
_PERSON = re.compile(r"(?<!^)\b[A-Z][a-z]+\b")


class ScriptedSQLActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns one thought and action."""
        reflections, question, turns = parts_at_question(text)
        trial = _Trial(question, tuple(reflections), turns, self.choices(seed, len(turns)), self.thoughts)
        return as_turn(len(turns) + 1, *trial.next_turn())


@dataclasses.dataclass(frozen=True)
class _Trial:
    """What the actor has read in its prompt."""

    question: str
    reflections: tuple[str, ...]
    turns: Turns
    choices: Choices
    thoughts: bool = False

    def next_turn(self) -> tuple[str, str]:
        """Returns thought and action."""
        notes = read_notes(self.turns)
        done = [action for action, _ in self.turns]
        if any(action.startswith("execute[") and not _is_look(action, notes) for action in done):
            return "That is my answer.", "submit"
        told = next(filter(None, map(stated_query, reversed(self.reflections))), "")
        if told:
            return "I noted the query last time.", f"execute[{told}]"
        if f"execute[{LOOK_AT_TABLES}]" not in done:
            return "Which tables are there?", f"execute[{LOOK_AT_TABLES}]"
        if not notes.tables:
            return "There is no table.", "submit"
        looks, query, intent = self._by_comments(notes) if any(notes.tables.values()) else self._by_names()
        for thought, statement in looks:
            if f"execute[{statement}]" not in done:
                return thought, f"execute[{statement}]"
        return intent or "I can ask for it now.", f"execute[{query}]"

    def _by_comments(self, notes: Notes) -> tuple[list[tuple[str, str]], str, str]:
        """Returns what to look at, with thoughts, the query as far as it can be written by now, and its thought."""
        names = fitting(self.question, notes)
        known = tuple(name for options in names.values() for name in options)
        chosen = {slot: self._choice(slot, options, known) for slot, options in names.items()}
        table = chosen.get("table", next(iter(notes.tables)))
        people = notes.people_table(self.question)
        looks = [(self._intent(notes, [table]) or f"{table} fits. What are its columns?", look_at_columns(table))]
        if notes.code_table:
            looks.append(("What do the codes mean?", look_at_codes(notes.code_table)))
        if people:
            looks.append((f"The names are in {people}.", look_at_people(people)))
        person = _PERSON.search(self.question) if people else None
        shape, function = self._shape(bool(people), person is not None)
        plan = Plan(
            shape,
            table,
            chosen.get("filter", notes.label),
            chosen.get("value", ""),
            measure=chosen.get("measure", notes.label),
            key=chosen.get("key", "") or notes.label,
            function=function,
            label=notes.label,
            people=people,
            people_key=notes.people_key,
            people_label=notes.people_label,
            person=person[0] if person else "",
        )
        return looks, plan.sql(), self._intent(notes, [name for slot, name in chosen.items() if slot != "table"])

    def _intent(self, notes: Notes, names: Iterable[str]) -> str:
        """Returns the thought that says what names stand for; empty if the actor has no such thoughts."""
        if not self.thoughts:
            return ""
        phrases = notes.phrases()
        told = ", ".join(f"{phrases[name]} {name}" for name in names)
        return f"I take {told}." if told else ""

    def _choice(self, slot: str, options: tuple[str, ...], known: tuple[str, ...]) -> str:
        """Returns one of the names that fit a slot."""
        wanted = read_advice(self.reflections, options, known)
        if wanted.confused:
            return options[0]
        scores = {name: _TOLD * (name in wanted.told) + _SHUNNED * (name in wanted.shunned) for name in options}
        scores[options[0]] += _FIRST
        return self.choices.pick(slot, scores)

    def _shape(self, people: bool, person: bool) -> tuple[str, str]:
        """Returns the shape of the query that the question asks for, and the function in it."""
        words = words_of(self.question)
        if people:
            return ("held" if person else "holders"), ""
        for shape in ("superlative", "aggregate") if "name" in words else ("aggregate",):
            for function, asked in FUNCTIONS[shape].items():
                if any(word in words for word in asked):
                    return shape, function
        return "list", ""

    def _by_names(self) -> tuple[list[tuple[str, str]], str, str]:
        advice = tuple(filter(None, map(read_steps, reversed(self.reflections))))
        guess = Guess(self.question, read_schema(self.turns), advice, self.choices)
        return [(f"I look at the columns of {table}.", f"DESC {table}") for table in guess.tables()], guess.query(), ""


def _is_look(action: str, notes: Notes) -> bool:
    """Returns whether an action reads names or codes, and not the answer."""
    return _LOOKS.match(action) is not None or action == f"execute[{look_at_codes(notes.code_table)}]"
