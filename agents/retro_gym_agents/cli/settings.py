"""The options that the commands which train a model share, and how they become an algorithm's config."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line
from retro_gym_agents.cli.options import (
    Flag,
    Number,
    OptionalFigure,
    OptionalNumber,
    Text,
    TrackerWords,
    Words,
    words_of,
)

__all__ = ["LearnerOptions", "RecordsOptions", "fields_from", "given", "import_with_extra", "option_of"]

_NAMED_OTHERWISE = {"learning_rate": "--lr", "lora": "--lora-rank", "lora.rank": "--lora-rank"}
"""Config fields whose option has another name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnerOptions:
    """Options of a run that trains a model. One without a default takes the algorithm's."""

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The run's folder: checkpoints, curves and the adapter, which other commands take by this name."""
    max_minutes: OptionalFigure = None
    """Stop training after X minutes, even if updates remain."""
    resume: Flag = False
    """Resume from the last checkpoint in --output."""
    lr: Annotated[OptionalFigure, tyro.conf.arg(aliases=["--learning-rate"])] = None
    """Learning rate."""
    validate_every: OptionalNumber = None
    """Updates between validations, which select the best adapter."""
    checkpoint_every: OptionalNumber = None
    """Updates between checkpoints."""
    lora_rank: OptionalNumber = None
    """Rank of the LoRA adapter."""
    device: Text = "cpu"
    """Device of the model: cpu, cuda, cuda:1."""
    report_to: TrackerWords = ()
    """Trackers that show the run: tensorboard, wandb, mlflow, trackio, python:MODULE:NAME, or none."""
    set: Annotated[Words, tyro.conf.arg(metavar="FIELD=VALUE", help_behavior_hint="")] = ()
    """One or several other settings of the algorithm, such as decay_updates=50."""

    def settings_for(self, config_class: type[Any], **own: Any) -> dict[str, Any]:
        """Returns the arguments of an algorithm's config.

        Args:
            config_class: the config.
            own: further fields; None leaves the config's default.

        Raises:
            ConfigError: ``set`` names an unknown field or one with an option of its own, or a value has the wrong type.
        """
        names = ("output", "max_minutes", "resume", "validate_every", "checkpoint_every", "device")
        own = {name: getattr(self, name) for name in names} | own
        own |= {"learning_rate": self.lr, "lora": self._lora(config_class)}
        own |= {"report_to": words_of("--report-to", self.report_to) or None}
        return {**self._others(config_class, own), **given(own)}

    def _lora(self, config_class: type[Any]) -> Any:
        if self.lora_rank is None:
            return None
        defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(config_class)}
        return dataclasses.replace(defaults["lora"], rank=self.lora_rank)

    def _others(self, config_class: type[Any], reserved: Mapping[str, Any]) -> dict[str, Any]:
        texts = words_of("--set", self.set)
        free = {field.name for field in dataclasses.fields(config_class)} - set(reserved)
        for text in texts:
            name = _name_in(text)
            if name not in free and (option := option_of(type(self), name)) is not None:
                raise ConfigError(f"--set {text!r}: {name} has an option of its own, {option}. Use that.")
        return fields_from(texts, config_class, reserved, command=type(self).__name__.lower())


def fields_from(
    texts: Iterable[str], config_class: type[Any], reserved: Container[str], *, command: str, stage: str = ""
) -> dict[str, Any]:
    """Parses ``name=value`` texts into fields of a config; values are JSON, or else plain text.

    Args:
        texts: what ``--set`` was given.
        config_class: the config.
        reserved: fields that are set otherwise.
        command: the command whose help describes the fields.
        stage: what stands before each name, with a point.

    Raises:
        ConfigError: a text names no field or one that was named before, or a value has the wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class) if field.name not in reserved}
    found: dict[str, Any] = {}
    for text in texts:
        name, value = _name_in(text, stage), text.partition("=")[2]
        if "=" not in text or name not in fields:
            raise ConfigError(
                f"--set {text!r}: give {stage}FIELD=VALUE with one of {', '.join(fields)}.{did_you_mean(name, fields)} "
                f"'retro-gym {command} --help' describes them."
            )
        if name in found:
            raise ConfigError(f"--set {text!r}: {name} is set twice. Leave one of the two out.")
        found[name] = _typed(text, value, _kind(fields[name]))
    return found


def _name_in(text: str, stage: str = "") -> str:
    return text.partition("=")[0].strip().removeprefix(stage).replace("-", "_")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordsOptions(LearnerOptions):
    """Options of a run that learns from files of records."""

    records: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")]
    """Files of records that 'retro-gym collect' or a run wrote."""
    model: Text = "tiny"
    """The model to train: 'tiny', a folder, a GGUF file, or a hub name."""
    epochs: OptionalNumber = None
    """Passes over what is learned."""
    batch_size: OptionalNumber = None
    """Reflections or trials per update; of a reward model, failures."""
    held_out: OptionalFigure = None
    """Share of the tasks of which nothing is learned, but measured."""
    seed: Number = 0
    """Random seed. The same seed gives the same result."""

    def settings_for(self, config_class: type[Any], **own: Any) -> dict[str, Any]:
        """Returns the arguments of an algorithm's config, as in :meth:`LearnerOptions.settings_for`."""
        shared = {name: getattr(self, name) for name in ("model", "epochs", "batch_size", "held_out", "seed")}
        return super().settings_for(config_class, records=tuple(map(str, self.records)), **shared, **own)


def _kind(field: dataclasses.Field[Any]) -> type[Any]:
    """Returns the type of a field's values: the annotated one if it is a plain type, else that of its default."""
    plain: dict[str, type[Any]] = {"int": int, "float": float, "str": str, "bool": bool, "dict": dict}
    return plain.get(re.split(r"\W", str(field.type), maxsplit=1)[0], type(field.default))


def _typed(text: str, value: str, kind: type[Any]) -> Any:
    if kind is str:
        return value
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    if kind is float and type(parsed) is int:
        return float(parsed)
    if type(parsed) is not kind:
        raise ConfigError(f"--set {text!r}: {one_line(parsed)} is not of type {kind.__name__}.")
    return parsed


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that were given; the others keep the config's default."""
    return {name: value for name, value in options.items() if value is not None}


def import_with_extra(module: str) -> Any:
    """Imports a module that needs the extra ``train``.

    Raises:
        MissingExtraError: torch, transformers or peft is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("retro_gym"):
            raise
        raise MissingExtraError(error.name.partition(".")[0], "train") from error


def option_of(command: type[Any], name: str) -> str | None:
    """Returns the option of a command that sets a config's field, or None if only --set does."""
    if name == "env_id":
        return "ENV_ID"
    if name in _NAMED_OTHERWISE:
        return _NAMED_OTHERWISE[name]
    if "." in name:
        return "Python only"
    own = {field.name for field in dataclasses.fields(command)}
    return f"--{name.replace('_', '-')}" if name in own else None
