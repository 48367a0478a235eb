from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from retro_gym.errors import ConfigError
from retro_gym_agents.evaluation.statistics import (
    bootstrap_mean,
    gain_share,
    paired_difference,
    sign_test,
    success_rate,
)


def solved(count, of):
    return [1] * count + [0] * (of - count)


def pairs(won, lost, of):
    """Successes of two policies on the same tasks."""
    return [1] * won + [0] * (of - won), [0] * won + [1] * lost + [0] * (of - won - lost)


@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (0, 50), (50, 50), (1, 200), (199, 200), (57, 200), (3, 7)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_a_rate_has_the_interval_of_wilson(count, of, level):
    oracle = stats.binomtest(count, of).proportion_ci(level, method="wilson")
    estimate = success_rate(solved(count, of), level=level)
    assert estimate.mean == count / of
    assert estimate.ci == pytest.approx((oracle.low, oracle.high), abs=1e-12)
    assert 0.0 <= estimate.low < estimate.high <= 1.0  # never of no width


@pytest.mark.parametrize(("rate", "least"), [(0.995, 0.92), (0.005, 0.92), (0.99, 0.94), (0.5, 0.94), (0.97, 0.94)])
def test_intervals_of_rates_cover_near_the_ends_too(rate, least):
    # By enumeration, 200 tasks. At 0.995 the percentile bootstrap covers 61 %.
    covered = 0.0
    for count in range(201):
        low, high = success_rate(solved(count, 200)).ci
        covered += stats.binom.pmf(count, 200, rate) * (low <= rate <= high)
    assert least <= covered < 0.99


@pytest.mark.parametrize(
    ("won", "lost", "of"), [(0, 0, 30), (30, 0, 30), (0, 30, 30), (1, 0, 200), (7, 2, 40), (3, 9, 12), (15, 15, 30)]
)
def test_a_paired_difference_has_the_interval_of_tango(won, lost, of):

    def deviation(difference):
        """The score statistic, with the likelihood of (won, lost, tied) maximised numerically."""

        def surprise(q):  # q: the chance of losing a task; that of winning it is q + difference
            terms = ((won, q + difference), (lost, q), (of - won - lost, 1 - 2 * q - difference))
            return -sum(n * math.log(max(p, 1e-300)) for n, p in terms if n)

        bounds = max(0.0, -difference), (1 - difference) / 2
        q = optimize.minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-13}).x
        return (won - lost - of * difference) / math.sqrt(of * (2 * q + difference * (1 - difference)))

    estimate = paired_difference(*pairs(won, lost, of))
    assert (estimate.won, estimate.lost, estimate.tied) == (won, lost, of - won - lost)
    assert estimate.mean == pytest.approx((won - lost) / of)
    assert estimate.low < estimate.high
    assert estimate.low == (
        -1.0
        if lost == of
        else pytest.approx(
            optimize.brentq(lambda d: deviation(d) - 1.959964, -1 + 1e-9, estimate.mean - 1e-9), abs=1e-5
        )
    )
    assert estimate.high == (
        1.0
        if won == of
        else pytest.approx(optimize.brentq(lambda d: deviation(d) + 1.959964, estimate.mean + 1e-9, 1 - 1e-9), abs=1e-5)
    )


@pytest.mark.parametrize(
    ("win", "lose"), [(0.0, 0.0), (0.005, 0.0), (0.995, 0.0), (0.02, 0.005), (0.005, 0.005), (0.7, 0.01), (0.15, 0.1)]
)
def test_intervals_of_paired_differences_cover_near_the_ends_too(win, lose):
    rng = np.random.default_rng(0)
    covered, seen = 0, {}
    for won, lost, _ in rng.multinomial(200, [win, lose, 1 - win - lose], size=1_000):
        if (won, lost) not in seen:
            seen[won, lost] = paired_difference(*pairs(won, lost, 200)).ci
        low, high = seen[won, lost]
        covered += low <= win - lose <= high
    assert covered >= 900


@pytest.mark.parametrize(("won", "lost", "of"), [(30, 5, 100), (12, 9, 60), (3, 1, 200)])
def test_beside_it_stands_the_bootstrap_over_tasks(won, lost, of):
    one, other = pairs(won, lost, of)
    estimate = paired_difference(one, other, seed=4)
    oracle = stats.bootstrap((np.subtract(one, other),), np.mean, method="BCa", rng=1).confidence_interval
    assert estimate.bootstrap == pytest.approx((oracle.low, oracle.high), abs=0.015)
    assert estimate.bootstrap == paired_difference(one, other, seed=4).bootstrap
    assert estimate.ci == pytest.approx(estimate.bootstrap, abs=0.03)  # and they are nearly the same
    assert all(map(math.isnan, paired_difference([1] * 9, [0] * 9).bootstrap))  # where it would be a point


def test_the_sign_test_is_exact():
    for won, lost in [(0, 0), (1, 0), (0, 6), (5, 5), (9, 2), (130, 98), (0, 500)]:
        oracle = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
        assert sign_test(won, lost) == sign_test(lost, won) == pytest.approx(oracle, rel=1e-9)
    assert sign_test(0, 2_000) == 0.0  # too small for a float, and no error
    assert paired_difference(*pairs(9, 2, 40)).p_value == sign_test(9, 2)


def test_numpys_figures_are_figures():
    one, other = np.array([True] * 80 + [False] * 20), np.array([False] * 80 + [True] * 20)
    difference = paired_difference(one, other)
    assert difference == paired_difference(one.tolist(), other.tolist())
    assert all(isinstance(count, int) for count in (difference.won, difference.lost, difference.tied))
    oracle = stats.binomtest(2_000, 4_200).pvalue
    assert sign_test(np.int64(2_000), np.int64(2_200)) == pytest.approx(oracle, rel=1e-9)
    assert sign_test(9_800, 10_200) == pytest.approx(stats.binomtest(9_800, 20_000).pvalue, rel=1e-9)  # and soon


@pytest.mark.parametrize("count", [-1, 1.5, "2", None])
def test_counts_that_are_none_are_refused(count):
    with pytest.raises(ConfigError, match="must be a whole number, at least 0"):
        sign_test(count, 2)


def test_figures_that_are_no_successes_are_refused():
    for wrong in (0.5, math.nan, 2, -1):
        with pytest.raises(ConfigError, match="is neither 0 nor 1"):
            success_rate([1, wrong])
        with pytest.raises(ConfigError, match="is neither 0 nor 1"):
            paired_difference([1, wrong], [1, 1])


def test_no_task_has_no_figure():
    assert all(map(math.isnan, (success_rate([]).mean, *success_rate([]).ci)))
    none = paired_difference([], [])
    assert all(map(math.isnan, (none.mean, *none.ci, none.p_value)))
    assert (none.won, none.lost, none.tied, none.clear_of_zero) == (0, 0, 0, False)


def test_interval_of_two_values_is_known_by_hand():
    # Resamples of (0, 1) have mean 0, 1/2, 1 with probability 1/4, 1/2, 1/4: the 2.5 % quantile is 0, the 97.5 % is 1.
    estimate = bootstrap_mean([0.0, 1.0], seed=3)
    assert (estimate.mean, estimate.low, estimate.high) == (0.5, 0.0, 1.0)
    # With a level of 40 % the quantiles 30 % and 70 % both fall on the middle half.
    assert bootstrap_mean([0.0, 1.0], seed=3, level=0.4).ci == (0.5, 0.5)


def test_interval_agrees_with_the_normal_approximation():
    values = [1.0] * 80 + [0.0] * 120
    low, high = bootstrap_mean(values, seed=0).ci
    half_width = 1.96 * math.sqrt(0.4 * 0.6 / 200)
    assert low == pytest.approx(0.4 - half_width, abs=0.006)
    assert high == pytest.approx(0.4 + half_width, abs=0.006)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        low, high = bootstrap_mean(rng.normal(2.0, 1.0, size=60), seed=seed, resamples=1_000).ci
        covered += low <= 2.0 <= high
    assert 180 <= covered <= 199


def test_seed_fixes_the_interval_and_chunks_do_not_change_its_size():
    values = np.random.default_rng(1).random(300)
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)
    assert bootstrap_mean(values, seed=5) != bootstrap_mean(values, seed=6)
    wide = bootstrap_mean(np.tile(values, 30), seed=5, resamples=400)  # 9,000 values: drawn in two chunks
    narrow = bootstrap_mean(values, seed=5)
    assert (wide.high - wide.low) * math.sqrt(30) == pytest.approx(narrow.high - narrow.low, rel=0.2)


def test_edges_of_no_and_one_value():
    empty = bootstrap_mean([], seed=0)
    assert all(math.isnan(value) for value in (empty.mean, empty.low, empty.high))
    assert not empty.clear_of_zero
    for alike in ([0.25], [0.25] * 200):  # nothing to resample: no interval, and none of no width
        one = bootstrap_mean(alike, seed=0)
        assert one.mean == 0.25
        assert all(map(math.isnan, one.ci))
        assert not one.clear_of_zero


def test_pairing_removes_what_both_share():
    easy = [float(i % 2) for i in range(100)]
    better = [min(1.0, value + (1.0 if i % 10 == 0 else 0.0)) for i, value in enumerate(easy)]
    estimate = paired_difference(better, easy)
    assert estimate.mean == pytest.approx(0.1)
    assert estimate.clear_of_zero
    unpaired_half_width = 1.96 * math.sqrt(0.25 / 100 + 0.24 / 100)
    assert estimate.high - estimate.low < unpaired_half_width


def test_difference_changes_its_sign_with_the_order():
    a, b = [1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]
    one, other = paired_difference(a, b), paired_difference(b, a)
    assert one.mean == -other.mean == 0.5
    assert one.ci == (-other.high, -other.low)
    assert (one.won, one.lost) == (other.lost, other.won) == (2, 0)


@pytest.mark.parametrize(
    ("score", "none", "oracle", "share"),
    [(0.3, 0.3, 0.9, 0.0), (0.9, 0.3, 0.9, 100.0), (0.6, 0.3, 0.9, 50.0), (0.0, 0.5, 1.0, -100.0)],
)
def test_gain_share_by_hand(score, none, oracle, share):
    assert gain_share(score, none=none, oracle=oracle) == pytest.approx(share)


def test_gain_share_is_undefined_where_nothing_can_be_gained():
    assert gain_share(0.5, none=0.5, oracle=0.5) is None
    assert gain_share(0.5, none=0.6, oracle=0.5) is None
    assert gain_share(0.5, none=math.nan, oracle=math.nan) is None


def test_bad_arguments_are_named():
    with pytest.raises(ConfigError, match=r"received 2 and 1"):
        paired_difference([1.0, 0.0], [1.0])
    with pytest.raises(ConfigError, match="resamples is 0"):
        bootstrap_mean([1.0], seed=0, resamples=0)
    with pytest.raises(ConfigError, match=r"level is 95"):
        bootstrap_mean([1.0], seed=0, level=95)
    with pytest.raises(ConfigError, match=r"level is 0"):
        success_rate([1.0], level=0)
