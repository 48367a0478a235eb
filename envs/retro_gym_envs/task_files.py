"""What environments have in common in where their tasks come from: splits, files, folds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from retro_gym.errors import ConfigError, UnknownTaskError, did_you_mean, one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.names import SPLITS

__all__ = [
    "FileKey",
    "Fold",
    "Splits",
    "TaskFiles",
    "checked_fold",
    "drawn_task_id",
    "file_key",
    "in_fold",
    "paths_by_split",
]

TaskFiles: TypeAlias = "str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]"
"""One file for every split, or a file for each of some splits."""

FileKey: TypeAlias = tuple[str, int, int]
"""Absolute path, time of change and size: what tells whether a file was read before."""

Fold: TypeAlias = tuple[int, int]
"""``(i, n)``: test is fold i of n, validation fold i + 1 (modulo n), train the others."""


class Splits(Protocol):
    """Whatever has tasks by split."""

    def ids(self, split: str) -> Sequence[str]:
        """The ids of a split's tasks.

        Raises:
            UnknownTaskError: no such split.
        """
        ...


def drawn_task_id(tasks: Splits, rng: np.random.Generator) -> str:
    """A task of split train; of the first split that there is, where there are files for other ones only.

    Raises:
        UnknownTaskError: there is none.
    """
    for split in SPLITS:
        try:
            ids = tasks.ids(split)
        except UnknownTaskError:
            continue
        return ids[int(rng.integers(len(ids)))]
    raise UnknownTaskError(f"{tasks!r} has none of the splits {SPLITS}.")


def file_key(path: str | os.PathLike[str]) -> FileKey:
    """The key of a file; of one that cannot be looked at the size is -1, and reading it says what is wrong."""
    where = Path(path).absolute()
    try:
        stat = where.stat()
    except (OSError, ValueError):
        return str(where), 0, -1
    return str(where), stat.st_mtime_ns, stat.st_size


def paths_by_split(tasks: TaskFiles, fold: object = None) -> dict[str, str | os.PathLike[str]]:
    """The file of each split; the same one for all where there is only one.

    Raises:
        ConfigError: neither a path nor a mapping from splits to paths, or a fold where there are several files.
    """
    if isinstance(tasks, Mapping):
        unknown = [key for key in tasks if key not in SPLITS]
        if unknown or not tasks:
            raise ConfigError(
                f"tasks has the keys {list(tasks)}; a mapping goes from split to path, splits are {SPLITS}."
                f"{did_you_mean(str(unknown[0]), SPLITS) if unknown else ''}"
            )
        if fold is not None:
            raise ConfigError("fold divides one file; with a mapping of files leave it out.")
        paths = dict(tasks)
    else:
        paths = dict.fromkeys(SPLITS, tasks)
    for path in paths.values():
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(f"tasks is {one_line(tasks)}; give a path, or a dict of paths by split.")
    return paths


def checked_fold(fold: object) -> Fold | None:
    """The fold, when it is one.

    Raises:
        ConfigError: it is not.
    """
    match fold:
        case None:
            return None
        case [int(index), int(count)] if 0 <= index < count and count >= 3:
            return index, count
    raise ConfigError(f"fold is {one_line(fold)}; it must be (i, n) with n >= 3 folds and i from 0 to n - 1.")


def in_fold(task_ids: Iterable[str], split: str, fold: Fold | None) -> tuple[str, ...]:
    """The tasks that a split has: all, or those that the hash of their id puts there."""
    if fold is None:
        return tuple(task_ids)
    index, count = fold
    test, validation = index, (index + 1) % count
    wanted = {"train": set(range(count)) - {test, validation}, "validation": {validation}, "test": {test}}[split]
    return tuple(task_id for task_id in task_ids if derive_seed("fold", task_id) % count in wanted)
