"""The teacher of a mixture: asks the teacher of the environment whose task it is."""

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
    """The line in front of a task that names its environment."""
    return f"Environment: {name}\n"


class MixTeacher(Teacher):
    """The environments' own teachers.

    Args:
        envs: by id.
    """

    def __init__(self, envs: Mapping[str, TaskEnv]) -> None:
        self._envs = envs

    def task_group(self, task_id: str) -> str:
        """The environment's id."""
        return parted(task_id, self._envs)[0]

    def oracle_reflection(self, task_id: str) -> str:
        """The environment's own."""
        name, inner = parted(task_id, self._envs)
        return self._envs[name].teacher.oracle_reflection(inner)

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """The environment's own."""
        teacher, own = self._own(trajectory)
        return teacher.noisy_reflection(own, rng)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """The environment's own."""
        teacher, own = self._own(trajectory)
        return teacher.check_reflection(reflection, own)

    def _own(self, trajectory: Trajectory) -> tuple[Teacher, Trajectory]:
        """A teacher, and the trajectory as its environment itself would have given it."""
        name, inner = parted(trajectory.task_id, self._envs)
        task = trajectory.task.removeprefix(head_of(name))
        return self._envs[name].teacher, dataclasses.replace(trajectory, task_id=inner, task=task)
