"""Task files: paths by split, keys that detect changed files, and folds of one file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from retro_gym.errors import ConfigError, did_you_mean, one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.task_sources import SPLITS

__all__ = [
    "FileKey",
    "Fold",
    "TaskFiles",
    "by_fold",
    "checked_fold",
    "file_key",
    "paths_by_split",
]

TaskFiles: TypeAlias = "str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]"
"""One file for every split, or a mapping from splits to files."""

FileKey: TypeAlias = tuple[str, int, int]
"""Absolute path, modification time and size: identifies a version of a file that was read."""

Fold: TypeAlias = tuple[int, int]
"""``(i, n)``: test is fold i of n, validation fold i + 1 (modulo n), train the others."""


def file_key(path: str | os.PathLike[str]) -> FileKey:
    """Returns the key of a file. The size is -1 if it cannot be read; opening the file then raises the error."""
    where = Path(path).absolute()
    try:
        stat = where.stat()
    except (OSError, ValueError):
        return str(where), 0, -1
    return str(where), stat.st_mtime_ns, stat.st_size


def paths_by_split(tasks: TaskFiles, fold: object = None) -> dict[str, str | os.PathLike[str]]:
    """Returns the file of each split; the same file for all splits if only one is given.

    Raises:
        ConfigError: neither a path nor a mapping from splits to paths, or a fold with several files.
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
    """Returns the fold if it is valid.

    Raises:
        ConfigError: it is not valid.
    """
    match fold:
        case None:
            return None
        case [int(index), int(count)] if 0 <= index < count and count >= 3 and not isinstance(index, bool):
            return index, count
    raise ConfigError(f"fold is {one_line(fold)}; it must be (i, n) with n >= 3 folds and i from 0 to n - 1.")


def by_fold(marks: Mapping[str, Sequence[str]], fold: Fold) -> dict[str, tuple[str, ...]]:
    """Divides tasks among the splits so that no two splits share a mark.

    Tasks that share a mark, directly or through other tasks, form a group. Groups are assigned to folds one by one, the
    largest first (ties in the order of a hash), each to the fold with the fewest tasks so far. So the folds are as even
    as the groups allow, and the order of the tasks does not matter.

    Args:
        marks: by task id, the marks that no other split may share; at least one for each task.
        fold: ``(i, n)``.

    Returns:
        The ids of each split, in the order of ``marks``.

    Raises:
        ConfigError: there are fewer groups than folds.
    """
    index, count = fold
    groups = _groups(marks)
    if len(groups) < count:
        raise ConfigError(
            f"fold={fold}: a fold is left without a task. Tasks that share content stay together, and these "
            f"{len(marks)} can be divided into {len(groups)} parts at most. Use fewer folds, or a larger file."
        )
    sizes, fold_of = [0] * count, {}
    for name in sorted(groups, key=lambda name: (-len(groups[name]), derive_seed("fold", name), name)):
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(groups[name])
        fold_of.update(dict.fromkeys(groups[name], smallest))
    split_of = {index: "test", (index + 1) % count: "validation"}
    return {
        split: tuple(task_id for task_id in marks if split_of.get(fold_of[task_id], "train") == split)
        for split in SPLITS
    }


def _groups(marks: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Groups the tasks that are connected by marks, by the alphabetically first of their marks."""
    leader: dict[str, str] = {}

    def lead(mark: str) -> str:
        while leader.setdefault(mark, mark) != mark:
            leader[mark] = mark = leader[leader[mark]]  # path halving keeps the chains short
        return mark

    for first, *others in marks.values():
        for other in others:
            low, high = sorted((lead(first), lead(other)))
            leader[high] = low
    groups: dict[str, list[str]] = {}
    for task_id, (first, *_) in marks.items():
        groups.setdefault(lead(first), []).append(task_id)
    return groups
