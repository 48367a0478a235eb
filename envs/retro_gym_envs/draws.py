"""Random draws from sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

__all__ = ["pick", "shuffled"]

_T = TypeVar("_T")


def pick(options: Sequence[_T], rng: np.random.Generator) -> _T:
    """Returns one of the options, drawn uniformly."""
    return options[int(rng.integers(len(options)))]


def shuffled(options: Sequence[_T], rng: np.random.Generator) -> tuple[_T, ...]:
    """Returns all options in random order."""
    return tuple(options[i] for i in rng.permutation(len(options)))
