"""The ways to name an actor."""

from __future__ import annotations

import importlib

from retro_gym.actors.base import Actor, ActorFunction, ActorSpec, CallableActor
from retro_gym.errors import ConfigError, one_line
from retro_gym.task_env import TaskEnv

__all__ = ["make_actor"]


def make_actor(spec: ActorSpec, task_env: TaskEnv) -> Actor:
    """The actor that a spec names.

    Args:
        spec: ``"scripted"`` (the task environment's own), ``"python:MODULE:NAME"`` (an actor, or a function on
            prompts, found by import: a name that stays JSON-able), an :class:`Actor`, or a function on prompts.
        task_env: where ``"scripted"`` is asked for its actor.

    Raises:
        ConfigError: a spec of another form, or one that leads to nothing callable.
    """
    if isinstance(spec, str):
        if spec == "scripted":
            return task_env.scripted_actor()
        kind, _, rest = spec.partition(":")
        if kind != "python":
            raise ConfigError(
                f"actor {spec!r} is not known. Give 'scripted', 'python:MODULE:NAME', an object with "
                "reply(prompts), or a function on prompts."
            )
        return make_actor(_imported(spec, rest), task_env)
    if isinstance(spec, Actor):
        return spec
    if callable(spec):
        return CallableActor(spec)
    raise ConfigError(f"actor {one_line(spec)} has neither reply(prompts) nor is it callable.")


def _imported(spec: str, path: str) -> Actor | ActorFunction:
    module, _, name = path.partition(":")
    if not module or not name:
        raise ConfigError(f"actor {spec!r} does not have the form 'python:MODULE:NAME'.")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"actor {spec!r} cannot be imported: {error}.") from error
    if isinstance(found, str):
        raise ConfigError(f"actor {spec!r} leads to the text {one_line(found)}, not to an actor.")
    actor: Actor | ActorFunction = found
    return actor
