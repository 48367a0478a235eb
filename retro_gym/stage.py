"""Where trials are played: a task environment, and copies of it for trials side by side."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

from retro_gym.env_threads import close_env
from retro_gym.memory import Memory
from retro_gym.seeding import derive_seed
from retro_gym.task_env import TaskEnv
from retro_gym.trial import Trial, play_trial

__all__ = ["PlannedTrial", "Stage"]


@dataclasses.dataclass(frozen=True)
class PlannedTrial:
    """What fixes a trial, within its episode."""

    task_id: str
    trial: int
    """Its number: 0 comes before any reflection."""
    memory: Memory
    """What the actor's prompt holds."""
    replica: int
    """Trials that differ by this number alone have luck of their own; those that share it have the same."""
    source: str
    """What it is played for, as records name it."""


@dataclasses.dataclass
class Stage:
    """A task environment, and how trials of it are played; see :class:`retro_gym.RetroEnv` for the limits."""

    env: TaskEnv
    template: str
    """Of the actor's prompt."""
    repeat_limit: int | None
    time_limit: float | None
    copies: list[TaskEnv] = dataclasses.field(default_factory=list)
    """Made when they are needed, and kept."""

    def trials(self, planned: Sequence[PlannedTrial], episode_seed: int) -> list[Trial]:
        """The trials, to be played side by side; one alone plays in the task environment itself."""
        while len(self.copies) + 1 < len(planned):
            self.copies.append(copy.deepcopy(self.env))
        return [
            play_trial(
                env,
                one.task_id,
                trial=one.trial,
                seed=derive_seed(episode_seed, one.task_id, one.trial, one.replica),
                reflections=one.memory.reflections,
                template=self.template,
                repeat_limit=self.repeat_limit,
                time_limit=self.time_limit,
            )
            for env, one in zip([self.env, *self.copies], planned, strict=False)
        ]

    def close(self) -> None:
        """Closes the task environment and its copies."""
        for env in (self.env, *self.copies):
            close_env(env)
