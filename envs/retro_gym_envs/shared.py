"""Immutable objects that deep copies share: environments are deep-copied for parallel trials."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Shared"]


class Shared:
    """A deep copy is the object itself."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
