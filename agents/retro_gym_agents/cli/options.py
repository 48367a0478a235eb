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
from retro_gym_agents.play.policies import Policy, make_policy, takes_options

__all__ = [
    "EnvId",
    "EnvOptions",
    "File",
    "Flag",
    "Number",
    "OptionalFigure",
    "OptionalFile",
    "OptionalNumber",
    "PolicyOptions",
    "TaskOptions",
    "Text",
    "TrackerWords",
    "Words",
    "check_repeats",
    "new_records",
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
"""Several words, after one flag or with the flag repeated: see :func:`words_of`."""
TrackerWords: TypeAlias = Annotated[Words, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: tensorboard)")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Options of the environment, shared by all commands that play episodes."""

    env_id: EnvId
    """Id of the environment, such as RetroHotpotQA-v0; 'retro-gym envs' lists all ids."""
    tasks: Annotated[str | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Task file to use instead of the built-in tasks. Without --fold, every split is the whole file."""
    fold: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="I N", help_behavior_hint="")] = None
    """Divide the task file into N folds: fold I is the test split, the next one validation, the others train."""
    env_kwargs: Annotated[str | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """Further arguments of the environment, such as '{"max_turns": 5}'."""
    seed: Number = 0
    """Random seed. The same seed gives the same result."""

    def arguments(self) -> dict[str, Any]:
        """Returns the environment's arguments, except those that a command sets itself."""
        kwargs = _json_object("--env-kwargs", self.env_kwargs)
        given = {"tasks": self.tasks, "fold": self.fold}
        return {**kwargs, **{name: value for name, value in given.items() if value is not None}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EnvOptions(TaskOptions):
    """Options of the environment and of the actor that plays."""

    actor: Annotated[str | None, tyro.conf.arg(metavar="SPEC", help_behavior_hint="")] = None
    """The model that plays: 'scripted' (the default), 'replay:FILE', 'python:MODULE:NAME', 'openai:MODEL' (any server
    with an OpenAI-compatible API), 'hf:PATH' (transformers, in this process) or 'planner:DIR' (a trained one)."""
    base_url: Annotated[Words, tyro.conf.arg(metavar="URL", help_behavior_hint="")] = ()
    """URL of the actor's server, such as http://localhost:8000/v1; calls are spread over several URLs."""
    actor_kwargs: Annotated[str | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """Further options of the actor, such as '{"temperature": 0.7, "shape": "chat"}'."""
    record_actor: OptionalFile = None
    """Record the actor's replies in FILE (a tape); '--actor replay:FILE' replays them without the actor."""
    max_actor_calls: OptionalNumber = None
    """Stop after N actor calls; training and evaluation can be resumed."""

    def arguments(self) -> dict[str, Any]:
        """Returns the environment's arguments, except those that a command sets itself."""
        given = {"actor": self.actor, "actor_kwargs": self._of_the_actor()}
        return {**super().arguments(), **{name: value for name, value in given.items() if value is not None}}

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyOptions(EnvOptions):
    """Options of the policies, for commands that play episodes with given ones."""

    reflector_kwargs: Annotated[str | None, tyro.conf.arg(metavar="JSON", help_behavior_hint="")] = None
    """Options of reflectors 'openai:MODEL' and 'hf:MODEL' and of classes 'python:MODULE:NAME':
    '{"base_url": "http://localhost:8000/v1", "temperature": 0.7, "record": "tape.jsonl", "budget": {"calls": 100}}';
    of 'best_of:FOLDER': reflector, num_samples, temperature; of 'lessons:RECORDS': num, weight, beside."""
    greedy: Flag = False
    """Let reflectors in this process decode greedily instead of sampling."""
    device: Text = "cpu"
    """Device of reflectors in this process: cpu, cuda, cuda:1."""
    dtype: Text | None = None
    """Dtype of their weights: float32, bfloat16, float16, auto (as stored). Default: float32 on the CPU, else auto."""

    def policies(self, given: Sequence[Sequence[str]], default: Sequence[str]) -> list[Policy]:
        """Returns the policies after --reflector, or the default ones."""
        names = _reflector_names(given) or default
        options = _json_object("--reflector-kwargs", self.reflector_kwargs)
        if options and not any(map(takes_options, names)):
            raise ConfigError(
                f"--reflector-kwargs {one_line(options)}: none of the reflectors {', '.join(names)} has options. Leave "
                "it out, or name 'openai:MODEL', 'hf:MODEL', 'best_of:FOLDER', 'lessons:RECORDS' or "
                "'python:MODULE:NAME'."
            )
        return [
            make_policy(
                name,
                greedy=self.greedy,
                device=self.device,
                dtype=self.dtype,
                **(options if takes_options(name) else {}),
            )
            for name in names
        ]


def words_of(option: str, given: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Returns the words of a repeatable option, in order.

    Raises:
        ConfigError: the option was given without a value.
    """
    if not all(given):
        raise ConfigError(f"{option} has no value. Give one or several values, or leave the option out.")
    return tuple(word for words in given for word in words)


def check_repeats(words: Sequence[str], command: Any) -> None:
    """Refuses a repeated option that takes one value, since only its last value would count.

    Args:
        words: the command line.
        command: the dataclass it was parsed into; fields of type :data:`Words` may be repeated.

    Raises:
        ConfigError: such an option is repeated.
    """
    several = {field.name for field in dataclasses.fields(command) if "Words" in str(field.type)}
    given = Counter(word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--"))
    if given["learning_rate"] and given["lr"]:
        raise ConfigError("--learning-rate and --lr are the same option. Leave one of them out.")
    for name, count in given.items():
        if count > 1 and name not in several:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} is given {count} times and takes one value. Give it once.")


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


def _reflector_names(given: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Returns the names after --reflector. Commas separate names, unless the whole word is an existing path."""
    words = words_of("--reflector", given)
    parts = [[word] if Path(word).exists() else [part.strip() for part in word.split(",")] for word in words]
    names = tuple(name for several in parts for name in several)
    if not all(names):
        raise ConfigError(f"--reflector {' '.join(words)!r}: a name is empty. Give names, such as: none oracle.")
    return names


def new_records(path: Path, remedy: str) -> Path:
    """Returns the path of a records file after checking that it is new or empty."""
    target = check_output(path)
    if target.exists() and target.stat().st_size:
        raise ConfigError(f"{path} holds records already; new ones would be mixed with them. {remedy}")
    return target
