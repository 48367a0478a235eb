"""The file format of tapes, and functions that write and read it.

A tape (cassette) is an append-only JSONL file. Its first line, and the first line that each further recorder appends,
is a header: ``cassette`` (format version 1) and the actor's ``parameters``, which include its spec as ``actor``. Every
other line is a call:

- ``asked``: the call's number in its recording, in the order of the requests; lines are in the order of the replies;
- ``key``: a digest of everything that the actor was shown, of the stop texts and of the seed;
- ``prompt``: the ``text``, or the ``messages`` if the actor's shape is ``"chat"``, with ``stop`` and ``seed``;
- ``reply`` (the fields of a :class:`~retro_gym.actors.Reply`) or ``error`` (``class`` and ``message``).

Nothing else about the actor is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from retro_gym import errors
from retro_gym.actors.base import Reply
from retro_gym.errors import ActorError, DataError, RecordError, one_line
from retro_gym.generation import Generation
from retro_gym.jsonl import JsonLines, read_json_lines
from retro_gym.prompts import Prompt

__all__ = [
    "CASSETTE",
    "PARAMETERS",
    "Tape",
    "as_text",
    "common_length",
    "key_of",
    "parameters_of",
    "read_tape",
    "reply_of_row",
    "row_of",
    "shown",
]

CASSETTE = 1
"""The version of the file format."""

PARAMETERS = (
    "dtype",
    "max_new_tokens",
    "max_tokens",
    "mode",
    "model",
    "reasoning_effort",
    "shape",
    "temperature",
    "top_p",
)
"""The actor ``parameters`` that headers and reports may hold; URLs, keys and the like are excluded."""


class Tape:
    """Writes a tape; all copies of one recorder share it. Thread-safe.

    Args:
        path: an existing tape is appended to. The file is opened at the first call.

    Raises:
        RecordError: the file exists and is not a tape.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = JsonLines(path, '{"cassette"')
        self._lock = threading.Lock()
        self._asked = 0
        self._begun = False
        if self.file.path.is_file():
            for number, row in read_json_lines(self.file.path, "a tape"):
                _check_header(self.file.path, number, row)
                break

    def ask(self, prompts: int) -> int:
        """Reserves a number for each prompt; returns the first number."""
        with self._lock:
            self._asked += prompts
            return self._asked - prompts

    def write(self, parameters: Mapping[str, Any], call: Mapping[str, Any]) -> None:
        """Writes a call, preceded by the header if it is the first.

        Raises:
            RecordError: the file cannot be opened.
        """
        with self._lock:
            if not self._begun:
                self.file.write({"cassette": CASSETTE, "parameters": parameters})
                self._begun = True
            self.file.write(call)


def read_tape(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any], Reply | ActorError | None]]:
    """Yields the lines of a tape as (line number, row, reply); the reply is None for a header.

    Raises:
        RecordError: the file cannot be read, is empty, or has a line that is not in this version's format.
    """
    where, number = Path(path), 0
    for number, row in read_json_lines(where, "a tape"):
        if number == 1 or (isinstance(row, dict) and "cassette" in row):
            yield number, _check_header(where, number, row), None
            continue
        try:
            reply = reply_of_row(row)
            sound = (
                isinstance(row["key"], str) and isinstance(row["asked"], int) and {"stop", "seed"} <= {*row["prompt"]}
            )
            as_text(row["prompt"])
        except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
            raise _no_call(where, number, row) from error
        if not sound:
            raise _no_call(where, number, row)
        yield number, row, reply
    if number == 0:
        raise RecordError(f"{where} is empty. Record a tape first: RecordingActor(actor, path).")


def parameters_of(actor: object) -> dict[str, str | int | float]:
    """Returns the actor's declared ``parameters`` that may be published, see :data:`PARAMETERS`."""
    given = getattr(actor, "parameters", None)
    own = given if isinstance(given, Mapping) else {}
    return {name: own[name] for name in PARAMETERS if isinstance(own.get(name), str | int | float)}


def shown(prompt: Prompt, *, chat: bool) -> dict[str, Any]:
    """Returns the part of a prompt that the model is shown: ``messages``, or one ``text``."""
    return {"messages": prompt.messages("chat")} if chat else {"text": prompt.text}


def key_of(show: Mapping[str, Any], prompt: Prompt) -> str:
    """Returns the lookup key of a call: a digest of what the model is shown, the stop texts and the seed."""
    asked = json.dumps([dict(show), list(prompt.stop), int(prompt.seed)], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def as_text(show: Mapping[str, Any]) -> str:
    """Returns what the model is shown as one human-readable text."""
    if "text" in show:
        return str(show["text"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in show["messages"])


def common_length(one: str, other: str) -> int:
    """Returns the length of the common prefix of two texts, in characters.

    >>> common_length("Finish[1934]", "Finish[1943]")
    9
    """
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def row_of(reply: Reply | ActorError) -> dict[str, Any]:
    """Returns the fields of a tape's row for a reply or an error."""
    if isinstance(reply, Reply):
        row = dict(vars(reply))
        generation = row.pop("generation")
        return {"reply": row if generation is None else {**row, "generation": generation.to_json()}}
    # A user's subclass is replayed as its nearest base class in retro_gym.errors, which decides how a trial ends.
    kind = next(kind for kind in type(reply).__mro__ if kind.__module__ == errors.__name__)
    return {"error": {"class": kind.__name__, "message": str(reply)}}


def reply_of_row(row: Mapping[str, Any]) -> Reply | ActorError:
    """The inverse of :func:`row_of`.

    Raises:
        KeyError: the row holds neither a reply nor an error.
        TypeError: it has the wrong fields.
        AttributeError: the error class does not exist.
        DataError: the reply's generation is malformed.
    """
    if "reply" in row:
        fields = dict(row["reply"])
        generation = fields.pop("generation", None)
        return Reply(**fields, generation=None if generation is None else Generation.from_json(generation))
    kind = getattr(errors, row["error"]["class"])
    if not (isinstance(kind, type) and issubclass(kind, ActorError)):
        raise TypeError(f"{row['error']['class']} is not an ActorError")
    return kind(row["error"]["message"])


def _check_header(path: Path, number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("cassette") != CASSETTE or not isinstance(row.get("parameters"), dict):
        raise RecordError(
            f"{path}, line {number}: {one_line(row)} is not the header of a tape of version {CASSETTE}. "
            "Give the path of a tape that retro_gym of this version wrote, or of a new file."
        )
    return row


def _no_call(path: Path, number: int, row: object) -> RecordError:
    return RecordError(f"{path}, line {number}: {one_line(row)} is not a call in the tape format. Record it again.")
