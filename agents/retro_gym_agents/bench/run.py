"""Runs a benchmark: collects, trains, judges. What is complete is not repeated, so that it goes on when interrupted.

::

    OUTPUT/bench.json           what each arm's runs and results depend on
    OUTPUT/runs/ENV/actors/NAME the run that made a planner for an actor
    OUTPUT/runs/ENV/ARM-SEED/   the run of each trained arm, and trained.json: its policy and what it cost
    OUTPUT/results/ENV/ACTOR/ARM-SEED.json   as ``retro-gym evaluate --json`` writes it
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from retro_gym.errors import ConfigError, RetroGymError
from retro_gym_agents.bench.arms import Job, check_settings, collect_for, make_planner, train
from retro_gym_agents.bench.config import ActorSetting, BenchConfig
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.results import replace_json, write_json
from retro_gym_agents.lm.adapter_folder import weights_digest
from retro_gym_agents.lm.pretrained import TINY, tiny_folder
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.play.processes import process_pool
from retro_gym_agents.runs.log import print_status

__all__ = ["jobs_of", "judge", "result_file", "run_bench"]

_Item = TypeVar("_Item")


def run_bench(config: BenchConfig, output: Path, *, resume: bool = False, processes: int = 1) -> None:
    """Runs all arms in all environments with all seeds.

    Args:
        config: what is compared.
        output: the folder of runs and results.
        resume: goes on in a folder that holds a benchmark. Arms and actors may have been added; those that are there
            must be the same.
        processes: how many runs are made at the same time, each with one thread; the results are the same.

    Raises:
        ConfigError: a setting is unknown or invalid, or the folder holds another benchmark.
        RetroGymError: a run failed; the others were completed first.
    """
    jobs = jobs_of(config, output)
    for job in jobs:
        check_settings(job)
    _begin(config, output, resume=resume)
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)  # in this process as in the others, so that the results do not depend on their number
        pool = None
        if processes > 1:
            pool = process_pool(processes, partial(torch.set_num_threads, 1))
            stack.callback(pool.shutdown, cancel_futures=True)
        planners = {
            job.planner_of(actor): (job, actor) for job in jobs for actor in job.actors if actor.imitation is not None
        }
        _do(pool, "made", _make_planner, list(planners.values()), lambda pair: str(pair[0].planner_of(pair[1])))
        collections = {job.collected.name: job for job in jobs if job.collected is not None}
        _do(pool, "collected", collect_for, list(collections.values()), lambda job: str(job.records))
        _do(pool, "trained", train, [job for job in jobs if job.arm.learn], lambda job: job.name)
        judged = [(job, actor) for job in jobs for actor in job.judges if not result_file(job, actor).is_file()]
        _do(pool, "judged", _judge, judged, lambda pair: f"{pair[0].name} by {pair[1].name}")


def jobs_of(config: BenchConfig, output: Path) -> list[Job]:
    """Returns all jobs, those of the first seed first. An arm that is not trained has a job for each environment."""
    return [
        Job(config, arm, env_id, seed, output)
        for number, seed in enumerate(config.seeds)
        for env_id in config.envs
        for arm in config.arms
        if arm.learn or number == 0
    ]


def result_file(job: Job, actor: ActorSetting) -> Path:
    """Returns the file of a job's result with an actor."""
    return job.output / "results" / job.env_id / actor.name / f"{job.arm.slug}-{job.seed}.json"


def judge(job: Job, actor: ActorSetting) -> None:
    """Evaluates a job's policy on the panel. A policy with a planner of its own is judged with it, beside ``none``."""
    trained = train(job)
    panel, target = job.config.evaluation, result_file(job, actor)
    policy: Any = make_policy(_in(job, trained.policy), **trained.options)
    if job.arm.learn:
        policy.name = job.arm.slug  # so that a result does not depend on where it lies
    kwargs = {**job.config.env_kwargs, **job.arm.env_kwargs, **job.playing(actor)}
    if trained.planner:
        kwargs |= {"actor": f"planner:{_in(job, trained.planner)}", "actor_kwargs": {"batch_size": 64}}
    setting = EvaluationConfig(
        job.env_id,
        split=panel.split,
        num_tasks=panel.num_tasks,
        trials=panel.trials,
        seed=panel.seed,
        seeds=panel.seeds,
        env_kwargs=kwargs,
    )
    policies = [make_policy(NONE), policy] if trained.planner else [policy]
    target.parent.mkdir(parents=True, exist_ok=True)
    journal = target.with_name(f"{target.name}.trials.jsonl")
    evaluations = evaluate_all(setting, policies, journal=journal, resume=True)
    write_json(evaluations, target)
    journal.unlink()


def _make_planner(pair: tuple[Job, ActorSetting]) -> None:
    make_planner(*pair)


def _judge(pair: tuple[Job, ActorSetting]) -> None:
    judge(*pair)


def _in(job: Job, text: str) -> str:
    return text.replace("{folder}", str(job.folder))


def _do(
    pool: ProcessPoolExecutor | None,
    what: str,
    act: Callable[[_Item], object],
    items: Sequence[_Item],
    name: Callable[[_Item], str],
) -> None:
    """Does something with each item, and raises the first error when all others are done."""
    failed: list[tuple[str, RetroGymError]] = []
    for done, (item, error) in enumerate(_outcomes(pool, act, items), start=1):
        told = what if error is None else f"failed: {error}"
        print_status(f"{done} of {len(items)} {name(item)}: {told}")
        if error is not None:
            failed.append((name(item), error))
    if failed:
        where, first = failed[0]
        first.add_note(f"This was {where}; {len(failed)} of {len(items)} failed, and the others are complete.")
        raise first


def _outcomes(
    pool: ProcessPoolExecutor | None, act: Callable[[_Item], object], items: Iterable[_Item]
) -> Iterator[tuple[_Item, RetroGymError | None]]:
    """Yields each item with the error that it ended with, in the order in which they end."""
    if pool is None:
        yield from ((item, _attempt(act, item)) for item in items)
        return
    futures = {pool.submit(_attempt, act, item): item for item in items}
    for future in as_completed(futures):
        yield futures[future], future.result()


def _attempt(act: Callable[[_Item], object], item: _Item) -> RetroGymError | None:
    try:
        act(item)
    except RetroGymError as error:
        return error
    return None


def _begin(config: BenchConfig, output: Path, *, resume: bool) -> None:
    """Notes what each arm depends on, and refuses a folder in which an arm depends on something else."""
    path = output / "bench.json"
    if not resume and output.is_dir() and os.listdir(output):
        raise ConfigError(
            f"{output} is not empty. Go on in it with --resume, write its report with --report-only, or "
            "give another folder."
        )
    weights = weights_digest(tiny_folder() if config.reflector == TINY else Path(config.reflector))
    now = {f"arm {arm.name!r}": f"{config.digest_of(arm)} {weights}" for arm in config.arms}
    now |= {f"actor {actor.name!r}": f"{config.digest_of_actor(actor)} {weights}" for actor in config.actors}
    then = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name, digest in now.items():
        if then.get(name, digest) != digest:
            raise ConfigError(
                f"{output} holds results of {name} with other settings or another model. Give another folder, or "
                f"another name to the {name.split()[0]}."
            )
    output.mkdir(parents=True, exist_ok=True)
    replace_json(then | now, path)
