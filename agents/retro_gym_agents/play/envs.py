"""Creates one or several environments by id, with errors that name the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from retro_gym.actors import ActorSpec
from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError, UnsupportedArgumentError, did_you_mean, one_line
from retro_gym.python_specs import find_in_working_folder
from retro_gym.records import RecordWriter
from retro_gym.registration import retro_id_of

__all__ = ["make_envs", "make_retro_env", "retro_ids"]


def retro_ids() -> list[str]:
    """Returns the ids of all registered meta-environments, sorted."""
    return sorted(name for name, spec in gym.registry.items() if spec.entry_point == "retro_gym.env:RetroEnv")


def make_retro_env(env_id: str, **kwargs: Any) -> RetroEnv:
    """Calls ``gym.make`` without wrappers, with errors that name the remedy.

    Raises:
        ConfigError: the id is unknown or not that of a ``RetroEnv``, or the environment does not take an argument.
    """
    known = retro_ids()
    if env_id not in gym.registry and ":" not in env_id:
        hint = did_you_mean(env_id, known)
        raise ConfigError(f"environment {env_id!r} is not registered.{hint} Known are {', '.join(known)}.")
    if (retro_id := retro_id_of(env_id)) in known:
        raise ConfigError(f"{env_id!r} is a task environment, not a RetroEnv. Did you mean {retro_id!r}?")
    if ":" in env_id:
        find_in_working_folder()
    try:
        env = gym.make(env_id, disable_env_checker=True, **kwargs).unwrapped
    except gym.error.Error as error:
        raise ConfigError(f"environment {env_id!r} cannot be made: {error}") from error
    except ModuleNotFoundError as error:  # from "module:id"; missing extras raise MissingExtraError
        if ":" not in env_id:
            raise
        raise ConfigError(f"environment {env_id!r} cannot be made: {error}.") from error
    except UnsupportedArgumentError:  # of a RetroEnv
        raise
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument ('\w+')", str(error))
        if unknown is None:
            raise
        raise ConfigError(
            f"environment {env_id!r} takes no argument {unknown[1]}, as a RetroEnv does. Give one of "
            f"{', '.join(known)}, or wrap it: retro_gym.RetroEnv(task_env)."
        ) from error
    if not isinstance(env, RetroEnv):
        env.close()
        raise ConfigError(f"environment {env_id!r} is {one_line(env)}, not a RetroEnv. Give one of {', '.join(known)}.")
    return env


def make_envs(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    *,
    actor: ActorSpec,
    num: int,
    records: RecordWriter | None,
    actor_kwargs: Mapping[str, Any] | None = None,
) -> list[RetroEnv]:
    """Returns environments for parallel episodes. They share the actor, the tasks and the records file.

    Raises:
        ConfigError: the environment cannot be made, or ``env_kwargs`` holds an argument that has its own parameter.
    """
    for name in ("actor", "actor_kwargs", "records"):
        if name in env_kwargs:
            raise ConfigError(f"env_kwargs holds {name!r}, which has its own parameter. Leave it out of env_kwargs.")
    first = make_retro_env(env_id, **env_kwargs, actor=actor, actor_kwargs=actor_kwargs, records=records)
    return [first, *(first.twin() for _ in range(num - 1))]
