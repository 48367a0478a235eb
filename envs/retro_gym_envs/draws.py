"""What the noisy teachers have in common: how they choose, mostly by habit and now and then by understanding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

__all__ = ["guess", "pick"]

_T = TypeVar("_T")

_UNDERSTOOD = 0.25  # the share of choices by understanding


def pick(options: Sequence[_T], rng: np.random.Generator) -> _T:
    """One of the options, evenly."""
    return options[int(rng.integers(len(options)))]


def guess(options: Sequence[_T], right: Sequence[_T], rng: np.random.Generator, *, hasty: float) -> _T:
    """The first option by habit, one of the right ones by understanding; else any.

    Args:
        options: what there is to choose from, not empty.
        right: what would be right to choose; where there is none, nothing is understood.
        rng: of the draws.
        hasty: the share of choices by habit.
    """
    luck = rng.random()
    if luck < hasty:
        return options[0]
    return pick(right if right and luck < hasty + _UNDERSTOOD else options, rng)
