"""Confidence intervals of rates, means and paired differences, an exact sign test, and the share of the oracle's gain.

Rates have a score interval, whose width is never 0: 200 of 200 tasks solved do not show that the true rate is 1. Other
figures have a percentile bootstrap interval, which cannot account for values that are absent from the sample.

Several values may belong to one task: its episodes with several seeds, which are alike. ``tasks`` names the task of
each value. A mean is then the mean over tasks of each task's mean, so that every task counts the same. A bootstrap
resamples whole tasks. A score interval is that of the effective number of values: of as many independent ones as give
a mean the variance that the tasks' means show (Dean and Pagano, J. Surv. Stat. Methodol. 3, 2015). With one value for
each task it is the number of tasks.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Sequence
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
_CHUNK = 2_000_000  # bootstrap indices in memory at once: bounds the memory for a split of thousands of tasks
_HALVINGS = 60  # bisection steps on an interval of length 2: below the precision of a float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over tasks with its confidence interval. All three are nan if there are no values."""

    mean: float
    low: float
    high: float

    @property
    def ci(self) -> tuple[float, float]:
        """The interval as a pair."""
        return self.low, self.high

    @property
    def clear_of_zero(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class PairedDifference(Estimate):
    """The difference of two success rates on the same tasks, with counts and p-value."""

    won: int
    """Tasks that the first policy solved more often."""
    lost: int
    """Tasks that the second policy solved more often."""
    tied: int
    """Tasks that both solved equally often."""
    p_value: float
    """The p-value of :func:`sign_test`; nan if there are no tasks."""
    bootstrap: tuple[float, float]
    """The percentile bootstrap interval over tasks, for comparison; nan if all tasks' differences are equal."""


def success_rate(values: Sequence[float], *, tasks: Sequence[Hashable] | None = None, level: float = 0.95) -> Estimate:
    """Returns the share of ones and its score interval (Wilson, J. Am. Stat. Assoc. 22, 1927).

    Averaged over true rates, its coverage is close to ``level``; since counts are discrete, it is a few points off at
    some rates (92 % at a rate of 0.995 with 200 tasks, where a percentile bootstrap covers 63 %).

    Args:
        values: 1 or 0 (or True, False) for each episode.
        tasks: the task of each value; by default each belongs to a task of its own.
        level: nominal coverage of the interval, in (0, 1).

    Raises:
        ConfigError: a value is neither 0 nor 1, ``tasks`` is of another length, or ``level`` is out of range.

    >>> rate = success_rate([1] * 200)
    >>> rate.mean, round(rate.low, 3), rate.high
    (1.0, 0.981, 1.0)
    """
    z = _z(level)
    _check_binary(values)
    means = _task_means(values, tasks)
    if means.size == 0:
        return Estimate(math.nan, math.nan, math.nan)
    rate = float(means.mean())
    n = _effective_number(rate * (1 - rate), means, len(values))
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # The exact values of the formula's bounds at rates of 0 and 1, without rounding errors.
    return Estimate(rate, 0.0 if rate == 0 else centre - half, 1.0 if rate == 1 else centre + half)


def paired_difference(
    values: Sequence[float],
    against: Sequence[float],
    *,
    tasks: Sequence[Hashable] | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """Returns the difference of two success rates on the same tasks, ``values`` minus ``against``, with its interval.

    The interval is Tango's (Stat. Med. 17, 1998): all differences that a score test of the paired tasks does not
    reject. Pairing removes the variance of task difficulty, and the width is never 0. A bootstrap over tasks gives
    almost the same interval if many tasks were won and many lost, too narrow a one if few were (with 60 tasks of three
    episodes, 2 % of them won and none lost, it covers 77 % in place of 95 %), and none if all differences are equal.

    Args:
        values: 1 or 0 for each episode.
        against: the same for the other policy, with the episodes in the same order.
        tasks: the task of each pair; by default each belongs to a task of its own.
        seed: seed of the bootstrap.
        level: nominal coverage of the interval, in (0, 1).

    Raises:
        ConfigError: the sequences differ in length, or a value is neither 0 nor 1.

    >>> difference = paired_difference([1, 1, 1, 0], [0, 0, 1, 0])
    >>> difference.mean, difference.won, difference.lost, difference.tied, difference.p_value
    (0.5, 2, 0, 2, 0.5)
    """
    if len(values) != len(against):
        raise ConfigError(
            f"paired values must belong to the same episodes; received {len(values)} and {len(against)} of them."
        )
    z = _z(level)
    _check_binary([*values, *against])
    differences = np.subtract(values, against, dtype=np.float64)
    means = _task_means(differences, tasks)
    if means.size == 0:
        return PairedDifference(math.nan, math.nan, math.nan, 0, 0, 0, math.nan, (math.nan, math.nan))
    gained, forfeited = (float(_task_means(side, tasks).mean()) for side in (differences > 0, differences < 0))
    n = _effective_number(gained + forfeited - (gained - forfeited) ** 2, means, len(values))
    low, high = -_highest(forfeited * n, gained * n, n, z), _highest(gained * n, forfeited * n, n, z)
    resampled = bootstrap_mean(differences, tasks=tasks, seed=seed, level=level)
    won, lost = int((means > 0).sum()), int((means < 0).sum())
    p_value = sign_test(won, lost)
    return PairedDifference(float(means.mean()), low, high, won, lost, means.size - won - lost, p_value, resampled.ci)


def sign_test(won: int, lost: int) -> float:
    """Returns the p-value of the exact two-sided sign test: won and lost are equally likely under the null hypothesis.

    On paired successes this is McNemar's exact test.

    Args:
        won: tasks decided one way.
        lost: tasks decided the other way. Ties are ignored.

    Returns:
        The p-value, in (0, 1]; 1 when no task was decided.

    >>> sign_test(6, 0)
    0.03125
    """
    check_whole(0, won=won, lost=lost)
    won, lost = int(won), int(lost)  # NumPy's numbers would overflow
    decided, fewer = won + lost, min(won, lost)
    tail = ways = 1  # ways is the binomial coefficient of decided over 0, then 1, 2 and so on; tail is their sum
    for k in range(fewer):
        ways = ways * (decided - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << decided))


def bootstrap_mean(
    values: Sequence[float] | NDArray[np.float64],
    *,
    tasks: Sequence[Hashable] | None = None,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Estimate:
    """Returns the mean of values and its percentile bootstrap interval. For rates use :func:`success_rate`.

    Tasks are resampled with replacement. If all tasks have equal means, a bootstrap cannot estimate the uncertainty:
    the interval is then nan, not of width 0.

    Args:
        values: one value for each episode, in any unit.
        tasks: the task of each value; by default each belongs to a task of its own.
        seed: seed of the resampling; the same seed gives the same interval.
        resamples: number of bootstrap samples.
        level: the share of the resampled means within the interval, in (0, 1).

    Returns:
        The estimate in the unit of the values; all nan if there are no values.

    Raises:
        ConfigError: ``resamples`` or ``level`` is out of range, or ``tasks`` is of another length.

    >>> bootstrap_mean([0.5, 0.5, 0.5], seed=0)
    Estimate(mean=0.5, low=nan, high=nan)
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1.")
    _z(level)
    sample = _task_means(values, tasks)
    if sample.size == 0:
        return Estimate(math.nan, math.nan, math.nan)
    if (sample == sample[0]).all():
        return Estimate(float(sample[0]), math.nan, math.nan)
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))  # derive_seed takes any whole number
    means = np.empty(resamples)
    rows = max(1, _CHUNK // sample.size)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = sample[rng.integers(sample.size, size=(stop - start, sample.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(sample.mean()), float(low), float(high))


def gain_share(score: float, *, none: float, oracle: float) -> float | None:
    """Returns a policy's gain over no reflection as a percentage of the oracle's gain.

    Args:
        score: success rate of the policy.
        none: success rate without reflections.
        oracle: success rate of the oracle.

    Returns:
        0 at ``none``, 100 at ``oracle``; it may lie outside [0, 100]. None if the oracle gains nothing.

    >>> gain_share(0.75, none=0.5, oracle=1.0)
    50.0
    """
    if not oracle > none:
        return None
    return 100.0 * (score - none) / (oracle - none)


def _check_binary(values: Sequence[float]) -> None:
    wrong = next((value for value in values if value not in (0, 1)), None)
    if wrong is not None:
        raise ConfigError(f"success {one_line(wrong)} is neither 0 nor 1. Use bootstrap_mean for other values.")


def _task_means(
    values: Sequence[float] | NDArray[np.float64] | NDArray[np.bool_], tasks: Sequence[Hashable] | None
) -> NDArray[np.float64]:
    """Returns the mean of each task's values, in the order in which the tasks first occur."""
    sample = np.asarray(values, dtype=np.float64)
    if tasks is None:
        return sample
    if len(tasks) != sample.size:
        raise ConfigError(f"tasks names {len(tasks)} tasks for {sample.size} values; give the task of each value.")
    places: dict[Hashable, int] = {}
    place = np.array([places.setdefault(task, len(places)) for task in tasks], dtype=np.intp)
    means: NDArray[np.float64] = np.bincount(place, weights=sample) / np.bincount(place)
    return means


def _effective_number(variance: float, means: NDArray[np.float64], count: int) -> float:
    """Returns how many independent values have a mean of the same variance as the mean of the tasks' means.

    Args:
        variance: of a single value.
        means: of the tasks.
        count: number of values, which the result does not exceed.
    """
    if variance == 0:  # all episodes ended alike: nothing shows that those of one task are more than one observation
        return means.size
    between = float(means.var())
    return min(count, means.size * variance / between) if between > 0 else count


def _z(level: float) -> float:
    """Returns the quantile of the standard normal distribution for a two-sided level."""
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level is {level}; it must lie between 0 and 1, such as 0.95.")
    return NormalDist().inv_cdf((1 + level) / 2)


def _highest(won: float, lost: float, n: float, z: float) -> float:
    """Returns the greatest difference that Tango's score test does not reject, by bisection (it is monotone).

    Args:
        won: pairs that only the first policy solved; a fraction if ``n`` is an effective number.
        lost: pairs that only the second policy solved.
        n: number of pairs.
        z: quantile of the normal distribution.
    """
    if won == n:
        return 1.0
    low, high = (won - lost) / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # The maximum-likelihood share of tasks lost, given that the difference of the rates is middle.
        b = (2 * n - won + lost) * middle - won - lost
        share = (math.sqrt(b * b + 8 * n * lost * middle * (1 - middle)) - b) / (4 * n)
        deviation = math.sqrt(n * (2 * share + middle * (1 - middle)))
        if n * middle - (won - lost) <= z * deviation:
            low = middle
        else:
            high = middle
    return (low + high) / 2
