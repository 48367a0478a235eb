from __future__ import annotations

import math

import numpy as np
import pytest

from retro_gym.errors import ConfigError
from retro_gym_agents.statistics import bootstrap_mean, gain_share, paired_difference


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
    one = bootstrap_mean([0.25], seed=0)
    assert (one.mean, one.low, one.high) == (0.25, 0.25, 0.25)


def test_pairing_removes_what_both_share():
    easy = [float(i % 2) for i in range(100)]
    better = [min(1.0, value + (1.0 if i % 10 == 0 else 0.0)) for i, value in enumerate(easy)]
    estimate = paired_difference(better, easy, seed=0)
    assert estimate.mean == pytest.approx(0.1)
    assert estimate.clear_of_zero
    unpaired_half_width = 1.96 * math.sqrt(0.25 / 100 + 0.24 / 100)
    assert estimate.high - estimate.low < unpaired_half_width


def test_difference_changes_its_sign_with_the_order():
    a, b = [1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]
    assert paired_difference(a, b, seed=0).mean == -paired_difference(b, a, seed=0).mean == 0.5


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
        paired_difference([1.0, 0.0], [1.0], seed=0)
    with pytest.raises(ConfigError, match="resamples is 0"):
        bootstrap_mean([1.0], seed=0, resamples=0)
    with pytest.raises(ConfigError, match=r"level is 95"):
        bootstrap_mean([1.0], seed=0, level=95)
