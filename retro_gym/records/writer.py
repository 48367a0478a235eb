"""Writes records files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from retro_gym.errors import RecordError, one_line
from retro_gym.jsonl import JsonLines
from retro_gym.prompts import TaskPrompt, valid_text
from retro_gym.records.rows import record_of, row_of
from retro_gym.records.schema import PromptRecord, Record, RunHeader

try:
    import fcntl
except ImportError:  # absent on Windows, where each process needs a file of its own
    fcntl = None  # type: ignore[assignment]

__all__ = ["RecordWriter"]

_TIED = re.compile(rb'"kind":\s*"(header|prompt)"')  # rows that later ones refer to, whichever process wrote them
_ONE_THREAD = threading.RLock()  # of all writers, since the lock of a file keeps out other processes only
_START = 64  # bytes at the start of a line that contain its kind


class RecordWriter(JsonLines):
    """Appends rows to a records file. The file and its folders are created when the first row is written.

    A row's id is its run's id with the row's line number, so that ids stay unique when a file is appended to, cut by
    :meth:`truncate`, or concatenated with files of other runs. Environments may share a writer; copies and unpickled
    instances write to the same file.

    Args:
        path: the JSONL file.
        header: the columns of the run that an environment cannot know: policy, seed, the tasks that are played.
    """

    def __init__(self, path: str | os.PathLike[str], header: RunHeader | None = None) -> None:
        super().__init__(path, '{"schema"')
        self.header = header or RunHeader()
        self._forget()

    def append(self, record: Record, run: RunHeader) -> str:
        """Writes and flushes one row, preceded by the run's header if the file does not hold it yet.

        Args:
            record: the record to write; its id is set here.
            run: the header of its run, with an id.

        Returns:
            The row's id.

        Raises:
            RecordError: a number is not finite, the file cannot be opened or written to, or it is no records file.
        """
        row = self._row(record)
        header = None if run.id in self._runs else self._row(run)
        with self._file_alone() as file:
            if run.id not in self._runs:
                self._add(file, header or self._row(run))
                self._runs.add(run.id)
            row["id"] = f"{run.id}-{self._lines + 1}"
            self._add(file, row)
        return str(row["id"])

    def append_prompt(self, prompt: TaskPrompt, run: RunHeader) -> str:
        """Writes a prompt, unless the file already holds it; returns the id of its row."""
        key = prompt.instruction, tuple(prompt.examples)
        with _ONE_THREAD:
            if key not in self._told:
                valid = valid_text(prompt.instruction), tuple(map(valid_text, prompt.examples))
                with self._file_alone():
                    known = self._prompts.get(valid)
                self._told[key] = known or self.append(PromptRecord.of(prompt), run)
            return self._told[key]

    def found(self, record: str) -> bool:
        """Returns whether the file held a row with this id when this writer opened it."""
        if not self.path.is_file():
            return False
        with self._file_alone():
            runs, lines = self._at_opening or (frozenset(), 0)
        run, _, line = record.partition("-")
        return run in runs and line.isdecimal() and int(line) <= lines

    def truncate(self, position: int) -> None:
        """Removes the rows after ``position``; see :meth:`JsonLines.truncate`."""
        super().truncate(position)
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        twin = RecordWriter(self.path, self.header)
        return vars(twin)

    def _row(self, record: Record) -> dict[str, Any]:
        try:
            return row_of(record)
        except RecordError as error:
            raise RecordError(f"{self.path}: {error}") from error

    def _encoded(self, row: Mapping[str, Any]) -> str:
        line = json.dumps(row, allow_nan=False)
        if "\\ud" in line:  # a surrogate pair, or a lone surrogate, which many JSON parsers refuse
            line = json.dumps(json.loads(valid_text(json.dumps(row, ensure_ascii=False))))
        return line

    def _add(self, file: IO[bytes], row: Mapping[str, Any]) -> None:
        self._write_line(file, self._encoded(row))
        self._lines += 1
        self._seen = file.tell()

    # -- content of the file -------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._seen = self._lines = 0
        self._runs: set[str] = set()
        self._prompts: dict[tuple[str, tuple[str, ...]], str] = {}
        self._told: dict[tuple[str, tuple[str, ...]], str] = {}  # the same, by the texts as the environments have them
        self._at_opening: tuple[frozenset[str], int] | None = None  # runs, and number of lines

    @contextlib.contextmanager
    def _file_alone(self) -> Iterator[IO[bytes]]:
        """Locks the file against other threads and processes, and reads the rows that this writer has not seen yet."""
        with _ONE_THREAD:
            file = self._open()
            _lock(file, "LOCK_EX")
            try:
                self._catch_up(os.fstat(file.fileno()).st_size)
                if self._at_opening is None:
                    self._at_opening = frozenset(self._runs), self._lines
                yield file
            finally:
                _lock(file, "LOCK_UN")

    def _catch_up(self, size: int) -> None:
        """Reads rows that were written by an earlier process or a copy of this writer."""
        if size < self._seen:
            self._forget()
        if size == self._seen:
            return
        with self.path.open("rb") as reader:
            reader.seek(self._seen)
            for line in reader:
                self._lines += 1
                if self._lines == 1:
                    _check_first(self.path, line)
                if _TIED.search(line[:_START]):
                    self._note(record_of(json.loads(line)))
            self._seen = reader.tell()

    def _note(self, record: Record) -> None:
        if isinstance(record, RunHeader):
            self._runs.add(record.id)
        elif isinstance(record, PromptRecord):
            self._prompts[record.instruction, record.examples] = record.id


def _lock(file: IO[bytes], operation: str) -> None:
    """Acquires or releases the file's lock; on a file system without locks, each process needs a file of its own."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, getattr(fcntl, operation))


def _check_first(path: Path, line: bytes) -> None:
    try:
        sound = json.loads(line)["schema"] in (1, 2)
    except (ValueError, LookupError, TypeError):
        sound = False
    if not sound:
        raise RecordError(f"{path} is no records file: it begins {one_line(line)}. Give another path.")
