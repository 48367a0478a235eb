"""How sure a figure is: bootstrap intervals, paired differences, and the share of the possible gain."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retro_gym.errors import ConfigError

__all__ = ["Estimate", "bootstrap_mean", "gain_share", "paired_difference"]

RESAMPLES = 10_000
_CHUNK = 2_000_000  # drawn indices held at once: bounds the memory for a split of thousands of tasks


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over tasks with its interval. All three are nan when there was no task."""

    mean: float
    low: float
    high: float

    @property
    def ci(self) -> tuple[float, float]:
        """The interval as a pair."""
        return self.low, self.high

    @property
    def clear_of_zero(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: Sequence[float] | NDArray[np.float64], *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> Estimate:
    """The mean and its percentile bootstrap interval.

    Tasks are resampled with replacement. Values that are all alike give an interval of no width: a bootstrap
    cannot see what did not occur in the sample.

    Args:
        values: one figure for each task, in the figure's own unit.
        seed: of the resampling; the same seed gives the same interval.
        resamples: how many means are drawn.
        level: the share of the drawn means that the interval holds, in (0, 1).

    Returns:
        The estimate in the unit of the values; nan throughout for no values, a point for a single one.

    Raises:
        ConfigError: ``resamples`` or ``level`` is out of its rule.

    >>> bootstrap_mean([1.0, 1.0, 1.0], seed=0)
    Estimate(mean=1.0, low=1.0, high=1.0)
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1.")
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level is {level}; it must lie between 0 and 1, such as 0.95.")
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        return Estimate(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, _CHUNK // sample.size)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = sample[rng.integers(sample.size, size=(stop - start, sample.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(sample.mean()), float(low), float(high))


def paired_difference(
    values: Sequence[float], against: Sequence[float], *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> Estimate:
    """The mean difference of two policies on the same tasks, ``values`` minus ``against``.

    Whole pairs are resampled, so that what is hard or easy for both drops out of the interval.

    Args:
        values: one figure for each task.
        against: the figures of the other policy, task by task in the same order.
        seed: of the resampling.
        resamples: how many means are drawn.
        level: the share of the drawn means that the interval holds.

    Raises:
        ConfigError: the two are not of the same length.

    >>> paired_difference([1.0, 1.0], [0.0, 0.0], seed=0).clear_of_zero
    True
    """
    if len(values) != len(against):
        raise ConfigError(
            f"paired figures belong to the same tasks; received {len(values)} and {len(against)} of them."
        )
    differences = np.asarray(values, dtype=np.float64) - np.asarray(against, dtype=np.float64)
    return bootstrap_mean(differences, seed=seed, resamples=resamples, level=level)


def gain_share(score: float, *, none: float, oracle: float) -> float | None:
    """How far a score has come on the way from no reflection to the oracle's, in percent.

    Args:
        score: the success rate of the policy in question.
        none: that of the policy without reflections.
        oracle: that of the oracle.

    Returns:
        0 for the first, 100 for the second; below 0 or above 100 beyond them. None when the oracle gains nothing.

    >>> gain_share(0.75, none=0.5, oracle=1.0)
    50.0
    """
    if not oracle > none:
        return None
    return 100.0 * (score - none) / (oracle - none)
