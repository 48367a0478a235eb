"""The built-in world: an unlimited supply of questions and databases, in the schema of the public data set.

Task i of a split is generated from (world seed, split, i) when it is first requested. Each has its own small database
from one of the domains; its values are coined words that splits do not share.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.intercode_sql.mysql.database import Database
from retro_gym_envs.intercode_sql.questions import KINDS
from retro_gym_envs.intercode_sql.sheets import World
from retro_gym_envs.intercode_sql.tasks import SQLTask, SQLTasks
from retro_gym_envs.task_sources import GeneratedTasks

__all__ = ["BuiltinTasks"]

_KINDS = tuple(KINDS.values())
_WEIGHTS = np.array([kind.weight for kind in _KINDS])


class BuiltinTasks(GeneratedTasks[SQLTask], SQLTasks):
    """The generated tasks of one world.

    >>> tasks = BuiltinTasks(0)
    >>> task = tasks.get("test-00003")
    >>> task == BuiltinTasks(0).get("test-00003"), len(tasks.database("test-00003").tables)
    (True, 3)
    """

    def get(self, task_id: str) -> SQLTask:
        """Returns the task with this id."""
        return self._generated(task_id).task

    def database(self, task_id: str) -> Database:
        """Returns the database of a task."""
        return self._generated(task_id).database

    def advice(self, task_id: str) -> str:
        """Returns the oracle's reflection: what the question requires beyond a simple query on one table."""
        return self._generated(task_id).advice

    def _generated(self, task_id: str) -> _Generated:
        return _generate(self.world_seed, self.task_split(task_id), task_id)


@dataclasses.dataclass(frozen=True)
class _Generated:
    task: SQLTask
    database: Database
    advice: str


@lru_cache(maxsize=1_024)  # a task's database takes about 10 kB
def _generate(world_seed: int, split: str, task_id: str) -> _Generated:
    rng = np.random.default_rng(derive_seed(world_seed, "sql", task_id))
    world = World(rng, NameMaker(split, rng))
    kind = _KINDS[int(rng.choice(len(_KINDS), p=_WEIGHTS / _WEIGHTS.sum()))]
    asked = kind.write(world)
    task = SQLTask(task_id, world.domain.database, asked.question, asked.gold, kind.hardness)
    return _Generated(task, world.database(), asked.advice)
