"""The built-in world: questions and databases without end, in the public data set's own schema.

Task i of a split is generated from (world seed, split, i) when it is first asked for. Each has its own small database
of one of the domains; the values in it are coined words that splits never share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from retro_gym.errors import UnknownTaskError, one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.intercode_sql.mysql.database import Database
from retro_gym_envs.intercode_sql.questions import KINDS
from retro_gym_envs.intercode_sql.sheets import World
from retro_gym_envs.intercode_sql.tasks import SPLITS, SQLTask

__all__ = ["SIZES", "BuiltinTasks"]

SIZES = {"train": 20_000, "validation": 1_000, "test": 1_000}
"""Tasks per split."""

_KINDS = tuple(KINDS.values())
_WEIGHTS = np.array([kind.weight for kind in _KINDS])


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
    world = World(rng, NameMaker(split, rng))
    kind = _KINDS[int(rng.choice(len(_KINDS), p=_WEIGHTS / _WEIGHTS.sum()))]
    asked = kind.write(world)
    task = SQLTask(task_id, world.domain.database, asked.question, asked.gold, kind.hardness)
    return _Generated(task, world.database(), asked.advice)
