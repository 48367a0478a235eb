"""The command ``retro-gym reward-model``."""

from __future__ import annotations

import dataclasses

from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import RecordsOptions, import_with_extra

__all__ = ["RewardModel"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardModel(RecordsOptions):
    """Learn which of two reflections on one failure is better, from files of records.

    The files need several reflections on each failure: 'retro-gym collect --num-samples 4', or a run's.
    """

    def run(self) -> int:
        """Trains the model; returns the exit code."""
        learner = import_with_extra("retro_gym_agents.algorithms.reward_model")
        result = learner.train(learner.RewardModelConfig(**self.settings_for(learner.RewardModelConfig)))
        held = result.metrics.get("validation_accuracy")
        print_lines(
            f"{result.updates} updates in {result.seconds / 60:.1f} min; pairs in the right order: "
            f"{result.metrics.get('accuracy', float('nan')):.1%} of the last batch"
            + ("." if held is None else f", {held:.1%} of those held out.")
        )
        return 0
