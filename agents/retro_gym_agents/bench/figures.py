"""The figures of a benchmark: for each environment, judging actor and arm, over all training seeds."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from retro_gym.errors import ConfigError
from retro_gym.seeding import derive_seed
from retro_gym_agents.bench.arms import Job, Trained
from retro_gym_agents.bench.config import ActorSetting, Arm, BenchConfig
from retro_gym_agents.bench.run import jobs_of, result_file
from retro_gym_agents.bench.submissions import Submission, refuse_unplaced
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference, paired_difference, success_rate
from retro_gym_agents.evaluation.stored import Episode, StoredResult, load_result
from retro_gym_agents.evaluation.transitions import transitions

__all__ = ["ArmFigures", "Judged", "figures_of", "interquartile_mean"]


@dataclasses.dataclass(frozen=True)
class ArmFigures:
    """What came of an arm with one judging actor in one environment."""

    name: str
    claim: str
    success: tuple[Estimate, ...]
    """Success at trials 0…T; each task counts the same, whatever the number of seeds."""
    difference: tuple[PairedDifference, ...]
    """Its difference to the plain retry at trials 0…T, paired by task and evaluation seed."""
    by_seed: tuple[float, ...]
    """Success at trial T with each training seed."""
    calls: tuple[int, ...] | None
    """Actor calls of the training with each seed; None if it was not trained."""
    leaks: float | None
    """Share of its reflections that contain the answer; None if that is not known, or none was written."""
    named: float | None
    """Share of its reflections that name the true cause; likewise."""
    righted: float
    """Share of the failed first trials whose task was solved at trial 1: from wrong to right."""
    wronged: float
    """Share of the failed first trials that the plain retry solves at trial 1 and this arm does not: from right to
    wrong."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """The results of all arms with one judging actor in one environment."""

    env_id: str
    actor: str
    panel: Mapping[str, Any]
    """What the results have in common, so that others can be compared with them."""
    arms: tuple[ArmFigures, ...]


@dataclasses.dataclass(frozen=True)
class _Entry:
    """The results of an arm: its episodes and those of the plain retry that they are compared with, by seed."""

    arm: Arm
    played: list[Mapping[tuple[str, int], Episode]]
    against: list[Mapping[tuple[str, int], Episode]]
    calls: list[int] = dataclasses.field(default_factory=list)


def figures_of(config: BenchConfig, output: Path, submissions: Sequence[Submission] = ()) -> list[Judged]:
    """Returns the figures of a benchmark that was run, as far as its results are there.

    Args:
        config: what is compared.
        output: the benchmark's folder.
        submissions: results of others' policies, each of which stands in the table of its panel.

    Raises:
        ConfigError: there is no result yet, or a submission is on no panel of the benchmark.
    """
    found: list[Judged] = []
    references: list[tuple[str, str, StoredResult]] = []
    placed: set[str] = set()
    for env_id, actor in itertools.product(config.envs, config.judges):
        entries, reference = _entries(config, output, env_id, actor)
        if reference is None:
            continue
        references.append((env_id, actor.name, reference))
        for one in submissions:
            if one.fits(reference):
                placed.add(one.name)
                row = Arm(name=one.name, policy=one.policy)
                entries.append(_Entry(row, [one.played], [reference.episodes[NONE]]))
        arms = tuple(_figures(entry, config.evaluation.seed) for entry in entries)
        found.append(Judged(env_id, actor.name, reference.panel, arms))
    if not found:
        raise ConfigError(f"{output} holds no results of this benchmark. Run it: without --report-only.")
    refuse_unplaced((one for one in submissions if one.name not in placed), references)
    return found


def interquartile_mean(values: Sequence[float]) -> float:
    """Returns the mean of the values without the lowest and the highest quarter (arXiv 2108.13264), nan without values.

    >>> interquartile_mean([0.0, 0.5, 0.6, 1.0])
    0.55
    """
    if not values:
        return math.nan
    cut = len(values) // 4
    return float(np.mean(sorted(values)[cut : len(values) - cut]))


def _entries(
    config: BenchConfig, output: Path, env_id: str, actor: ActorSetting
) -> tuple[list[_Entry], StoredResult | None]:
    """Returns the arms that have results, and the plain retry's result."""
    jobs = [job for job in jobs_of(config, output) if job.env_id == env_id and result_file(job, actor).is_file()]
    plain = next((job for job in jobs if job.arm.policy == NONE), None)
    if plain is None:
        return [], None
    reference = load_result(result_file(plain, actor))
    entries = {arm.name: _Entry(arm, [], []) for arm in config.arms}
    for job in jobs:
        result, entry = load_result(result_file(job, actor)), entries[job.arm.name]
        own = [name for name in result.episodes if name != NONE] or [NONE]
        entry.played.append(result.episodes[own[0]])
        trained = _trained(job) if job.arm.learn else None
        retry = result if trained is not None and trained.planner else reference  # of the planner that it has made
        entry.against.append(retry.episodes[NONE])
        if trained is not None:
            entry.calls.append(trained.actor_calls)
    return [entry for entry in entries.values() if entry.played], reference


def _trained(job: Job) -> Trained:
    return Trained(**json.loads((job.folder / "trained.json").read_text(encoding="utf-8")))


def _figures(entry: _Entry, seed: int) -> ArmFigures:
    pairs = [
        (task, episode, against[task, number])
        for played, against in zip(entry.played, entry.against, strict=True)
        for (task, number), episode in played.items()
        if not episode.failed and not against[task, number].failed
    ]
    tasks = [task for task, _, _ in pairs]
    last = len(pairs[0][1].success) - 1 if pairs else 0
    turned = transitions(tasks, [one.success for _, one, _ in pairs], [retry.success for _, _, retry in pairs])
    return ArmFigures(
        entry.arm.name,
        entry.arm.claim,
        tuple(success_rate([one.success[t] for _, one, _ in pairs], tasks=tasks) for t in range(last + 1)),
        tuple(
            paired_difference(
                [one.success[t] for _, one, _ in pairs],
                [retry.success[t] for _, _, retry in pairs],
                tasks=tasks,
                seed=derive_seed(seed, "paired"),
            )
            for t in range(last + 1)
        ),
        tuple(_mean(one.success[last] for one in played.values() if not one.failed) for played in entry.played),
        tuple(entry.calls) if entry.arm.learn else None,
        _share(flag for _, one, _ in pairs for flag in one.leaks),
        _share(flag for _, one, _ in pairs for flag in one.named),
        turned.wrong_to_right.mean,
        turned.right_to_wrong.mean if turned.right_to_wrong is not None else math.nan,
    )


def _mean(values: Iterator[bool]) -> float:
    found = list(values)
    return fmean(found) if found else math.nan


def _share(flags: Iterator[bool | None]) -> float | None:
    found = [flag for flag in flags if flag is not None]
    return fmean(found) if found else None
