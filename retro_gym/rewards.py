"""What a reflection is paid: four small pure functions of returns.

G is the return of the trial that failed, G' of the trial that follows the reflection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from retro_gym.errors import ConfigError

__all__ = ["REWARD_NAMES", "RewardName", "improvement", "next_return", "over_control", "pay", "retroact"]

RewardName = Literal["return", "improvement", "retroact", "over_control"]
REWARD_NAMES: tuple[RewardName, ...] = get_args(RewardName)


def next_return(before: float, after: float) -> float:
    """G': the return of the next trial.

    >>> next_return(before=0.25, after=1.0)
    1.0
    """
    return after


def improvement(before: float, after: float) -> float:
    """G' − G: Retroformer's rating (arXiv 2308.02151).

    >>> improvement(before=0.25, after=1.0)
    0.75
    """
    return after - before


def retroact(before: float, after: float, c: float = 1.0) -> float:
    """(G' − G)(G + c)/c: RetroAct's reflector reward (arXiv 2503.01490).

    The factor pays more for improving what was good already; a larger ``c`` weakens it.

    >>> retroact(before=0.5, after=1.0, c=1.0)
    0.75
    """
    if c <= 0:
        raise ConfigError(f"the retroact coefficient c is {c}; it must be above 0.")
    return (after - before) * (before + c) / c


def over_control(after: float, controls: Sequence[float]) -> float:
    """G' − mean return of control trials: what the reflection added to what luck alone would have brought.

    A control is a trial replayed from the same memory, without the new reflection, on the same seeds
    (common random numbers), so that a stochastic actor's luck and regression to the mean cancel.

    >>> over_control(after=1.0, controls=[0.0, 1.0, 0.5])
    0.5
    """
    if not controls:
        raise ConfigError("over_control needs at least one control trial; received none.")
    return after - sum(controls) / len(controls)


def pay(reward: RewardName, before: float, after: float, *, controls: Sequence[float] | None, c: float) -> float | None:
    """What a reflection is paid under one of the four rewards.

    Args:
        reward: which one.
        before: G.
        after: G'.
        controls: returns of the control trials, for ``"over_control"``.
        c: of ``"retroact"``.

    Returns:
        The reward; None when ``"over_control"`` has no control trial to compare with, since all of them failed.
    """
    if reward == "over_control":
        return over_control(after, controls) if controls else None
    if reward == "retroact":
        return retroact(before, after, c)
    return improvement(before, after) if reward == "improvement" else next_return(before, after)
