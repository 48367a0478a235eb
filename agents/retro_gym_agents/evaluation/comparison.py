"""Paired comparisons of policies on the same tasks, and gains relative to the oracle's."""

from __future__ import annotations

from collections.abc import Sequence

from retro_gym.errors import ActorError, ConfigError
from retro_gym.seeding import derive_seed
from retro_gym_agents.evaluation.evaluation import Evaluation, TaskResult, Where, everywhere
from retro_gym_agents.evaluation.statistics import (
    Estimate,
    PairedDifference,
    bootstrap_mean,
    gain_share,
    paired_difference,
)
from retro_gym_agents.play.policies import BASELINES

__all__ = ["NONE", "compare", "compare_returns", "compared_pairs", "gain_shares"]

NONE = "none"
"""The policy that all others are compared with: a plain retry."""


def compare(evaluation: Evaluation, against: Evaluation, where: Where = everywhere) -> list[PairedDifference]:
    """Returns the difference of two policies' success at trials 0…T, paired over the episodes that both were scored on.

    Args:
        evaluation: one policy's evaluation.
        against: the other policy's evaluation, which is subtracted.
        where: chooses among the results of ``evaluation``; all by default.

    Raises:
        ActorError: one of them has no success rate.
        ConfigError: they did not play the same tasks with the same seeds.
    """
    pairs = _pairs(evaluation, against, where)
    tasks, seed = [one.task_id for one, _ in pairs], derive_seed(evaluation.config.seed, "paired")
    return [
        paired_difference(
            [one.success[t] for one, _ in pairs], [other.success[t] for _, other in pairs], tasks=tasks, seed=seed
        )
        for t in range(evaluation.config.trials + 1)
    ]


def compare_returns(evaluation: Evaluation, against: Evaluation, where: Where = everywhere) -> list[Estimate]:
    """Returns the difference of two policies' mean returns at trials 0…T, paired, with a bootstrap over tasks.

    Arguments and errors are those of :func:`compare`.
    """
    pairs = _pairs(evaluation, against, where)
    tasks, seed = [one.task_id for one, _ in pairs], derive_seed(evaluation.config.seed, "paired")
    return [
        bootstrap_mean([one.returns[t] - other.returns[t] for one, other in pairs], tasks=tasks, seed=seed)
        for t in range(evaluation.config.trials + 1)
    ]


def _pairs(evaluation: Evaluation, against: Evaluation, where: Where) -> list[tuple[TaskResult, TaskResult]]:
    """Returns the results of both in the episodes that both were scored on."""
    for one in (evaluation, against):
        if one.refusal is not None:
            raise ActorError(one.refusal)
    played, other_played = ([(task.task_id, task.seed) for task in one.tasks] for one in (evaluation, against))
    if played != other_played:
        raise ConfigError(
            f"{evaluation.reflector!r} and {against.reflector!r} played different tasks, or with different seeds. "
            "Evaluate both with one config."
        )
    return [
        (one, other)
        for one, other in zip(evaluation.tasks, against.tasks, strict=True)
        if one.actor_error is None and other.actor_error is None and where(one)
    ]


def compared_pairs(evaluations: Sequence[Evaluation], base: str) -> list[tuple[Evaluation, Evaluation]]:
    """Returns the pairs to compare with one policy; empty unless it was evaluated and scored.

    Args:
        evaluations: all policies' evaluations.
        base: ``"none"``, which every other policy is compared with, or ``"tiny"``, for the policies that are no
            baselines.
    """
    scored = [one for one in evaluations if one.refusal is None]
    against = next((one for one in scored if one.reflector == base), None)
    left_out = {base} if base == NONE else {base, *BASELINES}
    return [] if against is None else [(one, against) for one in scored if one.reflector not in left_out]


def gain_shares(evaluations: Sequence[Evaluation]) -> dict[str, list[float | None]]:
    """Returns each policy's gain over ``none`` as a percentage of ``oracle``'s, at trials 0…T.

    Empty unless both were evaluated and scored; an entry is None if the oracle gains nothing, as at trial 0.
    """
    scored = {one.reflector: one for one in evaluations if one.refusal is None}
    if NONE not in scored or "oracle" not in scored:
        return {}
    rates = {name: [estimate.mean for estimate in one.success_at_trial()] for name, one in scored.items()}
    return {
        name: [
            gain_share(score, none=none, oracle=oracle)
            for score, none, oracle in zip(rates[name], rates[NONE], rates["oracle"], strict=True)
        ]
        for name in rates
        if name not in (NONE, "oracle")
    }
