"""Test doubles of actors with predetermined replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retro_gym.actors import Actor, Reply
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt

__all__ = ["EchoActor", "FlakyActor", "LuckyActor", "ScriptedActor"]


class ScriptedActor:
    """Replies from a list, turn by turn, the same in every trial; repeats the last reply at the end of the list.

    >>> actor = ScriptedActor(["Search[Velmora]", "Finish[1934]"])
    >>> prompt = Prompt("Answer.", (), (), "Question: When?", (), seed=0)
    >>> actor.reply([prompt])[0].text
    'Search[Velmora]'
    """

    def __init__(self, replies: Sequence[str]) -> None:
        self.replies = tuple(replies)

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns the reply for each prompt's turn."""
        return [Reply(self.replies[min(len(prompt.turns), len(self.replies) - 1)]) for prompt in prompts]


class EchoActor:
    """Replies with the last reflection, or with ``default`` if there is none; stores every prompt in ``prompts``."""

    def __init__(self, default: str = "") -> None:
        self.default = default
        self.prompts: list[Prompt] = []

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns one echo for each prompt; counts characters as tokens."""
        self.prompts.extend(prompts)
        texts = [prompt.reflections[-1] if prompt.reflections else self.default for prompt in prompts]
        return [Reply(text, len(prompt.text), len(text)) for text, prompt in zip(texts, prompts, strict=True)]


class FlakyActor:
    """Wraps an actor and simulates connection failures on some prompts.

    Args:
        actor: the wrapped actor.
        fails: whether a prompt fails, for example ``lambda prompt: prompt.seed % 3 == 0``.
    """

    def __init__(self, actor: Actor, fails: Callable[[Prompt], bool]) -> None:
        self.actor = actor
        self.fails = fails

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns the actor's replies, with an ``ActorError`` in place of some."""
        replies = self.actor.reply(prompts)
        return [
            ActorError("no connection (simulated)") if self.fails(prompt) else reply
            for prompt, reply in zip(prompts, replies, strict=True)
        ]


class LuckyActor:
    """Replies with a random text, drawn from the prompt's seed, regardless of the prompt's content.

    Args:
        replies: texts and their probabilities, which sum to 1.
    """

    def __init__(self, replies: Mapping[str, float]) -> None:
        self.texts = tuple(replies)
        self.probabilities = tuple(replies.values())

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Draws a reply for each prompt; the same prompt seed gives the same reply."""
        return [
            Reply(str(np.random.default_rng(prompt.seed).choice(self.texts, p=self.probabilities)))
            for prompt in prompts
        ]
