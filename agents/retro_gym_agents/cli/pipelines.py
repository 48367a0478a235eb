"""The commands ``retro-gym retroformer`` and ``retro-gym retroact``: the papers' methods, all stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from retro_gym.errors import ConfigError, one_line
from retro_gym_agents.cli.options import (
    EnvOptions,
    OptionalFigure,
    OptionalNumber,
    TaskOptions,
    Text,
    TrackerWords,
    Words,
    words_of,
)
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import LearnerOptions, fields_from, given, import_with_extra

__all__ = ["RetroAct", "Retroformer"]


_FIXED = (
    *("output", "resume", "records", "env_id", "env_kwargs", "actor", "actor_kwargs", "reflector", "model"),
    *("role", "seed", "device", "report_to"),
)
"""Fields of Retroformer's stages that its own options set."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retroformer(EnvOptions):
    """Train a reflector as Retroformer does: collect, imitate, learn a reward model, PPO. Repeat it to go on."""

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder of all stages; the reflector is in DIR/ppo."""
    reflector: Text = "tiny"
    """The model to train: 'tiny', a folder, a GGUF file, or a hub name."""
    behaviour: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = None
    """The policy that writes the collected reflections; by default the model to train."""
    reward: Literal["model", "env"] = "model"
    """Who pays PPO: the reward model, or the environment with a trial for each reflection."""
    stages: Annotated[Words, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: all)")] = ()
    """The stages to run: collect, sft, reward_model, ppo."""
    num_episodes: OptionalNumber = None
    """Episodes to collect."""
    num_samples: OptionalNumber = None
    """Reflections on each failure."""
    max_reflections: OptionalNumber = None
    """Maximum number of reflections in an episode."""
    device: Text = "cpu"
    """Device of the models: cpu, cuda, cuda:1."""
    report_to: TrackerWords = ()
    """Trackers that show each stage: tensorboard, wandb, mlflow, trackio, python:MODULE:NAME, or none."""
    set: Annotated[Words, tyro.conf.arg(metavar="STAGE.FIELD=VALUE", help_behavior_hint="")] = ()
    """Other settings of a stage, such as sft.epochs=2, reward_model.learning_rate=5e-4 or ppo.updates=100."""

    def run(self) -> int:
        """Runs the stages; returns the exit code."""
        retroformer = import_with_extra("retro_gym_agents.algorithms.retroformer")
        env_kwargs = self.arguments()
        actor = {name: env_kwargs.pop(name, None) for name in ("actor", "actor_kwargs")}
        names = ("behaviour", "num_episodes", "num_samples", "max_reflections")
        own = {name: getattr(self, name) for name in names} | {"stages": words_of("--stages", self.stages) or None}
        own |= {"report_to": words_of("--report-to", self.report_to) or None}
        retroformer.train(
            retroformer.RetroformerConfig(
                output=self.output,
                env_id=self.env_id,
                env_kwargs=env_kwargs,
                reflector=self.reflector,
                reward=self.reward,
                seed=self.seed,
                device=self.device,
                **given(own | actor),
                **self._of_stages(retroformer.CONFIGS),
            )
        )
        print_lines(
            f"Next: retro-gym evaluate {self.env_id} --reflector none {self.reflector} {self.output}/ppo oracle"
        )
        return 0

    def _of_stages(self, configs: Mapping[str, type[Any]]) -> dict[str, dict[str, Any]]:
        texts: dict[str, list[str]] = {name: [] for name in configs}
        for text in words_of("--set", self.set):
            stage, point, _ = text.partition("=")[0].partition(".")
            if not point or stage not in texts:
                raise ConfigError(
                    f"--set {one_line(text)}: give STAGE.FIELD=VALUE with a stage of {', '.join(configs)}."
                )
            texts[stage].append(text)
        return {
            name: fields_from(found, configs[name], _FIXED, command="retroformer", stage=f"{name}.")
            for name, found in texts.items()
        }


_RETROACT = (
    *("env_id", "model", "adapters", "expert", "expert_episodes", "imitation_updates", "rounds", "episodes"),
    *("max_reflections", "updates", "imitation_weight", "seed"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetroAct(LearnerOptions, TaskOptions):
    """Train a planner and a reflector as RetroAct does: imitation, then rounds of exploring and learning."""

    model: Text = "tiny"
    """The base model of both roles: 'tiny', a folder, a GGUF file, or a hub name."""
    adapters: Literal["two", "one"] = "two"
    """An adapter for each role, or one for both."""
    learn: Annotated[Words, tyro.conf.arg(metavar="ROLE", help_behavior_hint="(default: both)")] = ()
    """The roles that the rounds update: planner, reflector."""
    expert: Text = "noisy"
    """The policy that reflects for the expert: 'noisy', 'oracle' or any other."""
    expert_episodes: OptionalNumber = None
    """Training episodes that the expert plays."""
    imitation_updates: OptionalNumber = None
    """Updates of the first stage."""
    rounds: OptionalNumber = None
    """Rounds of the second stage."""
    episodes: OptionalNumber = None
    """Training episodes in a round."""
    updates: OptionalNumber = None
    """Updates in a round."""
    max_reflections: OptionalNumber = None
    """Maximum number of reflections in an episode."""
    imitation_weight: OptionalFigure = None
    """Weight of the imitation loss in the rounds (the paper's lambda)."""

    def run(self) -> int:
        """Trains both roles; returns the exit code."""
        retroact = import_with_extra("retro_gym_agents.algorithms.retroact")
        env_kwargs = self.arguments()
        for name in ("actor", "actor_kwargs"):
            if name in env_kwargs:
                raise ConfigError(f"--env-kwargs sets {name!r}, but the planner is what plays here. Leave it out.")
        own = {name: getattr(self, name) for name in _RETROACT}
        own |= {"env_kwargs": env_kwargs, "learn": words_of("--learn", self.learn) or None}
        result = retroact.train(retroact.RetroActConfig(**self.settings_for(retroact.RetroActConfig, **own)))
        print_lines(
            f"{result.updates} updates in {result.seconds / 60:.1f} min.\nNext: retro-gym evaluate {self.env_id} "
            f"--actor planner:{self.output}/planner --reflector none {self.output}/reflector"
        )
        return 0
