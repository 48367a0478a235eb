"""The reflections that the actor's prompt holds."""

from __future__ import annotations

import dataclasses

from retro_gym.errors import ConfigError

__all__ = ["Memory"]


@dataclasses.dataclass(frozen=True)
class Memory:
    """A window of the latest reflections: when it is full, the oldest is dropped first.

    Immutable, so that branches of one state cannot affect each other.

    >>> memory = Memory(window=2).add("first").add("second").add("third")
    >>> memory.reflections
    ('second', 'third')
    """

    window: int = 3
    """How many reflections are kept."""
    reflections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ConfigError(f"memory window is {self.window}; it must be at least 1.")

    def add(self, reflection: str) -> Memory:
        """Returns the memory with one more reflection; a blank one is ignored."""
        if not reflection.strip():
            return self
        return Memory(self.window, (*self.reflections, reflection)[-self.window :])
