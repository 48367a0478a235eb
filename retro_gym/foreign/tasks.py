"""The tasks of a foreign environment: splits, ids, and the arguments with which a task starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from retro_gym.errors import ConfigError, UnknownTaskError, did_you_mean, one_line

__all__ = ["Arguments", "GivenTasks", "Tasks"]

GivenTasks: TypeAlias = "Mapping[str, Sequence[int | str | Mapping[str, Any]] | Mapping[str, Any]]"

_DEFAULT = {"train": range(10_000), "validation": range(10_000, 10_500), "test": range(10_500, 11_000)}
_FORMS = "a seed (a whole number, at least 0), a text for make, or a mapping of arguments"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What starts a task."""

    task_id: str
    seed: int | None = None
    text: str | None = None
    """The first argument of the factory."""
    named: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the factory or of ``reset``, by name."""


class Tasks:
    """The tasks of all splits.

    Args:
        given: for each split its tasks, see :func:`retro_gym.wrap`; None for seeds.

    Raises:
        ConfigError: a task has another form, or is in two splits.

    >>> tasks = Tasks({"train": range(2), "test": [{"level": 3}]})
    >>> tasks.ids("train"), tasks.ids("test")
    (('seed-0', 'seed-1'), ('level=3',))
    >>> tasks.arguments("level=3").named
    {'level': 3}
    """

    def __init__(self, given: GivenTasks | None = None) -> None:
        given = _DEFAULT if given is None else given
        if not isinstance(given, Mapping) or not given:
            raise ConfigError(f"tasks is {one_line(given)}; give a mapping from each split to its tasks.")
        self._splits: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, Arguments] = {}
        self._any_seed = False
        owner: dict[str, str] = {}
        for split, tasks in given.items():
            ids = []
            for task in _listed(split, tasks):
                arguments = _arguments(split, *task)
                if arguments.task_id in owner:
                    where = "twice" if owner[arguments.task_id] == split else f"in {owner[arguments.task_id]!r} too"
                    raise ConfigError(
                        f"tasks[{split!r}] holds {arguments.task_id!r}, which is there {where}. A task belongs to one "
                        "split, once; otherwise an evaluation would judge on what was trained on."
                    )
                owner[arguments.task_id] = split
                ids.append(arguments.task_id)
                if arguments.task_id == f"seed-{arguments.seed}":
                    self._any_seed = True
                else:
                    self._known[arguments.task_id] = arguments
            self._splits[split] = tuple(ids)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits."""
        return tuple(self._splits)

    def ids(self, split: str) -> tuple[str, ...]:
        """Returns the ids of a split's tasks.

        Raises:
            UnknownTaskError: there is no such split.
        """
        if split not in self._splits:
            raise UnknownTaskError(f"split {split!r} is not one of {list(self._splits)}.")
        return self._splits[split]

    def drawn(self, rng: np.random.Generator) -> str:
        """Returns a task of the first split."""
        ids = next(iter(self._splits.values()))
        return ids[int(rng.integers(len(ids)))]

    def arguments(self, task_id: object) -> Arguments:
        """Returns what starts a task. If a split has seeds, every seed is a task.

        Raises:
            UnknownTaskError: there is no such task.
        """
        name = str(task_id)
        if name in self._known:
            return self._known[name]
        prefix, _, number = name.partition("-")
        if self._any_seed and prefix == "seed" and number.isdecimal():
            return Arguments(name, seed=int(number))
        known = f"one of {one_line(list(self._known))}" if self._known else ""
        seeds = "of the form 'seed-N'" if self._any_seed else ""
        rule = " or ".join(filter(None, (known, seeds)))
        raise UnknownTaskError(f"task {task_id!r} is not known; a task is {rule}.{did_you_mean(name, self._known)}")


def _listed(split: object, tasks: object) -> Sequence[tuple[str | None, Any]]:
    """Returns the tasks of a split, each with its id if one was given."""
    if not isinstance(split, str) or isinstance(tasks, str) or not isinstance(tasks, Sequence | Mapping | np.ndarray):
        raise ConfigError(f"tasks[{split!r}] is {one_line(tasks)}; give a list, a range, or a mapping from ids.")
    if not len(tasks):
        raise ConfigError(f"tasks[{split!r}] is empty; give at least one task, or leave the split out.")
    return list(tasks.items()) if isinstance(tasks, Mapping) else [(None, task) for task in tasks]


def _arguments(split: str, task_id: object, task: object) -> Arguments:
    if task_id is not None and not isinstance(task_id, str):
        raise ConfigError(f"tasks[{split!r}] has the id {one_line(task_id)}; ids are text.")
    if isinstance(task, int | np.integer) and not isinstance(task, bool) and task >= 0:
        return Arguments(task_id or f"seed-{task}", seed=int(task))
    if isinstance(task, str):
        return Arguments(task_id or task, text=task)
    if isinstance(task, Mapping) and task and all(isinstance(name, str) for name in task):
        named = dict(task)
        seed = named.pop("seed", None)
        if seed is None or (isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0):
            return Arguments(task_id or ",".join(f"{name}={task[name]}" for name in task), seed=seed, named=named)
    raise ConfigError(f"tasks[{split!r}] holds {one_line(task)}; a task is {_FORMS}.")
