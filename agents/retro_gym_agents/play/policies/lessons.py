"""A memory across tasks: lessons kept from training tasks, with what they earned.

The idea of ExpeL (arXiv 2308.10144), RAG-Modulo (arXiv 2409.12294) and RetroAgent, without training: what helped on a
similar task is offered again. A trained reflector should do better than such a memory.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retro_gym.checks import check_whole
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, ConfigError, one_line
from retro_gym.prompts import shorten
from retro_gym.records import ReflectionRecord, TrialRecord, read_records
from retro_gym.records.rows import record_of
from retro_gym.trajectory import Trajectory
from retro_gym_agents.lm.adapter_folder import files_digest
from retro_gym_agents.play.policies.protocol import Policy, policy_parameters, written_reflections
from retro_gym_agents.play.policies.similarity import TextIndex

__all__ = ["LessonsPolicy"]

_LEAD = "A lesson from a similar task: "


class LessonsPolicy:
    """Offers the lessons of other tasks that suit a failure best.

    Each rated reflection in a file of records is a lesson on its task; equal ones on one task are one lesson with the
    mean of their ratings G' − G. A lesson's score on a failure is

        BM25(lesson's task, failed task) / max BM25 + weight · mean rating,

    where the maximum is over the other tasks in the file. The lessons with the highest scores are offered, the best
    first, each text once; of equal scores the one that is first in the file. Lessons of the failed task itself are left
    out, and so is what does not fit into the longest reflection. If nothing is left, the reflection is empty.

    Args:
        records: a file of ``retro-gym collect`` or of a training run; it is read once, row by row.
        num: number of lessons.
        weight: weight of the rating against the similarity, which is between 0 and 1.
        beside: a policy whose reflection comes first; by default there is none.

    Raises:
        ConfigError: there is no such file, it holds no rated reflection, ``num`` is below 1 or ``weight`` below 0.
        RecordError: the file cannot be read.
    """

    def __init__(
        self, records: str | os.PathLike[str], *, num: int = 2, weight: float = 1.0, beside: Policy | None = None
    ) -> None:
        check_whole(1, num=num)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise ConfigError(f"weight is {one_line(weight)}; it must be a finite number of at least 0.")
        path = Path(records)
        if not path.is_file():
            raise ConfigError(
                f"lessons {os.fspath(records)!r}: there is no such file. Give the records of 'retro-gym collect' or of "
                "a training run."
            )
        ratings, tasks = _read(path)
        if not ratings:
            raise ConfigError(f"{path} holds no rated reflection. Collect some: retro-gym collect ENV_ID.")
        self.name = f"lessons:{os.fspath(records)}"
        self.num, self.weight = num, weight
        self.parts = () if beside is None else (beside,)
        self._path = path
        numbers = {task_id: number for number, task_id in enumerate(tasks)}
        self._task_ids_T = np.array(list(tasks), dtype=object)
        self._index = TextIndex(list(tasks.values()))
        self._texts = [text for _, text in ratings]
        self._tasks_L: NDArray[np.intp] = np.array([numbers[task_id] for task_id, _ in ratings])
        self._ratings_L = np.array([fmean(each) for each in ratings.values()])

    @property
    def parameters(self) -> dict[str, Any]:
        """What the reflections depend on besides the failures, as JSON types."""
        beside = {part.name: policy_parameters(part) for part in self.parts}
        digest = files_digest({"records": str(self._path)})
        return {"num": self.num, "weight": self.weight, "records": digest, "beside": beside}

    def reflect(
        self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]
    ) -> list[str | ActorError]:
        """Returns the lessons for each failure, after the reflection of the policy beside it, if there is one."""
        first: Sequence[str | ActorError] = [""] * len(observations)
        for part in self.parts:
            first = written_reflections(part, observations, envs, seeds)
        return [
            text if isinstance(text, ActorError) else _joined(text, self._chosen(env.trajectory), env)
            for text, env in zip(first, envs, strict=True)
        ]

    def _chosen(self, failure: Trajectory) -> list[str]:
        """Returns the texts of the best lessons of other tasks. Axes: T tasks, L lessons."""
        other_T = self._task_ids_T != failure.task_id
        similarity_T = self._index.scores(failure.task)
        most = similarity_T[other_T].max(initial=0.0)
        scores_L = (similarity_T / (most or 1.0))[self._tasks_L] + self.weight * self._ratings_L
        best = (int(lesson) for lesson in np.argsort(-scores_L, kind="stable") if other_T[self._tasks_L[lesson]])
        return list(itertools.islice(_distinct(self._texts[lesson] for lesson in best), self.num))


def _distinct(texts: Iterator[str]) -> Iterator[str]:
    seen = set[str]()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text


def _joined(first: str, lessons: Sequence[str], env: RetroEnv) -> str:
    """Returns a text and the lessons below it, without those that do not fit."""
    limit, joined = env.max_reflection_chars, first
    for lesson in lessons:
        line = f"{_LEAD}{lesson}"
        longer = f"{joined}\n{line}" if joined else line
        if len(longer) <= limit:
            joined = longer
        elif not joined:
            joined = shorten(line, limit)
    return joined


def _read(path: Path) -> tuple[dict[tuple[str, str], list[float]], dict[str, str]]:
    """Returns the ratings of each lesson, by task and text, and the texts of the lessons' tasks."""
    ratings: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    texts: dict[str, str] = {}
    for row in read_records(path):
        if row["kind"] not in (TrialRecord.kind, ReflectionRecord.kind) or not row["id"]:
            continue  # rows of schema 1 have no id, and some no rating
        record = record_of(row)
        if isinstance(record, TrialRecord):
            texts.setdefault(record.task_id, record.task)
        elif isinstance(record, ReflectionRecord) and (text := " ".join(record.reflection.split())):
            ratings[record.task_id, text].append(record.return_ - record.return_before)
    return dict(ratings), {task_id: texts.get(task_id, "") for task_id, _ in ratings}
