"""Evaluation as in the papers: success at trial 0…T, with the same tasks and seeds for every policy.

The actor's draws depend on the evaluation seed, the task and the trial alone. So trial t with a policy and trial t with
``none``, a plain retry, differ by the reflections only, and a policy that writes blanks has exactly the trials of
``none``. Several evaluation seeds are several episodes on each task.

A solved task is not tried again and stays solved; a failed one gets one reflection and one more trial, up to T times.
An actor error is neither a success nor a failure of the reflection: its episode is excluded from the score and counted
separately; if this happens too often, no score is given.

Trial 0 does not depend on reflections, so it is played once and shared by all policies.

With a journal (:mod:`retro_gym_agents.play.journal`), each trial is written when it ends, and an interrupted evaluation
can be resumed with the same result. The reported costs are those of the trials in the result; calls of interrupted
trials, and of void trials that were played again, are not included.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np

from retro_gym.actors import Actor, actor_name, parameters_of
from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError
from retro_gym.leaks import leak_in
from retro_gym.records import RecordWriter, RunHeader
from retro_gym.records.header import panel_of
from retro_gym.seeding import derive_seed
from retro_gym.teacher import Teacher
from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig, TaskResult
from retro_gym_agents.lm.adapter_folder import files_digest
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.episodes import (
    Episode,
    Progress,
    play_next_trial,
    silent,
    start_episodes,
    tokens_of,
    total_stats,
)
from retro_gym_agents.play.journal import Journal
from retro_gym_agents.play.policies import (
    LocalPolicy,
    MeteredPolicy,
    Policy,
    check_teacher,
    parts_of,
    policy_parameters,
)

__all__ = ["evaluate", "evaluate_all"]


def evaluate(
    env_id: str,
    policy: Policy,
    *,
    split: str = "test",
    num_tasks: int | None = None,
    trials: int = 3,
    seed: int = 0,
    seeds: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    max_error_rate: float = 0.05,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluates one policy. The arguments are the fields of :class:`EvaluationConfig`.

    Raises:
        ConfigError: an argument is invalid.

    >>> from retro_gym_agents.play.policies import make_policy
    >>> result = evaluate("RetroIdentity-v0", make_policy("oracle"), num_tasks=8, trials=1)
    >>> [estimate.mean for estimate in result.success_at_trial()]
    [0.0, 1.0]
    """
    config = EvaluationConfig(env_id, split, num_tasks, trials, seed, seeds, env_kwargs or {}, max_error_rate)
    (evaluation,) = evaluate_all(config, [policy], progress=progress)
    return evaluation


def evaluate_all(
    config: EvaluationConfig,
    policies: Sequence[Policy],
    *,
    progress: Progress = silent,
    journal: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> list[Evaluation]:
    """Evaluates several policies on the same tasks, seeds and first trials.

    All environments are closed at the end, also after an error.

    Args:
        config: the settings.
        policies: the policies that write the reflections; their names must differ.
        progress: called after each episode.
        journal: a JSONL file to which each trial is written when it ends; none by default.
        resume: continues from the journal. Episodes with actor errors are played again.

    Returns:
        One evaluation for each policy, in their order.

    Raises:
        ConfigError: the environment, the split or a policy is unknown or does not fit; the journal is of an evaluation
            with other settings, or of an unfinished one and ``resume`` is not set.
        RecordError: the file is not a journal.
        BudgetError: the actor's budget is spent.
    """
    names = [policy.name for policy in policies]
    several_models = sum(1 for policy in policies for _ in _models(policy)) > 1
    if len(set(names)) < len(names):
        raise ConfigError(f"policies are named {names}; give each once.")
    fixed = {"split": config.split, "max_reflections": max(1, config.trials), "reward": "return"}
    with ExitStack() as stack:
        first = make_retro_env(config.env_id, **{**config.env_kwargs, **fixed})
        stack.enter_context(closing(first))
        task_ids = _chosen(first.task_env.task_ids(config.split), config)
        run = _run(config, first, task_ids, names)
        notes = None
        if journal is not None:
            settings = _settings(config, first.actor, run)
            reflectors = {policy.name: policy_parameters(policy) for policy in policies}
            notes = stack.enter_context(Journal(journal, settings, reflectors, run=run, resume=resume))
        for policy in policies if config.trials else ():
            check_teacher(policy, first)
            for model in _models(policy):
                model.load()  # so that loading errors appear before actor calls are paid for
                if several_models:
                    model.unload()  # so that only one large model is in memory
        seeds = [derive_seed(seed, "episode", task_id) for seed in config.evaluation_seeds for task_id in task_ids]
        starts = start_episodes(first, task_ids * config.seeds, seeds, progress=progress, journal=notes)
        for start in starts:
            stack.enter_context(closing(start))
        evaluations = []
        for policy in policies:
            own = dataclasses.replace(run, policy=policy.name).identified()
            evaluations.append(_play_on(config, policy, starts, own, progress, notes))
            for model in _models(policy) if several_models else ():
                model.unload()  # so that only one large model is in memory
    return evaluations


def _run(config: EvaluationConfig, env: RetroEnv, task_ids: Sequence[str], names: Sequence[str]) -> RunHeader:
    """Returns the header of the evaluation, and sets it for its records."""
    panel, panel_size = panel_of(task_ids)
    settings = json.dumps({"seeds": config.seeds})
    known = RunHeader(policy=", ".join(names), seed=config.seed, settings=settings, panel=panel, panel_size=panel_size)
    if env.records is not None:
        known = env.records.header.or_else(known)
        env.records = RecordWriter(env.records.path, known)
    return env.header(known)


def _settings(config: EvaluationConfig, actor: Actor, run: RunHeader) -> dict[str, Any]:
    """Returns the known settings that the trials depend on, apart from the reflectors."""
    return {
        "env_id": config.env_id,
        "split": config.split,
        "tasks": f"{run.panel_size}, {run.panel}",
        "trials": config.trials,
        "seed": config.seed,
        "seeds": config.seeds,
        "env_kwargs": config.plain_kwargs,
        "files": files_digest(config.plain_kwargs),
        "actor": _actor_of(config, actor),
        "actor_parameters": parameters_of(actor),
    }


def _models(policy: Policy) -> Iterator[LocalPolicy]:
    """Yields the policies with a model in this process among a policy and those that it asks."""
    return (part for part in parts_of(policy) if isinstance(part, LocalPolicy))


def _chosen(task_ids: Sequence[str], config: EvaluationConfig) -> list[str]:
    """Returns the tasks to play, in the order of the split."""
    if not task_ids:
        raise ConfigError(f"split {config.split!r} of {config.env_id} holds no task.")
    if config.num_tasks is None or config.num_tasks >= len(task_ids):
        return list(task_ids)
    rng = np.random.default_rng(derive_seed(config.seed, "tasks"))
    return [task_ids[i] for i in sorted(rng.choice(len(task_ids), size=config.num_tasks, replace=False))]


def _play_on(
    config: EvaluationConfig,
    policy: Policy,
    starts: Sequence[Episode],
    run: RunHeader,
    progress: Progress,
    journal: Journal | None,
) -> Evaluation:
    """Plays trials 1…T of every episode with one policy's reflections."""
    read, written = (0, 0) if journal is None else journal.tokens(policy.name)
    before = tokens_of(policy)
    with ExitStack() as stack:
        episodes = [stack.enter_context(closing(start.twin())) for start in starts]
        for trial in range(1, config.trials + 1):
            seed = derive_seed(config.seed, "reflection", trial)
            play_next_trial(episodes, policy, seed=seed, progress=progress, journal=journal)
        after = tokens_of(policy)
        is_model = any(isinstance(part, MeteredPolicy) for part in parts_of(policy))
        seeds = np.repeat(config.evaluation_seeds, len(episodes) // config.seeds).tolist()
        return Evaluation(
            config,
            policy.name,
            tuple(map(_result, episodes, seeds)),
            _actor_of(config, episodes[0].env.actor),
            parameters_of(episodes[0].env.actor),
            total_stats(episodes),
            (read + after[0] - before[0], written + after[1] - before[1]) if is_model else None,
            next(filter(None, (model.adapter_source() for model in _models(policy))), None),
            run,
        )


def _actor_of(config: EvaluationConfig, actor: Actor) -> str:
    return actor_name(config.env_kwargs.get("actor", "scripted"), actor)


def _result(episode: Episode, seed: int) -> TaskResult:
    teacher = episode.env.task_env.teacher
    return TaskResult(
        episode.task_id,
        seed,
        teacher.task_group(episode.task_id),
        teacher.failure_cause(episode.task_id),
        tuple(episode.success),
        tuple(episode.returns),
        tuple(episode.ends),
        tuple(episode.reflections),
        _leaks(teacher, episode.task_id, episode.reflections),
        _names_cause(teacher, episode.task_id, episode.reflections),
        None if episode.failed is None else str(episode.failed),
    )


def _leaks(teacher: Teacher, task_id: str, reflections: Sequence[str]) -> tuple[bool, ...] | None:
    """Returns whether each reflection contains the answer; None if the teacher does not define ``leaks``."""
    if not teacher.defines("leaks"):
        return None
    return tuple(bool(leak_in(text, teacher, task_id)) for text in reflections)


def _names_cause(teacher: Teacher, task_id: str, reflections: Sequence[str]) -> tuple[bool, ...] | None:
    """Returns whether each reflection names the cause of failure; None if the teacher does not know it."""
    if not teacher.defines("names_cause") or not teacher.failure_cause(task_id):
        return None
    return tuple(bool(text.strip()) and teacher.names_cause(text, task_id) for text in reflections)
