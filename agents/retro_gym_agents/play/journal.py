"""The journal of an evaluation: a file of finished trials, from which an interrupted evaluation is resumed.

Each line is a JSON object: a ``header`` with the settings and the run's records header, a ``reflector`` with the
settings of each policy, a ``trial`` for each trial that is not void, the ``reflections`` that a policy wrote on the
failures of one trial, and ``end`` when the evaluation has ended. Trials and reflections name their task and the seed of
their episode. Trial 0 belongs to no policy. Void trials are not written, because they are played again on resume. A
resumed evaluation may have other policies; they share trial 0. Only one process may write at a time.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeAlias

from retro_gym.errors import ConfigError, DataError, RecordError, one_line
from retro_gym.generation import Generation, Reflection
from retro_gym.jsonl import JsonLines, read_json_lines
from retro_gym.records import RunHeader
from retro_gym.scheduling import ActorStats
from retro_gym.trajectory import Trajectory

try:
    import fcntl
except ImportError:  # absent on Windows, where nothing prevents a second process from writing
    fcntl = None  # type: ignore[assignment]

__all__ = ["EpisodeKey", "Journal", "StoredTrial"]

_SCHEMA = 4
_MISSING = object()

EpisodeKey: TypeAlias = tuple[str, int]
"""The task of an episode, and the episode's seed."""


@dataclasses.dataclass(frozen=True)
class StoredTrial:
    """A finished trial and its costs."""

    trajectory: Trajectory
    stats: ActorStats
    record: str = ""
    """Id of its row in the records file; empty without a records file."""
    parent: str = ""
    """Id of the row of the reflection that it was played with."""


class Journal:
    """The finished trials of one evaluation, including those of earlier processes.

    As a context manager, it writes the end of the evaluation, or adds a note on resuming to the error that stopped it.

    Args:
        path: the JSONL file; it is created when the first trial has ended.
        settings: settings that the trials depend on, of JSON types.
        reflectors: settings that the reflections depend on, of JSON types, by policy name.
        resume: continues from the file. Without it, the file of an unfinished evaluation is refused, and that of a
            finished one is overwritten.
        run: the run's records header, written for readers of the file.

    Raises:
        ConfigError: the file is of an evaluation with other settings, of one that could be resumed, or of one that is
            running.
        RecordError: the file is not a journal, or damaged before its last line.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Mapping[str, Any],
        reflectors: Mapping[str, Any],
        *,
        resume: bool,
        run: RunHeader | None = None,
    ) -> None:
        self.path = Path(path)
        self._run = (run or RunHeader()).to_json()
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._reflectors: dict[str, Any] = json.loads(json.dumps(reflectors))
        self._known: dict[str, Any] = {}  # the reflectors in the file
        self._lock: IO[bytes] | None = None
        self._lines = JsonLines(self.path, '{"kind"')
        self._trials: dict[tuple[str | None, EpisodeKey, int], StoredTrial] = {}
        self._texts: dict[tuple[str, int], dict[EpisodeKey, Reflection]] = {}
        self._tokens: dict[str, list[int]] = {}
        self._found: dict[str, Any] = {}
        self._has_header = self._has_ended = False
        if self.path.exists():
            self._take_lock()
            try:
                self._read(resume)
            except BaseException:
                self._let_go()
                raise
        self._count = len(self._trials)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and not self._has_ended:
            self._write({"kind": "end"})
        elif error is not None and self._count:
            error.add_note(
                f"{self._count} finished trials are kept in {self.path}; --resume (resume=True) continues from them."
            )
        self._let_go()

    def find(self, policy: str | None, episode: EpisodeKey, trial: int) -> StoredTrial | None:
        """Returns a trial that an earlier process has finished, if any; the policy of trial 0 is None."""
        return self._trials.get((policy, episode, trial))

    def add(self, policy: str | None, seed: int, trial: StoredTrial) -> None:
        """Writes a finished trial of the episode with that seed."""
        about = {"trajectory": trial.trajectory.to_json(), "stats": dataclasses.asdict(trial.stats)}
        rows = {"record": trial.record, "parent": trial.parent}
        self._write({"kind": "trial", "policy": policy, "seed": seed, **about, **rows})
        self._count += 1

    def reflections(self, policy: str, trial: int) -> Mapping[EpisodeKey, str]:
        """Returns the policy's reflections for a trial in earlier processes."""
        return self._texts.get((policy, trial), {})

    def add_reflections(
        self, policy: str, trial: int, texts: Mapping[EpisodeKey, str], tokens: tuple[int, int]
    ) -> None:
        """Writes the policy's reflections for a trial, with its prompt and completion tokens."""
        written = []
        for (task_id, seed), text in texts.items():
            generation = getattr(text, "generation", None)
            about = {"text": text, "generation": None if generation is None else generation.to_json()}
            written.append({"task_id": task_id, "seed": seed, **about})
        self._write({"kind": "reflections", "policy": policy, "trial": trial, "written": written, "tokens": tokens})

    def tokens(self, policy: str) -> tuple[int, int]:
        """Returns the policy's prompt and completion tokens in earlier processes."""
        read, written = self._tokens.get(policy, (0, 0))
        return read, written

    def _write(self, row: Mapping[str, Any]) -> None:
        if not self._has_header:
            if self._lock is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._take_lock()
            self._lines.truncate(0)  # of an evaluation that has ended
            self._lines.write({"kind": "header", "schema": _SCHEMA, "settings": self._settings, "run": self._run})
            self._has_header = True
        for name, settings in self._reflectors.items():
            if name not in self._known:
                self._lines.write({"kind": "reflector", "name": name, "settings": settings})
                self._known[name] = settings
        self._lines.write(row)
        self._has_ended = row["kind"] == "end"

    def _let_go(self) -> None:
        self._lines.close()
        if self._lock is not None:
            self._lock.close()

    def _take_lock(self) -> None:
        """Locks the file against other processes; the lock is released when its process ends."""
        if fcntl is None:
            return
        self._lock = self.path.open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise ConfigError(
                f"{self.path} is being written by another evaluation. Wait for it, or give this one another file."
            ) from error

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, resume: bool) -> None:
        for number, row in read_json_lines(self.path, "an evaluation's journal"):
            try:
                self._take(number, row)
            except (LookupError, TypeError, ValueError, AttributeError, DataError) as error:
                raise RecordError(
                    f"{self.path}, line {number}: {one_line(row)} is no line of an evaluation's journal of schema "
                    f"{_SCHEMA} ({error}). Delete the file, or give another path."
                ) from error
        if self._trials and not resume and not self._has_ended:
            raise ConfigError(
                f"{self.path} holds {len(self._trials)} finished trials of an evaluation that did not end. Continue "
                "with --resume (resume=True), or delete the file to start anew."
            )
        if resume and self._has_header:
            self._check(self._found)
        elif not resume:
            self._trials, self._texts, self._tokens, self._known = {}, {}, {}, {}
            self._has_header = self._has_ended = False

    def _take(self, number: int, row: Any) -> None:
        kind = row["kind"]
        if (kind == "header") != (number == 1):
            raise ValueError("a header is the first line and no other")
        self._has_ended = kind == "end"
        if kind == "header":
            if row["schema"] != _SCHEMA:
                raise ValueError(f"schema {row['schema']}")
            self._found = dict(row["settings"])
            self._has_header = True
        elif kind == "reflector":
            self._known[str(row["name"])] = dict(row["settings"])
        elif kind == "trial":
            trajectory = Trajectory.from_json(row["trajectory"])
            stats = {name: _figure(value) for name, value in row["stats"].items()}
            rows = {name: _text(row[name]) for name in ("record", "parent")}
            stored = StoredTrial(trajectory, ActorStats(**stats), **rows)
            _figure(trajectory.return_)
            episode = (trajectory.task_id, int(_figure(row["seed"])))
            self._trials[row["policy"], episode, trajectory.trial] = stored
        elif kind == "reflections":
            texts = {(_text(one["task_id"]), int(_figure(one["seed"]))): _reflection(one) for one in row["written"]}
            self._texts.setdefault((row["policy"], int(row["trial"])), {}).update(texts)
            read, written = map(_figure, row["tokens"])
            tokens = self._tokens.setdefault(row["policy"], [0, 0])
            self._tokens[row["policy"]] = [tokens[0] + int(read), tokens[1] + int(written)]
        elif kind != "end":
            raise ValueError(f"kind {kind!r}")

    def _check(self, found: Mapping[str, Any]) -> None:
        names = [
            name
            for name in {**self._settings, **found}
            if self._settings.get(name, _MISSING) != found.get(name, _MISSING)
        ]
        both = self._known.keys() & self._reflectors.keys()
        names += [f"reflector {name!r}" for name in sorted(both) if self._known[name] != self._reflectors[name]]
        if names:
            was, now = dict(found), dict(self._settings)
            for name in both:
                was[f"reflector {name!r}"] = _other_than(self._reflectors[name], self._known[name])
                now[f"reflector {name!r}"] = _other_than(self._known[name], self._reflectors[name])
            differences = "; ".join(
                f"{name} was {one_line(was.get(name))} and is {one_line(now.get(name))}" for name in names
            )
            raise ConfigError(
                f"{self.path} is of an evaluation with other settings: {differences}. Resume with the same ones, or "
                "delete the file to start anew."
            )


def _other_than(other: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that are absent from other ones, or have another value there."""
    return {name: value for name, value in settings.items() if other.get(name, _MISSING) != value}


def _figure(value: Any) -> Any:
    """Returns the value if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{one_line(value)} is no finite number")
    return value


def _reflection(row: Mapping[str, Any]) -> Reflection:
    made = row["generation"]
    return Reflection(_text(row["text"]), generation=None if made is None else Generation.from_json(made))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{one_line(value)} is no text")
    return value
