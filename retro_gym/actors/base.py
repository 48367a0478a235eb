"""The frozen model that plays: the protocol of actors, and what they reply."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias, runtime_checkable

from retro_gym.errors import ActorError, ConfigError, one_line
from retro_gym.prompts import Prompt

__all__ = ["Actor", "ActorFunction", "ActorSpec", "CallableActor", "ConcurrentActor", "Reply", "reply_all", "reply_of"]


@dataclasses.dataclass(frozen=True)
class Reply:
    """What an actor says in one turn."""

    text: str
    """Thought and action. Reasoning that the model keeps apart from its answer is not part of it."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning: str = ""
    """What a reasoning model thought before it answered; recorded, and never read as an action."""
    cut: bool = False
    """Whether it ran into its limit of tokens, reasoning included, so that its end may be missing."""


@runtime_checkable
class Actor(Protocol):
    """A frozen model. It sees text only and never touches the environment."""

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One reply, or the error that took its place, for each prompt, in the same order."""
        ...


@runtime_checkable
class ConcurrentActor(Actor, Protocol):
    """An actor that can have many calls in flight, such as a server."""

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Sends one prompt and returns at once. The future gives the reply, or gives or raises an ``ActorError``."""
        ...


ActorFunction: TypeAlias = Callable[[Sequence[Prompt]], Sequence["str | Reply | ActorError"]]
ActorSpec: TypeAlias = "str | Actor | ActorFunction"


class CallableActor:
    """Any function from prompts to texts, as an actor.

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
    """What an actor gave for its prompts, one by one; a single text would fall into its letters."""
    if isinstance(replies, Iterable) and not isinstance(replies, str | bytes | Mapping | Set):
        return list(replies)
    if inspect.iscoroutine(replies):
        replies.close()  # or Python would warn that nobody awaits it
    raise ConfigError(
        f"the actor gave {one_line(replies)} for all prompts together; a list with one reply for each is the rule."
    )


def reply_all(actor: Actor, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
    """Asks the actor and holds it to the protocol.

    An ``ActorError`` that is raised instead of returned stands for every prompt of the batch. Any other exception
    is a bug and passes through.

    Raises:
        ConfigError: another number of replies than of prompts, or something that is not a reply.
    """
    try:
        replies = _listed(actor.reply(prompts))
    except ActorError as error:
        return [error] * len(prompts)
    if len(replies) != len(prompts):
        raise ConfigError(f"the actor gave {len(replies)} replies to {len(prompts)} prompts; one for each is the rule.")
    return [reply_of(reply) for reply in replies]


def reply_of(value: object) -> Reply | ActorError:
    """What an actor gave for one prompt, held to the protocol.

    Raises:
        ConfigError: it is neither a reply nor an error.
    """
    if not isinstance(value, Reply | ActorError):
        raise ConfigError(f"the actor replied {one_line(value)}; a Reply, a str or an ActorError is the rule.")
    return value
