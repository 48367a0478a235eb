"""A task environment, and copies of it for concurrent trials."""

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

__all__ = ["Origin", "PlannedTrial", "Stage"]


class Origin:
    """Identifies an environment and its deep copies: all of them have the same one."""

    def __deepcopy__(self, memo: dict[int, object]) -> Origin:
        return self


@dataclasses.dataclass(frozen=True)
class PlannedTrial:
    """Everything that determines a trial within its episode."""

    task_id: str
    trial: int
    """Its number; trial 0 precedes any reflection."""
    memory: Memory
    """What the actor's prompt holds of earlier trials."""
    replica: int
    """Part of the seed: trials that differ only in this number have independent random outcomes."""
    source: str
    """The purpose of the trial, as named in records."""


@dataclasses.dataclass
class Stage:
    """A task environment and the settings of its trials; see :class:`retro_gym.RetroEnv` for the limits."""

    env: TaskEnv
    template: str
    """Template of the actor's prompt."""
    repeat_limit: int | None
    time_limit: float | None
    max_turns: int | None = None
    """As given to the environment; None for each task's own limit."""
    copies: list[TaskEnv] = dataclasses.field(default_factory=list)
    """Made when they are first needed, and reused."""

    def trials(self, planned: Sequence[PlannedTrial], episode_seed: int) -> list[Trial]:
        """Returns the trials, each with an instance of its own; the first one uses the task environment itself.

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
                last_trial=one.memory.last_trial,
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
        """Returns the instance, or a new copy if it hangs."""
        return self._copy() if hangs(env) else env

    def _copy(self) -> TaskEnv:
        original = next((env for env in (self.env, *self.copies) if not hangs(env)), self.env)
        try:
            return copy.deepcopy(original)
        except Exception as error:  # parts of a user's environment may raise anything
            raise ConfigError(
                f"{type(original.unwrapped).__name__} cannot be copied ({type(error).__name__}: {error}), which "
                "concurrent trials need. Give it a __deepcopy__ that recreates what cannot be copied (locks, sockets)."
            ) from error
