"""Two policies on the same tasks: what one has achieved beyond the other."""

from __future__ import annotations

from retro_gym.errors import ActorError, ConfigError
from retro_gym.seeding import derive_seed
from retro_gym_agents.evaluation.evaluate import Evaluation, TaskResult
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference, bootstrap_mean, paired_difference

__all__ = ["compare", "compare_returns"]


def compare(evaluation: Evaluation, against: Evaluation, group: str | None = None) -> list[PairedDifference]:
    """The difference of two policies' success by trial 0…T, paired over the tasks that both were scored on.

    Args:
        evaluation: of one policy.
        against: of the other, which is subtracted.
        group: on one kind of task only.

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
    """The difference of two policies' mean returns by trial 0…T, paired in the same way; bootstrap over tasks.

    Args and errors are those of :func:`compare`.
    """
    pairs = _pairs(evaluation, against, group)
    seed = derive_seed(evaluation.config.seed, "paired")
    return [
        bootstrap_mean([one.returns[t] - other.returns[t] for one, other in pairs], seed=seed)
        for t in range(evaluation.config.trials + 1)
    ]


def _pairs(evaluation: Evaluation, against: Evaluation, group: str | None) -> list[tuple[TaskResult, TaskResult]]:
    """The tasks that both were scored on."""
    for one in (evaluation, against):
        if one.refusal is not None:
            raise ActorError(one.refusal)
    if [task.task_id for task in evaluation.tasks] != [task.task_id for task in against.tasks]:
        raise ConfigError(
            f"{evaluation.reflector!r} and {against.reflector!r} played other tasks. Evaluate both with one config."
        )
    return [
        (one, other)
        for one, other in zip(evaluation.tasks, against.tasks, strict=True)
        if one.actor_error is None and other.actor_error is None and group in (None, one.group)
    ]
