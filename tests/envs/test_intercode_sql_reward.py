"""InterCode's reward, against values worked out by hand and against counting every pair."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym_envs.intercode_sql.mysql.engine import Result
from retro_gym_envs.intercode_sql.reward import kendall_tau, score


def result(*values):
    return Result(tuple((value,) for value in values))


@pytest.mark.parametrize(
    ("answer", "gold", "reward"),
    [
        (result(1, 2, 3), result(1, 2, 3), 1.0),
        (result(3, 2, 1), result(1, 2, 3), -1.0),
        (result(1, 3, 2), result(1, 2, 3), 0.33),
        (result(1, 2), result(1, 2, 3), 0.67),
        (result(2, 1), result(1, 2, 3), -0.67),
        (result(1, 2, 3, 4), result(1, 2, 3), 0.75),
        (result(1), result(1, 2, 3), 1 / 3),  # one row in common has no order, and is not rounded
        (result("a", "a", "b"), result("a", "b"), 0.67),
        (result("a", "a"), result("a", "a"), 1.0),  # equal rows have no order
        (result(9), result(1), 0.0),
        (result(), result(), 1.0),
        (result(), result(1), 0.0),
        (result(1), result(), 0.0),
        (result("1"), result(1), 0.0),  # as texts the rows are ('1',) and (1,)
        (result(1.0), result(1), 0.0),
        (Result(((1, 2),)), result(1), 0.0),
        (None, result(1), 0.0),
        (None, result(), 0.0),
        (Result(error="no"), result(), 0.0),
        (Result(), result(), 0.0),
    ],
)
def test_score(answer, gold, reward):
    assert score(answer, gold) == reward


def test_ranks_are_those_of_texts():
    assert score(result(9, 10), result(10, 9)) == -1.0
    assert kendall_tau(["(10,)", "(9,)"], ["(10,)", "(9,)"]) == 1.0


def pairwise_tau(first, second):
    """By the definition: every pair is looked at."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    signs = [
        ((first[i] > first[j]) - (first[i] < first[j]), (second[i] > second[j]) - (second[i] < second[j]))
        for i, j in pairs
    ]
    norm = math.sqrt(sum(a != 0 for a, _ in signs)) * math.sqrt(sum(b != 0 for _, b in signs))
    return sum(a * b for a, b in signs) / norm if norm else math.nan


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcdefgh")), max_size=12))
def test_tau_counts_pairs(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert kendall_tau(first, second) == pytest.approx(pairwise_tau(first, second), nan_ok=True)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_the_right_answer_earns_one(values):
    assert score(result(*values), result(*values)) == 1.0


def test_tau_is_quick_enough_for_long_results():
    values = [f"{i:05}" for i in range(20_000)]
    assert kendall_tau(values, values[::-1]) == pytest.approx(-1.0)
