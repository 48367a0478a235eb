"""The base class of the task environments: tasks from a source, trials of a limited number of turns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from retro_gym.checks import check_whole
from retro_gym.errors import ActionError, EpisodeError, UnknownTaskError
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv, checked_task_id
from retro_gym_envs.draws import pick
from retro_gym_envs.task_sources import SPLITS, TaskSource

__all__ = ["GameEnv"]

TaskT = TypeVar("TaskT")


class GameEnv(TaskEnv, Generic[TaskT]):
    """Draws tasks, counts turns, and refuses invalid actions. A subclass sets ``_tasks`` and implements the game.

    Args:
        max_turns: turns of a trial; the class attribute by default.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form

    # A subclass may override these.
    max_observation: ClassVar[int] = 8_000
    """Maximum length of an observation in characters; a longer one is truncated."""
    max_action: ClassVar[int] = 1_000
    """Maximum length of the action space in characters; a longer action is still played."""

    _tasks: TaskSource[TaskT]

    def __init__(self, max_turns: int | None = None) -> None:
        if max_turns is not None:
            check_whole(1, max_turns=max_turns)
            self.max_turns = max_turns
        self.observation_space = UnicodeText(self.max_observation)
        self.action_space = UnicodeText(self.max_action)
        self._turns = 0
        self._running = False

    @abstractmethod
    def _begin(self, task_id: str) -> str:
        """Starts a task and returns the first observation."""

    @abstractmethod
    def _play(self, action: str) -> tuple[str, float, bool]:
        """Plays an action and returns the observation, the reward, and whether the game has ended."""

    @abstractmethod
    def _info(self) -> dict[str, Any]:
        """Returns a new dict at every call."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts a task.

        Args:
            seed: seeds the draw of tasks from here on.
            options: ``{"task_id": …}`` selects the task.

        Raises:
            UnknownTaskError: no such task.
            DataError: the task's own file cannot be used.
            TaskEnvError: the game's server or process fails.
        """
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        observation = self._begin(self._drawn() if task_id is None else checked_task_id(task_id))
        self._turns = 0
        self._running = True
        return observation[: self.max_observation], self._info()

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Plays one action.

        Raises:
            ActionError: the action is not text.
            EpisodeError: no trial is running.
            TaskEnvError: the game's server or process fails; the trial is over.
        """
        if not self._running:
            raise EpisodeError("no trial is running. Call reset() first.")
        if not isinstance(action, str):
            raise ActionError(f"an action is text (str); received {type(action).__name__}.")
        self._turns += 1
        self._running = False  # stays False if the game raises an error
        observation, reward, terminated = self._play(action)
        truncated = not terminated and self._turns >= self.max_turns
        self._running = not (terminated or truncated)
        return observation[: self.max_observation], reward, terminated, truncated, self._info()

    def task_ids(self, split: str) -> Sequence[str]:
        """Returns the ids of a split's tasks.

        Raises:
            UnknownTaskError: no such split.
        """
        return self._tasks.ids(split)

    def task(self, task_id: str) -> TaskT:
        """Returns a task with its solution.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.get(checked_task_id(task_id))

    def _drawn(self) -> str:
        """Draws a task of split train, or of the first split that exists if there are no files for train."""
        for split in SPLITS:
            try:
                ids = self._tasks.ids(split)
            except UnknownTaskError:
                continue
            return pick(ids, self.np_random)
        raise UnknownTaskError(f"{self._tasks!r} has none of the splits {SPLITS}.")
