"""A user's factory of environments, and which arguments of a task it takes."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from retro_gym.errors import ConfigError, one_line
from retro_gym.foreign.tasks import Arguments
from retro_gym.python_specs import check_called, mismatch

__all__ = ["Maker", "Question", "is_environment", "names_of"]


class Question:
    """A task of a single turn: a question, and a function that scores an answer.

    Args:
        question: the text that the actor sees.
        score: from an answer to a number.
        info: what ``reset`` returns beside the question, for the hooks.
    """

    def __init__(self, question: str, score: Callable[[str], Any], info: Mapping[str, Any] | None = None) -> None:
        self.question, self.score, self.info = question, score, dict(info or {})

    def reset(self) -> tuple[str, dict[str, Any]]:
        """Returns the question."""
        return self.question, dict(self.info)

    def step(self, action: str) -> Any:
        """Returns the score of an answer."""
        return self.score(action)


@dataclasses.dataclass(frozen=True)
class Maker:
    """A factory of environments."""

    make: Callable[..., Any]
    names: frozenset[str]
    """The arguments that it has."""
    name: str
    """For messages."""

    @classmethod
    def of(cls, make: object) -> Maker:
        """Returns the maker of a factory: a function, a class, or the id of a Gymnasium environment.

        Raises:
            ConfigError: it is none of these.
        """
        if isinstance(make, str):
            return cls(functools.partial(_registered, make), frozenset(), f"gym.make({make!r})")
        if not callable(make):
            raise ConfigError(
                f"make is {one_line(make)}; give a function or a class that makes the environment, or the id of a "
                "Gymnasium environment."
            )
        if inspect.iscoroutinefunction(make):
            check_called(make, "make")
        inner = make.func if isinstance(make, functools.partial) else make
        return cls(make, names_of(make)[0], getattr(inner, "__name__", type(inner).__name__))

    def check(self, arguments: Arguments) -> None:
        """Checks that the factory can be called for a task.

        Raises:
            ConfigError: it cannot.
        """
        positional, named = self.own(arguments)
        if (reason := mismatch(self.make, *positional, **dict(named))) is not None:
            raise ConfigError(
                f"make cannot be called for task {arguments.task_id!r}: {reason}. It takes what a task gives it: a "
                "seed if it has that argument, a text as its first argument, and the named arguments that it has."
            )

    def own(self, arguments: Arguments) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
        """Returns what the factory takes of a task's arguments, positional and named."""
        positional = () if arguments.text is None else (arguments.text,)
        given = dict(arguments.named) if arguments.seed is None else {"seed": arguments.seed, **arguments.named}
        return positional, tuple((name, value) for name, value in given.items() if name in self.names)

    def rest(self, arguments: Arguments) -> Arguments:
        """Returns what is left of a task's arguments for ``reset``; a seed is for both."""
        left = {name: value for name, value in arguments.named.items() if name not in self.names}
        return dataclasses.replace(arguments, text=None, named=left)

    def __call__(self, arguments: Arguments) -> Any:
        """Makes the environment of a task."""
        positional, named = self.own(arguments)
        made = self.make(*positional, **dict(named))
        if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[0], str) and callable(made[1]):
            return Question(*made)
        if not is_environment(made):
            raise ConfigError(
                f"make returned {one_line(made)} of type {type(made).__name__}. It must return an environment with "
                "reset and step, or a question and a function that scores an answer."
            )
        return made


def _registered(env_id: str, /) -> gym.Env[Any, Any]:
    return gym.make(env_id, disable_env_checker=True)


def is_environment(thing: object) -> bool:
    """Whether an object has ``reset`` and ``step``; a class of such objects is a factory."""
    return not inspect.isclass(thing) and all(callable(getattr(thing, name, None)) for name in ("reset", "step"))


def names_of(called: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """Returns the names of the arguments that something has, and whether it takes any others too."""
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):  # functions written in C may have no signature
        return frozenset(), False
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return (
        frozenset(one.name for one in parameters if one.kind in named),
        any(one.kind is one.VAR_KEYWORD for one in parameters),
    )
