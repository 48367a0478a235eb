"""The command ``retro-gym train``."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line
from retro_gym_agents.cli_options import EnvOptions, Flag, OptionalFigure, OptionalNumber, Text, say

__all__ = ["Train"]

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
"""Options that go to the field of the same name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train(EnvOptions):
    """Train a reflector; where no default is shown, the algorithm has its own."""

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The run's folder: checkpoints, records, curves and the adapter. 'evaluate --reflector DIR' takes it."""
    algo: Literal["reinforce", "ppo"] = "reinforce"
    """The algorithm."""
    reflector: Text = "tiny"
    """What is trained: 'tiny', a folder, or a hub name."""
    updates: OptionalNumber = None
    """How many updates to make."""
    max_minutes: OptionalFigure = None
    """Stop after so many minutes, at the latest."""
    resume: Flag = False
    """Go on from the last checkpoint in --output."""
    num_prompts: OptionalNumber = None
    """Episodes per update."""
    group_size: OptionalNumber = None
    """Reflections tried on each failure."""
    max_reflections: OptionalNumber = None
    """Reflections per episode."""
    reward: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """'return', 'improvement', 'retroact' or 'over_control'."""
    lr: OptionalFigure = None
    """Learning rate."""
    kl_coef: OptionalFigure = None
    """The price of a nat of KL divergence from the policy at the start."""
    temperature: OptionalFigure = None
    """Of sampling."""
    max_new_tokens: OptionalNumber = None
    """Longest reflection, in tokens."""
    validate_every: OptionalNumber = None
    """Updates between validations; they choose the adapter that is kept as best."""
    checkpoint_every: OptionalNumber = None
    """Updates between checkpoints."""
    shuffle_rewards: Flag = False
    """Pay every reflection with another one's reward: a control that must not learn."""
    lora_rank: OptionalNumber = None
    """Rank of the adapter."""
    device: Text = "cpu"
    """Where the reflector runs: cpu, cuda, cuda:1."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE", help_behavior_hint="")] = ()
    """Any other field of the algorithm's config, such as decay_updates=50."""

    def run(self) -> int:
        """Trains; returns the exit code."""
        module = _import_with_extra(f"retro_gym_agents.{self.algo}")
        config_class = module.ReinforceConfig if self.algo == "reinforce" else module.PPOConfig
        result = module.train(config_class(**self.fields(config_class)))
        names = [name for name in ("reward", "success", "kl") if name in result.metrics]
        figures = ", ".join(f"{name} {result.metrics[name]:.3f}" for name in names)
        say(
            f"{result.updates} updates in {result.seconds / 60:.1f} min; the last: {figures or 'no figures'}.\n"
            f"Next: retro-gym evaluate {self.env_id} --reflector none tiny {self.output} oracle"
        )
        return 0

    def fields(self, config_class: type[Any]) -> dict[str, Any]:
        """The arguments of an algorithm's config.

        Raises:
            ConfigError: ``set`` names a field that is not there or has an option of its own, or gives it another type.
        """
        env_kwargs = self.arguments()
        env_kwargs |= _given({"max_reflections": self.max_reflections, "reward": self.reward})
        actor = {name: env_kwargs.pop(name, None) for name in ("actor", "actor_kwargs")}
        own = {name: getattr(self, name) for name in _OPTIONS}
        own |= {"env_kwargs": env_kwargs, **actor, "learning_rate": self.lr, "lora": self._lora(config_class)}
        return {**_settings(self.set, config_class, reserved=own), **_given(own)}

    def _lora(self, config_class: type[Any]) -> Any:
        if self.lora_rank is None:
            return None
        defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(config_class)}
        return dataclasses.replace(defaults["lora"], rank=self.lora_rank)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given; the config's own default stands for the others."""
    return {name: value for name, value in options.items() if value is not None}


def _import_with_extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("retro_gym"):
            raise
        raise MissingExtraError(error.name.partition(".")[0], "train") from error


def _settings(texts: Sequence[str], config_class: type[Any], reserved: Collection[str]) -> dict[str, Any]:
    """``name=value`` texts as fields of a config; values are JSON, or else text."""
    fields = {field.name: field for field in dataclasses.fields(config_class) if field.name not in reserved}
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in fields:
            raise ConfigError(
                f"--set {text!r}: give FIELD=VALUE with one of {', '.join(fields)}.{did_you_mean(name, fields)}"
            )
        found[name] = _typed(text, value, _kind(fields[name]))
    return found


def _kind(field: dataclasses.Field[Any]) -> type[Any]:
    """The type of a field's values: as annotated where that is one of the plain types, else its default's."""
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
