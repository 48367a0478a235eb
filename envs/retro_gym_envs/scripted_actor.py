"""What the scripted actors have in common: they play from a prompt's text, in the form of the default template."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence

from retro_gym.actors import Reply
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt

__all__ = ["TURN", "ScriptedTextActor", "turns_in"]

TURN = re.compile(r"^Action \d+: (.*)\nObservation \d+: (.*(?:\n(?!Thought \d|Action \d).*)*)", re.MULTILINE)
"""A turn in a prompt: action and observation, which may have several lines."""


def turns_in(text: str) -> tuple[tuple[str, str], ...]:
    """Action and observation of every turn in a prompt's history."""
    return tuple((match.group(1).strip(), match.group(2).strip()) for match in TURN.finditer(text))


class ScriptedTextActor(ABC):
    """Deterministic: the same prompt text gives the same reply."""

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """A reply to each prompt; words are counted as tokens."""
        replies = [(prompt.text, self.say(prompt.text)) for prompt in prompts]
        return [Reply(said, len(text.split()), len(said.split())) for text, said in replies]

    @abstractmethod
    def say(self, text: str) -> str:
        """Thought and action, in the numbered form of a trajectory, on what a prompt says."""
