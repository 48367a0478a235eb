"""Actors that record and replay a tape; :mod:`retro_gym.actors.tape.cassette` documents its format."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

from retro_gym.actors.base import Actor, ConcurrentActor, Reply, reply_all, reply_of
from retro_gym.actors.budget import Budget
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
    "A replay must repeat the recorded run: the same environment, arguments, seed and reflections, and the same "
    "versions. Run it with these, or record it again."
)


# -- recording -----------------------------------------------------------------------------------------------------


class RecordingActor:
    """Wraps an actor and records every prompt and reply on a tape.

    Replies are returned as they are recorded: if a key is masked in an error's text, the run receives the masked text
    too, so that the run and its replay are identical. An exception other than ``ActorError`` propagates and is not
    recorded; neither is a cancelled call.

    The interface follows the wrapped actor: if that has ``submit``, the recorder is a
    :class:`~retro_gym.actors.ConcurrentActor` too; ``batch_size`` is the same. Deep copies write to the same tape. An
    unpickled recorder appends to the same file; several processes must not write to it concurrently.

    Args:
        actor: the actor. Its :func:`~retro_gym.actors.parameters_of` go into the header; its ``"shape"`` decides
            whether text or messages are recorded.
        path: the tape. An existing one is appended to. The file is opened at the first reply.
        name: the actor's name in reports, also in those of a replay; normally its spec.

    Raises:
        RecordError: the file exists and is not a tape.

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
        """Picks the class that fits the actor, since ``isinstance`` checks a protocol by its methods."""
        concurrent = cls is RecordingActor and isinstance(actor, ConcurrentActor)
        return super().__new__(_ConcurrentRecordingActor if concurrent else cls)

    def __init__(self, actor: Actor, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        self.actor = actor
        self._name = name
        self._tape = Tape(path)

    @property
    def path(self) -> Path:
        """The tape's path."""
        return self._tape.file.path

    @property
    def batch_size(self) -> int | None:
        """The wrapped actor's batch size, if it has one."""
        return getattr(self.actor, "batch_size", None)

    @property
    def budget(self) -> Budget | None:
        """The wrapped actor's budget, if it has one."""
        return getattr(self.actor, "budget", None)

    @property
    def parameters(self) -> dict[str, Any]:
        """The wrapped actor's parameters in the tape's header."""
        return {**({"actor": self._name} if self._name is not None else {}), **parameters_of(self.actor)}

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns the actor's replies, after each has been written to the tape."""
        first = self._tape.ask(len(prompts))
        replies = reply_all(self.actor, prompts)
        return [
            self._note(first + number, prompt, reply)
            for number, (prompt, reply) in enumerate(zip(prompts, replies, strict=True))
        ]

    def close(self) -> None:
        """Closes the tape, and the actor if it has ``close``. Idempotent; a later reply reopens the tape."""
        self._tape.file.close()
        close = getattr(self.actor, "close", None)
        if callable(close):
            close()

    def _note(self, asked: int, prompt: Prompt, reply: Reply | ActorError) -> Reply | ActorError:
        """Writes one call and returns the reply as recorded."""
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
        """Sends one prompt; the reply is written to the tape before the future is done."""
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
            except Exception as error:  # a bug, or a full disk: the future's owner must learn of it
                outer.set_exception(error)

        outer.add_done_callback(lambda future: inner.cancel() if future.cancelled() else None)
        inner.add_done_callback(pass_on)
        return outer


# -- replay --------------------------------------------------------------------------------------------------------


class ReplayActor:
    """Replays a tape strictly: each recorded prompt gets its recorded reply, errors included.

    A prompt that was recorded several times gets its replies in the order of the requests, each once; the order of
    different prompts makes no difference. Any other prompt, or one more repetition than recorded, raises
    :class:`~retro_gym.errors.CassetteError`. It is raised, not returned, because a run that deviates from the recorded
    one must stop.

    Two trials with identical prompts and seeds (the same reflection twice in one ``branch``) cannot be distinguished;
    if a stochastic actor answered them differently, their replies may be swapped.

    A deep copy is the actor itself, so that all copies together replay the tape once. An unpickled actor resumes at the
    position where it was pickled.

    Args:
        path: the tape.

    Raises:
        RecordError: the file cannot be read, or is not a tape of this version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.parameters: dict[str, Any] = {}
        """The recorded actor's parameters; those of the last recording if there are several."""
        self._chat: set[bool] = set()
        self._asked: Counter[str] = Counter()
        self._replies = self._read()

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns the recorded reply to each prompt.

        Raises:
            CassetteError: a prompt, or one more repetition of it, is not on the tape.
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
                f"{self.path} has {len(replies)} replies to {_name(prompt)}; this run requests one more. {_REMEDY}"
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
        # Sorted by the numbers only: replies cannot be compared.
        return {key: [call[2] for call in sorted(calls, key=lambda call: call[:2])] for key, calls in found.items()}

    def _where_it_parts(self, prompt: Prompt) -> str:
        """Says which recorded prompt is most similar, and where the two differ."""
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
            return "The tape holds no calls."
        start = f"The most similar of the {len(self)} prompts on it, in line {line},"
        mine, theirs = asked["messages" in nearest], as_text(nearest)
        if mine == theirs:
            return f"{start} has the same text, but {_differences(nearest, prompt)}."
        at = common_length(mine, theirs)
        return (
            f"{start} differs from it at character {at}, in line {mine.count(chr(10), 0, at) + 1} of the text: after "
            f"{mine[max(0, at - 30) : at]!r} the tape has {theirs[at : at + 60]!r} and this run "
            f"{mine[at : at + 60]!r}."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:  # the tape's contents are read again, not pickled
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
