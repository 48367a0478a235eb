"""The command ``retro-gym train``."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import tyro
from rich import box
from rich.markup import escape
from rich.table import Table

from retro_gym_agents.cli.fields import config_fields
from retro_gym_agents.cli.options import EnvOptions, Flag, OptionalFigure, OptionalNumber, Text
from retro_gym_agents.cli.output import print_lines, stdout
from retro_gym_agents.cli.settings import LearnerOptions, given, import_with_extra, option_of

__all__ = ["Train", "print_settings"]

_CONFIGS = {"reinforce": "ReinforceConfig", "ppo": "PPOConfig"}
"""The algorithms, each in a module of the same name, and their config classes."""

_OPTIONS = (
    *("env_id", "reflector", "seed", "updates", "num_prompts", "group_size", "kl_coef", "temperature"),
    *("max_new_tokens", "shuffle_rewards", "server"),
)
"""Options of this command alone that set the config field of the same name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train(LearnerOptions, EnvOptions):
    """Train a reflector. An option without a default here takes the algorithm's: see the table of settings below."""

    algo: Literal["reinforce", "ppo"] = "reinforce"
    """The algorithm."""
    reflector: Text = "tiny"
    """The model to train: 'tiny', a folder, a GGUF file, or a hub name."""
    updates: OptionalNumber = None
    """Number of updates."""
    num_prompts: OptionalNumber = None
    """Episodes per update."""
    group_size: OptionalNumber = None
    """Reflections sampled on each failure."""
    max_reflections: OptionalNumber = None
    """Maximum number of reflections per episode."""
    reward: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """Reward of a reflection: 'return', 'improvement', 'retroact' or 'over_control'."""
    kl_coef: OptionalFigure = None
    """Coefficient of the KL divergence from the initial policy, in units of reward per nat."""
    temperature: OptionalFigure = None
    """Sampling temperature of the reflector."""
    max_new_tokens: OptionalNumber = None
    """Token limit of a reflection."""
    server: Annotated[str | None, tyro.conf.arg(metavar="URL", help_behavior_hint="")] = None
    """A vLLM or SGLang server that samples the reflections, with the adapter loaded into it after each update."""
    shuffle_rewards: Flag = False
    """Permute the rewards within each batch: a control that must not learn."""

    def run(self) -> int:
        """Trains the reflector; returns the exit code."""
        module = import_with_extra(f"retro_gym_agents.algorithms.{self.algo}")
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
        env_kwargs |= given({"max_reflections": self.max_reflections, "reward": self.reward})
        actor = {name: env_kwargs.pop(name, None) for name in ("actor", "actor_kwargs")}
        own = {name: getattr(self, name) for name in _OPTIONS}
        return self.settings_for(config_class, env_kwargs=env_kwargs, **actor, **own)


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
        row = f"{name}: {kind}\n  {option_of(Train, name) or f'--set {name}=…'}", default, docs
        table.add_row(*map(escape, row))
    print_lines("\nThe algorithms' settings:\n")
    stdout().print(table, highlight=False)
