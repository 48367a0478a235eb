"""How many of a policy's reflections name the cause of failure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from retro_gym_agents.evaluation.evaluation import Evaluation

__all__ = ["CauseReport", "cause_reports"]


@dataclasses.dataclass(frozen=True)
class CauseReport:
    """Causes that one policy's reflections name, by :meth:`retro_gym.Teacher.names_cause`.

    Blank reflections, and those on tasks whose cause is not known, are not counted.
    """

    written: int
    """Number of reflections."""
    naming: int
    """Number of those that name the cause."""
    first_written: int
    """Number of first reflections, those on trial 0."""
    first_naming: int
    """Number of those that name the cause."""

    @property
    def share(self) -> float:
        """Share of the reflections that name the cause; nan if none was written."""
        return self.naming / self.written if self.written else math.nan

    @property
    def first_share(self) -> float:
        """The same of first reflections."""
        return self.first_naming / self.first_written if self.first_written else math.nan


def cause_reports(evaluations: Sequence[Evaluation]) -> dict[str, CauseReport | None]:
    """Returns the report of each policy by name; None where the causes of all tasks are unknown."""
    return {one.reflector: _report(one) for one in evaluations}


def _report(evaluation: Evaluation) -> CauseReport | None:
    known = [(task.reflections, task.names_cause) for task in evaluation.tasks if task.names_cause is not None]
    if not known:
        return None
    every = [
        (place, names)
        for texts, named in known
        for place, (text, names) in enumerate(zip(texts, named, strict=True))
        if text.strip()
    ]
    first = [names for place, names in every if place == 0]
    return CauseReport(len(every), sum(names for _, names in every), len(first), sum(first))
