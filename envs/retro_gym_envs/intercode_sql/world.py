"""The built-in world: an unlimited supply of questions and databases, in the schema of the public data set.

Task i of a split is generated from (world seed, split, i) when it is first requested. Each has a small database of its
own, whose names and values are coined words that splits do not share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.intercode_sql.advice import sentence
from retro_gym_envs.intercode_sql.mysql.database import Database
from retro_gym_envs.intercode_sql.plans import SHAPES
from retro_gym_envs.intercode_sql.questions import FUNCTIONS, WORDINGS
from retro_gym_envs.intercode_sql.sheets import Design, design, fill
from retro_gym_envs.intercode_sql.tasks import SQLTask, SQLTasks
from retro_gym_envs.task_sources import GeneratedTasks

__all__ = ["BuiltinTasks"]

_TWO_FAULTS = 0.2  # probability that a task has two faults


class BuiltinTasks(GeneratedTasks[SQLTask], SQLTasks):
    """The generated tasks of one world.

    >>> tasks = BuiltinTasks(0)
    >>> task = tasks.get("test-00003")
    >>> task == BuiltinTasks(0).get("test-00003"), tasks.cause("test-00003")
    (True, 'table')
    """

    def get(self, task_id: str) -> SQLTask:
        """Returns the task with this id."""
        return self._generated(task_id).task

    def database(self, task_id: str) -> Database:
        """Returns the database of a task."""
        return _filled(self.world_seed, self.task_split(task_id), task_id)

    def advice(self, task_id: str) -> str:
        """Returns the oracle's reflection: the right names for the parts of the query that the actor fails at."""
        return self._generated(task_id).advice

    def cause(self, task_id: str) -> str:
        """Returns the parts of the query that the actor fails at, joined by ``and``."""
        return self._generated(task_id).cause

    def choices(self, task_id: str) -> Mapping[str, Sequence[str]]:
        """Returns the names that fit each part of the query, the right one first."""
        design = self._generated(task_id).design
        return {
            slot: sorted(names, key=lambda name: name != getattr(design.plan, slot))
            for slot, names in design.candidates.items()
        }

    def _generated(self, task_id: str) -> _Generated:
        return _generate(self.world_seed, self.task_split(task_id), task_id)


@dataclasses.dataclass(frozen=True)
class _Generated:
    task: SQLTask
    design: Design
    advice: str
    cause: str


@lru_cache(maxsize=1_024)
def _generate(world_seed: int, split: str, task_id: str) -> _Generated:
    rng = np.random.default_rng(derive_seed(world_seed, "sql", task_id))
    names = NameMaker(split, rng)
    shape = pick(tuple(SHAPES), rng)
    slots = ("table", "filter", "value", "key" if shape in ("holders", "held") else "measure")
    faults = shuffled(slots, rng)[: 2 if rng.random() < _TWO_FAULTS else 1]
    drawn = design(shape, faults, split, names, rng)
    plan = drawn.plan
    said = {slot: drawn.phrases[getattr(plan, slot)] for slot in plan.slots} | {"person": plan.person}
    if plan.function:
        said["function"] = pick(FUNCTIONS[shape][plan.function], rng)
    question = pick(WORDINGS[shape][split], rng).format(**said)
    task = SQLTask(task_id, names.word().lower(), question, plan.sql(), SHAPES[shape])
    wrong = [slot for slot in plan.slots if slot in faults]
    advice = sentence({slot: getattr(plan, slot) for slot in wrong}, drawn.phrases)
    return _Generated(task, drawn, advice, " and ".join(wrong))


@lru_cache(maxsize=1_024)  # a task's database takes about 10 kB
def _filled(world_seed: int, split: str, task_id: str) -> Database:
    generated = _generate(world_seed, split, task_id)
    rng = np.random.default_rng(derive_seed(world_seed, "sql rows", task_id))
    return fill(generated.design, generated.task.db, rng)
