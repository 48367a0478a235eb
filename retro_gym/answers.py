"""Validates the return values of task environments against Gymnasium's API."""

from __future__ import annotations

from typing import Any

from retro_gym.errors import ConfigError, TaskEnvError, one_line

__all__ = ["as_number", "as_truth", "checked_reset", "checked_step", "name_of"]

_LARGEST = 1e100  # bound of a reward, so that sums, differences and products of a trial's rewards are finite
_REMEDY = "Correct the environment, or convert its values: retro_gym.wrap(make, observe=…, act=…, success=…)."


def checked_reset(env: object, answer: object) -> tuple[str, dict[str, Any]]:
    """Validates the return value of ``reset``.

    Raises:
        ConfigError: it has the wrong form.
    """
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise _misshapen(env, "reset", "(observation, info)", answer)
    observation, info = answer
    return _observed(env, "reset", observation), _informed(env, "reset", info)


def checked_step(env: object, answer: object) -> tuple[str, float, bool, bool, dict[str, Any]]:
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
            as_number(reward),
            as_truth(terminated),
            as_truth(truncated),
            as_truth(info.get("success", 0)),
        )
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ConfigError(
            f"{name_of(env)}: step returned reward {one_line(reward)}, terminated {one_line(terminated)}, truncated "
            f"{one_line(truncated)} and success {one_line(info.get('success'))}; a number and booleans are required. "
            f"{_REMEDY}"
        ) from error
    if not abs(paid) < _LARGEST:
        raise TaskEnvError(f"{name_of(env)}: step returned a reward of {paid}; a finite number is required.")
    return _observed(env, "step", observation), paid, ended, cut, {**info, "success": solved}


def as_number(value: Any) -> float:
    """Converts a number of any library; one beyond the range of floats becomes infinity.

    Raises:
        TypeError: it is no real number. Classes of others may raise other exceptions.
    """
    if isinstance(value, str | bytes | complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c":
        raise TypeError("no real number")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def as_truth(value: Any) -> bool:
    """Converts a boolean of any library, 0 or 1; refuses texts, lists and fractions, which ``bool`` would accept.

    Raises:
        TypeError: it is no truth value. Classes of others may raise other exceptions.
    """
    truth = bool(value)
    if isinstance(value, str | bytes) or not bool(value == truth):
        raise TypeError("no truth value")
    return truth


def _observed(env: object, method: str, observation: object) -> str:
    if not isinstance(observation, str):
        raise ConfigError(
            f"{name_of(env)}: {method} returned the observation {one_line(observation)} of type "
            f"{type(observation).__name__}; text (str) is required. {_REMEDY}"
        )
    return observation


def _informed(env: object, method: str, info: object) -> dict[str, Any]:
    if not isinstance(info, dict):
        raise ConfigError(f"{name_of(env)}: {method} returned the info {one_line(info)}; a dict is required. {_REMEDY}")
    return info


def _misshapen(env: object, method: str, rule: str, answer: object) -> ConfigError:
    count = f"{len(answer)} values" if isinstance(answer, tuple | list) else type(answer).__name__
    return ConfigError(f"{name_of(env)}: {method} returned {count}, {one_line(answer)}; {rule} is required. {_REMEDY}")


def name_of(env: object) -> str:
    """Returns the name of an environment's class, wrappers aside, for messages."""
    return type(getattr(env, "unwrapped", env)).__name__
