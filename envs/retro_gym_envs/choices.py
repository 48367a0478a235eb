"""The scripted actors' choices: random, but fixed by the trial's seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TypeVar

from retro_gym.seeding import derive_seed

__all__ = ["Choices"]

_RANGE = 2**31  # of derived seeds

_T = TypeVar("_T", bound=str)


@dataclasses.dataclass(frozen=True)
class Choices:
    """The choices of one trial: each option has a score in nats, and the best one after adding noise is chosen.

    With Gumbel noise of scale T this is sampling from a softmax at temperature T. The noise of an option depends only
    on the trial's seed, the name of the choice and the option, so an actor that reads its prompt anew in every turn
    decides consistently, and two trials with one seed differ only where their scores do.

    Args:
        seed: seed of the trial.
        temperature: scale T of the noise; 0 for none.
    """

    seed: int = 0
    temperature: float = 0.0

    def ranked(self, name: str, scores: Mapping[_T, float]) -> list[_T]:
        """Returns all options, the chosen one first; of equal options the first one given comes first.

        Args:
            name: name of the choice.
            scores: score of each option.

        >>> Choices().ranked("where", {"shelf 1": 0.0, "shelf 2": 1.0})
        ['shelf 2', 'shelf 1']
        """
        noisy = {option: score + self.temperature * self._noise(name, option) for option, score in scores.items()}
        return sorted(scores, key=lambda option: -noisy[option])

    def pick(self, name: str, scores: Mapping[_T, float]) -> _T:
        """Returns the chosen option; ``scores`` must not be empty."""
        return self.ranked(name, scores)[0]

    def happens(self, name: str, log_odds: float) -> bool:
        """Returns whether an event of these log-odds happens, at temperature 1; at 0 if they are positive."""
        return self.pick(name, {"no": 0.0, "yes": log_odds}) == "yes"

    def _noise(self, name: str, option: str) -> float:
        if not self.temperature:
            return 0.0
        uniform = (derive_seed(self.seed, name, option) + 0.5) / _RANGE
        return -math.log(-math.log(uniform))
