"""The options that the commands of ``retro-gym`` share."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro

from retro_gym.errors import ConfigError, one_line
from retro_gym_agents.evaluation.outputs import check_output

__all__ = [
    "EnvId",
    "EnvOptions",
    "File",
    "Flag",
    "Number",
    "OptionalFigure",
    "OptionalFile",
    "OptionalNumber",
    "Text",
    "Words",
    "check_repeats",
    "new_records",
    "reflector_names",
    "words_of",
]

EnvId: TypeAlias = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV_ID")]
Text: TypeAlias = Annotated[str, tyro.conf.arg(metavar="NAME")]
File: TypeAlias = Annotated[Path, tyro.conf.arg(metavar="FILE")]
OptionalFile: TypeAlias = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
Number: TypeAlias = Annotated[int, tyro.conf.arg(metavar="N")]
OptionalNumber: TypeAlias = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")]
OptionalFigure: TypeAlias = Annotated[float | None, tyro.conf.arg(metavar="X", help_behavior_hint="")]
Flag: TypeAlias = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
Words: TypeAlias = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction]
"""Several words, after one flag or each after its own: see :func:`words_of`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvOptions:
    """What is played: the options of all commands that play."""

    env_id: EnvId
    """Id of the environment, such as RetroHotpotQA-v0; 'retro-gym envs' lists them."""
    tasks: Annotated[str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """A task file in place of the built-in tasks. It knows no splits: without --fold every split is the whole file."""
    fold: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="I N", help_behavior_hint="")] = None
    """Divides the task file into N folds: I is the test split, the next one validation, the others train."""
    actor: Annotated[str | None, tyro.conf.arg(metavar="SPEC", help_behavior_hint="")] = None
    """The frozen model that plays: 'scripted' (the default), 'openai:MODEL' (any server that speaks that protocol),
    'hf:PATH' (transformers, in this process), 'replay:FILE' or 'python:MODULE:NAME'."""
    base_url: Annotated[Words, tyro.conf.arg(metavar="URL", help_behavior_hint="")] = ()
    """Where the actor's server is, such as http://localhost:8000/v1; several share the calls."""
    actor_kwargs: Annotated[str | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """Further options of the actor, such as '{"temperature": 0.7, "shape": "chat"}'."""
    record_actor: OptionalFile = None
    """Write the actor's replies to this tape; '--actor replay:FILE' plays them again without the actor."""
    max_actor_calls: OptionalNumber = None
    """Stop when the actor has been called so often; training and evaluation can be resumed."""
    env_kwargs: Annotated[str | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """Further arguments of the environment, such as '{"max_turns": 5}'."""
    seed: Number = 0
    """The same seed gives the same result."""

    def arguments(self) -> dict[str, Any]:
        """The environment's arguments, those aside that a command sets itself."""
        kwargs = _json_object("--env-kwargs", self.env_kwargs)
        given = {"tasks": self.tasks, "fold": self.fold, "actor": self.actor, "actor_kwargs": self._of_the_actor()}
        return {**kwargs, **{name: value for name, value in given.items() if value is not None}}

    def _of_the_actor(self) -> dict[str, Any] | None:
        kwargs = _json_object("--actor-kwargs", self.actor_kwargs)
        if self.base_url:
            kwargs["base_url"] = list(words_of("--base-url", self.base_url))
        if self.record_actor is not None:
            kwargs["record"] = str(self.record_actor)
        budget = kwargs.get("budget", {})
        if not isinstance(budget, dict):
            raise ConfigError(f'--actor-kwargs: budget is {one_line(budget)}, not an object: {{"calls": 100}}.')
        if self.max_actor_calls is not None:
            kwargs["budget"] = {**budget, "calls": self.max_actor_calls}
        return kwargs or None


def words_of(option: str, given: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The words of an option that may be repeated, in their order.

    Raises:
        ConfigError: the option stands there without a word.
    """
    if not all(given):
        raise ConfigError(f"{option} names nothing. Give one or several, or leave the option out.")
    return tuple(word for words in given for word in words)


def check_repeats(words: Sequence[str], command: Any) -> None:
    """Refuses an option that takes one value and is given several times: only the last would count.

    Args:
        words: the command line.
        command: what it was read as, a dataclass; its fields of type :data:`Words` may be repeated.

    Raises:
        ConfigError: there is one.
    """
    several = {field.name for field in dataclasses.fields(command) if "Words" in str(field.type)}
    given = Counter(word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--"))
    if given["learning_rate"] and given["lr"]:
        raise ConfigError("--learning-rate and --lr are the same option. Leave one of them out.")
    for name, count in given.items():
        if count > 1 and name not in several:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} is given {count} times and takes one value. Leave the others out.")


def _json_object(option: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{option} {one_line(text)} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ConfigError(f'{option} {one_line(text)} is not a JSON object: {{"name": value}}.')
    return value


def reflector_names(given: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The names behind --reflector; commas part them where they are no part of a folder's name."""
    words = words_of("--reflector", given)
    parts = [[word] if Path(word).exists() else [part.strip() for part in word.split(",")] for word in words]
    names = tuple(name for several in parts for name in several)
    if not all(names):
        raise ConfigError(f"--reflector {' '.join(words)!r}: a name is empty. Give names, such as: none oracle.")
    return names


def new_records(path: Path, remedy: str) -> Path:
    """The path of a records file that holds nothing yet."""
    target = check_output(path)
    if target.exists() and target.stat().st_size:
        raise ConfigError(f"{path} holds records already; these would be mixed with them. {remedy}")
    return target
