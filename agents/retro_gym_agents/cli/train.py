"""The command ``retro-gym train``."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich import box
from rich.markup import escape
from rich.table import Table

from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line
from retro_gym_agents.cli.fields import config_fields
from retro_gym_agents.cli.options import EnvOptions, Flag, OptionalFigure, OptionalNumber, Text, Words, words_of
from retro_gym_agents.cli.output import print_lines, stdout

__all__ = ["Train", "print_settings"]

_CONFIGS = {"reinforce": "ReinforceConfig", "ppo": "PPOConfig"}
"""The algorithms, each in a module of the same name, and their config classes."""

_OPTIONS = (
    "env_id",
    "output",
    "reflector",
    "seed",
    "updates",
    "max_minutes",
    "resume",
    "num_prompts",
    "group_size",
    "kl_coef",
    "temperature",
    "max_new_tokens",
    "validate_every",
    "checkpoint_every",
    "shuffle_rewards",
    "device",
)
"""Options that set the config field of the same name."""
_NAMED_OTHERWISE = {"learning_rate": "--lr", "lora": "--lora-rank", "lora.rank": "--lora-rank"}
"""Config fields whose option has another name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train(EnvOptions):
    """Train a reflector. An option without a default here takes the algorithm's: see the table of settings below."""

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The run's folder: checkpoints, records, curves and the adapter. 'evaluate --reflector DIR' evaluates it."""
    algo: Literal["reinforce", "ppo"] = "reinforce"
    """The algorithm."""
    reflector: Text = "tiny"
    """The model to train: 'tiny', a folder, or a hub name."""
    updates: OptionalNumber = None
    """Number of updates."""
    max_minutes: OptionalFigure = None
    """Stop training after X minutes, even if updates remain."""
    resume: Flag = False
    """Resume from the last checkpoint in --output."""
    num_prompts: OptionalNumber = None
    """Episodes per update."""
    group_size: OptionalNumber = None
    """Reflections sampled on each failure."""
    max_reflections: OptionalNumber = None
    """Maximum number of reflections per episode."""
    reward: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Reward of a reflection: 'return', 'improvement', 'retroact' or 'over_control'."""
    lr: Annotated[OptionalFigure, tyro.conf.arg(aliases=["--learning-rate"])] = None
    """Learning rate."""
    kl_coef: OptionalFigure = None
    """Coefficient of the KL divergence from the initial policy, in units of reward per nat."""
    temperature: OptionalFigure = None
    """Sampling temperature of the reflector."""
    max_new_tokens: OptionalNumber = None
    """Token limit of a reflection."""
    validate_every: OptionalNumber = None
    """Updates between validations, which select the best adapter."""
    checkpoint_every: OptionalNumber = None
    """Updates between checkpoints."""
    shuffle_rewards: Flag = False
    """Permute the rewards within each batch: a control that must not learn."""
    lora_rank: OptionalNumber = None
    """Rank of the LoRA adapter."""
    device: Text = "cpu"
    """Device of the reflector: cpu, cuda, cuda:1."""
    set: Annotated[Words, tyro.conf.arg(metavar="FIELD=VALUE", help_behavior_hint="")] = ()
    """One or several other settings of the algorithm, such as decay_updates=50."""

    def run(self) -> int:
        """Trains the reflector; returns the exit code."""
        module = _import_with_extra(f"retro_gym_agents.algorithms.{self.algo}")
        config_class = getattr(module, _CONFIGS[self.algo])
        result = module.train(config_class(**self.fields(config_class)))
        names = [name for name in ("reward", "success", "kl") if name in result.metrics]
        figures = ", ".join(f"{name} {result.metrics[name]:.3f}" for name in names)
        print_lines(
            f"{result.updates} updates in {result.seconds / 60:.1f} min; last update: {figures or 'no metrics'}.\n"
            f"Next: retro-gym evaluate {self.env_id} --reflector none tiny {self.output} oracle"
        )
        return 0

    def fields(self, config_class: type[Any]) -> dict[str, Any]:
        """Returns the arguments of an algorithm's config.

        Raises:
            ConfigError: ``set`` names an unknown field or one with an option of its own, or a value has the wrong type.
        """
        env_kwargs = self.arguments()
        env_kwargs |= _given({"max_reflections": self.max_reflections, "reward": self.reward})
        actor = {name: env_kwargs.pop(name, None) for name in ("actor", "actor_kwargs")}
        own = {name: getattr(self, name) for name in _OPTIONS}
        own |= {"env_kwargs": env_kwargs, **actor, "learning_rate": self.lr, "lora": self._lora(config_class)}
        return {**_settings(words_of("--set", self.set), config_class, reserved=own), **_given(own)}

    def _lora(self, config_class: type[Any]) -> Any:
        if self.lora_rank is None:
            return None
        defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(config_class)}
        return dataclasses.replace(defaults["lora"], rank=self.lora_rank)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options that were given; the others keep the config's default."""
    return {name: value for name, value in options.items() if value is not None}


def _import_with_extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("retro_gym"):
            raise
        raise MissingExtraError(error.name.partition(".")[0], "train") from error


def print_settings() -> None:
    """Prints the settings of all algorithms with types, defaults, options and descriptions."""
    settings = {algo: config_fields(f"retro_gym_agents.algorithms.{algo}", name) for algo, name in _CONFIGS.items()}
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for header in ("setting: type\n  option", "default", "description"):
        table.add_column(header, overflow="fold")
    for name in dict.fromkeys(name for fields in settings.values() for name in fields):
        has = {algo: fields[name] for algo, fields in settings.items() if name in fields}
        defaults = {field.default for field in has.values()}
        is_shared = len(has) == len(settings) and len(defaults) == 1
        default = defaults.pop() if is_shared else "\n".join(f"{algo}: {field.default}" for algo, field in has.items())
        docs = " / ".join(dict.fromkeys(field.doc for field in has.values())).replace("``", "'")
        kind = next(iter(has.values())).kind
        row = f"{name}: {kind}\n  {_option_of(name) or f'--set {name}=…'}", default, docs
        table.add_row(*map(escape, row))
    print_lines("\nThe algorithms' settings:\n")
    stdout().print(table, highlight=False)


def _option_of(name: str) -> str | None:
    """Returns the option that sets a field, or None if only --set does."""
    if name == "env_id":
        return "ENV_ID"
    if name in _NAMED_OTHERWISE:
        return _NAMED_OTHERWISE[name]
    if "." in name:
        return "Python only"
    own = {field.name for field in dataclasses.fields(Train)}
    return f"--{name.replace('_', '-')}" if name in own else None


def _settings(texts: Sequence[str], config_class: type[Any], reserved: Collection[str]) -> dict[str, Any]:
    """Parses ``name=value`` texts into fields of a config; values are JSON, or else plain text."""
    fields = {field.name: field for field in dataclasses.fields(config_class) if field.name not in reserved}
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in fields and _option_of(name) is not None:
            raise ConfigError(f"--set {text!r}: {name} has an option of its own, {_option_of(name)}. Use that.")
        if not equals or name not in fields:
            raise ConfigError(
                f"--set {text!r}: give FIELD=VALUE with one of {', '.join(fields)}.{did_you_mean(name, fields)} "
                "'retro-gym train --help' describes them."
            )
        if name in found:
            raise ConfigError(f"--set {text!r}: {name} is set twice. Leave one of the two out.")
        found[name] = _typed(text, value, _kind(fields[name]))
    return found


def _kind(field: dataclasses.Field[Any]) -> type[Any]:
    """Returns the type of a field's values: the annotated one if it is a plain type, else that of its default."""
    plain: dict[str, type[Any]] = {"int": int, "float": float, "str": str, "bool": bool}
    return plain.get(str(field.type).partition(" ")[0], type(field.default))


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
