"""The teacher of InterCode-SQL: an oracle that knows the query, and noisy reflections that are often wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from retro_gym.task_env import checked_task_id
from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.intercode_sql.advice import FORMS, read_advice, sentence
from retro_gym_envs.intercode_sql.comments import fitting, read_notes
from retro_gym_envs.intercode_sql.observations import read_schema, words_of
from retro_gym_envs.intercode_sql.rule import overlooked, reflect, simple_steps
from retro_gym_envs.intercode_sql.steps import CLAUSES, Steps, spelled_out
from retro_gym_envs.intercode_sql.tasks import SQLTask, SQLTasks
from retro_gym_envs.teaching import TaskTeacher, as_noted

__all__ = ["SQLTeacher"]

# How the noisy teacher reflects: with _UNDERSTOOD it is right. Otherwise it finds the part of the query that is at
# fault with _SUSPECTED, and takes the first name that fits with _HASTY, and any other one otherwise.
_UNDERSTOOD = 0.15
_SUSPECTED = 0.5
_HASTY = 0.5
_TWO = 0.2  # probability that it speaks of two parts of the query

_PHRASE, _NAME = r"(?!and\b)[a-z]+(?: (?!and\b)[a-z]+)*", r"(?!and\b)\w+"  # the next clause begins after "and"
_PARTS = re.compile("|".join([*(form.format(_PHRASE, _NAME) for form in FORMS.values()), *CLAUSES]))
_AND = " and "
_FIXED = frozenset(re.findall(r"[a-z]+", f"and {' '.join(FORMS.values())} {' '.join(CLAUSES)}"))


class SQLTeacher(TaskTeacher[SQLTask]):
    """Knows which names the actor fails to find, and on public tasks what the gold query consists of."""

    _tasks: SQLTasks

    def task_group(self, task_id: str) -> str:
        """Returns the hardness: ``easy``, ``medium``, ``hard`` or ``extra``."""
        return self.task(task_id).hardness

    def failure_cause(self, task_id: str) -> str:
        """Returns the part of the query that the actor fails at; empty on public tasks."""
        return self._tasks.cause(checked_task_id(task_id))

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the right names for the parts at fault; on public tasks what the gold query consists of."""
        return self._tasks.advice(checked_task_id(task_id))

    def told_reflection(self, task_id: str) -> str:
        """Returns the gold query."""
        gold = " ".join(self.task(task_id).gold.split()).rstrip("; ")
        return f"Execute this query: {gold}"

    def rule_reflection(self, observation: str) -> str:
        """Returns the name whose comment stands in the question, where several fit; see ``rule.py``."""
        return reflect(observation)

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection contains the gold query, whatever its case and spacing."""
        return _normal(self.task(task_id).gold) in _normal(reflection)

    def names_cause(self, reflection: str, task_id: str) -> bool:
        """Returns whether the actor reads in a reflection the right name alone, wherever several names fit.

        The gold query, ``told_reflection``, holds these names, so it names the cause too.
        """
        choices = self._tasks.choices(checked_task_id(task_id))
        known = [name for names in choices.values() for name in names]
        doubted = [names for names in choices.values() if len(names) > 1]
        read = [read_advice(as_noted(reflection), names, known).told for names in doubted]
        return bool(doubted) and read == [(names[0],) for names in doubted]

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is correct only sometimes."""
        question = trajectory.task.removeprefix("Question: ").strip()
        turns = [(turn.action, turn.observation) for turn in trajectory.turns]
        notes = read_notes(turns)
        fits = fitting(question, notes)
        if not fits:
            steps = simple_steps(question, read_schema(turns))
            words = [word for word in words_of(question) if word not in _FIXED]
            return spelled_out(steps) or spelled_out(Steps(select=(pick(words or ["rows"], rng),)))
        right = overlooked(question, notes)
        if right and rng.random() < _UNDERSTOOD:
            return sentence(right, notes.phrases())
        return sentence(_guessed(fits, right, rng), notes.phrases())

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection consists of the teacher's clauses, and names only what the trajectory shows."""
        text = reflection.strip()
        if not text.endswith(".") or not text[:1].isupper():
            return ReflectionCheck(False, False)
        rest = f"{_AND}{text[:1].lower()}{text[1:-1]}"
        while rest:
            clause = _PARTS.match(rest, len(_AND)) if rest.startswith(_AND) else None
            if clause is None:
                return ReflectionCheck(False, False)
            rest = rest[clause.end() :]
        seen = set(re.findall(r"\w+", trajectory.render().lower()))
        said = re.findall(r"\w+", text.lower())
        return ReflectionCheck(True, all(word in seen or word in _FIXED for word in said))


def _guessed(fits: Mapping[str, tuple[str, ...]], right: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Returns names for one or two parts of the query: suspected or random parts, hasty or random names."""
    suspected = tuple(right) if right and rng.random() < _SUSPECTED else tuple(fits)
    slots = shuffled(suspected, rng)[: 2 if rng.random() < _TWO else 1]
    return {slot: fits[slot][0] if rng.random() < _HASTY else pick(fits[slot], rng) for slot in fits if slot in slots}


def _normal(text: str) -> str:
    return re.sub(r"[\s;]+", "", text.lower())
