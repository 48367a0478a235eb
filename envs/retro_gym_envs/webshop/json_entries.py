"""Reads the entries of one large JSON object one by one, as ``json_rows`` reads the elements of an array.

Memory and time are bounded whatever the file holds: an entry may take 4 MB and ten levels of nesting.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from retro_gym.errors import DataError, one_line
from retro_gym_envs.json_rows import MAX_BYTES, MAX_DEPTH, Metered, first_character, not_json, open_data

__all__ = ["read_entries"]

_FORM = "The file must be one JSON object whose keys are product ids."


def read_entries(path: str | os.PathLike[str]) -> Iterator[tuple[str, str, Any]]:
    """Yields the keys and values of a JSON object.

    Args:
        path: a regular file in UTF-8.

    Yields:
        The entry's position (file and key), its key, and its value. A repeated key is yielded every time.

    Raises:
        DataError: no such file, not UTF-8, not a JSON object, truncated, empty, or an entry that is too large.
    """
    where, file = open_data(path, _FORM)
    with file:
        first_character(file, where, b"{", _FORM)
        count = 0
        for key, value in _entries(file, where):
            count += 1
            yield f"{where}, entry {one_line(key)}", key, value
        if not count:
            raise DataError(f"{where} holds no entry: the object is empty. {_FORM}")


def _entries(file: IO[bytes], where: Path) -> Iterator[tuple[str, Any]]:
    """Yields entries built from events, so that the nesting depth can be checked."""
    import ijson
    from ijson.common import ObjectBuilder

    metered = Metered(
        file,
        lambda number: (
            f"{where}, entry number {number}: takes more than {MAX_BYTES:,} bytes, which no entry does. {_FORM}"
        ),
    )
    depth, key = 0, ""
    builder = ObjectBuilder()
    try:
        for event, value in ijson.basic_parse(metered, use_float=True):
            opens = event in ("start_map", "start_array")
            depth -= event in ("end_map", "end_array")
            if depth == 1 and event == "map_key":
                key = value
                continue
            if depth > 0:  # at depth 0 the bracket is the object's own
                builder.event(event, value)
            if depth == 1 and not opens:
                yield key, builder.value
                metered.next()
                builder = ObjectBuilder()
            depth += opens
            if depth > MAX_DEPTH:
                raise DataError(f"{where}, entry {one_line(key)}: brackets are nested over {MAX_DEPTH} levels deep.")
    except (ijson.JSONError, UnicodeDecodeError) as error:
        last = f"entry number {metered.number}"
        if metered.at_end:
            raise DataError(f"{where} is cut short: it ends within {last}. Get a whole copy.") from error
        raise DataError(f"{where}, {last}: {not_json(error, _FORM)}") from error
