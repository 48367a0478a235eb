"""The frozen model that plays: a protocol, and the ways to name one."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from retro_gym.errors import ActorError, ConfigError, one_line
from retro_gym.prompts import Prompt
from retro_gym.task_env import TaskEnv

__all__ = ["Actor", "ActorFunction", "ActorSpec", "CallableActor", "Reply", "make_actor", "parse_reply", "reply_all"]


@dataclasses.dataclass(frozen=True)
class Reply:
    """What an actor says in one turn."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


@runtime_checkable
class Actor(Protocol):
    """A frozen model. It sees text only and never touches the environment."""

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One reply, or the error that took its place, for each prompt, in the same order."""
        ...


ActorFunction: TypeAlias = Callable[[Sequence[Prompt]], Sequence["str | Reply | ActorError"]]
ActorSpec: TypeAlias = "str | Actor | ActorFunction"


class CallableActor:
    """Any function from prompts to texts, as an actor.

    >>> actor = CallableActor(lambda prompts: ["Finish[yes]" for _ in prompts])
    >>> prompt = Prompt("Answer.", (), (), "Question: Is it so?", (), seed=0)
    >>> actor.reply([prompt])
    [Reply(text='Finish[yes]', prompt_tokens=0, completion_tokens=0)]
    """

    def __init__(self, function: ActorFunction) -> None:
        self.function = function

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Calls the function once with all prompts."""
        return [Reply(text) if isinstance(text, str) else text for text in self.function(prompts)]


def make_actor(spec: ActorSpec, task_env: TaskEnv) -> Actor:
    """The actor that a spec names.

    Args:
        spec: ``"scripted"`` (the task environment's own), ``"python:MODULE:NAME"`` (an actor, or a function on
            prompts, found by import: a name that stays JSON-able), an :class:`Actor`, or a function on prompts.
        task_env: where ``"scripted"`` is asked for its actor.

    Raises:
        ConfigError: a spec of another form, or one that leads to nothing callable.
    """
    if isinstance(spec, str):
        if spec == "scripted":
            return task_env.scripted_actor()
        kind, _, rest = spec.partition(":")
        if kind != "python":
            raise ConfigError(
                f"actor {spec!r} is not known. Give 'scripted', 'python:MODULE:NAME', an object with "
                "reply(prompts), or a function on prompts."
            )
        return make_actor(_imported(spec, rest), task_env)
    if isinstance(spec, Actor):
        return spec
    if callable(spec):
        return CallableActor(spec)
    raise ConfigError(f"actor {one_line(spec)} has neither reply(prompts) nor is it callable.")


def _imported(spec: str, path: str) -> Actor | ActorFunction:
    module, _, name = path.partition(":")
    if not module or not name:
        raise ConfigError(f"actor {spec!r} does not have the form 'python:MODULE:NAME'.")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"actor {spec!r} cannot be imported: {error}.") from error
    if isinstance(found, str):
        raise ConfigError(f"actor {spec!r} leads to the text {one_line(found)}, not to an actor.")
    actor: Actor | ActorFunction = found
    return actor


def reply_all(actor: Actor, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
    """Asks the actor and holds it to the protocol.

    An ``ActorError`` that is raised instead of returned stands for every prompt of the batch. Any other exception
    is a bug and passes through.

    Raises:
        ConfigError: another number of replies than of prompts, or something that is not a reply.
    """
    try:
        replies = list(actor.reply(prompts))
    except ActorError as error:
        return [error] * len(prompts)
    if len(replies) != len(prompts):
        raise ConfigError(f"the actor gave {len(replies)} replies to {len(prompts)} prompts; one for each is the rule.")
    for reply in replies:
        if not isinstance(reply, Reply | ActorError):
            raise ConfigError(f"the actor replied {one_line(reply)}; a Reply, a str or an ActorError is the rule.")
    return replies


_ACTION_LINE = re.compile(r"^[ \t]*Action[ \t]*\d*[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_THOUGHT_LABEL = re.compile(r"^[ \t]*Thought[ \t]*\d*[ \t]*:[ \t]*", re.MULTILINE)


def parse_reply(text: str) -> tuple[str, str]:
    r"""Splits a ReAct reply into thought and action.

    The action is the first line that is labelled so; without a label the whole reply is the action.

    >>> parse_reply("Thought 2: I know it.\nAction 2: Finish[1934]")
    ('I know it.', 'Finish[1934]')
    >>> parse_reply("Finish[1934]")
    ('', 'Finish[1934]')
    """
    found = _ACTION_LINE.search(text)
    if found is None:
        return "", _THOUGHT_LABEL.sub("", text).strip()
    thought = _THOUGHT_LABEL.sub("", text[: found.start()])
    return " ".join(thought.split()), found.group(1)
