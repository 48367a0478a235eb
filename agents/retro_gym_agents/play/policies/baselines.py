"""Policies without a model: from an empty reflection to the answer, each a test of what a reward measures.

Only ``oracle`` and ``rule`` should solve tasks. The others do without the failure (``vague``, ``task_only``,
``lookup``, ``shuffled``), know its end alone (``outcome``), repeat it (``copy``, ``actions``, ``shotgun``), guess
(``noisy``) or give the solution away (``told``). An environment in which one of them comes near ``oracle`` does not
reward the understanding of a failure.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError, did_you_mean
from retro_gym.prompts import shorten
from retro_gym.trajectory import EndReason
from retro_gym_agents.play.policies.lookup import nearest_oracle
from retro_gym_agents.play.policies.mentions import mentions
from retro_gym_agents.play.policies.protocol import Policy, parts_of

__all__ = ["BASELINES", "VAGUE_REFLECTION", "Baseline", "BaselinePolicy", "check_teacher"]

VAGUE_REFLECTION = "I should be more careful next time and check every step before I answer."


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A policy without a model."""

    write: Callable[[str, RetroEnv, int], str]
    """Writes one reflection from an observation, its environment and a seed."""
    needs: str | None = None
    """The method of the teacher that it calls; None if it needs no teacher."""


def _nothing(observation: str, env: RetroEnv, seed: int) -> str:
    return ""


def _vague(observation: str, env: RetroEnv, seed: int) -> str:
    return VAGUE_REFLECTION


_ENDS = {
    EndReason.SOLVED: "solved the task",
    EndReason.FAILED: "it ended without success",
    EndReason.OUT_OF_TURNS: "it ran out of turns",
    EndReason.REPEATED_ACTION: "it was stopped because it repeated itself",
    EndReason.PROMPT_TOO_LONG: "it was stopped because its record became too long",
}


def _outcome(observation: str, env: RetroEnv, seed: int) -> str:
    """Says how the trial ended and with what score: all that a bare reward tells, and nothing of what happened."""
    trajectory = env.trajectory
    score = round(trajectory.return_, 2) + 0.0  # no "-0"
    start = "The last attempt" if trajectory.end is EndReason.SOLVED else "The last attempt failed:"
    return f"{start} {_ENDS[trajectory.end]} (score {score:g})."


def _copy(observation: str, env: RetroEnv, seed: int) -> str:
    """Copies the observation without the template's words around it; shortened in the middle."""
    parts = list(string.Formatter().parse(env.observation_template))
    fields = [index for index, (_, field, *_) in enumerate(parts) if field is not None] or [len(parts)]
    before, after = parts[: fields[0] + 1], parts[fields[-1] + 1 :]
    text = observation.removeprefix("".join(literal for literal, *_ in before))
    text = text.removesuffix("".join(literal for literal, *_ in after))
    return shorten(text.strip(), env.max_reflection_chars)


def _task_only(observation: str, env: RetroEnv, seed: int) -> str:
    return _instruction("Next time I should do exactly what the task says: ", [env.trajectory.task], env)


def _actions(observation: str, env: RetroEnv, seed: int) -> str:
    taken = dict.fromkeys(turn.action for turn in env.trajectory.turns)
    return _instruction("Next time I should do the following, in this order: ", taken, env)


def _shotgun(observation: str, env: RetroEnv, seed: int) -> str:
    """Names everything; of what does not fit, a random part is left out."""
    start = "Next time I should use all of the following: "
    named = mentions(env.trajectory)
    room = env.max_reflection_chars - len(start)
    kept = set[int]()
    for index in np.random.default_rng(seed).permutation(len(named)):
        room -= len(named[index]) + len(_SEPARATOR)
        if room >= 0:
            kept.add(int(index))
    return _instruction(start, [text for index, text in enumerate(named) if index in kept], env)


def _lookup(observation: str, env: RetroEnv, seed: int) -> str:
    return nearest_oracle(env)


def _shuffled(observation: str, env: RetroEnv, seed: int) -> str:
    others = [task_id for task_id in env.task_env.task_ids(env.split) if task_id != env.trajectory.task_id]
    if not others:
        raise ConfigError(f"'shuffled' needs another task; split {env.split!r} has only one. Use a larger split.")
    return env.task_env.teacher.oracle_reflection(others[int(np.random.default_rng(seed).integers(len(others)))])


def _noisy(observation: str, env: RetroEnv, seed: int) -> str:
    return env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(seed))


def _told(observation: str, env: RetroEnv, seed: int) -> str:
    return env.task_env.teacher.told_reflection(env.trajectory.task_id)


def _oracle(observation: str, env: RetroEnv, seed: int) -> str:
    return env.task_env.teacher.oracle_reflection(env.trajectory.task_id)


def _rule(observation: str, env: RetroEnv, seed: int) -> str:
    return env.task_env.teacher.rule_reflection(str(observation))


_SEPARATOR = "; "


def _instruction(start: str, parts: Sequence[str] | Mapping[str, None], env: RetroEnv) -> str:
    """Returns an instruction with a list, on one line and within the length limit; empty without parts."""
    listed = _SEPARATOR.join(" ".join(part.split()) for part in parts)
    end = "" if listed.endswith((".", "?", "!")) else "."
    return shorten(f"{start}{listed}{end}", env.max_reflection_chars) if listed else ""


BASELINES: dict[str, Baseline] = {
    "none": Baseline(_nothing),
    "vague": Baseline(_vague),
    "outcome": Baseline(_outcome),
    "copy": Baseline(_copy),
    "task_only": Baseline(_task_only),
    "actions": Baseline(_actions),
    "shotgun": Baseline(_shotgun),
    "lookup": Baseline(_lookup, "oracle_reflection"),
    "shuffled": Baseline(_shuffled, "oracle_reflection"),
    "noisy": Baseline(_noisy, "noisy_reflection"),
    "told": Baseline(_told, "told_reflection"),
    "oracle": Baseline(_oracle, "oracle_reflection"),
    "rule": Baseline(_rule, "rule_reflection"),
}
"""The policies without a model, by name."""


class BaselinePolicy:
    """One of :data:`BASELINES`.

    Args:
        name: a key of :data:`BASELINES`.

    Raises:
        ConfigError: the name is unknown.
    """

    def __init__(self, name: str) -> None:
        if name not in BASELINES:
            raise ConfigError(f"baseline {name!r} is not one of {list(BASELINES)}.{did_you_mean(name, BASELINES)}")
        self.name = name

    def reflect(self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]) -> list[str]:
        """Returns one reflection for each environment.

        Raises:
            ConfigError: the environment's teacher lacks the method that the baseline needs.
        """
        write = BASELINES[self.name].write
        return [write(*each) for each in zip(observations, envs, seeds, strict=True)]


def check_teacher(policy: Policy, env: RetroEnv) -> None:
    """Checks that an environment's teacher has what a baseline needs, also one that is asked by another policy.

    It is called before an actor is.

    Raises:
        ConfigError: it has not.
    """
    for part in parts_of(policy):
        if isinstance(part, BaselinePolicy) and (needs := BASELINES[part.name].needs) is not None:
            env.task_env.teacher.require(needs)
