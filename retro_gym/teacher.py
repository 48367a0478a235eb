"""Who knows the solutions of a task environment: writes reflections on its tasks, and judges those of others."""

from __future__ import annotations

import dataclasses

import numpy as np

from retro_gym.errors import ConfigError
from retro_gym.trajectory import Trajectory

__all__ = ["NoTeacher", "ReflectionCheck", "Teacher"]


@dataclasses.dataclass(frozen=True)
class ReflectionCheck:
    """What can be said of a reflection without playing it."""

    well_formed: bool
    """It is a whole sentence of the teacher's language, with an instruction that the scripted actor understands."""
    grounded: bool
    """It is well-formed, and everything that it names stands in the trajectory."""


class Teacher:
    """The parts that a subclass does not define are refused when they are asked for; tasks then are all of one kind.

    No part is needed to play an environment, or to train a reflector on it. The policies ``oracle`` and ``shuffled``
    need ``oracle_reflection``; ``noisy`` and the build of the tiny reflector need ``noisy_reflection``.
    """

    def task_group(self, task_id: str) -> str:
        """The kind of task, where reports are to keep kinds apart (HotpotQA: bridge, comparison); empty otherwise."""
        return ""

    def oracle_reflection(self, task_id: str) -> str:
        """The best reflection that can be written on a task by someone who knows its solution."""
        raise self._lacking("oracle_reflection(task_id)")

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """A well-formed reflection on a failed trajectory that is right only now and then."""
        raise self._lacking("noisy_reflection(trajectory, rng)")

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Whether a reflection speaks the teacher's language, and of things that stand in the trajectory."""
        raise self._lacking("check_reflection(reflection, trajectory)")

    def _lacking(self, method: str) -> ConfigError:
        return ConfigError(f"{type(self).__name__} does not define {method}, which was asked for. Define it there.")


class NoTeacher(Teacher):
    """The teacher of an environment that has none.

    Args:
        env_name: what errors call the environment.
    """

    def __init__(self, env_name: str) -> None:
        self.env_name = env_name

    def _lacking(self, method: str) -> ConfigError:
        return ConfigError(
            f"{self.env_name} has no teacher, and {method} was asked for. Let its property 'teacher' return a "
            "retro_gym.Teacher that defines it, or use what needs no teacher: the policies none and vague, a reflector."
        )
