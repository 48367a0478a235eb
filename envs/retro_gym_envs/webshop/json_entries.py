"""Reads the entries of one large JSON object one by one, as ``json_rows`` reads the elements of an array.

Whatever the file holds, memory and time stay bounded: an entry may take 4 MB and ten levels of nesting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from retro_gym.errors import DataError, one_line

__all__ = ["read_entries"]

_ENTRY_BYTES = 4_000_000  # what WebShop notes of a product takes about 1 kB
_DEPTH = 10  # brackets inside one another; WebShop's files have 4
_PEEK = 65_536  # bytes in which the first character must stand
_FORM = "The file must be one JSON object whose keys are product ids."
_BOM = b"\xef\xbb\xbf"


def read_entries(path: str | os.PathLike[str]) -> Iterator[tuple[str, str, Any]]:
    """The keys and values of a JSON object.

    Args:
        path: a regular file in UTF-8.

    Yields:
        Where the entry stands (file and key), its key, and its value. A key that comes twice is yielded twice.

    Raises:
        DataError: no such file, not UTF-8, not a JSON object, cut short, empty, or an entry that is too large.
    """
    where = Path(path)
    try:
        if where.exists() and not where.is_file():
            raise DataError(f"{where} is not a file but a {'folder' if where.is_dir() else 'device'}. {_FORM}")
        file = where.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{one_line(str(where), 200)} cannot be opened: {reason}. Check the path.") from error
    with file:
        head = file.read(_PEEK)
        mark = len(_BOM) if head.startswith(_BOM) else 0
        text = head[mark:].lstrip(b" \t\r\n")
        if not text.startswith(b"{"):
            received = f"begins with {one_line(text[:40])}" if text else "is blank" if head else "is empty"
            raise DataError(f"{where} {received}. {_FORM}")
        file.seek(mark)
        count = 0
        for key, value in _entries(file, where):
            count += 1
            yield f"{where}, entry {one_line(key)}", key, value
        if not count:
            raise DataError(f"{where} holds no entry: the object is empty. {_FORM}")


class _Metered:
    """A file that refuses to hand out more than one entry may take."""

    def __init__(self, file: IO[bytes], where: Path) -> None:
        self._file = file
        self._where = where
        self.entries = 0
        self.used = 0
        self.at_end = False

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.used += len(data)
        self.at_end = size != 0 and not data
        if self.used > _ENTRY_BYTES:
            raise DataError(
                f"{self._where}, entry number {self.entries + 1}: takes more than {_ENTRY_BYTES:,} bytes, which no "
                f"entry does. {_FORM}"
            )
        return data

    def next_entry(self) -> None:
        self.entries += 1
        self.used = 0


def _entries(file: IO[bytes], where: Path) -> Iterator[tuple[str, Any]]:
    """Built from events, so that the nesting can be watched."""
    import ijson
    from ijson.common import ObjectBuilder

    metered = _Metered(file, where)
    depth, key = 0, ""
    builder = ObjectBuilder()
    try:
        for event, value in ijson.basic_parse(metered, use_float=True):
            opens = event in ("start_map", "start_array")
            depth -= event in ("end_map", "end_array")
            if depth == 1 and event == "map_key":
                key = value
                continue
            if depth > 0:  # otherwise it is a bracket of the object itself
                builder.event(event, value)
            if depth == 1 and not opens:
                yield key, builder.value
                metered.next_entry()
                builder = ObjectBuilder()
            depth += opens
            if depth > _DEPTH:
                raise DataError(f"{where}, entry {one_line(key)}: brackets are nested over {_DEPTH} levels deep.")
    except (ijson.JSONError, UnicodeDecodeError) as error:
        last = f"entry number {metered.entries + 1}"
        if metered.at_end:
            raise DataError(f"{where} is cut short: it ends within {last}. Get a whole copy.") from error
        reason = re.search(r"error: ([^.\\\n]*)", str(error))
        raise DataError(f"{where}, {last}: not JSON ({reason[1] if reason else error}). {_FORM}") from error
