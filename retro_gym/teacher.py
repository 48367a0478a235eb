"""Teachers, which know the solutions of a task environment: they write reflections and check those of others."""

from __future__ import annotations

import dataclasses

import numpy as np

from retro_gym.errors import ConfigError
from retro_gym.trajectory import Trajectory

__all__ = ["NoTeacher", "ReflectionCheck", "Teacher"]


@dataclasses.dataclass(frozen=True)
class ReflectionCheck:
    """Properties of a reflection that can be checked without playing a trial."""

    well_formed: bool
    """It is a complete sentence of the teacher's language, with an instruction that the scripted actor understands."""
    grounded: bool
    """It is well-formed, and everything that it names occurs in the trajectory."""


class Teacher:
    """Base class of teachers. Methods that a subclass does not define raise an error; all tasks are in one group.

    No method is needed to play an environment or to train a reflector on it. The policies ``oracle``, ``shuffled`` and
    ``lookup`` need ``oracle_reflection``; ``told``, ``rule`` and ``noisy`` need the method of their name; reports of
    leaks, and ``leak="ignore"``, need ``leaks``; reports of the causes that reflections name need ``names_cause``; the
    build of the tiny reflector needs ``noisy_reflection``.
    """

    def task_group(self, task_id: str) -> str:
        """Returns the kind of task that reports group by (HotpotQA: bridge, comparison); empty for no groups."""
        return ""

    def failure_cause(self, task_id: str) -> str:
        """Returns the cause of failure that a generated task was given; empty if it is not known."""
        return ""

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best reflection on a task that does not state its answer, given its solution."""
        raise self._lacking("oracle_reflection")

    def told_reflection(self, task_id: str) -> str:
        """Returns a reflection that states the answer outright: gold answer, gold query, the list of all commands."""
        raise self._lacking("told_reflection")

    def rule_reflection(self, observation: str) -> str:
        """Returns a reflection that fixed rules derive from the observation of a failure, and from nothing else."""
        raise self._lacking("rule_reflection")

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection contains the answer of a task."""
        raise self._lacking("leaks")

    def names_cause(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection names the cause of failure: what the actor must know, and did not know.

        It depends on the text and the task alone, not on the failed trial. It is true of the oracle's reflection and of
        others that a reader understands alike. It is false of a reflection that names the right thing among others of
        its kind ("A or B"), or speaks against it, or misleads the actor elsewhere; and of every reflection on a task
        with an empty :meth:`failure_cause`, where it says nothing. Reflections that state the answer may be either.
        """
        raise self._lacking("names_cause")

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection on a failed trajectory that is only sometimes right."""
        raise self._lacking("noisy_reflection")

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks whether a reflection is well-formed, and whether all that it names occurs in the trajectory."""
        raise self._lacking("check_reflection")

    def require(self, method: str) -> None:
        """Raises an error unless a method is defined, so that its absence is noticed before an actor is called.

        Args:
            method: its name: ``"oracle_reflection"``, for example.

        Raises:
            ConfigError: it is not defined.
        """
        if getattr(type(self), method) is getattr(Teacher, method):
            raise self._lacking(method)

    def defines(self, method: str) -> bool:
        """Returns whether a method is defined, see :meth:`require`."""
        try:
            self.require(method)
        except ConfigError:
            return False
        return True

    def _lacking(self, method: str) -> ConfigError:
        name = type(self).__name__
        return ConfigError(f"{name}.{method} is needed here but not defined. Define it in {name}.")


class NoTeacher(Teacher):
    """Placeholder for environments without a teacher; every method raises an error.

    Args:
        env_name: name of the environment in error messages.
    """

    def __init__(self, env_name: str) -> None:
        self.env_name = env_name

    def _lacking(self, method: str) -> ConfigError:
        return ConfigError(
            f"{self.env_name} has no teacher, and {method} is needed here. Derive it from retro_gym.Teacher too, let "
            "its property 'teacher' return one, or use policies that need no teacher: none, vague, outcome, copy, "
            "task_only, actions, shotgun, a reflector."
        )
