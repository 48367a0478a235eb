"""Functions of a user that translate between a foreign environment and text."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from retro_gym.errors import ConfigError, RetroGymError, one_line
from retro_gym.python_specs import check_called

__all__ = ["Act", "Hook", "Hooks", "NoActionError"]

Act: TypeAlias = Callable[..., Any] | Mapping[str, Any] | None


class NoActionError(Exception):
    """The text of an actor is no action of this environment; the message is shown to the actor."""


@dataclasses.dataclass(frozen=True)
class Hook:
    """A function of a user, called with as many arguments as it requires.

    >>> values = {"text": "A door."}, {"hint": "It is open."}, None
    >>> Hook.of("observe", lambda raw: raw["text"], ("observation", "info", "env"))(*values)
    'A door.'
    >>> Hook.of("observe", lambda raw, info: raw["text"] + info["hint"], ("observation", "info", "env"))(*values)
    'A door.It is open.'
    """

    name: str
    function: Callable[..., Any]
    takes: int

    @classmethod
    def of(cls, name: str, function: object, arguments: tuple[str, ...]) -> Hook:
        """Returns the hook of a function.

        Args:
            name: the argument of :func:`retro_gym.wrap` that gives it, for messages.
            function: the function.
            arguments: names of what it may take, in order.

        Raises:
            ConfigError: it cannot be called with the first of these arguments.
        """
        takes = min(max(1, _required(function, len(arguments))), len(arguments))
        check_called(function, name, *arguments[:takes])
        assert callable(function)
        return cls(name, function, takes)

    def __call__(self, *values: Any) -> Any:
        """Calls the function.

        Raises:
            ConfigError: it raises an exception.
        """
        try:
            return self.raw(*values)
        except RetroGymError:
            raise
        except Exception as error:  # code of a user may fail in any way
            raise ConfigError(
                f"{self.name} raised {type(error).__name__} ({one_line(str(error), 200)}) for {one_line(values[0])}. "
                "It must be able to read everything that the environment returns."
            ) from error

    def raw(self, *values: Any) -> Any:
        """Calls the function, and lets its exceptions pass."""
        return self.function(*values[: self.takes])


def _required(function: object, most: int) -> int:
    """Returns how many positional arguments a function requires; all that there are if it takes any number."""
    if not callable(function):
        return 1
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # functions written in C may have no signature
        return 1
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return most
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters)


@dataclasses.dataclass(frozen=True)
class Hooks:
    """The hooks of an environment; see :func:`retro_gym.wrap`."""

    observe: Hook | None
    act: Hook | Mapping[str, Any] | None
    success: Hook | str | None
    gold: Hook | str | None
    solved_at: float

    @classmethod
    def of(cls, *, observe: object, act: object, success: object, gold: object, solved_at: float) -> Hooks:
        """Returns the hooks after a check that each can be called.

        Raises:
            ConfigError: one cannot.
        """
        if isinstance(act, Mapping):
            act = {str(text).strip().casefold(): action for text, action in act.items()}
            if not act:
                raise ConfigError("act is an empty mapping; give each action's text and value.")
        elif act is not None:
            act = Hook.of("act", act, ("text", "info", "env"))
        return cls(
            None if observe is None else Hook.of("observe", observe, ("observation", "info", "env")),
            act,
            success if success is None or isinstance(success, str) else Hook.of("success", success, ("info", "env")),
            gold if gold is None or isinstance(gold, str) else Hook.of("gold", gold, ("info", "env")),
            solved_at,
        )

    def action(self, text: str, info: Mapping[str, Any], env: object) -> Any:
        """Returns the action that a text stands for.

        Raises:
            NoActionError: it stands for none: it is not in the mapping, or ``act`` raises a ``ValueError`` or a
                ``LookupError``.
            ConfigError: ``act`` raises another exception.
        """
        if self.act is None:
            return text
        if isinstance(self.act, Mapping):
            known = self.act
            action = known.get(text.strip().casefold(), NoActionError)
            if action is NoActionError:
                raise NoActionError(f"{one_line(text)} is no action here. The actions are: {', '.join(known)}.")
            return action
        try:
            return self.act.raw(text, info, env)
        except RetroGymError:
            raise
        except (ValueError, LookupError) as error:
            said = f": {error}" if isinstance(error, ValueError) and str(error) else ""
            raise NoActionError(f"{one_line(text)} is no action here{said}.") from error
        except Exception as error:
            raise ConfigError(
                f"act raised {type(error).__name__} ({one_line(str(error), 200)}) for {one_line(text)}. It must take "
                "any text; let it raise a ValueError for one that is no action, which then costs a turn."
            ) from error
