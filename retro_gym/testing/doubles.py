"""Doubles of actors: what they say is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retro_gym.actors import Actor, Reply
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt

__all__ = ["EchoActor", "FlakyActor", "LuckyActor", "ScriptedActor"]


class ScriptedActor:
    """Replies from a list, turn by turn, the same in every trial; stays at the last reply when it is used up.

    >>> actor = ScriptedActor(["Search[Velmora]", "Finish[1934]"])
    >>> prompt = Prompt("Answer.", (), (), "Question: When?", (), seed=0)
    >>> actor.reply([prompt])[0].text
    'Search[Velmora]'
    """

    def __init__(self, replies: Sequence[str]) -> None:
        self.replies = tuple(replies)

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """The reply that belongs to each prompt's turn."""
        return [Reply(self.replies[min(len(prompt.turns), len(self.replies) - 1)]) for prompt in prompts]


class EchoActor:
    """Replies with the last reflection, or with ``default`` where there is none; notes every prompt it was given."""

    def __init__(self, default: str = "") -> None:
        self.default = default
        self.prompts: list[Prompt] = []

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One echo for each prompt; counts characters as tokens."""
        self.prompts.extend(prompts)
        texts = [prompt.reflections[-1] if prompt.reflections else self.default for prompt in prompts]
        return [Reply(text, len(prompt.text), len(text)) for text, prompt in zip(texts, prompts, strict=True)]


class FlakyActor:
    """Another actor that now and then cannot be reached.

    Args:
        actor: the actor behind the bad line.
        fails: whether a prompt fails, for example ``lambda prompt: prompt.seed % 3 == 0``.
    """

    def __init__(self, actor: Actor, fails: Callable[[Prompt], bool]) -> None:
        self.actor = actor
        self.fails = fails

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """The actor's replies, with an error in place of some."""
        replies = self.actor.reply(prompts)
        return [
            ActorError("no connection (simulated)") if self.fails(prompt) else reply
            for prompt, reply in zip(prompts, replies, strict=True)
        ]


class LuckyActor:
    """An actor that succeeds by luck alone, drawn from the seed in its prompt.

    Args:
        replies: text and probability; they sum to 1.
    """

    def __init__(self, replies: Mapping[str, float]) -> None:
        self.texts = tuple(replies)
        self.probabilities = tuple(replies.values())

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """A draw for each prompt; the same prompt seed gives the same draw."""
        return [
            Reply(str(np.random.default_rng(prompt.seed).choice(self.texts, p=self.probabilities)))
            for prompt in prompts
        ]
