"""The failure bank: stored failed first trials that replace new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retro_gym.errors import DataError, RecordError
from retro_gym.records.reader import read_records
from retro_gym.records.rows import trajectory_of
from retro_gym.trajectory import EndReason, Trajectory

__all__ = ["FailureBank"]

_NO_FAILURE = tuple(end for end in EndReason if end.void or end is EndReason.SOLVED)


class FailureBank:
    """Stored failures that can replace trial 0, which saves its actor calls.

    Args:
        path: a records file; the bank holds its failed first trials (trial 0, no reflections).

    Raises:
        RecordError: the file cannot be read, or holds no such failure.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._start(Path(path))
        for row in read_records(path, "trial"):
            is_first = row.get("trial") == 0 and not row.get("reflections")
            if is_first and row.get("end") not in _NO_FAILURE:
                self._add(_failure_in(row, self.path))
        if not self._failures:
            raise RecordError(f"{self.path} holds no failed first trial. Collect some: retro-gym collect ENV_ID.")

    @classmethod
    def of(cls, failures: Iterable[Trajectory], path: str | os.PathLike[str] = "(memory)") -> FailureBank:
        """Creates a bank from failures in memory.

        Args:
            failures: first trials that failed.
            path: name of the bank in error messages.

        Raises:
            RecordError: one of the trajectories is not a failed first trial.
        """
        bank = cls.__new__(cls)
        bank._start(Path(path))
        for failure in failures:
            if failure.trial != 0 or failure.end in _NO_FAILURE:
                raise RecordError(
                    f"{bank.path}: trial {failure.trial} of task {failure.task_id!r}, which ended as "
                    f"{failure.end.value!r}, is no failed first trial; a bank holds those only."
                )
            bank._add(failure)
        return bank

    def _start(self, path: Path) -> None:
        self.path = path
        self._failures: dict[str, list[Trajectory]] = {}
        self._keys: set[str] = set()
        self._among: tuple[Sequence[str], list[str]] | None = None

    def _add(self, trajectory: Trajectory) -> None:
        key = json.dumps(trajectory.to_json(), sort_keys=True)
        if key not in self._keys:
            self._keys.add(key)
            self._among = None
            self._failures.setdefault(trajectory.task_id, []).append(trajectory)

    def __len__(self) -> int:
        return sum(map(len, self._failures.values()))

    @property
    def task_ids(self) -> list[str]:
        """Ids of the tasks with a stored failure, in the order of the file."""
        return list(self._failures)

    def among(self, task_ids: Sequence[str]) -> list[str]:
        """Returns those of the given tasks that have a stored failure, in the order of the file."""
        if self._among is None or self._among[0] is not task_ids:  # splits return the same object at every call
            wanted = set(task_ids)
            self._among = task_ids, [task_id for task_id in self._failures if task_id in wanted]
        return self._among[1]

    def failures(self, task_id: str) -> list[Trajectory]:
        """Returns the stored failures of one task; empty if there are none."""
        return list(self._failures.get(task_id, ()))

    def __deepcopy__(self, memo: dict[int, Any]) -> FailureBank:
        return self


def _failure_in(row: Mapping[str, Any], path: Path) -> Trajectory:
    try:
        return trajectory_of(row)
    except DataError as error:
        raise RecordError(f"{path}: {error}") from error
