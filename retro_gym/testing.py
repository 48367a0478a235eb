"""What tests of environments, actors and learners stand on: an environment whose best reflection is known, doubles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from retro_gym.actors import Actor, Reply
from retro_gym.errors import ActorError, ConfigError, UnknownTaskError
from retro_gym.prompts import Prompt, TaskPrompt
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import ReflectionCheck, TaskEnv
from retro_gym.trajectory import Trajectory

__all__ = ["EchoActor", "FlakyActor", "IdentityActor", "IdentityEnv", "LuckyActor", "ScriptedActor"]

WORDS = ("red", "green", "blue", "gold")


class IdentityEnv(TaskEnv):
    """The simplest environment in which a reflection matters: the best one is a word that stands in the failure.

    ## Description
    The task shows a word, the actor has to say it, and the scripted actor says only what its last reflection names.
    So the best reflection on task ``"train-3-blue"`` is ``"blue"``; any other word earns nothing.

    ## Observation
    ``"The word is blue."``, then whether what was said was right.

    ## Action
    ``Say[word]``.

    ## Rewards
    1.0 for the word, 0.0 otherwise.

    ## Starting state
    Task i of a split shows word i modulo the number of words.

    ## Episode end
    After one turn.

    ## Arguments
    ``words``: the words that can be asked for; ``num_tasks``: tasks per split.

    ## Version history
    * v0: first release
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    prompt = TaskPrompt("Say the word that you are asked for: Say[word].")
    max_turns = 1

    def __init__(self, *, words: Sequence[str] = WORDS, num_tasks: int = 64) -> None:
        if not words or num_tasks < 1:
            raise ConfigError(f"words is {words!r} and num_tasks {num_tasks}; both must hold at least one.")
        self.words = tuple(words)
        self.num_tasks = num_tasks
        self.observation_space = UnicodeText(200)
        self.action_space = UnicodeText(200)
        self._word = self.words[0]

    def task_ids(self, split: str) -> list[str]:
        """``num_tasks`` ids of the form ``split-number-word``."""
        if split not in ("train", "validation", "test"):
            raise UnknownTaskError(f"split {split!r} is not one of 'train', 'validation', 'test'.")
        return [f"{split}-{i}-{self.words[i % len(self.words)]}" for i in range(self.num_tasks)]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Shows the task's word."""
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        if task_id is None:
            task_id = self.task_ids("train")[int(self.np_random.integers(self.num_tasks))]
        self._word = self._word_of(task_id)
        return f"The word is {self._word}.", {"task_id": task_id, "success": False}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Compares what was said with the word."""
        said = re.fullmatch(r"\s*Say\[(.*)\]\s*", action, re.DOTALL)
        success = said is not None and said.group(1).strip() == self._word
        return ("Right." if success else "Wrong."), float(success), True, False, {"success": success}

    def scripted_actor(self) -> Actor:
        """Says what the last reflection names."""
        return IdentityActor(self.words)

    def oracle_reflection(self, task_id: str) -> str:
        """The word."""
        return self._word_of(task_id)

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Any of the words."""
        return self.words[int(rng.integers(len(self.words)))]

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Whether it is one of the words, and the one that was shown."""
        known = reflection in self.words
        return ReflectionCheck(known, known and reflection in trajectory.render())

    def _word_of(self, task_id: str) -> str:
        word = str(task_id).rpartition("-")[2]
        if word not in self.words:
            raise UnknownTaskError(f"task {task_id!r} ends in none of the words {self.words}.")
        return word


class IdentityActor:
    """Says the first known word of the last reflection, and nothing without one."""

    def __init__(self, words: Sequence[str] = WORDS) -> None:
        self.words = tuple(words)

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One ``Say[…]`` for each prompt."""
        return [Reply(f"Say[{self._named(prompt)}]") for prompt in prompts]

    def _named(self, prompt: Prompt) -> str:
        last = prompt.reflections[-1] if prompt.reflections else ""
        return next((word for word in re.findall(r"\w+", last) if word in self.words), "")


class ScriptedActor:
    """Replies from a list, turn by turn, the same in every trial; stays at the last reply when it is used up.

    >>> actor = ScriptedActor(["Search[Velmora]", "Finish[1934]"])
    >>> prompt = Prompt("Answer.", (), (), "Question: When?", (), seed=0)
    >>> actor.reply([prompt])[0].text
    'Search[Velmora]'
    """

    def __init__(self, replies: Sequence[str]) -> None:
        self.replies = tuple(replies)

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """The reply that belongs to each prompt's turn."""
        return [Reply(self.replies[min(len(prompt.turns), len(self.replies) - 1)]) for prompt in prompts]


class EchoActor:
    """Replies with the last reflection, or with ``default`` where there is none; notes every prompt it was given."""

    def __init__(self, default: str = "") -> None:
        self.default = default
        self.prompts: list[Prompt] = []

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One echo for each prompt; counts characters as tokens."""
        self.prompts.extend(prompts)
        texts = [prompt.reflections[-1] if prompt.reflections else self.default for prompt in prompts]
        return [Reply(text, len(prompt.text), len(text)) for text, prompt in zip(texts, prompts, strict=True)]


class FlakyActor:
    """Another actor that now and then cannot be reached.

    Args:
        actor: the actor behind the bad line.
        fails: whether a prompt fails, for example ``lambda prompt: prompt.seed % 3 == 0``.
    """

    def __init__(self, actor: Actor, fails: Callable[[Prompt], bool]) -> None:
        self.actor = actor
        self.fails = fails

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """The actor's replies, with an error in place of some."""
        replies = self.actor.reply(prompts)
        return [
            ActorError("no connection (simulated)") if self.fails(prompt) else reply
            for prompt, reply in zip(prompts, replies, strict=True)
        ]


class LuckyActor:
    """An actor that succeeds by luck alone, drawn from the seed in its prompt.

    Args:
        replies: text and probability; they sum to 1.
    """

    def __init__(self, replies: Mapping[str, float]) -> None:
        self.texts = tuple(replies)
        self.probabilities = tuple(replies.values())

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """A draw for each prompt; the same prompt seed gives the same draw."""
        return [
            Reply(str(np.random.default_rng(prompt.seed).choice(self.texts, p=self.probabilities)))
            for prompt in prompts
        ]
