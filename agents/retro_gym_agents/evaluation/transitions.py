"""What the first reflection turns right and what it turns wrong: trial 1 after a failed trial 0, and after a retry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.evaluation import Evaluation
from retro_gym_agents.evaluation.statistics import Estimate, success_rate

__all__ = ["Transitions", "transition_reports", "transitions"]


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


def transitions(
    tasks: Sequence[str], success: Sequence[Sequence[bool]], retry: Sequence[Sequence[bool] | None] | None
) -> Transitions:
    """Returns what the first reflections turned. Each share is a mean over tasks of the mean over a task's episodes.

    Args:
        tasks: the task of each episode.
        success: for each episode whether the task is solved by trial 0, 1, ….
        retry: the same of a plain retry's episodes; None for single ones that failed, or for all.
    """
    failed = [number for number, one in enumerate(success) if not one[0]]
    wrong_to_right = success_rate([success[number][1] for number in failed], tasks=[tasks[number] for number in failed])
    if retry is None:
        return Transitions(len(failed), wrong_to_right, None, None)
    retried = [number for number in failed if (other := retry[number]) is not None and other[1]]
    broken = success_rate([not success[number][1] for number in retried], tasks=[tasks[number] for number in retried])
    return Transitions(len(failed), wrong_to_right, len(retried), broken)


def transition_reports(evaluations: Sequence[Evaluation]) -> dict[str, Transitions | None]:
    """Returns the report of each policy by name; None where there is no success rate or no trial 1.

    Evaluations must be of one config.
    """
    none = next((one for one in evaluations if one.reflector == NONE and one.refusal is None), None)
    return {one.reflector: _report(one, none) for one in evaluations}


def _report(evaluation: Evaluation, none: Evaluation | None) -> Transitions | None:
    if evaluation.refusal is not None or not evaluation.config.trials:
        return None
    retry = None
    if none is not None:
        known = {(task.task_id, task.seed): task.success for task in none.scored}
        retry = [known.get((task.task_id, task.seed)) for task in evaluation.scored]
    tasks = [task.task_id for task in evaluation.scored]
    return transitions(tasks, [task.success for task in evaluation.scored], retry)
