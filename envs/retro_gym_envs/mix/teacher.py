"""The teacher of a mixture: delegates to the teacher of the task's environment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from retro_gym.task_env import TaskEnv
from retro_gym.teacher import ReflectionCheck, Teacher
from retro_gym.trajectory import Trajectory
from retro_gym_envs.mix.task_ids import parted

__all__ = ["MixTeacher", "head_of"]


def head_of(name: str) -> str:
    """Returns the line before a task that names its environment."""
    return f"Environment: {name}\n"


class MixTeacher(Teacher):
    """Delegates to the environments' own teachers.

    Args:
        envs: the environments by id.
    """

    def __init__(self, envs: Mapping[str, TaskEnv]) -> None:
        self._envs = envs

    def task_group(self, task_id: str) -> str:
        """Returns the environment's id."""
        return parted(task_id, self._envs)[0]

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the reflection of the environment's own teacher."""
        name, inner = parted(task_id, self._envs)
        return self._envs[name].teacher.oracle_reflection(inner)

    def failure_cause(self, task_id: str) -> str:
        """Returns the cause that the environment's own teacher knows."""
        name, inner = parted(task_id, self._envs)
        return self._envs[name].teacher.failure_cause(inner)

    def told_reflection(self, task_id: str) -> str:
        """Returns the reflection of the environment's own teacher."""
        name, inner = parted(task_id, self._envs)
        return self._envs[name].teacher.told_reflection(inner)

    def rule_reflection(self, observation: str) -> str:
        """Returns the reflection of the teacher of the environment that the observation names."""
        name = next((name for name in self._envs if head_of(name) in observation), None)
        if name is None:
            return ""
        return self._envs[name].teacher.rule_reflection(observation.replace(head_of(name), "", 1))

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether the environment's own teacher finds the answer in it."""
        name, inner = parted(task_id, self._envs)
        return self._envs[name].teacher.leaks(reflection, inner)

    def names_cause(self, reflection: str, task_id: str) -> bool:
        """Returns whether the environment's own teacher finds the cause of failure in it."""
        name, inner = parted(task_id, self._envs)
        return self._envs[name].teacher.names_cause(reflection, inner)

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns the reflection of the environment's own teacher."""
        teacher, own = self._own(trajectory)
        return teacher.noisy_reflection(own, rng)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Returns the check of the environment's own teacher."""
        teacher, own = self._own(trajectory)
        return teacher.check_reflection(reflection, own)

    def require(self, method: str) -> None:
        """Requires the method of every environment's own teacher.

        Raises:
            ConfigError: one of them does not define it.
        """
        for env in self._envs.values():
            env.teacher.require(method)

    def _own(self, trajectory: Trajectory) -> tuple[Teacher, Trajectory]:
        """Returns the environment's teacher, and the trajectory as the environment itself would have recorded it."""
        name, inner = parted(trajectory.task_id, self._envs)
        task = trajectory.task.removeprefix(head_of(name))
        return self._envs[name].teacher, dataclasses.replace(trajectory, task_id=inner, task=task)
