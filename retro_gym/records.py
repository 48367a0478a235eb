"""Records: an append-only JSONL file of trials and reflections.

One line is one JSON object with ``schema`` (this version: 1) and ``kind``:

- ``trial``: a trajectory's fields, ``episode``, ``source`` (``reset``, ``step``, ``branch`` or ``control``) and the
  ``reflections`` that the actor's prompt held;
- ``reflection``: ``episode``, ``task_id``, ``trial`` (the failed one), ``source``, ``observation``, ``reflection``,
  ``reward``, ``return_before``, ``return`` and ``success`` of the trial that followed.

Lines are flushed one by one. A process that is killed leaves at most one torn line, which the next open repairs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retro_gym.errors import RecordError, one_line
from retro_gym.jsonl import JsonLines, read_json_lines
from retro_gym.trajectory import EndReason, Outcome, Trajectory

__all__ = ["SCHEMA", "FailureBank", "RecordWriter", "read_records", "reflection_row", "trial_row"]

SCHEMA = 1
KINDS = ("trial", "reflection")
_NO_FAILURE = tuple(end for end in EndReason if end.void or end is EndReason.SOLVED)


def trial_row(trajectory: Trajectory, reflections: Sequence[str], *, episode: int, source: str) -> dict[str, Any]:
    """The row of kind ``trial``.

    Args:
        trajectory: of the trial.
        reflections: what the actor's prompt held.
        episode: the seed of the episode.
        source: ``"reset"``, ``"step"``, ``"branch"`` or ``"control"``.
    """
    return {"episode": episode, "source": source, "reflections": list(reflections), **trajectory.to_json()}


def reflection_row(
    outcome: Outcome, observation: str, before: Trajectory, *, episode: int, source: str
) -> dict[str, Any]:
    """The row of kind ``reflection``.

    Args:
        outcome: of the reflection.
        observation: what it was written on.
        before: the failed trial.
        episode: the seed of the episode.
        source: ``"step"`` or ``"branch"``.
    """
    return {
        "episode": episode,
        "task_id": before.task_id,
        "trial": before.trial,
        "source": source,
        "observation": observation,
        "reflection": outcome.reflection,
        "reward": outcome.reward,
        "return_before": before.return_,
        "return": outcome.trajectory.return_,
        "success": outcome.success,
    }


class RecordWriter(JsonLines):
    """Appends rows to a records file. Opens it at the first row, creating folders where needed.

    Copies and unpickled instances write to the same file. Not meant for several processes at once: give each
    its own file.

    Args:
        path: the JSONL file.
    """

    def append(self, kind: str, row: Mapping[str, Any]) -> None:
        """Writes one row and hands it to the operating system.

        Raises:
            RecordError: ``kind`` is not one of the schema's, or the file cannot be opened.
        """
        if kind not in KINDS:
            raise RecordError(f"record kind {kind!r} is not one of {KINDS}.")
        self.write({"schema": SCHEMA, "kind": kind, **row})


def read_records(path: str | os.PathLike[str], kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a records file, in order; a torn last line is passed over.

    Args:
        path: the JSONL file.
        kind: ``"trial"`` or ``"reflection"``; all rows by default.

    Raises:
        RecordError: a line that is not a row of this schema, with file and line number.
    """
    for number, row in read_json_lines(path, "a records file"):
        if not isinstance(row, dict) or row.get("schema") != SCHEMA or row.get("kind") not in KINDS:
            raise RecordError(
                f"{Path(path)}, line {number}: {one_line(row)} is not a record of schema {SCHEMA}. "
                "Give a file that retro_gym of this version wrote."
            )
        if kind is None or row["kind"] == kind:
            yield row


class FailureBank:
    """Stored failures that can stand in for trial 0, so that no actor call is spent on failing again.

    Args:
        path: a records file; its failed first trials (trial 0, no reflections) are taken.

    Raises:
        RecordError: the file cannot be read, or holds no such failure.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._start(Path(path))
        about = ("schema", "kind", "episode", "source", "reflections")
        for row in read_records(path, "trial"):
            is_first = row.get("trial") == 0 and not row.get("reflections")
            if is_first and row.get("end") not in _NO_FAILURE:
                self._add(Trajectory.from_json({key: value for key, value in row.items() if key not in about}))
        if not self._failures:
            raise RecordError(f"{self.path} holds no failed first trial. Collect some: retro-gym collect ENV_ID.")

    @classmethod
    def of(cls, failures: Iterable[Trajectory], path: str | os.PathLike[str] = "(memory)") -> FailureBank:
        """A bank of failures that are at hand.

        Args:
            failures: first trials that failed.
            path: what the bank is called in messages.

        Raises:
            RecordError: one of them is not a failed first trial.
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
        """The tasks that have a stored failure, in the order of the file."""
        return list(self._failures)

    def among(self, task_ids: Sequence[str]) -> list[str]:
        """Which of these tasks have a stored failure, in the order of the file."""
        if self._among is None or self._among[0] is not task_ids:  # splits give the same object at every call
            wanted = set(task_ids)
            self._among = task_ids, [task_id for task_id in self._failures if task_id in wanted]
        return self._among[1]

    def failures(self, task_id: str) -> list[Trajectory]:
        """The stored failures of one task; empty when it has none."""
        return list(self._failures.get(task_id, ()))

    def __deepcopy__(self, memo: dict[int, Any]) -> FailureBank:
        return self
