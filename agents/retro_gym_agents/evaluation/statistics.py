"""How sure a figure is: intervals of rates, means and paired differences, an exact test, and the share of the gain.

A rate has a score interval, which is never of no width: 200 of 200 tasks solved do not show that the next one will be.
Other figures have a percentile bootstrap interval, which cannot see what did not occur in the sample.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError, one_line
from retro_gym.seeding import derive_seed

__all__ = [
    "Estimate",
    "PairedDifference",
    "bootstrap_mean",
    "gain_share",
    "paired_difference",
    "sign_test",
    "success_rate",
]

RESAMPLES = 10_000
_CHUNK = 2_000_000  # drawn indices held at once: bounds the memory for a split of thousands of tasks
_HALVINGS = 60  # of an interval of length 2: far below what a float can tell


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


@dataclasses.dataclass(frozen=True)
class PairedDifference(Estimate):
    """The difference of two success rates on the same tasks, with what it is made of."""

    won: int
    """Tasks that the first one solved and the other did not."""
    lost: int
    """Tasks that the other one solved and the first did not."""
    tied: int
    """Tasks that both solved, or neither."""
    p_value: float
    """Of :func:`sign_test`; nan when there was no task."""
    bootstrap: tuple[float, float]
    """The percentile bootstrap interval over tasks, for comparison; nan where all differences are alike."""


def success_rate(values: Sequence[float], *, level: float = 0.95) -> Estimate:
    """The share of ones and its score interval (Wilson, J. Am. Stat. Assoc. 22, 1927).

    It holds the true rate about as often as it says, on the average over rates; by its discreteness it is a few points
    off at single ones (92 % at a rate of 0.995 with 200 tasks, where a percentile bootstrap's holds 63 %).

    Args:
        values: 1 or 0 (or True, False) for each task.
        level: how often the interval is to hold the true rate, in (0, 1).

    Raises:
        ConfigError: a value is neither 0 nor 1, or ``level`` is out of its rule.

    >>> rate = success_rate([1] * 200)
    >>> rate.mean, round(rate.low, 3), rate.high
    (1.0, 0.981, 1.0)
    """
    n, ones, z = len(values), _ones(values), _z(level)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan)
    rate = ones / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # What the formula gives in exact arithmetic at its ends.
    return Estimate(rate, 0.0 if ones == 0 else centre - half, 1.0 if ones == n else centre + half)


def paired_difference(
    values: Sequence[float], against: Sequence[float], *, seed: int = 0, level: float = 0.95
) -> PairedDifference:
    """The difference of two success rates on the same tasks, ``values`` minus ``against``, and its score interval.

    The interval is Tango's (Stat. Med. 17, 1998): all differences that a score test of the paired tasks does not
    reject. What is hard or easy for both drops out of it, and it is never of no width. A bootstrap over tasks gives
    almost the same where some tasks were won and some were lost, and a point where all differences are alike.

    Args:
        values: 1 or 0 for each task.
        against: those of the other policy, task by task in the same order.
        seed: of the bootstrap.
        level: how often the interval is to hold the true difference, in (0, 1).

    Raises:
        ConfigError: the two are not of the same length, or a value is neither 0 nor 1.

    >>> difference = paired_difference([1, 1, 1, 0], [0, 0, 1, 0])
    >>> difference.mean, difference.won, difference.lost, difference.tied, difference.p_value
    (0.5, 2, 0, 2, 0.5)
    """
    if len(values) != len(against):
        raise ConfigError(
            f"paired figures belong to the same tasks; received {len(values)} and {len(against)} of them."
        )
    n, z = len(values), _z(level)
    _ones([*values, *against])
    won = sum(bool(one > other) for one, other in zip(values, against, strict=True))
    lost = sum(bool(one < other) for one, other in zip(values, against, strict=True))
    if n == 0:
        return PairedDifference(math.nan, math.nan, math.nan, 0, 0, 0, math.nan, (math.nan, math.nan))
    low, high = -_highest(lost, won, n, z), _highest(won, lost, n, z)
    resampled = bootstrap_mean(np.subtract(values, against, dtype=np.float64), seed=seed, level=level)
    p_value = sign_test(won, lost)
    return PairedDifference((won - lost) / n, low, high, won, lost, n - won - lost, p_value, resampled.ci)


def sign_test(won: int, lost: int) -> float:
    """How likely a split at least as uneven would be if each decided task were a fair coin: two-sided and exact.

    On paired successes this is McNemar's exact test.

    Args:
        won: tasks decided one way.
        lost: tasks decided the other way. Ties say nothing.

    Returns:
        The p-value, in (0, 1]; 1 when no task was decided.

    >>> sign_test(6, 0)
    0.03125
    """
    check_whole(0, won=won, lost=lost)
    won, lost = int(won), int(lost)  # NumPy's numbers would overflow
    decided, fewer = won + lost, min(won, lost)
    tail = ways = 1  # of choosing 0 of them, then 1, 2 and so on
    for k in range(fewer):
        ways = ways * (decided - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << decided))


def bootstrap_mean(
    values: Sequence[float] | NDArray[np.float64], *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> Estimate:
    """The mean of figures that are no mere successes, and its percentile bootstrap interval.

    Tasks are resampled with replacement. Where all values are alike a bootstrap has nothing to go by: the interval is
    then nan, not of no width. For rates there is :func:`success_rate`.

    Args:
        values: one figure for each task, in the figure's own unit.
        seed: of the resampling; the same seed gives the same interval.
        resamples: how many means are drawn.
        level: the share of the drawn means that the interval holds, in (0, 1).

    Returns:
        The estimate in the unit of the values; nan throughout for no values.

    Raises:
        ConfigError: ``resamples`` or ``level`` is out of its rule.

    >>> bootstrap_mean([0.5, 0.5, 0.5], seed=0)
    Estimate(mean=0.5, low=nan, high=nan)
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1.")
    _z(level)
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        return Estimate(math.nan, math.nan, math.nan)
    if (sample == sample[0]).all():
        return Estimate(float(sample[0]), math.nan, math.nan)
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))  # which takes any whole number
    means = np.empty(resamples)
    rows = max(1, _CHUNK // sample.size)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = sample[rng.integers(sample.size, size=(stop - start, sample.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(sample.mean()), float(low), float(high))


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


def _ones(values: Sequence[float]) -> int:
    wrong = next((value for value in values if value not in (0, 1)), None)
    if wrong is not None:
        raise ConfigError(f"{one_line(wrong)} is no success: 0 or 1 is the rule. For other figures: bootstrap_mean.")
    return sum(map(int, values))


def _z(level: float) -> float:
    """The quantile of the normal distribution that belongs to a two-sided level."""
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level is {level}; it must lie between 0 and 1, such as 0.95.")
    return NormalDist().inv_cdf((1 + level) / 2)


def _highest(won: int, lost: int, n: int, z: float) -> float:
    """The greatest difference that Tango's score test does not reject, by bisection; its statistic falls with it."""
    if won == n:
        return 1.0
    low, high = (won - lost) / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The likeliest share of tasks lost, were the difference of the rates the one in question.
        b = (2 * n - won + lost) * middle - won - lost
        share = (math.sqrt(b * b + 8 * n * lost * middle * (1 - middle)) - b) / (4 * n)
        deviation = math.sqrt(n * (2 * share + middle * (1 - middle)))
        if n * middle - (won - lost) <= z * deviation:
            low = middle
        else:
            high = middle
    return (low + high) / 2
