"""The command ``retro-gym reward-model``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from retro_gym_agents.cli.options import Number, OptionalFigure, OptionalNumber, Text
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import LearnerOptions, import_with_extra

__all__ = ["RewardModel"]

_OPTIONS = ("model", "epochs", "batch_size", "held_out", "seed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardModel(LearnerOptions):
    """Learn which of two reflections on one failure is better, from files of records."""

    records: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")]
    """Files of records with several reflections on each failure: 'retro-gym collect --num-samples 4', or a run's."""
    model: Text = "tiny"
    """The model to train: 'tiny', a folder, or a hub name."""
    epochs: OptionalNumber = None
    """Passes over the failures."""
    batch_size: OptionalNumber = None
    """Failures per update."""
    held_out: OptionalFigure = None
    """Share of the tasks whose pairs are measured instead of learned."""
    seed: Number = 0
    """Random seed. The same seed gives the same result."""

    def run(self) -> int:
        """Trains the model; returns the exit code."""
        learner = import_with_extra("retro_gym_agents.algorithms.reward_model")
        own = {name: getattr(self, name) for name in _OPTIONS} | {"records": tuple(map(str, self.records))}
        result = learner.train(learner.RewardModelConfig(**self.settings_for(learner.RewardModelConfig, **own)))
        held = result.metrics.get("validation_accuracy")
        print_lines(
            f"{result.updates} updates in {result.seconds / 60:.1f} min; pairs in the right order: "
            f"{result.metrics.get('accuracy', float('nan')):.1%} of the last batch"
            + ("." if held is None else f", {held:.1%} of those held out.")
        )
        return 0
