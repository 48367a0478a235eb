"""What a run tried at its validations: a file of the reflections on the same failures, update after update.

``validations.jsonl`` begins with the failed trials of the validation tasks (kind ``failures``). Each validation adds a
line (kind ``validation``) with the number of updates made and, for each failure, the reflection and the trial that
followed it. A resumed run removes the lines of later updates first.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from retro_gym.errors import DataError, RecordError, one_line
from retro_gym.jsonl import JsonLines, read_json_lines
from retro_gym.trajectory import Trajectory
from retro_gym_agents.play.validation import Tried

__all__ = ["FILE", "StoredValidation", "ValidationLog", "read_validations"]

FILE = "validations.jsonl"
_SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class StoredValidation:
    """A validation as it was written."""

    update: int
    """Number of updates made before it."""
    tried: tuple[Tried, ...]


class ValidationLog:
    """Appends validations to a file.

    Args:
        path: the file; it is created with the first validation.
    """

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path, '{"kind"')

    def add(self, update: int, tried: Sequence[Tried]) -> None:
        """Writes what a validation tried; before the first one, the failures that all validations share."""
        if not self._lines.position:
            failures = [{**_episode(one), "trial": one.failure.to_json()} for one in tried]
            self._lines.write({"kind": "failures", "schema": _SCHEMA, "failures": failures})
        rows = [
            {
                **_episode(one),
                "reflection": one.reflection,
                "reward": one.reward,
                "leak": one.leak,
                "trial": one.trial.to_json(),
            }
            for one in tried
        ]
        self._lines.write({"kind": "validation", "update": update, "tried": rows})

    def cut(self, update: int) -> None:
        """Removes the validations after an update, which a resumed run makes again."""
        if not self._lines.path.exists():
            return
        keep = 0
        with self._lines.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") or json.loads(line).get("update", -1) > update:
                    break
                keep += len(line)
        self._lines.truncate(keep)

    def close(self) -> None:
        """Closes the file."""
        self._lines.close()


def _episode(one: Tried) -> dict[str, Any]:
    return {"task_id": one.failure.task_id, "seed": one.seed}


def read_validations(path: str | os.PathLike[str]) -> Iterator[StoredValidation]:
    """Yields the validations of a run in order; an incomplete last line is skipped.

    Raises:
        RecordError: it is no such file, or damaged before its last line.
    """
    failures: dict[tuple[str, int], Trajectory] = {}
    for number, row in read_json_lines(path, "a run's validations"):
        try:
            if row["kind"] == "failures" and row["schema"] == _SCHEMA:
                failures = {_key(one): Trajectory.from_json(one["trial"]) for one in row["failures"]}
            elif row["kind"] == "validation":
                yield StoredValidation(
                    int(row["update"]), tuple(_tried(one, failures[_key(one)]) for one in row["tried"])
                )
            else:
                raise ValueError(f"kind {row['kind']!r}")
        except (LookupError, TypeError, ValueError, DataError) as error:
            raise RecordError(
                f"{Path(path)}, line {number}: {one_line(row)} is no line of a run's validations of schema {_SCHEMA} "
                f"({one_line(error)}). Delete the file, or train again."
            ) from error


def _key(row: dict[str, Any]) -> tuple[str, int]:
    return str(row["task_id"]), int(row["seed"])


def _tried(row: dict[str, Any], failure: Trajectory) -> Tried:
    trial = Trajectory.from_json(row["trial"])
    reward = None if row["reward"] is None else float(row["reward"])
    return Tried(failure, int(row["seed"]), str(row["reflection"]), trial, reward, row["leak"])
