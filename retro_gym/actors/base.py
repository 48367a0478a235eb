"""What plays: the protocol of actors, and what they reply."""

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

_MOST_TOKENS = 10**12  # what goes beyond is no count
_SHOWN = 80  # characters of a cut reply's end that its error shows


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
    """Whether it ran into its limit of tokens, reasoning included, so that its end may be missing. Such a reply is
    used only when its action is all there, see :func:`unless_cut`."""
    generation: Generation | None = None
    """The tokens, where the actor is a model of ours that learns."""


@runtime_checkable
class Actor(Protocol):
    """What plays. It sees text only and never touches the environment."""

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

    A reply that was cut before its action was whole becomes the error that it is; counts of tokens that are none are 0.

    Raises:
        ConfigError: it is neither a reply nor an error.
    """
    if isinstance(value, ActorError):
        return value
    if not isinstance(value, Reply) or not isinstance(value.text, str):
        raise ConfigError(
            f"the actor replied {one_line(value)}; a Reply or an ActorError is the rule, of functions a text too."
        )
    counts = as_count(value.prompt_tokens), as_count(value.completion_tokens)
    if counts != (value.prompt_tokens, value.completion_tokens):
        value = dataclasses.replace(value, prompt_tokens=counts[0], completion_tokens=counts[1])
    return unless_cut(value)


def unless_cut(reply: Reply, limit: str = "its limit of tokens") -> Reply | CutReplyError:
    r"""The reply, or, where it was cut before its action was whole, the error that takes its place.

    Asking again would be of no use: the same prompt, seed and limit lead to the same end.

    Args:
        reply: any reply.
        limit: what it ran into, for the message: ``"max_tokens=512"``.

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
    told = f"its {part} ends {end}" if wrote else "nothing of it came"
    error = CutReplyError(
        f"the reply ran into {limit} before its action was whole; {told}. "
        "Raise max_tokens (max_new_tokens of an actor in the process), which has to hold the reasoning as well."
    )
    error.prompt_tokens, error.completion_tokens = reply.prompt_tokens, reply.completion_tokens
    return error


def as_count(value: object) -> int:
    """A number of tokens, however it was written; 0 where it is no such number. Costs are worth less than replies.

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
