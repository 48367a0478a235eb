"""InterCode's reward: the overlap of an answer's rows with the gold rows, and the agreement of their order."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Hashable, Sequence

from retro_gym_envs.intercode_sql.mysql.engine import Result

__all__ = ["kendall_tau", "score"]


def score(answer: Result | None, gold: Result) -> float:
    """Reward of submitting a result: multiset IoU of the rows, times Kendall's tau of the common rows.

    As in InterCode, rows are compared as text, two empty results agree, order counts even if the question asks for
    none, the order of a single common row is undefined, and rows in reverse order earn a negative reward.

    Args:
        answer: the last result; anything but rows earns 0.
        gold: the result of the gold query.

    >>> gold = Result((("a",), ("b",), ("c",)))
    >>> score(gold, gold), score(Result((("a",), ("b",))), gold), score(Result(error="…"), gold)
    (1.0, 0.67, 0.0)
    """
    if answer is None or answer.rows is None or gold.rows is None:
        return 0.0
    given, right = [str(row) for row in answer.rows], [str(row) for row in gold.rows]
    union = (Counter(given) | Counter(right)).total()
    if not union:
        return 1.0
    common = Counter(given) & Counter(right)
    iou = common.total() / union
    tau = kendall_tau(_restricted(given, common), _restricted(right, common))
    return iou if math.isnan(tau) else round(tau * iou, 2)


def _restricted(rows: list[str], common: Counter[str]) -> list[str]:
    """Returns the common rows in their order; of equal rows the first ones."""
    left = common.copy()
    kept = []
    for row in rows:
        if left[row] > 0:
            left[row] -= 1
            kept.append(row)
    return kept


def kendall_tau(first: Sequence[str], second: Sequence[str]) -> float:
    """Kendall's tau-b of two lists of equal length; NaN if all elements of a list are equal (Kendall 1945).

    >>> kendall_tau("abcd", "abcd"), kendall_tau("abcd", "dcba"), kendall_tau("aaaa", "abcd")
    (1.0, -1.0, nan)
    """
    pairs = len(first) * (len(first) - 1) // 2
    tied_first, tied_second = _ties(first), _ties(second)
    if pairs in (tied_first, tied_second):
        return math.nan
    order = sorted(zip(first, second, strict=True))
    seen: list[str] = []
    discordant = 0
    start = 0
    while start < len(order):  # pairs tied in the first list are neither concordant nor discordant
        end = start
        while end < len(order) and order[end][0] == order[start][0]:
            discordant += len(seen) - bisect.bisect_right(seen, order[end][1])
            end += 1
        for _, value in order[start:end]:
            bisect.insort(seen, value)
        start = end
    tied_both = _ties(order)
    agreement = pairs - tied_first - tied_second + tied_both - 2 * discordant
    tau = agreement / math.sqrt(pairs - tied_first) / math.sqrt(pairs - tied_second)
    return max(-1.0, min(1.0, tau))


def _ties(values: Sequence[Hashable]) -> int:
    """Returns the number of equal pairs."""
    return sum(count * (count - 1) // 2 for count in Counter(values).values())
