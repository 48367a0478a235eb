"""Statistics of several episodes on each task: scipy on the tasks' means, special cases, and coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from retro_gym.errors import ConfigError
from retro_gym_agents.evaluation import statistics
from retro_gym_agents.evaluation.statistics import Estimate, bootstrap_mean, paired_difference, success_rate

TASKS, SEEDS = 60, 3
NAMES = [f"task {i}" for i in range(TASKS)] * SEEDS  # in the order of an evaluation: seed by seed


def drawn(rng, share=0.3, gain=0.0):
    """Successes of a policy and of ``none``, whose chances differ between tasks: values by seed and task.

    The policy solves a ``share`` of the tasks with a chance that is higher by up to ``gain``.
    """
    chances = rng.beta(0.4, 0.8, size=TASKS)  # correlation of a task's episodes: 1 / (1 + 0.4 + 0.8) = 0.45
    better = np.where(rng.random(TASKS) < share, np.maximum(chances, gain), chances)
    luck, own = rng.random((2, SEEDS, TASKS))
    luck_of_policy = np.where(rng.random((SEEDS, TASKS)) < 0.5, luck, own)  # half of the draws are common
    return (luck_of_policy < better).astype(float).ravel(), (luck < chances).astype(float).ravel()


def truth(share, gain):
    """The true difference, by integration over the tasks."""
    chances = stats.beta(0.4, 0.8)
    raised = gain * chances.cdf(gain) - chances.expect(lambda x: x, lb=0.0, ub=gain)
    return share * raised


@pytest.mark.parametrize(("share", "gain"), [(0.5, 0.9), (0.3, 0.5), (0.0, 0.0), (0.03, 0.9)])
def test_paired_intervals_cover_the_true_difference(share, gain, monkeypatch):
    monkeypatch.setattr(statistics, "bootstrap_mean", lambda *_, **__: Estimate(math.nan, math.nan, math.nan))  # slow
    rng, covered, runs = np.random.default_rng(1), 0, 800
    expected = truth(share, gain) if share else 0.0
    for _ in range(runs):
        covered += _contains(paired_difference(*drawn(rng, share, gain), tasks=NAMES), expected)
    assert 0.92 <= covered / runs <= 0.985


def test_intervals_of_rates_cover_the_true_rate_and_would_not_if_episodes_counted_as_tasks():
    rng, covered, naive, runs = np.random.default_rng(2), 0, 0, 1_000
    for _ in range(runs):
        _, values = drawn(rng)
        covered += _contains(success_rate(values, tasks=NAMES), 1 / 3)
        naive += _contains(success_rate(values), 1 / 3)
    assert 0.92 <= covered / runs <= 0.98
    assert naive / runs < 0.89


def _contains(estimate, value):
    return estimate.low <= value <= estimate.high


def test_intervals_of_means_cover_the_true_mean():
    rng, covered, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        values = rng.normal(1.0, 1.0, size=TASKS) + rng.normal(0.0, 1.0, size=(SEEDS, TASKS))
        covered += _contains(bootstrap_mean(values.ravel(), tasks=NAMES, seed=0, resamples=1_000), 1.0)
    assert 0.92 <= covered / runs <= 0.98


def test_one_value_for_each_task_is_as_without_tasks():
    values, against = drawn(np.random.default_rng(4), 0.5, 0.9)
    tasks = range(len(values))
    assert success_rate(values, tasks=tasks) == success_rate(values)
    assert paired_difference(values, against, tasks=tasks) == paired_difference(values, against)
    assert bootstrap_mean(values, tasks=tasks, seed=1) == bootstrap_mean(values, seed=1)


def test_copies_of_an_episode_add_nothing():
    values, against = (each[:TASKS] for each in drawn(np.random.default_rng(5), 0.5, 0.9))
    rate, copied = success_rate(values), success_rate(np.tile(values, SEEDS), tasks=NAMES)
    assert (copied.mean, *copied.ci) == pytest.approx((rate.mean, *rate.ci))
    one = paired_difference(values, against)
    copied = paired_difference(np.tile(values, SEEDS), np.tile(against, SEEDS), tasks=NAMES)
    assert (copied.mean, *copied.ci) == pytest.approx((one.mean, *one.ci))
    assert (copied.won, copied.lost, copied.tied, copied.p_value) == (one.won, one.lost, one.tied, one.p_value)
    assert copied.bootstrap == pytest.approx(one.bootstrap)


def test_tasks_that_are_all_alike_count_with_all_their_episodes():
    values = [1.0] * TASKS + [0.0] * TASKS  # every task is solved with one seed of two
    wilson = stats.binomtest(TASKS, 2 * TASKS).proportion_ci(method="wilson")
    assert success_rate(values, tasks=[*range(TASKS)] * 2).ci == pytest.approx((wilson.low, wilson.high))


def test_episodes_that_all_end_alike_count_as_one_for_each_task():
    ones, zeros = [1.0] * TASKS * SEEDS, [0.0] * TASKS * SEEDS
    assert success_rate(ones, tasks=NAMES) == success_rate([1.0] * TASKS)
    won = paired_difference(ones, zeros, tasks=NAMES)
    assert (won.mean, won.ci, won.won) == (1.0, paired_difference([1.0] * TASKS, [0.0] * TASKS).ci, TASKS)
    same = paired_difference(ones, ones, tasks=NAMES)
    assert same.low == -same.high < 0.0
    assert all(map(math.isnan, same.bootstrap))


def test_the_tasks_means_are_what_scipy_is_given():
    values, against = drawn(np.random.default_rng(6), 0.5, 0.9)
    differences = (values - against).reshape(SEEDS, TASKS).mean(axis=0)
    found = paired_difference(values, against, tasks=NAMES)
    assert found.mean == pytest.approx(differences.mean())
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    assert (found.won, found.lost, found.tied) == (won, lost, TASKS - won - lost)
    assert found.p_value == pytest.approx(stats.binomtest(won, won + lost).pvalue)
    resampled = stats.bootstrap((differences,), np.mean, n_resamples=20_000, method="percentile", rng=0)
    expected = (resampled.confidence_interval.low, resampled.confidence_interval.high)
    assert found.bootstrap == pytest.approx(expected, abs=0.01)
    assert found.ci == pytest.approx(stats.norm.interval(0.95, differences.mean(), stats.sem(differences)), abs=0.02)


def test_every_task_counts_the_same():
    # The first task was played three times, the second once.
    values, tasks = [1, 1, 0, 0], ["a", "a", "a", "b"]
    assert success_rate(values, tasks=tasks).mean == pytest.approx(1 / 3)
    assert bootstrap_mean(values, tasks=tasks, seed=0).mean == pytest.approx(1 / 3)
    assert paired_difference(values, [0, 0, 0, 0], tasks=tasks).mean == pytest.approx(1 / 3)


def test_a_task_is_named_for_each_value():
    with pytest.raises(ConfigError, match="tasks names 2 tasks for 3 values"):
        success_rate([1, 0, 1], tasks=["a", "b"])
