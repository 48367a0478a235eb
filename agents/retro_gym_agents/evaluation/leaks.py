"""How many of a policy's reflections contain the answer, and what those that do not are worth."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from retro_gym_agents.evaluation.comparison import NONE, compare
from retro_gym_agents.evaluation.evaluation import Evaluation, TaskResult
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference

__all__ = ["LeakReport", "leak_reports"]


@dataclasses.dataclass(frozen=True)
class LeakReport:
    """Leaks of one policy, by :meth:`retro_gym.Teacher.leaks`."""

    written: int
    """Number of reflections, without blank ones."""
    leaking: int
    """Number of those that contain the answer."""
    episodes: int
    """Number of episodes whose first reflection does not contain the answer; none was written if trial 0 succeeded."""
    success: Estimate | None
    """Success at trial 1 in these episodes; None if there is no success rate or no trial 1."""
    difference: PairedDifference | None
    """Its paired difference to ``none`` in the same episodes; None unless both have a success rate."""

    @property
    def share(self) -> float:
        """Share of the reflections that contain the answer; nan if none was written."""
        return self.leaking / self.written if self.written else math.nan


def leak_reports(evaluations: Sequence[Evaluation]) -> dict[str, LeakReport | None]:
    """Returns the report of each policy by name; None where the teacher does not say what leaks."""
    none = next((one for one in evaluations if one.reflector == NONE and one.refusal is None), None)
    return {one.reflector: _report(one, none) for one in evaluations}


def _report(evaluation: Evaluation, none: Evaluation | None) -> LeakReport | None:
    found = []
    for task in evaluation.tasks:
        if task.leaks is None:
            return None
        found += [leak for text, leak in zip(task.reflections, task.leaks, strict=True) if text.strip()]
    episodes = sum(map(_first_is_clean, evaluation.scored))
    scored = evaluation.refusal is None and evaluation.config.trials > 0
    success = evaluation.success_at_trial(_first_is_clean)[1] if scored else None
    difference = None if none is None or not scored else compare(evaluation, none, _first_is_clean)[1]
    return LeakReport(len(found), sum(found), episodes, success, difference)


def _first_is_clean(task: TaskResult) -> bool:
    return task.leaks is not None and task.leaks[:1] == (False,)
