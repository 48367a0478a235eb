"""Reads the rows of a data file one by one: a JSON array of objects, or JSONL, recognised by the first character.

Memory and time are bounded whatever the file holds: a row may take 4 MB and ten levels of nesting.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from retro_gym.errors import DataError, one_line

__all__ = ["MAX_BYTES", "MAX_DEPTH", "Metered", "first_character", "not_json", "open_data", "read_rows"]

MAX_BYTES = 4_000_000  # a HotpotQA task takes about 7 kB
MAX_DEPTH = 10  # levels of nested brackets; a HotpotQA task has 4
_PEEK = 65_536  # bytes that must contain the first character
_FORMS = "The file must be a JSON array of objects, or JSONL: one whole object on each line."
_OTHER_FORMATS = {
    b"\x1f\x8b": "gzip: unpack it first",
    b"PK": "a zip archive: unpack it first",
    codecs.BOM_UTF16_LE: "UTF-16: save it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16: save it as UTF-8",
    b"PAR1": "Parquet: export it as JSON",
}


def read_rows(path: str | os.PathLike[str]) -> Iterator[tuple[str, Any]]:
    """Yields the values of a JSON array, or of the lines of a JSONL file.

    Accepts UTF-8 with or without a byte order mark, Unix or Windows line ends, and blank lines.

    Args:
        path: a regular file.

    Yields:
        The row's position (file and record number, counted from 1) and the row; it need not be an object.

    Raises:
        DataError: no such file, not UTF-8, not JSON, truncated, empty, or a row that is too large.
    """
    where, file = open_data(path, _FORMS)
    with file:
        first = first_character(file, where, b"[{", _FORMS)
        count = 0
        for count, row in enumerate(_array(file, where) if first == b"[" else _lines(file, where), start=1):
            yield f"{where}, record {count}", row
        if not count:
            raise DataError(f"{where} holds no record: the array is empty. {_FORMS}")


def open_data(path: str | os.PathLike[str], forms: str) -> tuple[Path, IO[bytes]]:
    """Opens a data file.

    Args:
        path: a regular file.
        forms: what the file must hold, for the error message.

    Raises:
        DataError: there is no such file, or it is not a regular file.
    """
    where = Path(path)
    try:
        if where.exists() and not where.is_file():
            raise DataError(f"{where} is not a file but a {'folder' if where.is_dir() else 'device'}. {forms}")
        return where, where.open("rb")
    except (OSError, ValueError) as error:  # ValueError: the path contains a NUL
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{one_line(str(where), 200)} cannot be opened: {reason}. Check the path.") from error


def first_character(file: IO[bytes], where: Path, known: bytes, forms: str) -> bytes:
    """Returns the first character of the JSON and moves the file position past the byte order mark, if any.

    Args:
        file: at its beginning.
        where: its path, for the error message.
        known: the characters that are allowed.
        forms: what the file must hold, for the error message.

    Raises:
        DataError: the file is empty, blank, of another format, or begins with another character.
    """
    head = file.read(_PEEK)
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    text = head[mark:].lstrip(b" \t\r\n")
    if not text:
        raise DataError(f"{where} is {'blank' if head else 'empty'}. {forms}")
    for magic, advice in _OTHER_FORMATS.items():
        if head.startswith(magic):
            raise DataError(f"{where} is not JSON but looks like {advice}.")
    if text[:1] not in known:
        raise DataError(f"{where} is not JSON of the right form: it begins with {one_line(text[:40])}. {forms}")
    file.seek(mark)
    return text[:1]


class Metered:
    """A file wrapper that limits how many bytes one part (a row or an entry) may take.

    Args:
        file: the file to read from its current position.
        too_large: makes the error message for an oversized part from its number.
    """

    def __init__(self, file: IO[bytes], too_large: Callable[[int], str]) -> None:
        self._file = file
        self._too_large = too_large
        self.number = 1
        """The number of the part that is being read."""
        self.at_end = False
        self._used = 0

    def read(self, size: int = -1) -> bytes:
        """Returns bytes of the file, for a parser.

        Raises:
            DataError: the part is too large.
        """
        data = self._file.read(size)
        self._used += len(data)
        self.at_end = size != 0 and not data
        if self._used > MAX_BYTES:
            raise DataError(self._too_large(self.number))
        return data

    def next(self) -> None:
        """Marks the beginning of the next part."""
        self.number += 1
        self._used = 0


def _array(file: IO[bytes], where: Path) -> Iterator[Any]:
    """Yields the elements of a JSON array, built from events: ijson's items() takes memory quadratic in the nesting."""
    import ijson
    from ijson.common import ObjectBuilder

    metered = Metered(file, partial(_too_large, where))
    depth = 0
    builder = ObjectBuilder()
    try:
        for event, value in ijson.basic_parse(metered, use_float=True):
            opens = event in ("start_map", "start_array")
            depth -= event in ("end_map", "end_array")
            if depth > 0:  # at depth 0 the bracket is the array's own
                builder.event(event, value)
            if depth == 1 and not opens:
                yield builder.value
                metered.next()
                builder = ObjectBuilder()
            depth += opens
            if depth > MAX_DEPTH:
                raise DataError(f"{where}, record {metered.number}: brackets are nested over {MAX_DEPTH} levels deep.")
    except (ijson.JSONError, UnicodeDecodeError) as error:
        number = metered.number
        if metered.at_end:
            raise DataError(
                f"{where} is cut short: it ends within record {number}, or before the closing bracket of the array. "
                "Get a whole copy."
            ) from error
        raise DataError(f"{where}, record {number}: {not_json(error, _FORMS)}") from error


def not_json(error: Exception, forms: str) -> str:
    """Describes why ijson cannot read a part of a file.

    Args:
        error: ijson's error.
        forms: what the file must hold.
    """
    found = re.search(r"error: ([^.\\\n]*)", str(error))
    reason = found[1] if found else str(error)
    in_utf8 = not isinstance(error, UnicodeDecodeError) and "UTF8" not in reason
    return f"not JSON ({reason}). {forms if in_utf8 else 'Save the file as UTF-8.'}"


def _lines(file: IO[bytes], where: Path) -> Iterator[Any]:
    """Yields the values of the lines that are not blank."""
    number = 0
    while line := file.readline(MAX_BYTES + 1):
        if line.isspace():
            continue
        number += 1
        if len(line) > MAX_BYTES:
            raise DataError(_too_large(where, number))
        try:
            yield json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{where}, record {number}: not UTF-8 (byte {error.start} of the line). Save the file as UTF-8."
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}, record {number}: not a JSON object ({error}): {one_line(line[:200])}. {_FORMS}"
            ) from error


def _too_large(where: Path, number: int) -> str:
    return f"{where}, record {number}: takes more than {MAX_BYTES:,} bytes, which no task does. {_FORMS}"
