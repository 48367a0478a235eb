"""Append-only files of JSON lines, for records, tapes and journals.

Every line is flushed. A killed process leaves at most one incomplete line, which readers skip and which is removed
when the file is next opened for writing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

from retro_gym.errors import RecordError, one_line

__all__ = ["JsonLines", "read_json_lines"]


class JsonLines:
    """Appends JSON objects to a file, one per line. The file and its folders are created at the first write.

    Copies and unpickled instances write to the same file. Not safe for concurrent processes: give each its own file.

    Args:
        path: the JSONL file.
        starts: how the first line of a file of this kind begins. A file that begins otherwise is left as it is.

    Raises:
        RecordError: the path is empty or a folder.
    """

    def __init__(self, path: str | os.PathLike[str], starts: str = "{") -> None:
        self._file: IO[bytes] | None = None
        self.path = Path(path)
        self._starts = starts
        if not os.fspath(path) or self.path.is_dir():
            raise RecordError(f"the path {os.fspath(path)!r} is empty or a folder. Give the path of a file.")

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends and flushes one object.

        Raises:
            RecordError: the file cannot be opened or written to.
        """
        self._write_line(self._open(), json.dumps(row, ensure_ascii=True, allow_nan=False))

    def _write_line(self, file: IO[bytes], line: str) -> None:
        try:
            file.write(line.encode() + b"\n")
            file.flush()
        except OSError as error:
            raise RecordError(
                f"{self.path} cannot be written to: {error.strerror}. Earlier lines are intact; free disk space and "
                "resume with --resume (resume=True), if the command has it."
            ) from error

    @property
    def position(self) -> int:
        """The file's length in bytes, as stored in checkpoints."""
        return self._open().tell()

    def truncate(self, position: int) -> None:
        """Removes everything after ``position``, so that a resumed run does not record it twice.

        Raises:
            RecordError: the file is shorter, so it is not the file of the checkpoint.
        """
        file = self._open()
        if file.tell() < position:
            raise RecordError(
                f"{self.path} has {file.tell()} bytes, but the checkpoint was made at {position}. "
                "It is not the file of that run, or rows were deleted. Restore it, or start a new run."
            )
        file.truncate(position)
        file.seek(position)

    def close(self) -> None:
        """Closes the file; a later write opens it again."""
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):  # of a full disk, which was reported when the line was written
                file.close()

    def _open(self) -> IO[bytes]:
        if self._file is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                file = self.path.open("ab")
            except OSError as error:
                raise RecordError(f"{self.path}: {error.strerror}. Give a path that can be written.") from error
            try:
                _check_start(self.path, self._starts.encode())
            except RecordError:
                file.close()
                raise
            _cut_torn_line(self.path, file)
            self._file = file
        return self._file

    def __del__(self) -> None:
        self.close()  # every line is flushed, so nothing is lost

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"


def _check_start(path: Path, starts: bytes) -> None:
    """Refuses to append to a file of another kind, of which the last line might be removed as incomplete."""
    with path.open("rb") as reader:
        found = reader.read(len(starts))
    if found != starts[: len(found)]:
        raise RecordError(
            f"{path} begins with {one_line(found.decode(errors='replace'))}, not with {starts.decode()}: it is a file "
            "of another kind, and is left as it is. Give another path."
        )


def _cut_torn_line(path: Path, file: IO[bytes]) -> None:
    """Removes an incomplete last line, left by a killed process."""
    size = file.seek(0, os.SEEK_END)
    keep = size
    with path.open("rb") as reader:
        while keep > 0:
            start = max(0, keep - 65_536)
            reader.seek(start)
            newline = reader.read(keep - start).rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
    if keep < size:
        file.truncate(keep)
        file.seek(keep)


def read_json_lines(path: str | os.PathLike[str], what: str) -> Iterator[tuple[int, Any]]:
    """Yields line numbers (from 1) and values of a file of JSON lines; an incomplete last line is skipped.

    Args:
        path: the JSONL file.
        what: the kind of file, for error messages: ``"a records file"``.

    Raises:
        RecordError: the file cannot be read, or a line is not JSON.
    """
    where = Path(path)
    try:
        file = where.open("rb")
    except OSError as error:
        raise RecordError(f"{where}: {error.strerror}. Give the path of {what} (JSONL).") from error
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                value = json.loads(line)
            except ValueError as error:
                raise RecordError(f"{where}, line {number}: not JSON ({error}): {one_line(line)}.") from error
            yield number, value
