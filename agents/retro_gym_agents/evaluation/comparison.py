"""Paired comparisons of policies on the same tasks, and gains relative to the oracle's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retro_gym.errors import ActorError, ConfigError
from retro_gym.seeding import derive_seed
from retro_gym_agents.evaluation.evaluation import Evaluation, TaskResult
from retro_gym_agents.evaluation.statistics import (
    Estimate,
    PairedDifference,
    bootstrap_mean,
    gain_share,
    paired_difference,
)
from retro_gym_agents.play.policies import BASELINES, TINY

__all__ = ["compare", "compare_returns", "compared_pairs", "gain_shares"]


def compare(evaluation: Evaluation, against: Evaluation, group: str | None = None) -> list[PairedDifference]:
    """Returns the difference of two policies' success at trials 0…T, paired over the tasks that both were scored on.

    Args:
        evaluation: one policy's evaluation.
        against: the other policy's evaluation, which is subtracted.
        group: restricts the comparison to one task group.

    Raises:
        ActorError: one of them has no success rate.
        ConfigError: they did not play the same tasks.
    """
    pairs = _pairs(evaluation, against, group)
    seed = derive_seed(evaluation.config.seed, "paired")
    return [
        paired_difference([one.success[t] for one, _ in pairs], [other.success[t] for _, other in pairs], seed=seed)
        for t in range(evaluation.config.trials + 1)
    ]


def compare_returns(evaluation: Evaluation, against: Evaluation, group: str | None = None) -> list[Estimate]:
    """Returns the difference of two policies' mean returns at trials 0…T, paired, with a bootstrap over tasks.

    Arguments and errors are those of :func:`compare`.
    """
    pairs = _pairs(evaluation, against, group)
    seed = derive_seed(evaluation.config.seed, "paired")
    return [
        bootstrap_mean([one.returns[t] - other.returns[t] for one, other in pairs], seed=seed)
        for t in range(evaluation.config.trials + 1)
    ]


def _pairs(evaluation: Evaluation, against: Evaluation, group: str | None) -> list[tuple[TaskResult, TaskResult]]:
    """Returns the results of both on the tasks that both were scored on."""
    for one in (evaluation, against):
        if one.refusal is not None:
            raise ActorError(one.refusal)
    if [task.task_id for task in evaluation.tasks] != [task.task_id for task in against.tasks]:
        raise ConfigError(
            f"{evaluation.reflector!r} and {against.reflector!r} played different tasks. Evaluate both with one config."
        )
    return [
        (one, other)
        for one, other in zip(evaluation.tasks, against.tasks, strict=True)
        if one.actor_error is None and other.actor_error is None and group in (None, one.group)
    ]


def compared_pairs(evaluations: Sequence[Evaluation]) -> Iterator[tuple[Evaluation, Evaluation]]:
    """Yields the pairs to compare: each policy with the first one, and each trained reflector with ``tiny``."""
    scored = [one for one in evaluations if one.refusal is None]
    for one in scored[1:]:
        if scored[0] is evaluations[0]:
            yield one, scored[0]
    tiny = next((one for one in scored if one.reflector == TINY), None)
    if tiny is not None and tiny is not evaluations[0]:
        for one in scored:
            if one.reflector != TINY and one.reflector not in BASELINES and one is not evaluations[0]:
                yield one, tiny


def gain_shares(evaluations: Sequence[Evaluation]) -> dict[str, list[float | None]]:
    """Returns each policy's gain over ``none`` as a percentage of ``oracle``'s, at trials 0…T.

    Empty unless both were evaluated and scored; an entry is None if the oracle gains nothing, as at trial 0.
    """
    scored = {one.reflector: one for one in evaluations if one.refusal is None}
    if "none" not in scored or "oracle" not in scored:
        return {}
    rates = {name: [estimate.mean for estimate in one.success_at_trial()] for name, one in scored.items()}
    return {
        name: [
            gain_share(score, none=none, oracle=oracle)
            for score, none, oracle in zip(rates[name], rates["none"], rates["oracle"], strict=True)
        ]
        for name in rates
        if name not in ("none", "oracle")
    }
