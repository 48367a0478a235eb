"""The command ``retro-gym imitate``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from retro_gym_agents.cli.options import Flag, Number, OptionalFigure, OptionalNumber, Text
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import LearnerOptions, import_with_extra

__all__ = ["Imitate"]

_OPTIONS = ("role", "model", "min_rating", "successful", "epochs", "batch_size", "held_out", "seed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imitate(LearnerOptions):
    """Fine-tune a reflector or a planner on what files of records hold (supervised)."""

    records: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="FILE")]
    """Files of records that 'retro-gym collect' or a run wrote."""
    role: Literal["reflector", "planner"] = "reflector"
    """What is learned: to reflect, or to play."""
    model: Text = "tiny"
    """The model to train: 'tiny', a folder, or a hub name."""
    min_rating: OptionalFigure = None
    """Least rating of a reflection (G' - G), or least return of a trial."""
    successful: Flag = False
    """Only trials that solved their task, or reflections after which the next trial did."""
    epochs: OptionalNumber = None
    """Passes over the examples."""
    batch_size: OptionalNumber = None
    """Examples per update."""
    held_out: OptionalFigure = None
    """Share of the tasks whose examples are measured instead of learned."""
    seed: Number = 0
    """Random seed. The same seed gives the same result."""

    def run(self) -> int:
        """Trains the model; returns the exit code."""
        imitation = import_with_extra("retro_gym_agents.algorithms.imitation")
        own = {name: getattr(self, name) for name in _OPTIONS} | {"records": tuple(map(str, self.records))}
        result = imitation.train(imitation.ImitationConfig(**self.settings_for(imitation.ImitationConfig, **own)))
        loss = result.metrics.get("nll", float("nan"))
        print_lines(f"{result.updates} updates in {result.seconds / 60:.1f} min; loss per token {loss:.3f}.")
        where = f"--reflector none tiny {self.output}" if self.role == "reflector" else f"--actor planner:{self.output}"
        print_lines(f"Next: retro-gym evaluate ENV_ID {where}")
        return 0
