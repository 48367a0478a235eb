"""What the actor's prompt holds of earlier trials: reflections, the last failed trial, or both."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias, get_args

from retro_gym.errors import ConfigError
from retro_gym.prompts import render_observation
from retro_gym.trajectory import Trajectory

__all__ = ["MEMORY_KINDS", "Memory", "MemoryKind"]

MemoryKind: TypeAlias = Literal["reflections", "trajectory", "both"]
"""What is remembered: the three strategies of Reflexion (arXiv 2303.11366) beside the plain retry."""
MEMORY_KINDS: tuple[MemoryKind, ...] = get_args(MemoryKind)


@dataclasses.dataclass(frozen=True)
class Memory:
    """A window of the latest reflections, and the last failed trial as text, as far as the kind remembers them.

    Immutable, so that branches of one state cannot affect each other.

    >>> memory = Memory(window=2).add("first").add("second").add("third")
    >>> memory.reflections
    ('second', 'third')
    >>> Memory(kind="trajectory").add("first").reflections
    ()
    """

    window: int = 3
    """How many reflections are kept; when the window is full, the oldest is dropped first."""
    reflections: tuple[str, ...] = ()
    kind: MemoryKind = "reflections"
    max_trajectory_chars: int = 6_000
    """A longer trial loses its longest parts, see :func:`retro_gym.prompts.render_observation`."""
    last_trial: str = ""
    """The last failed trial; empty if there is none, or if it is not remembered."""

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ConfigError(f"memory window is {self.window}; it must be at least 1.")

    def add(self, reflection: str) -> Memory:
        """Returns the memory with one more reflection; a blank one, and one that is not remembered, is ignored."""
        if not reflection.strip() or self.kind == "trajectory":
            return self
        return dataclasses.replace(self, reflections=(*self.reflections, reflection)[-self.window :])

    def after(self, failed: Trajectory) -> Memory:
        """Returns the memory after a failed trial, which takes the place of the one before."""
        if self.kind == "reflections":
            return self
        text = render_observation(failed, (), "{trajectory}", self.max_trajectory_chars, whole_words=True)
        return dataclasses.replace(self, last_trial=str(text))
