"""Where trials are played: a task environment, and copies of it for trials side by side."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

from retro_gym.env_threads import close_envs, hangs
from retro_gym.errors import ConfigError
from retro_gym.memory import Memory
from retro_gym.prompts import TaskPrompt
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
        """The trials, to be played side by side; one alone plays in the task environment itself.

        Raises:
            ConfigError: copies are needed, and the task environment cannot be copied.
        """
        self.env, *self.copies = map(self._usable, (self.env, *self.copies))
        while len(self.copies) + 1 < len(planned):
            self.copies.append(self._copy())
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

    def prompts(self, count: int) -> list[TaskPrompt]:
        """What the environments told the actor in the trials that were played last, so many of them."""
        return [env.prompt for env in [self.env, *self.copies][:count]]

    def close(self) -> None:
        """Closes the task environment and its copies."""
        close_envs((self.env, *self.copies))

    def _usable(self, env: TaskEnv) -> TaskEnv:
        """The instance, or another one in place of one that hangs, which is left to itself."""
        return self._copy() if hangs(env) else env

    def _copy(self) -> TaskEnv:
        original = next((env for env in (self.env, *self.copies) if not hangs(env)), self.env)
        try:
            return copy.deepcopy(original)
        except Exception as error:  # whatever the parts of a user's environment raise
            raise ConfigError(
                f"{type(original.unwrapped).__name__} cannot be copied ({type(error).__name__}: {error}), which trials "
                "side by side need. Give it a __deepcopy__ that makes anew what cannot be copied: locks, connections."
            ) from error
