"""The rewards against values worked out by hand."""

import pytest

from retro_gym import rewards
from retro_gym.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("return", 0.4, 0.9, 0.9),
        ("return", 0.9, -0.5, -0.5),
        ("improvement", 0.25, 1.0, 0.75),
        ("improvement", 1.0, 0.25, -0.75),
        ("retroact", 0.5, 1.0, 0.75),  # 0.5 · 1.5 / 1
        ("retroact", 0.0, 1.0, 1.0),  # 1 · 1 / 1
        ("retroact", 1.0, 0.5, -1.0),  # −0.5 · 2 / 1
    ],
)
def test_rewards_of_two_returns(name, before, after, expected):
    assert rewards.pay(name, before, after, pairs=[], c=1.0) == pytest.approx(expected, abs=1e-12)


def test_a_larger_c_weakens_what_the_first_return_weighs():
    assert rewards.retroact(0.5, 1.0, c=2.0) == pytest.approx(0.625)  # 0.5 · 2.5 / 2
    assert rewards.retroact(0.5, 1.0, c=0.5) == pytest.approx(1.0)  # 0.5 · 1 / 0.5
    assert rewards.retroact(0.5, 1.0, c=1e9) == pytest.approx(rewards.improvement(0.5, 1.0))


@pytest.mark.parametrize("c", [0.0, -1.0])
def test_c_must_be_above_zero(c):
    with pytest.raises(ConfigError, match=str(c)):
        rewards.retroact(0.5, 1.0, c)


def test_over_control_is_the_mean_difference_of_pairs():
    assert rewards.over_control([1.0, 0.0, 1.0], [0.0, 1.0, 0.5]) == pytest.approx(0.5 / 3)
    assert rewards.over_control([0.0], [1.0]) == pytest.approx(-1.0)
    assert rewards.pay("over_control", 0.3, 9.0, pairs=[(1.0, 0.25), (0.5, 0.5)], c=1.0) == pytest.approx(0.375)
    assert rewards.pay("over_control", 0.3, 9.0, pairs=[], c=1.0) is None


@pytest.mark.parametrize(("after", "controls"), [([], []), ([1.0], []), ([1.0], [0.0, 0.5])])
def test_over_control_without_whole_pairs_is_refused(after, controls):
    with pytest.raises(ConfigError, match="pairs of trials, at least one"):
        rewards.over_control(after, controls)
