"""Finds splits that share tasks with the training split: a task file without folds is every split."""

from __future__ import annotations

from retro_gym.env import RetroEnv
from retro_gym.errors import UnknownTaskError
from retro_gym_agents.runs.log import print_status

__all__ = ["shared_splits", "warn_of_shared_splits"]


def shared_splits(env: RetroEnv) -> list[str]:
    """Returns which of validation and test share a task with the training split.

    Args:
        env: the training environment. A split that its task environment lacks shares nothing.
    """
    task_ids = env.task_env.task_ids
    trained = set(task_ids(env.split))
    shared = []
    for split in ("validation", "test"):
        try:
            if split != env.split and not trained.isdisjoint(task_ids(split)):
                shared.append(split)
        except UnknownTaskError:
            continue
    return shared


def warn_of_shared_splits(env: RetroEnv) -> None:
    """Prints a warning if other splits share tasks with the training split."""
    shared = shared_splits(env)
    if shared:
        print_status(
            f"Warning: {' and '.join(shared)} share tasks with the training split {env.split}: their success rates are "
            "not on unseen tasks. Give each split files of its own, or fold=(i, n) if the environment takes it."
        )
