"""The simplest Retro environment: its best reflection is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from retro_gym.actors import Actor, Reply
from retro_gym.errors import ActorError, ConfigError, UnknownTaskError
from retro_gym.prompts import Prompt, TaskPrompt
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv
from retro_gym.teacher import ReflectionCheck, Teacher
from retro_gym.trajectory import Trajectory

__all__ = ["IdentityActor", "IdentityEnv", "IdentityTeacher"]

WORDS = ("red", "green", "blue", "gold")

_SHOWN = re.compile(r"The word is (\w+)\.")


class IdentityEnv(TaskEnv):
    """The simplest environment in which a reflection matters: the best one is a word of the failed trajectory.

    ## Description
    The task shows a word that the actor must say; the scripted actor says only the word named by its last reflection.
    So the best reflection on task ``"train-3-blue"`` is ``"blue"``; any other word earns nothing.

    ## Observation
    ``"The word is blue."``, then ``"Right."`` or ``"Wrong."``.

    ## Action
    ``Say[word]``.

    ## Rewards
    1.0 for the word, 0.0 otherwise.

    ## Starting state
    Task i of a split shows word i modulo the number of words.

    ## Episode end
    After one turn.

    ## Arguments
    ``words``: the possible words; ``num_tasks``: tasks per split.

    ## Version history
    * v0: first release
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    prompt = TaskPrompt("Say the word that you are asked for: Say[word].")
    max_turns = 1
    blocking = False

    def __init__(self, *, words: Sequence[str] = WORDS, num_tasks: int = 64) -> None:
        if not words or num_tasks < 1:
            raise ConfigError(f"words is {words!r} and num_tasks {num_tasks}; both must hold at least one.")
        self.words = tuple(words)
        self.num_tasks = num_tasks
        self.observation_space = UnicodeText(200)
        self.action_space = UnicodeText(200)
        self._word = self.words[0]

    def task_ids(self, split: str) -> list[str]:
        """Returns ``num_tasks`` ids of the form ``split-number-word``."""
        if split not in ("train", "validation", "test"):
            raise UnknownTaskError(f"split {split!r} is not one of 'train', 'validation', 'test'.")
        return [f"{split}-{i}-{self.words[i % len(self.words)]}" for i in range(self.num_tasks)]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Shows the task's word."""
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        if task_id is None:
            task_id = self.task_ids("train")[int(self.np_random.integers(self.num_tasks))]
        self._word = _word_of(task_id, self.words)
        return f"The word is {self._word}.", {"task_id": task_id, "success": False}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Compares the word in the action with the task's word."""
        said = re.fullmatch(r"\s*Say\[(.*)\]\s*", action, re.DOTALL)
        success = said is not None and said.group(1).strip() == self._word
        return ("Right." if success else "Wrong."), float(success), True, False, {"success": success}

    def scripted_actor(self) -> Actor:
        """Returns an actor that says the word named by the last reflection."""
        return IdentityActor(self.words)

    @property
    def teacher(self) -> Teacher:
        """The teacher, which knows the word."""
        return IdentityTeacher(self.words)


def _word_of(task_id: str, words: tuple[str, ...]) -> str:
    word = str(task_id).rpartition("-")[2]
    if word not in words:
        raise UnknownTaskError(f"task {task_id!r} ends in none of the words {words}.")
    return word


class IdentityTeacher(Teacher):
    """Knows the word of every task.

    Args:
        words: the possible words.
    """

    def __init__(self, words: Sequence[str] = WORDS) -> None:
        self.words = tuple(words)

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the word."""
        return _word_of(task_id, self.words)

    def told_reflection(self, task_id: str) -> str:
        """Returns the answer: the action with the word."""
        return f"Say[{_word_of(task_id, self.words)}]"

    def rule_reflection(self, observation: str) -> str:
        """Returns the word that the observation shows."""
        shown = _SHOWN.search(observation)
        return "" if shown is None else shown[1]

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether the action with the word is in the reflection; the word alone is only a hint."""
        return self.told_reflection(task_id) in reflection

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a random word."""
        return self.words[int(rng.integers(len(self.words)))]

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks whether the reflection is one of the words, and whether it occurs in the trajectory."""
        known = reflection in self.words
        return ReflectionCheck(known, known and reflection in trajectory.render())


class IdentityActor:
    """An actor that says the first known word of the last reflection, or nothing without one."""

    def __init__(self, words: Sequence[str] = WORDS) -> None:
        self.words = tuple(words)

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns one ``Say[…]`` for each prompt."""
        return [Reply(f"Say[{self._named(prompt)}]") for prompt in prompts]

    def _named(self, prompt: Prompt) -> str:
        last = prompt.reflections[-1] if prompt.reflections else ""
        return next((word for word in re.findall(r"\w+", last) if word in self.words), "")
