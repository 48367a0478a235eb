"""What the first reflection turns right and what it turns wrong: trial 1 after a failed trial 0, and after a retry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.evaluation import Evaluation, TaskResult
from retro_gym_agents.evaluation.statistics import Estimate, success_rate

__all__ = ["Transitions", "transition_reports"]


@dataclasses.dataclass(frozen=True)
class Transitions:
    """What trial 1 turned, in the episodes that failed trial 0."""

    failed: int
    """Number of episodes that failed trial 0."""
    wrong_to_right: Estimate
    """Share of them that are solved at trial 1."""
    retried: int | None
    """Number of episodes that failed trial 0 and that ``none`` solves at trial 1; None without ``none``."""
    right_to_wrong: Estimate | None
    """Share of them that this policy does not solve at trial 1: what its reflections broke."""


def transition_reports(evaluations: Sequence[Evaluation]) -> dict[str, Transitions | None]:
    """Returns the report of each policy by name; None where there is no success rate or no trial 1.

    Evaluations must be of one config. Each share is a mean over tasks of the mean over a task's episodes.
    """
    none = next((one for one in evaluations if one.reflector == NONE and one.refusal is None), None)
    return {one.reflector: _report(one, none) for one in evaluations}


def _report(evaluation: Evaluation, none: Evaluation | None) -> Transitions | None:
    if evaluation.refusal is not None or not evaluation.config.trials:
        return None
    failed = [task for task in evaluation.scored if not task.success[0]]
    wrong_to_right = _rate(failed, [task.success[1] for task in failed])
    if none is None:
        return Transitions(len(failed), wrong_to_right, None, None)
    lucky = {(task.task_id, task.seed) for task in none.scored if task.success[1]}
    retried = [task for task in failed if (task.task_id, task.seed) in lucky]
    broken = _rate(retried, [not task.success[1] for task in retried])
    return Transitions(len(failed), wrong_to_right, len(retried), broken)


def _rate(episodes: Sequence[TaskResult], happened: Sequence[bool]) -> Estimate:
    return success_rate(happened, tasks=[each.task_id for each in episodes])
