"""What the scripted actors share: they read only a prompt's text, which must have the form of the default template."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias

from retro_gym.actors import Reply
from retro_gym.errors import ActorError, ConfigError, one_line
from retro_gym.prompts import END_OF_EXAMPLES, REFLECTIONS_HEADER, Prompt, without_last_trial
from retro_gym.seeding import trial_seed
from retro_gym_envs.choices import Choices

__all__ = [
    "TURN",
    "ScriptedTextActor",
    "Turns",
    "as_turn",
    "behind_examples",
    "notes_in",
    "parts_at_question",
    "turns_in",
]

_MOST_READ = 4_000  # characters of a reflection

Turns: TypeAlias = tuple[tuple[str, str], ...]
"""Action and observation of each turn."""

TURN = re.compile(r"^Action \d+: (.*)\nObservation \d+: (.*(?:\n(?!Thought \d|Action \d).*)*)", re.MULTILINE)
"""The pattern of a turn in a prompt: action and observation, which may have several lines."""


class ScriptedTextActor(ABC):
    """Reads a prompt's text and nothing else; the same text and the same trial seed give the same reply.

    It makes nothing of a last trial in its prompt: it follows advice, and a record of what happened is none. With
    ``memory="trajectory"`` it plays as in a plain retry.

    Args:
        temperature: scale of the noise in its choices, see :class:`~retro_gym_envs.choices.Choices`; 0 for none.
        thoughts: whether it says before each choice by chance what it has chosen. Its actions are the same.

    Raises:
        ConfigError: the temperature is not a finite number, at least 0, or ``thoughts`` is not a bool.
    """

    def __init__(self, temperature: float = 1.0, *, thoughts: bool = False) -> None:
        if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
            raise ConfigError(f"temperature is {one_line(temperature)}; it must be a finite number, at least 0.")
        if not isinstance(thoughts, bool):
            raise ConfigError(f"thoughts is {one_line(thoughts)}; give True or False.")
        self.temperature = float(temperature)
        self.thoughts = thoughts
        self.parameters: dict[str, float | bool] = {"temperature": self.temperature}
        if thoughts:
            self.parameters["thoughts"] = True

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns a reply to each prompt; words are counted as tokens."""
        replies = [(prompt.text, self.say(without_last_trial(prompt.text), prompt.seed)) for prompt in prompts]
        return [Reply(said, len(text.split()), len(said.split())) for text, said in replies]

    @abstractmethod
    def say(self, text: str, seed: int) -> str:
        """Returns thought and action, in the numbered form of a trajectory, for a prompt's text and seed."""

    def choices(self, seed: int, turn: int) -> Choices:
        """Returns the choices of the trial that a prompt belongs to.

        Args:
            seed: the prompt's seed.
            turn: number of turns that were played before.
        """
        return Choices(trial_seed(seed, turn), self.temperature)


def turns_in(text: str) -> Turns:
    """Returns action and observation of every turn in a prompt's history."""
    return tuple((match.group(1).strip(), match.group(2).strip()) for match in TURN.finditer(text))


def as_turn(number: int, thought: str, action: str) -> str:
    """Formats an optional thought and an action with the numbering of trajectories.

    >>> as_turn(2, "", "look")
    'Action 2: look'
    """
    return f"Thought {number}: {thought}\nAction {number}: {action}" if thought else f"Action {number}: {action}"


def behind_examples(text: str) -> str:
    """Returns a prompt without the instruction and the worked examples."""
    return text.rpartition(END_OF_EXAMPLES)[2]


def notes_in(head: str) -> list[str]:
    """Returns the reflections in the part of a prompt before the task, in order, without blank ones.

    Each is read up to its 4,000th character, since reading English takes time.
    """
    _, _, noted = head.partition(REFLECTIONS_HEADER)
    notes = [line[2:].strip() for line in noted.splitlines() if line.startswith("- ")]
    return [note[:_MOST_READ] for note in notes if note]


def parts_at_question(text: str) -> tuple[list[str], str, Turns]:
    """Returns the reflections, the question and the turns of a prompt whose task is ``Question: …``."""
    head, _, history = f"\n{behind_examples(text)}".rpartition("\nQuestion: ")
    question, _, rest = history.partition("\n")
    return notes_in(head), question.strip(), turns_in(rest)
