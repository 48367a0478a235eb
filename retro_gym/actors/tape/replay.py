"""Actors that record a tape and that play one back; :mod:`retro_gym.actors.tape.cassette` says what stands on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

from retro_gym.actors.base import Actor, ConcurrentActor, Reply, reply_all, reply_of
from retro_gym.actors.secrets import mask, secrets_of
from retro_gym.actors.tape.cassette import (
    Tape,
    as_text,
    common_length,
    key_of,
    parameters_of,
    read_tape,
    reply_of_row,
    row_of,
    shown,
)
from retro_gym.errors import ActorError, CassetteError, one_line
from retro_gym.prompts import Prompt

__all__ = ["RecordingActor", "ReplayActor"]

_REMEDY = (
    "A replay must be of the run that was recorded: the same environment, arguments, seed and reflections, and the "
    "same version of all of them. Run it so, or record it again."
)


# -- recording -----------------------------------------------------------------------------------------------------


class RecordingActor:
    """Another actor, whose every prompt and reply goes onto a tape.

    Replies are handed on as they stand on the tape: where an error's text holds a key, the run sees the mask as well,
    so that it and its replay are the same to the byte. An exception that is no ``ActorError`` passes and is not
    recorded; neither is a call that was cancelled.

    What it wraps decides what it can do: with an actor that has ``submit`` it is a
    :class:`~retro_gym.actors.ConcurrentActor` too, and it has its ``batch_size``. Deep copies write to the same tape.
    An unpickled one appends to the same file; it is not meant for several processes at once.

    Args:
        actor: the actor. What :func:`~retro_gym.actors.parameters_of` says of it goes into the header; its ``"shape"``
            says whether it is shown text or messages.
        path: the tape. One that exists is appended to. It is opened at the first reply.
        name: what reports are to call the actor, in a replay as well; its spec.

    Raises:
        RecordError: the file exists and is no tape.

    >>> import tempfile
    >>> from retro_gym.actors import CallableActor
    >>> prompt = Prompt("Answer.", (), (), "Question: Is it so?", (), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     recording = RecordingActor(CallableActor(lambda prompts: ["Finish[yes]"]), f"{folder}/tape.jsonl")
    ...     live = recording.reply([prompt])
    ...     recording.close()
    ...     ReplayActor(f"{folder}/tape.jsonl").reply([prompt]) == live
    True
    """

    def __new__(cls, actor: Actor, path: str | os.PathLike[str], *, name: str | None = None) -> RecordingActor:
        """Picks the class that fits the actor, since a protocol is told by the methods that are there."""
        concurrent = cls is RecordingActor and isinstance(actor, ConcurrentActor)
        return super().__new__(_ConcurrentRecordingActor if concurrent else cls)

    def __init__(self, actor: Actor, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        self.actor = actor
        self._name = name
        self._tape = Tape(path)

    @property
    def path(self) -> Path:
        """The tape."""
        return self._tape.file.path

    @property
    def batch_size(self) -> int | None:
        """The wrapped actor's, if it has one."""
        return getattr(self.actor, "batch_size", None)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the tape's header says of the wrapped actor."""
        return {**({"actor": self._name} if self._name is not None else {}), **parameters_of(self.actor)}

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """The actor's replies, each on the tape before it is handed on."""
        first = self._tape.ask(len(prompts))
        replies = reply_all(self.actor, prompts)
        return [
            self._note(first + number, prompt, reply)
            for number, (prompt, reply) in enumerate(zip(prompts, replies, strict=True))
        ]

    def close(self) -> None:
        """Closes the tape, and the actor where it can be closed. May be called again; a later reply opens it anew."""
        self._tape.file.close()
        close = getattr(self.actor, "close", None)
        if callable(close):
            close()

    def _note(self, asked: int, prompt: Prompt, reply: Reply | ActorError) -> Reply | ActorError:
        """Writes one call and returns the reply as the tape has it."""
        secrets = secrets_of(self.actor)
        parameters = mask(self.parameters, secrets)
        show = shown(prompt, chat=parameters.get("shape") == "chat")
        said = mask(row_of(reply), secrets)
        call = {
            "asked": asked,
            "key": key_of(show, prompt),
            "prompt": mask({**show, "stop": list(prompt.stop), "seed": int(prompt.seed)}, secrets),
            **said,
        }
        self._tape.write(parameters, call)
        return reply if said == row_of(reply) else reply_of_row(said)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin.actor, twin._tape, twin._name = deepcopy(self.actor, memo), self._tape, self._name
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        public = RecordingActor if type(self) is _ConcurrentRecordingActor else type(self)
        return public, (self.actor, self.path), {"_name": self._name}

    def __repr__(self) -> str:  # the actor's own might show a key
        return f"RecordingActor({type(self.actor).__name__}, {str(self.path)!r})"


class _ConcurrentRecordingActor(RecordingActor):
    """Records an actor that can have many calls in flight."""

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Sends one prompt; what comes back is on the tape before the future gives it."""
        if not isinstance(self.actor, ConcurrentActor):
            raise TypeError(f"{type(self.actor).__name__} has lost its submit().")
        asked = self._tape.ask(1)
        inner = self.actor.submit(prompt)
        outer: Future[Reply | ActorError] = Future()

        def pass_on(done: Future[Reply | ActorError]) -> None:
            if done.cancelled():
                outer.cancel()
            if not outer.set_running_or_notify_cancel():
                return
            try:
                try:
                    reply = reply_of(done.result())
                except ActorError as error:
                    reply = error
                outer.set_result(self._note(asked, prompt, reply))
            except Exception as error:  # a bug, or a full disk: whoever waits for the reply is told
                outer.set_exception(error)

        outer.add_done_callback(lambda future: inner.cancel() if future.cancelled() else None)
        inner.add_done_callback(pass_on)
        return outer


# -- playing back --------------------------------------------------------------------------------------------------


class ReplayActor:
    """Plays a tape back, strictly: to the prompt that was recorded, the reply that was recorded, errors included.

    A prompt that was asked several times gets its replies in the order in which they were asked for, each once; in
    which order different prompts are asked makes no difference. Any other prompt, and a repetition beyond those
    recorded, is a :class:`~retro_gym.errors.CassetteError`. That is raised, not returned: a run that is not the
    recorded one must stop.

    Two trials whose prompts are the same to the last letter and seed (one reflection twice in one ``branch``) cannot be
    told apart; where a random actor answered them differently, they may change places.

    Deep copies are the actor itself: together they play the tape once. An unpickled one goes on from where it was.

    Args:
        path: the tape.

    Raises:
        RecordError: the file cannot be read, or is no tape of this version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.parameters: dict[str, Any] = {}
        """The recorded actor's; of the last recording, where there are several."""
        self._chat: set[bool] = set()
        self._asked: Counter[str] = Counter()
        self._replies = self._read()

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """What the tape has for each prompt.

        Raises:
            CassetteError: a prompt, or one more repetition of it, that is not on the tape.
        """
        return [self._next(prompt) for prompt in prompts]

    def __len__(self) -> int:
        return sum(map(len, self._replies.values()))

    def _next(self, prompt: Prompt) -> Reply | ActorError:
        keys = [key_of(shown(prompt, chat=chat), prompt) for chat in sorted(self._chat)]
        key = next((key for key in keys if key in self._replies), None)
        if key is None:
            where = self._where_it_parts(prompt)
            raise CassetteError(f"{self.path} has no reply to {_name(prompt)}. {where} {_REMEDY}")
        number, replies = self._asked[key], self._replies[key]
        if number == len(replies):
            raise CassetteError(
                f"{self.path} has {len(replies)} replies to {_name(prompt)}, and it is asked once more. {_REMEDY}"
            )
        self._asked[key] += 1
        return replies[number]

    def _read(self) -> dict[str, list[Reply | ActorError]]:
        found: dict[str, list[tuple[int, int, Reply | ActorError]]] = {}
        recordings = 0
        for _, row, reply in read_tape(self.path):
            if reply is None:
                self.parameters = dict(row["parameters"])
                recordings += 1
            else:
                found.setdefault(row["key"], []).append((recordings, row["asked"], reply))
                self._chat.add("messages" in row["prompt"])
        # Sorted by the numbers alone: replies have no order.
        return {key: [call[2] for call in sorted(calls, key=lambda call: call[:2])] for key, calls in found.items()}

    def _where_it_parts(self, prompt: Prompt) -> str:
        """Says which prompt of the tape is nearest, and where the two part."""
        from rapidfuzz import fuzz

        secrets = secrets_of()
        asked = {chat: mask(as_text(shown(prompt, chat=chat)), secrets) for chat in self._chat}
        best, line, nearest = -1.0, 0, {}
        for number, row, reply in read_tape(self.path):
            if reply is not None:
                mine = asked["messages" in row["prompt"]]
                score = fuzz.ratio(mine, as_text(row["prompt"]), score_cutoff=max(best, 0.0))
                if score > best:
                    best, line, nearest = score, number, row["prompt"]
        if not nearest:
            return "The tape holds no call at all."
        start = f"The nearest of the {len(self)} prompts on it, in line {line},"
        mine, theirs = asked["messages" in nearest], as_text(nearest)
        if mine == theirs:
            return f"{start} has the same text, but {_differences(nearest, prompt)}."
        at = common_length(mine, theirs)
        return (
            f"{start} parts from it at character {at}, in line {mine.count(chr(10), 0, at) + 1} of the text: after "
            f"{mine[max(0, at - 30) : at]!r} the tape has {theirs[at : at + 60]!r} and this run "
            f"{mine[at : at + 60]!r}."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:  # what is on the tape need not travel with the actor
        return type(self), (self.path,), {"_asked": self._asked}

    def __repr__(self) -> str:
        return f"ReplayActor({str(self.path)!r})"


def _name(prompt: Prompt) -> str:
    task = mask(prompt.task, secrets_of())
    return f"the prompt of turn {len(prompt.turns) + 1} with seed {prompt.seed} on {one_line(task, 60)}"


def _differences(recorded: Mapping[str, Any], prompt: Prompt) -> str:
    asked = {"stop": list(prompt.stop), "seed": int(prompt.seed)}
    return " and ".join(
        f"its {name} is {recorded[name]!r} and this run's is {value!r}"
        for name, value in asked.items()
        if recorded[name] != value
    )
