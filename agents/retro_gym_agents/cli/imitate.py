"""The command ``retro-gym imitate``."""

from __future__ import annotations

import dataclasses
from typing import Literal

from retro_gym_agents.cli.options import Flag, OptionalFigure
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import RecordsOptions, import_with_extra

__all__ = ["Imitate"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imitate(RecordsOptions):
    """Fine-tune a reflector or a planner on what files of records hold (supervised)."""

    role: Literal["reflector", "planner"] = "reflector"
    """What is learned: to reflect, or to play."""
    min_rating: OptionalFigure = None
    """Least rating of a reflection (G' - G), or least return of a trial."""
    successful: Flag = False
    """Only trials that solved their task, or reflections after which the next trial did."""

    def run(self) -> int:
        """Trains the model; returns the exit code."""
        imitation = import_with_extra("retro_gym_agents.algorithms.imitation")
        own = {name: getattr(self, name) for name in ("role", "min_rating", "successful")}
        result = imitation.train(imitation.ImitationConfig(**self.settings_for(imitation.ImitationConfig, **own)))
        loss = result.metrics.get("nll", float("nan"))
        print_lines(f"{result.updates} updates in {result.seconds / 60:.1f} min; loss per token {loss:.3f}.")
        where = f"--reflector none tiny {self.output}" if self.role == "reflector" else f"--actor planner:{self.output}"
        print_lines(f"Next: retro-gym evaluate ENV_ID {where}")
        return 0
