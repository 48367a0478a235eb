"""Which splits are no test of what was trained on: one task file without folds is every split."""

from __future__ import annotations

from retro_gym.env import RetroEnv
from retro_gym.errors import UnknownTaskError
from retro_gym_agents.runs.log import print_status

__all__ = ["shared_splits", "warn_of_shared_splits"]


def shared_splits(env: RetroEnv) -> list[str]:
    """Which of validation and test have a task in common with the split that is trained on.

    Args:
        env: as training plays it. A split that its task environment does not have shares nothing.
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
    """A line for the user where training has seen the tasks of other splits; none where the splits are apart."""
    shared = shared_splits(env)
    if shared:
        print_status(
            f"Warning: {' and '.join(shared)} share tasks with {env.split}, which is trained on: what is measured on "
            "them is no success on unseen tasks. Give each split files of its own, or fold=(i, n) where that is known."
        )
