"""Tapes: what stands on them, and how it is written and read.

A tape (cassette) is an append-only JSONL file. Its first line, and the first that every further recorder adds, is a
header: ``cassette`` (this version: 1) and the actor's ``parameters``, its spec among them as ``actor``. Every other
line is a call:

- ``asked``: the call's number in its recording, in the order of asking; the lines stand in the order of the answers;
- ``key``: a digest of all that the actor was shown, of the stop texts and of the seed;
- ``prompt``: the ``text``, or the ``messages`` where the actor's shape is ``"chat"``, with ``stop`` and ``seed``;
- ``reply`` (the fields of a :class:`~retro_gym.actors.Reply`) or ``error`` (``class`` and ``message``).

Nothing else of the actor is written.
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
"""The version of the format."""

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
"""What headers and reports may hold of an actor's ``parameters``: all but addresses, keys and the like."""


class Tape:
    """A tape that is written to: the file behind all copies of one recorder. Replies may come from several threads.

    Args:
        path: one that exists is appended to. It is opened at the first call.

    Raises:
        RecordError: the file exists and is no tape.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = JsonLines(path)
        self._lock = threading.Lock()
        self._asked = 0
        self._begun = False
        if self.file.path.is_file():
            for number, row in read_json_lines(self.file.path, "a tape"):
                _check_header(self.file.path, number, row)
                break

    def ask(self, prompts: int) -> int:
        """Numbers some calls; returns the first number."""
        with self._lock:
            self._asked += prompts
            return self._asked - prompts

    def write(self, parameters: Mapping[str, Any], call: Mapping[str, Any]) -> None:
        """Writes a call, and the header before the first one.

        Raises:
            RecordError: the file cannot be opened.
        """
        with self._lock:
            if not self._begun:
                self.file.write({"cassette": CASSETTE, "parameters": parameters})
                self._begun = True
            self.file.write(call)


def read_tape(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any], Reply | ActorError | None]]:
    """The lines of a tape: number, row and reply; the reply is None in a header.

    Raises:
        RecordError: the file cannot be read, is empty, or has a line that is not of this version's format.
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
    """What shapes an actor's replies besides the prompts, as far as it says so and all may see it."""
    given = getattr(actor, "parameters", None)
    own = given if isinstance(given, Mapping) else {}
    return {name: own[name] for name in PARAMETERS if isinstance(own.get(name), str | int | float)}


def shown(prompt: Prompt, *, chat: bool) -> dict[str, Any]:
    """All that the model is shown of a prompt: ``messages``, or one ``text``."""
    return {"messages": prompt.messages("chat")} if chat else {"text": prompt.text}


def key_of(show: Mapping[str, Any], prompt: Prompt) -> str:
    """The digest that a call is found by: of what the model is shown, the stop texts and the seed."""
    asked = json.dumps([dict(show), list(prompt.stop), int(prompt.seed)], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def as_text(show: Mapping[str, Any]) -> str:
    """What the model is shown, as one text for people."""
    if "text" in show:
        return str(show["text"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in show["messages"])


def common_length(one: str, other: str) -> int:
    """How many characters two texts begin with alike.

    >>> common_length("Finish[1934]", "Finish[1943]")
    9
    """
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def row_of(reply: Reply | ActorError) -> dict[str, Any]:
    """A reply or an error as it stands on a tape."""
    if isinstance(reply, Reply):
        row = dict(vars(reply))
        generation = row.pop("generation")
        return {"reply": row if generation is None else {**row, "generation": generation.to_json()}}
    # A class of the user's own is replayed as the one of ours that it stems from: that decides what it does to a trial.
    kind = next(kind for kind in type(reply).__mro__ if kind.__module__ == errors.__name__)
    return {"error": {"class": kind.__name__, "message": str(reply)}}


def reply_of_row(row: Mapping[str, Any]) -> Reply | ActorError:
    """What :func:`row_of` made a row of.

    Raises:
        KeyError: neither a reply nor an error stands there.
        TypeError: its fields are not those of one.
        AttributeError: an error class that there is not.
        DataError: the reply's generation is none.
    """
    if "reply" in row:
        fields = dict(row["reply"])
        generation = fields.pop("generation", None)
        return Reply(**fields, generation=None if generation is None else Generation.from_json(generation))
    kind = getattr(errors, row["error"]["class"])
    if not (isinstance(kind, type) and issubclass(kind, ActorError)):
        raise TypeError(f"{row['error']['class']} is no ActorError")
    return kind(row["error"]["message"])


def _check_header(path: Path, number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("cassette") != CASSETTE or not isinstance(row.get("parameters"), dict):
        raise RecordError(
            f"{path}, line {number}: {one_line(row)} is not the header of a tape of version {CASSETTE}. "
            "Give the path of a tape that retro_gym of this version wrote, or of a new file."
        )
    return row


def _no_call(path: Path, number: int, row: object) -> RecordError:
    return RecordError(f"{path}, line {number}: {one_line(row)} is no call on a tape. Record it again.")
