"""The rewards of reflections: four pure functions of returns.

G is the return of the failed trial, G' the return of the trial that follows the reflection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from retro_gym.errors import ConfigError

__all__ = [
    "CONTROL_KINDS",
    "REWARD_NAMES",
    "ControlKind",
    "RewardName",
    "improvement",
    "next_return",
    "over_control",
    "pay",
    "retroact",
]

RewardName = Literal["return", "improvement", "retroact", "over_control"]
REWARD_NAMES: tuple[RewardName, ...] = get_args(RewardName)

ControlKind = Literal["paired", "independent"]
"""The seeds of controls: those of the trials that they are compared with, or their own."""
CONTROL_KINDS: tuple[ControlKind, ...] = get_args(ControlKind)


def next_return(before: float, after: float) -> float:
    """Returns G', the return of the next trial.

    >>> next_return(before=0.25, after=1.0)
    1.0
    """
    return after


def improvement(before: float, after: float) -> float:
    """Returns G' − G: Retroformer's rating (arXiv 2308.02151).

    >>> improvement(before=0.25, after=1.0)
    0.75
    """
    return after - before


def retroact(before: float, after: float, c: float = 1.0) -> float:
    """Returns (G' − G)(G + c)/c: RetroAct's reflector reward (arXiv 2503.01490).

    The factor gives more reward for improving an already good trial; a larger ``c`` weakens this.

    >>> retroact(before=0.5, after=1.0, c=1.0)
    0.75
    """
    if c <= 0:
        raise ConfigError(f"the retroact coefficient c is {c}; it must be above 0.")
    return (after - before) * (before + c) / c


def over_control(after: Sequence[float], controls: Sequence[float]) -> float:
    """Returns the mean of G'ᵢ − Cᵢ over pairs of trials: the effect of the reflection relative to controls.

    Pair i is a trial with the new reflection and a control without it, with the same memory. Paired controls also have
    the same seeds (common random numbers): a reflection that changes nothing earns exactly 0, whatever the actor's
    random draws; otherwise the randomness that both halves share cancels. Independent controls have seeds of their own:
    such a reflection earns 0 only on average.

    As a baseline of a policy gradient both are unbiased: given the failure, no control depends on the reflection, so
    E[C ∇log π] = 0. Over n pairs the variance of the reward is (Var G' + Var C − 2 Cov(G', C))/n for paired controls
    and (Var G' + Var C)/n for independent ones: more, unless equal seeds make a trial and its control differ. (Pairing
    the same trials in another order changes nothing, since only the two means count.) Neither needs another baseline,
    and both work with a single reflection on each failure.

    Args:
        after: returns of the trials with the reflection.
        controls: returns of the controls, in the same order.

    Raises:
        ConfigError: there is no pair, or the numbers of trials and controls differ.

    >>> over_control(after=[1.0, 1.0, 0.5], controls=[0.0, 1.0, 0.5])
    0.3333333333333333
    """
    if not after or len(after) != len(controls):
        raise ConfigError(f"over_control takes pairs of trials, at least one; received {after!r} and {controls!r}.")
    total = 0.0
    for with_it, without in zip(after, controls, strict=True):  # not sum(), which rounds otherwise from Python 3.12 on
        total += with_it - without
    return total / len(after)


def pay(
    reward: RewardName, before: float, after: float, *, pairs: Sequence[tuple[float, float]], c: float
) -> float | None:
    """Computes one of the four rewards.

    Args:
        reward: name of the reward.
        before: G.
        after: G'.
        pairs: for ``"over_control"``, returns of trials with the reflection and of their controls.
        c: coefficient of ``"retroact"``.

    Returns:
        The reward; None if ``"over_control"`` has no pair, because the actor failed in one half of each.
    """
    if reward == "over_control":
        return over_control(*zip(*pairs, strict=True)) if pairs else None
    if reward == "retroact":
        return retroact(before, after, c)
    return improvement(before, after) if reward == "improvement" else next_return(before, after)
