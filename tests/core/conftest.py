"""An environment whose returns are written in its actions, so that every reward can be worked out by hand."""

import pytest

from retro_gym.errors import UnknownTaskError
from retro_gym.prompts import TaskPrompt
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv


class Graded(TaskEnv):
    """Pays the number that the actor says; 1.0 and more solves the task."""

    metadata = {"render_modes": [], "render_fps": 1}
    prompt = TaskPrompt("Say a number.")
    max_turns = 1

    def __init__(self, num_tasks=10):
        self.num_tasks = num_tasks
        self.observation_space = self.action_space = UnicodeText(2_000)
        self.closed = 0

    def task_ids(self, split):
        if split != "train":
            raise UnknownTaskError(f"split {split!r} is not 'train'.")
        return [f"task-{i}" for i in range(self.num_tasks)]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id", "task-0")
        if task_id not in self.task_ids("train"):
            raise UnknownTaskError(f"task {task_id!r} is not one of {self.num_tasks}.")
        return f"This is {task_id}.", {"success": False}

    def step(self, action):
        try:
            reward = float(action)
        except ValueError:
            reward = 0.0
        return f"You said {action}.", reward, True, False, {"success": reward >= 1}

    def close(self):
        self.closed += 1


@pytest.fixture
def graded():
    return Graded
