"""Builds the header of a records file from an environment."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from retro_gym.actors import actor_name, parameters_of
from retro_gym.actors.secrets import mask, secrets_of, shareable
from retro_gym.errors import UnknownTaskError
from retro_gym.records.schema import RunHeader
from retro_gym.registration import retro_id_of
from retro_gym.stage import Stage
from retro_gym.task_env import TaskEnv

if TYPE_CHECKING:
    from retro_gym.env import RetroEnv

__all__ = ["header_of", "panel_of", "plain_json"]

_OWN_COLUMNS = {
    *("actor", "actor_kwargs", "actor_template", "control_trials", "max_reflections", "memory", "memory_window"),
    *("observation_template", "records", "retroact_c", "reward", "split", "task_env"),
}


def header_of(env: RetroEnv, stage: Stage, known: RunHeader) -> RunHeader:
    """Returns the header for the rows that an environment writes.

    Args:
        env: the environment.
        stage: plays its trials.
        known: columns that the caller knows, such as policy and seed; they take precedence.
    """
    task_env = stage.env
    panel, panel_size = panel_of(_task_ids(task_env, env.split))
    return known.or_else(
        RunHeader(
            env_id=_env_id(env),
            env_kwargs=plain_json(_arguments(env, stage)),
            split=env.split,
            world_seed=_world_seed(task_env),
            panel=panel,
            panel_size=panel_size,
            reward_name=env.reward,
            retroact_c=float(env.retroact_c),
            control_trials=int(env.control_trials),
            max_reflections=int(env.max_reflections),
            memory_window=int(env.memory.window),
            memory=env.memory.kind,
            actor=actor_name(env.actor_spec or env.actor, env.actor),
            actor_parameters=plain_json(parameters_of(env.actor)),
            actor_template=stage.template,
            observation_template=env.observation_template,
            retro_gym_version=_version("retro-gym"),
            gymnasium_version=_version("gymnasium"),
            numpy_version=_version("numpy"),
            torch_version=_version("torch"),
            transformers_version=_version("transformers"),
        )
    ).identified()


def panel_of(task_ids: Sequence[str]) -> tuple[str, int]:
    """Returns a digest of task ids, and their number.

    >>> panel_of(["train-0", "train-1"])
    ('dfa99bc156caccef', 2)
    """
    return _digest(tuple(task_ids)), len(task_ids)


@lru_cache(maxsize=16)
def _digest(task_ids: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(task_ids).encode()).hexdigest()[:16] if task_ids else ""


@lru_cache
def _version(package: str) -> str:
    """Returns the version of a package without importing it, which may be slow."""
    import importlib.metadata  # here, as it takes a fifth of the time of `import retro_gym`

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def plain_json(values: Mapping[str, Any]) -> str:
    """Serialises the arguments of JSON types as JSON text, sorted by name, without addresses and secrets.

    >>> plain_json({"tasks": None, "num": 3, "actor": object()})
    '{"num": 3, "tasks": null}'
    """
    kept = {}
    for name, value in sorted(values.items()):
        plain = os.fspath(value) if isinstance(value, os.PathLike) else value
        try:
            kept[name] = json.loads(json.dumps(plain, allow_nan=False))
        except (TypeError, ValueError):
            continue
    return json.dumps(mask(shareable(kept, addresses=False), secrets_of()))


def _env_id(env: RetroEnv) -> str:
    """Returns the id with which an environment was made, or with which it could be made."""
    if env.spec is not None:
        return str(env.spec.id)
    inner = env.task_env.spec  # an environment within a vector environment has no id of its own
    retro_id = "" if inner is None else retro_id_of(inner.id)
    return retro_id if retro_id in gym.registry else ""


def _arguments(env: RetroEnv, stage: Stage) -> dict[str, Any]:
    """Returns the environment's arguments, given or default, that have no column of their own."""
    inner = getattr(stage.env, "env", None)  # of a TextTask
    given = {**(_kwargs(inner) if isinstance(inner, gym.Env) else {}), **_kwargs(stage.env), **_kwargs(env)}
    if env.memory.kind != "reflections":  # what has no effect is left out, as it always was
        given["max_trajectory_chars"] = env.memory.max_trajectory_chars
    if env.controls != "paired":
        given["controls"] = env.controls
    return {name: value for name, value in given.items() if name not in _OWN_COLUMNS} | {
        "bank": None if env.bank is None else env.bank.path,
        "leak": env.leak,
        "max_observation_chars": env.max_observation_chars,
        "max_reflection_chars": env.max_reflection_chars,
        "max_turns": stage.max_turns,
        "repeat_limit": stage.repeat_limit,
        "success_threshold": getattr(stage.env, "solved_at", None),
        "trial_time_limit": stage.time_limit,
    }


def _kwargs(env: gym.Env[Any, Any]) -> dict[str, Any]:
    return {} if env.spec is None else dict(env.spec.kwargs)


def _task_ids(task_env: TaskEnv, split: str) -> Sequence[str]:
    try:
        return task_env.task_ids(split)
    except UnknownTaskError:  # episodes on tasks requested by id need no split
        return ()


def _world_seed(task_env: TaskEnv) -> int:
    parameter = inspect.signature(type(task_env)).parameters.get("world_seed")
    seed = _kwargs(task_env).get("world_seed", None if parameter is None else parameter.default)
    return seed if isinstance(seed, int) else -1
