"""Actor specs: the ways to name an actor."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from retro_gym.actors.base import Actor, ActorSpec, CallableActor
from retro_gym.actors.budget import Budget, BudgetedActor
from retro_gym.actors.hf import HfActor
from retro_gym.actors.tape.cassette import parameters_of
from retro_gym.actors.tape.replay import RecordingActor, ReplayActor
from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line
from retro_gym.python_specs import check_called, imported, made, without_options
from retro_gym.task_env import TaskEnv

__all__ = ["actor_name", "make_actor"]

_PLANNER = "planner:"
_KINDS: dict[str, Callable[..., Actor]] = {"hf": HfActor, "replay": ReplayActor}


def make_actor(
    spec: ActorSpec,
    task_env: TaskEnv | None,
    *,
    record: str | os.PathLike[str] | None = None,
    budget: Budget | Mapping[str, Any] | None = None,
    **options: Any,
) -> Actor:
    """Returns the actor that a spec names.

    Args:
        spec: ``"scripted"`` (the task environment's own), ``"openai:MODEL"`` (``OpenAIActor``), ``"hf:PATH"``
            (``HfActor``), ``"planner:DIR"`` (a planner that was trained, or ``"planner:tiny"``), ``"replay:FILE"``
            (``ReplayActor``), ``"python:MODULE:NAME"`` (imports one of the following; such a spec can be saved as
            JSON), an :class:`Actor`, a class of actors, or a function on prompts.
        task_env: provides the actor for ``"scripted"``; may be None for the others.
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
    if record is None:
        return actor
    return RecordingActor(actor, record, name=actor_name(spec, actor) if isinstance(spec, str) else None)


def actor_name(spec: ActorSpec, actor: Actor) -> str:
    """Returns an actor's name for reports: its spec, or its class.

    A replay has the name of the recorded actor, so that reports agree. A planner is named by its weights,
    ``planner:tiny@`` and a digest, since the same ones may lie in many folders, and others later in the same one.
    """
    if isinstance(actor, ReplayActor) and (recorded := actor.parameters.get("actor")):
        return str(recorded)
    if isinstance(spec, str) and spec.startswith(_PLANNER):
        return f"{_PLANNER}{parameters_of(actor)['model']}"
    return spec if isinstance(spec, str) else type(actor).__name__


def _is_openai(spec: ActorSpec) -> bool:
    return isinstance(spec, str) and spec.startswith("openai:") and spec != "openai:"


def _named(spec: ActorSpec, task_env: TaskEnv | None, options: Mapping[str, Any]) -> Actor:
    if not isinstance(spec, str):
        return _given(spec, options, f"actor {one_line(spec)}")
    kind, _, rest = spec.partition(":")
    if kind == "openai" and rest:
        from retro_gym.actors.openai import OpenAIActor  # asyncio alone would double the time of `import retro_gym`

        return OpenAIActor(rest, **_known(OpenAIActor, options, f"actor {spec!r}"))
    if kind in _KINDS and rest:
        return _KINDS[kind](rest, **_known(_KINDS[kind], options, f"actor {spec!r}"))
    if kind == "planner" and rest:
        planner = _planner()
        actor: Actor = planner.load(rest, **_known((planner.load, planner), options, f"actor {spec!r}"))
        return actor
    if kind == "python":
        return _given(imported(spec, "actor"), options, f"actor {spec!r}")
    if spec == "scripted":
        if task_env is None:
            raise ConfigError("actor 'scripted' is a task environment's own, and task_env is None. Give task_env.")
        return task_env.scripted_actor(**_known(task_env.scripted_actor, options, "actor 'scripted'"))
    without_options(options, f"actor {spec!r}")
    raise ConfigError(
        f"actor {spec!r} is not known. Give 'scripted', 'openai:MODEL', 'hf:PATH', 'planner:DIR', "
        "'replay:FILE', 'python:MODULE:NAME', an object with reply(prompts), or a function on prompts."
    )


def _given(found: object, options: Mapping[str, Any], what: str) -> Actor:
    """Returns an object as an actor: itself, an instance of a class, or a wrapped function."""
    if inspect.isclass(found):
        found = made(found, options, what, "actor_kwargs")
    else:
        without_options(options, what)
    if isinstance(found, Actor):
        for name in ("reply", "submit"):
            if hasattr(found, name):
                check_called(getattr(found, name), f"{name} of {what}", "prompts")
        return found
    if not callable(found):
        raise ConfigError(f"{what} has neither reply(prompts) nor is it callable.")
    check_called(found, what, "prompts")
    return CallableActor(found)


def _planner() -> Any:
    """Imports the planner by name, as Gymnasium imports environments: this package imports no agents."""
    try:
        return importlib.import_module("retro_gym_agents.lm.planner").Planner
    except ModuleNotFoundError as error:
        raise MissingExtraError((error.name or "").partition(".")[0], "train") from error


def _known(
    kinds: Callable[..., object] | tuple[Callable[..., object], ...], options: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """Returns the options after a check that all of them are keyword arguments of a class, or of one of several."""
    given = kinds if isinstance(kinds, tuple) else (kinds,)
    parameters = {name: one for kind in given for name, one in inspect.signature(kind).parameters.items()}
    names = [name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY or one.default is not one.empty]
    for name in options:
        if name not in names:
            raise ConfigError(
                f"{what} has no option {name!r}; it has {', '.join(names) or 'none'}.{did_you_mean(name, names)}"
            )
    return dict(options)
