"""Policies that users write themselves: a function on observations, an object or a class."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, ConfigError, RetroGymError, one_line
from retro_gym.python_specs import check_called, made, without_options
from retro_gym_agents.play.policies.protocol import Policy, checked_texts

__all__ = ["FunctionPolicy", "ReflectFunction", "policy_of"]

ReflectFunction: TypeAlias = Callable[[Sequence[str]], Sequence[str]]


class FunctionPolicy:
    """Calls a function with all observations of a batch.

    Args:
        function: returns one reflection for each observation, in the same order.
        name: the policy's name.

    >>> policy = FunctionPolicy(lambda observations: [text.split()[-1] for text in observations], "last word")
    >>> policy.reflect(["It was red", "It was blue"], [], [0, 1])
    ['red', 'blue']
    """

    def __init__(self, function: ReflectFunction, name: str) -> None:
        self.function = function
        self.name = name

    def reflect(
        self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]
    ) -> list[str | ActorError]:
        """Returns what the function returns; environments and seeds are not used.

        Raises:
            ConfigError: the function fails, or does not return one text for each observation.
        """
        try:
            written = self.function(observations)
        except RetroGymError:
            raise
        except Exception as error:  # code of a user may fail in any way
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise ConfigError(
                f"reflector {self.name!r} failed with {type(error).__name__} ({one_line(str(error), 200)}) in "
                f"{Path(place.filename).name}, line {place.lineno}."
            ) from error
        return checked_texts(f"reflector {self.name!r}", written, len(observations))


def policy_of(found: object, options: Mapping[str, Any], what: str, name: str) -> Policy:
    """Returns an object as a policy: itself, an instance of a class, or a function on observations.

    Args:
        found: the object.
        options: arguments of the class, if it is one.
        what: the object in messages, such as ``"reflector 'python:module:name'"``.
        name: name of the policy, if it has none of its own.

    Raises:
        ConfigError: it is no policy, or the options do not fit.
    """
    if inspect.isclass(found):
        found = made(found, options, what, "reflector_kwargs (--reflector-kwargs)")
    else:
        without_options(options, what)
    if hasattr(found, "reflect"):
        if not isinstance(found, Policy) or not isinstance(found.name, str):
            named = one_line(getattr(found, "name", None))
            raise ConfigError(f"{what} has reflect, but its name is {named}. Give it an attribute name, a text.")
        check_called(found.reflect, f"reflect of {what}", "observations", "envs", "seeds")
        return found
    if not callable(found):
        raise ConfigError(f"{what} has neither reflect(observations, envs, seeds) nor is it callable.")
    check_called(found, what, "observations")
    return FunctionPolicy(found, name)
