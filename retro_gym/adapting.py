"""Makes task environments of what users give: ids, task environments, and text environments of any package."""

from __future__ import annotations

import re
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from retro_gym.errors import ConfigError, UnsupportedArgumentError, did_you_mean, one_line
from retro_gym.foreign.maker import is_environment
from retro_gym.foreign.text_task import TextTask
from retro_gym.task_env import TaskEnv
from retro_gym.teacher import Teacher

__all__ = ["as_task_env"]


def as_task_env(task_env: object, *, success_threshold: float | None = None, **kwargs: Any) -> TaskEnv:
    """Returns the task environment of an id or an instance; other text environments are adapted.

    Args:
        task_env: a registered id, a :class:`TaskEnv`, or any text environment.
        success_threshold: return of a solved trial, for environments that do not report ``info["success"]``.
        kwargs: arguments of the environment's constructor; only with an id.

    Raises:
        ConfigError: the id is unknown, the constructor refuses the arguments, or it is no text environment.
        UnsupportedArgumentError: there is no such argument.
    """
    if isinstance(task_env, str):
        env: Any = _made(task_env, kwargs)
    elif not is_environment(task_env):
        raise ConfigError(
            f"task_env is {one_line(task_env)}; give an environment or the id of one. What makes an environment is "
            "given as retro_gym.wrap(make)."
        )
    elif kwargs:
        raise UnsupportedArgumentError(
            f"RetroEnv got an unexpected keyword argument {next(iter(kwargs))!r}. Arguments of the task environment "
            "can be passed on only when it is given by its id; here it is an instance already."
        )
    else:
        env = task_env
    if isinstance(getattr(env, "unwrapped", env), TaskEnv):
        _check_wrappers(env, env.unwrapped)
        if success_threshold is not None:
            also = ", and give solved_at to retro_gym.wrap" if isinstance(env.unwrapped, TextTask) else ""
            raise ConfigError(
                f"{type(env.unwrapped).__name__} reports success itself; leave success_threshold out{also}."
            )
        if not isinstance(env.unwrapped.teacher, Teacher):
            raise ConfigError(
                f"{type(env.unwrapped).__name__}.teacher is {one_line(env.unwrapped.teacher)}; an instance of "
                "retro_gym.Teacher is required. Leave it out for an environment without a teacher."
            )
        inner: TaskEnv = env.unwrapped
        return inner
    return TextTask(env, solved_at=1.0 if success_threshold is None else success_threshold)


def _check_wrappers(env: gym.Env[Any, Any], inner: TaskEnv) -> None:
    """Refuses wrappers, because only the task environment itself is played.

    A ``TimeLimit``, which ``gym.register`` may add, is converted to the turn limit.
    """
    while env is not inner:
        if isinstance(env, TimeLimit):
            inner.max_turns = min(inner.max_turns, env._max_episode_steps)
        elif not isinstance(env, OrderEnforcing | PassiveEnvChecker):
            raise ConfigError(
                f"{type(inner).__name__} is wrapped in {type(env).__name__}, but a TaskEnv is played without wrappers. "
                "Change it in a subclass, or wrap an environment that is no TaskEnv."
            )
        assert isinstance(env, gym.Wrapper)
        env = env.env


def _made(env_id: str, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    """Calls ``gym.make`` and converts its errors."""
    if env_id not in gym.registry and ":" not in env_id:
        raise ConfigError(
            f"task environment {env_id!r} is not registered.{did_you_mean(env_id, gym.registry)} "
            "Import the package that registers it first."
        )
    try:
        return gym.make(env_id, disable_env_checker=True, **kwargs)
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise ConfigError(f"task environment {env_id!r} cannot be made: {error}.") from error
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None or unknown.group(1) not in kwargs:
            raise
        raise UnsupportedArgumentError(  # in Python's own words, which libraries look for
            f"RetroEnv got an unexpected keyword argument {unknown.group(1)!r}: it is known neither to RetroEnv nor to "
            f"the task environment {env_id!r}."
        ) from error
