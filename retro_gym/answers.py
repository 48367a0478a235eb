"""Validates the return values of task environments against Gymnasium's API."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from retro_gym.errors import ConfigError, TaskEnvError, one_line

__all__ = ["checked_reset", "checked_step"]

_LARGEST = 1e100  # bound of a reward, so that sums, differences and products of a trial's rewards are finite
_REMEDY = "Correct the environment, or, if it is not a TaskEnv, convert its values in a gymnasium.Wrapper."


def checked_reset(env: gym.Env[Any, Any], answer: object) -> tuple[str, dict[str, Any]]:
    """Validates the return value of ``reset``.

    Raises:
        ConfigError: it has the wrong form.
    """
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _misshapen(env, "reset", "(observation, info)", answer)
    observation, info = answer
    return _observed(env, "reset", observation), _informed(env, "reset", info)


def checked_step(env: gym.Env[Any, Any], answer: object) -> tuple[str, float, bool, bool, dict[str, Any]]:
    """Validates the return value of ``step`` and converts its numbers and booleans to Python types.

    Raises:
        ConfigError: it has the wrong form.
        TaskEnvError: the reward is not finite (or its absolute value is 1e100 or more), so that the trial is void.
    """
    if not isinstance(answer, tuple) or len(answer) != 5:
        raise _misshapen(env, "step", "(observation, reward, terminated, truncated, info)", answer)
    observation, reward, terminated, truncated, info = answer
    info = _informed(env, "step", info)
    try:
        paid, ended, cut, solved = (
            _number(reward),
            _truth(terminated),
            _truth(truncated),
            _truth(info.get("success", 0)),
        )
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ConfigError(
            f"{_name_of(env)}: step returned reward {one_line(reward)}, terminated {one_line(terminated)}, truncated "
            f"{one_line(truncated)} and success {one_line(info.get('success'))}; a number and booleans are required. "
            f"{_REMEDY}"
        ) from error
    if not abs(paid) < _LARGEST:
        raise TaskEnvError(f"{_name_of(env)}: step returned a reward of {paid}; a finite number is required.")
    return _observed(env, "step", observation), paid, ended, cut, {**info, "success": solved}


def _number(value: Any) -> float:
    """Converts a number of any library; one beyond the range of floats becomes infinity."""
    if isinstance(value, str | bytes | complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c":
        raise TypeError("no real number")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _truth(value: Any) -> bool:
    """Converts a boolean of any library, 0 or 1; refuses texts, lists and fractions, which ``bool`` would accept."""
    truth = bool(value)
    if isinstance(value, str | bytes) or not bool(value == truth):
        raise TypeError("no truth value")
    return truth


def _observed(env: gym.Env[Any, Any], method: str, observation: object) -> str:
    if not isinstance(observation, str):
        raise ConfigError(
            f"{_name_of(env)}: {method} returned the observation {one_line(observation)} of type "
            f"{type(observation).__name__}; text (str) is required. {_REMEDY}"
        )
    return observation


def _informed(env: gym.Env[Any, Any], method: str, info: object) -> dict[str, Any]:
    if not isinstance(info, dict):
        raise ConfigError(
            f"{_name_of(env)}: {method} returned the info {one_line(info)}; a dict is required. {_REMEDY}"
        )
    return info


def _misshapen(env: gym.Env[Any, Any], method: str, rule: str, answer: object) -> ConfigError:
    count = f"{len(answer)} values" if isinstance(answer, tuple | list) else type(answer).__name__
    return ConfigError(f"{_name_of(env)}: {method} returned {count}, {one_line(answer)}; {rule} is required. {_REMEDY}")


def _name_of(env: gym.Env[Any, Any]) -> str:
    return type(env.unwrapped).__name__
