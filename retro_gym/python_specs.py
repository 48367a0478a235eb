"""Objects that users name in specs of the form ``python:MODULE:NAME``: imports, instantiates and checks them."""

from __future__ import annotations

import importlib
import inspect
import operator
import os
import sys
from collections.abc import Callable, Mapping

from retro_gym.errors import ConfigError, RetroGymError, one_line

__all__ = ["check_called", "find_in_working_folder", "imported", "made", "mismatch", "without_options"]


def imported(spec: str, role: str) -> object:
    """Imports what a spec names, from the installed packages, PYTHONPATH or the working folder.

    Args:
        spec: ``"python:MODULE:NAME"``.
        role: what it is used as, for messages: ``"actor"``, for example.

    Raises:
        ConfigError: the spec has another form, the import fails, or the name is that of a text.
    """
    module, _, name = spec.removeprefix("python:").partition(":")
    if not module or not name:
        raise ConfigError(f"{role} {spec!r} does not have the form 'python:MODULE:NAME'.")
    find_in_working_folder()
    try:
        found: object = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{role} {spec!r} cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:  # code of a user may fail in any way
        raise ConfigError(
            f"{role} {spec!r} cannot be imported: {type(error).__name__} ({one_line(str(error), 200)})."
        ) from error
    if isinstance(found, str):
        raise ConfigError(f"{role} {spec!r} names the text {one_line(found)}; name a function, a class or an object.")
    return found


def find_in_working_folder() -> None:
    """Lets modules be imported from the working folder, which the path of a console script lacks."""
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def made(kind: type, options: Mapping[str, object], what: str, option: str) -> object:
    """Instantiates a class that was given in place of an object.

    Args:
        kind: the class.
        options: its keyword arguments.
        what: the object in messages, such as ``"actor 'python:module:Name'"``.
        option: where users give the arguments, such as ``"actor_kwargs"``.

    Raises:
        ConfigError: the class does not take the options, or fails.
    """
    given = f"the options {', '.join(sorted(options))}" if options else "no options"
    failed = f"{what} is the class {kind.__name__}, which cannot be made of {given}"
    if (reason := mismatch(kind, **options)) is not None:
        raise ConfigError(f"{failed}: {reason}. Give its arguments as {option}, or give an object.")
    try:
        return kind(**options)
    except RetroGymError:
        raise
    except Exception as error:  # code of a user may fail in any way
        raise ConfigError(f"{failed}: {type(error).__name__} ({one_line(str(error), 200)}).") from error


def without_options(options: Mapping[str, object], what: str, but: str = "") -> None:
    """Checks that no options are given to something that has none, or no others.

    Args:
        options: the options, without those that it has.
        what: the thing in messages.
        but: the options that it has, for messages.

    Raises:
        ConfigError: there are some.
    """
    if options:
        has = f"has no options but {but}" if but else "has no options"
        raise ConfigError(f"{what} {has}; received {', '.join(sorted(options))}.")


def check_called(found: object, what: str, *arguments: str) -> None:
    """Checks that an object can be called with some arguments and is not async, since that would return no result.

    Args:
        found: the object.
        what: the object in messages.
        arguments: names of the positional arguments.

    Raises:
        ConfigError: it cannot.
    """
    if not callable(found):
        raise ConfigError(f"{what} is {one_line(found)}, which cannot be called.")
    for each in (found, type(found).__call__):  # a function, or an object that is called like one
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise ConfigError(f"{what} is async; it must return its results. Call asyncio.run in it, for example.")
    if (reason := mismatch(found, *arguments)) is not None:
        count = "one argument" if len(arguments) == 1 else f"{len(arguments)} arguments"
        raise ConfigError(f"{what} cannot be called with {count}, the {', '.join(arguments)}: {reason}.")


def mismatch(called: Callable[..., object], /, *args: object, **kwargs: object) -> str | None:
    """Checks arguments against a signature without a call; returns the problem, or None if they fit."""
    try:
        signature = inspect.signature(called)
    except ValueError:  # functions written in C may have no signature
        return None
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return f"{error}; the arguments are {signature}"
    return None
