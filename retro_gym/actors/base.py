"""The protocol of actors, their replies, and checks of both."""

from __future__ import annotations

import dataclasses
import inspect
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias, runtime_checkable

from retro_gym.actors.parsing import has_whole_action
from retro_gym.errors import ActorError, ConfigError, CutReplyError, one_line
from retro_gym.generation import Generation
from retro_gym.prompts import Prompt

__all__ = [
    "Actor",
    "ActorFunction",
    "ActorSpec",
    "CallableActor",
    "ConcurrentActor",
    "Reply",
    "as_count",
    "reply_all",
    "reply_of",
    "unless_cut",
]

_MOST_TOKENS = 10**12  # larger values are not valid counts
_SHOWN = 80  # characters of a truncated reply's end that its error shows


@dataclasses.dataclass(frozen=True)
class Reply:
    """An actor's output in one turn."""

    text: str
    """Thought and action. Excludes the separate reasoning of a reasoning model."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning: str = ""
    """The reasoning before the answer; recorded, but never parsed for an action."""
    cut: bool = False
    """Whether it was truncated at its token limit, reasoning included. Such a reply is used only if its action is
    complete, see :func:`unless_cut`."""
    generation: Generation | None = None
    """The tokens and log-probabilities, if the actor is a local model that learns."""


@runtime_checkable
class Actor(Protocol):
    """Plays trials. It sees text only and never accesses the environment."""

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns a reply or an ``ActorError`` for each prompt, in the same order."""
        ...


@runtime_checkable
class ConcurrentActor(Actor, Protocol):
    """An actor that can have many calls in flight, such as a server."""

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Sends one prompt and returns at once. The future gives the reply, or returns or raises an ``ActorError``."""
        ...


ActorFunction: TypeAlias = Callable[[Sequence[Prompt]], Sequence["str | Reply | ActorError"]]
ActorSpec: TypeAlias = "str | Actor | ActorFunction"


class CallableActor:
    """Wraps a function from prompts to texts as an actor.

    >>> actor = CallableActor(lambda prompts: ["Finish[yes]" for _ in prompts])
    >>> prompt = Prompt("Answer.", (), (), "Question: Is it so?", (), seed=0)
    >>> actor.reply([prompt])[0].text
    'Finish[yes]'
    """

    def __init__(self, function: ActorFunction) -> None:
        self.function = function

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Calls the function once with all prompts."""
        return [Reply(text) if isinstance(text, str) else text for text in _listed(self.function(prompts))]


def _listed(replies: object) -> list[Any]:
    """Returns an actor's replies as a list; refuses a single text, which would be split into characters."""
    if isinstance(replies, Iterable) and not isinstance(replies, str | bytes | Mapping | Set):
        return list(replies)
    if inspect.iscoroutine(replies):
        replies.close()  # avoids Python's warning that it was never awaited
    raise ConfigError(
        f"the actor gave {one_line(replies)} for all prompts together; a list with one reply for each is required."
    )


def reply_all(actor: Actor, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
    """Calls the actor on a batch of prompts and validates its replies.

    An ``ActorError`` that is raised instead of returned applies to every prompt of the batch. Any other exception is a
    bug and propagates, with a note that names the actor.

    Raises:
        ConfigError: the number of replies differs from that of prompts, or an item is not a reply.
    """
    try:
        replies = _listed(actor.reply(prompts))
    except ActorError as error:
        return [error] * len(prompts)
    except Exception as error:
        name = getattr(getattr(actor, "function", None), "__qualname__", type(actor).__name__)
        error.add_note(
            f"The actor {name} raised this for {len(prompts)} prompts. An ActorError that it returns for a prompt "
            "voids that trial alone."
        )
        raise
    if len(replies) != len(prompts):
        raise ConfigError(f"the actor gave {len(replies)} replies to {len(prompts)} prompts; one for each is required.")
    return [reply_of(reply) for reply in replies]


def reply_of(value: object) -> Reply | ActorError:
    """Validates what an actor returned for one prompt.

    A reply that was truncated before its action was complete becomes a ``CutReplyError``; invalid token counts are 0.

    Raises:
        ConfigError: it is neither a reply nor an error.
    """
    if isinstance(value, ActorError):
        return value
    if not isinstance(value, Reply) or not isinstance(value.text, str):
        raise ConfigError(
            f"the actor replied {one_line(value)}; a Reply or an ActorError is required, or a text from a function."
        )
    counts = as_count(value.prompt_tokens), as_count(value.completion_tokens)
    if counts != (value.prompt_tokens, value.completion_tokens):
        value = dataclasses.replace(value, prompt_tokens=counts[0], completion_tokens=counts[1])
    return unless_cut(value)


def unless_cut(reply: Reply, limit: str = "its token limit") -> Reply | CutReplyError:
    r"""Returns the reply, or an error if it was truncated before its action was complete.

    A retry would be of no use: the same prompt, seed and limit give the same result.

    Args:
        reply: any reply.
        limit: the token limit, for the message: ``"max_tokens=512"``.

    >>> str(unless_cut(Reply("Thought 1: I need the year.\nAction 1: Sea", cut=True), "max_tokens=16"))[:60]
    'the reply ran into max_tokens=16 before its action was whole'
    >>> unless_cut(Reply("Action 1: Finish[1934]\nWhich is", cut=True)).text
    'Action 1: Finish[1934]\nWhich is'
    """
    if not reply.cut or has_whole_action(reply.text):
        return reply
    text = reply.text.strip()
    part, wrote = ("text", text) if text else ("reasoning", reply.reasoning)
    end = repr(f"...{wrote[-_SHOWN:]}" if len(wrote) > _SHOWN else wrote)
    told = f"its {part} ends {end}" if wrote else "it is empty"
    error = CutReplyError(
        f"the reply ran into {limit} before its action was whole; {told}. "
        "Raise max_tokens (max_new_tokens of a local actor), which must leave room for the reasoning as well."
    )
    error.prompt_tokens, error.completion_tokens = reply.prompt_tokens, reply.completion_tokens
    return error


def as_count(value: object) -> int:
    """Returns a number of tokens as an int; 0 if it is invalid, since a reply is worth more than its exact cost.

    >>> [as_count(value) for value in (12, 12.0, "12", -1, float("nan"), "a lot", True, None)]
    [12, 12, 12, 0, 0, 0, 0, 0]
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real | str):
        return 0
    try:
        count = float(value)
    except (ValueError, OverflowError):
        return 0
    return int(count) if 0 <= count <= _MOST_TOKENS else 0
