"""Actor specs: the ways to name an actor."""

from __future__ import annotations

import importlib
import inspect
import operator
import os
from collections.abc import Callable, Mapping
from typing import Any

from retro_gym.actors.base import Actor, ActorSpec, CallableActor
from retro_gym.actors.budget import Budget, BudgetedActor
from retro_gym.actors.hf import HfActor
from retro_gym.actors.tape.replay import RecordingActor, ReplayActor
from retro_gym.errors import ConfigError, RetroGymError, did_you_mean, one_line
from retro_gym.task_env import TaskEnv

__all__ = ["actor_name", "make_actor"]

_KINDS: dict[str, Callable[..., Actor]] = {"hf": HfActor, "replay": ReplayActor}


def make_actor(
    spec: ActorSpec,
    task_env: TaskEnv,
    *,
    record: str | os.PathLike[str] | None = None,
    budget: Budget | Mapping[str, Any] | None = None,
    **options: Any,
) -> Actor:
    """Returns the actor that a spec names.

    Args:
        spec: ``"scripted"`` (the task environment's own), ``"openai:MODEL"`` (``OpenAIActor``), ``"hf:PATH"``
            (``HfActor``), ``"replay:FILE"`` (``ReplayActor``), ``"python:MODULE:NAME"`` (imports one of the following;
            such a spec can be saved as JSON), an :class:`Actor`, a class of actors, or a function on prompts.
        task_env: provides the actor for ``"scripted"``.
        record: path of a tape on which every reply is recorded, for ``"replay:FILE"``.
        budget: limits on the actor's cost: a :class:`~retro_gym.actors.Budget`, or its arguments.
        options: arguments of the actor's class, such as ``base_url`` or ``batch_size``.

    Raises:
        ConfigError: the spec has an unknown form or does not name an actor, or an option is unknown.
    """
    if isinstance(budget, Mapping):
        budget = Budget(**_known(Budget, budget, "budget"))
    elif budget is not None and not isinstance(budget, Budget):
        raise ConfigError(f"budget is {one_line(budget)}; give a retro_gym.actors.Budget, or a dict of its arguments.")
    actor = _named(spec, task_env, {**options, "budget": budget} if _is_openai(spec) else options)
    if budget is not None and not _is_openai(spec):  # OpenAIActor counts its retries itself
        actor = BudgetedActor(actor, budget)
    return actor if record is None else RecordingActor(actor, record, name=spec if isinstance(spec, str) else None)


def actor_name(spec: ActorSpec, actor: Actor) -> str:
    """Returns an actor's name for reports. A replay has the name of the recorded actor, so that reports agree."""
    recorded = actor.parameters.get("actor") if isinstance(actor, ReplayActor) else None
    return recorded or (spec if isinstance(spec, str) else type(actor).__name__)


def _is_openai(spec: ActorSpec) -> bool:
    return isinstance(spec, str) and spec.startswith("openai:") and spec != "openai:"


def _named(spec: ActorSpec, task_env: TaskEnv, options: Mapping[str, Any]) -> Actor:
    if not isinstance(spec, str):
        return _given(spec, options, one_line(spec))
    kind, _, rest = spec.partition(":")
    if kind == "openai" and rest:
        from retro_gym.actors.openai import OpenAIActor  # asyncio alone would double the time of `import retro_gym`

        return OpenAIActor(rest, **_known(OpenAIActor, options, f"actor {spec!r}"))
    if kind in _KINDS and rest:
        return _KINDS[kind](rest, **_known(_KINDS[kind], options, f"actor {spec!r}"))
    if kind == "python":
        return _given(_imported(spec, rest), options, repr(spec))
    if spec == "scripted":
        return task_env.scripted_actor(**_known(task_env.scripted_actor, options, "actor 'scripted'"))
    _without_options(options, repr(spec))
    raise ConfigError(
        f"actor {spec!r} is not known. Give 'scripted', 'openai:MODEL', 'hf:PATH', 'replay:FILE', "
        "'python:MODULE:NAME', an object with reply(prompts), or a function on prompts."
    )


def _given(found: object, options: Mapping[str, Any], what: str) -> Actor:
    """Returns an object as an actor: itself, an instance of a class, or a wrapped function."""
    if inspect.isclass(found):
        found = _made(found, options, what)
    else:
        _without_options(options, what)
    if isinstance(found, Actor):
        for name in ("reply", "submit"):
            if hasattr(found, name):
                _check_called(getattr(found, name), f"{name} of actor {what}")
        return found
    if not callable(found):
        raise ConfigError(f"actor {what} has neither reply(prompts) nor is it callable.")
    _check_called(found, f"actor {what}")
    return CallableActor(found)


def _without_options(options: Mapping[str, Any], what: str) -> None:
    if options:
        raise ConfigError(f"actor {what} has no options; received {', '.join(sorted(options))}.")


def _made(kind: type, options: Mapping[str, Any], what: str) -> object:
    """Instantiates a class that was given in place of an actor."""
    given = f"the options {', '.join(sorted(options))}" if options else "no options"
    failed = f"actor {what} is the class {kind.__name__}, which cannot be made of {given}"
    if (reason := _mismatch(kind, **options)) is not None:
        raise ConfigError(f"{failed}: {reason}. Give its arguments as actor_kwargs, or give an object.")
    try:
        return kind(**options)
    except RetroGymError:
        raise
    except Exception as error:  # code of a user may fail in any way
        raise ConfigError(f"{failed}: {type(error).__name__} ({one_line(str(error), 200)}).") from error


def _check_called(found: object, what: str) -> None:
    """Refuses objects that cannot be called with prompts, and async functions, which return no replies."""
    if not callable(found):
        raise ConfigError(f"{what} is {one_line(found)}, which cannot be called.")
    for each in (found, type(found).__call__):  # a function, or an object that is called like one
        if inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each):
            raise ConfigError(f"{what} is async; it must return its replies. Call asyncio.run in it, for example.")
    if (reason := _mismatch(found, ())) is not None:
        raise ConfigError(f"{what} cannot be called with one argument, the prompts: {reason}.")


def _mismatch(called: Callable[..., object], /, *args: object, **kwargs: object) -> str | None:
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


def _known(kind: Callable[..., object], options: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Returns the options after a check that all of them are keyword arguments of a class."""
    parameters = inspect.signature(kind).parameters.values()
    names = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY or one.default is not one.empty]
    for name in options:
        if name not in names:
            raise ConfigError(
                f"{what} has no option {name!r}; it has {', '.join(names) or 'none'}.{did_you_mean(name, names)}"
            )
    return dict(options)


def _imported(spec: str, path: str) -> object:
    module, _, name = path.partition(":")
    if not module or not name:
        raise ConfigError(f"actor {spec!r} does not have the form 'python:MODULE:NAME'.")
    try:
        found: object = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"actor {spec!r} cannot be imported: {error}.") from error
    except (Exception, SystemExit) as error:  # code of a user may fail in any way
        raise ConfigError(
            f"actor {spec!r} cannot be imported: {type(error).__name__} ({one_line(str(error), 200)})."
        ) from error
    if isinstance(found, str):
        raise ConfigError(f"actor {spec!r} names the text {one_line(found)}, not an actor.")
    return found
