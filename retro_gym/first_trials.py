"""How an episode finds a failure to reflect on: tasks are drawn until the actor fails at one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from retro_gym.errors import ActorError, ConfigError, NoFailureError, one_line
from retro_gym.records.bank import FailureBank
from retro_gym.scheduling import Plan
from retro_gym.task_env import TaskEnv
from retro_gym.trajectory import EndReason, Trajectory

__all__ = ["check_reachable", "checked_first_trial", "draw_failure", "drawable_tasks"]

_MAX_ACTOR_ERRORS = 10  # in a row: then the actor is down, not unlucky


def check_reachable(lost: list[str]) -> None:
    """Refuses to start another episode when the last ones were all lost to actor errors; the count begins anew then.

    Where a bank stands in for trial 0 nothing else would notice, and a learner would go on from truncated steps.

    Args:
        lost: the errors of the last episodes.

    Raises:
        ActorError: there are ten of them.
    """
    if len(lost) >= _MAX_ACTOR_ERRORS:
        count, last = len(lost), lost[-1]
        lost.clear()
        raise ActorError(f"the actor failed in {count} episodes in a row; the last time: {last}")


def checked_first_trial(stored: object) -> Trajectory:
    """A trajectory that may stand in for trial 0.

    Raises:
        ConfigError: it is of another trial, it is void, or it is no trajectory.
    """
    if not isinstance(stored, Trajectory) or stored.trial != 0 or stored.end.void:
        raise ConfigError(
            f"options['trajectory'] is {one_line(stored)}; the Trajectory of a trial 0 that has a result is the rule."
        )
    return stored


def drawable_tasks(task_env: TaskEnv, split: str, bank: FailureBank | None) -> Sequence[str]:
    """The tasks of a split; where there is a bank, those of which it holds a failure.

    Raises:
        ConfigError: there is no task, or something else than a sequence of them.
        NoFailureError: the bank holds none of them.
        UnknownTaskError: no such split.
    """
    task_ids = task_env.task_ids(split)
    if not isinstance(task_ids, Sequence) or not task_ids:
        raise ConfigError(
            f"{type(task_env).__name__}.task_ids({split!r}) returned {one_line(task_ids)}; a sequence of at least one "
            "task id is the rule."
        )
    if bank is None:
        return task_ids
    stored = bank.among(task_ids)
    if not stored:
        raise NoFailureError(f"{bank.path} holds no failure of split {split!r}.")
    return stored


def draw_failure(
    task_ids: Sequence[str],
    first_trial: Callable[[str], Plan[Trajectory]],
    rng: np.random.Generator,
    *,
    split: str,
) -> Plan[tuple[Trajectory, int]]:
    """Draws tasks without replacement until one fails.

    Args:
        task_ids: those to draw from.
        first_trial: plays trial 0 of a task, or finds a stored one.
        rng: of the draws.
        split: what the tasks are called in messages.

    Returns:
        The failed trial, and how many tasks were solved unaided before it.

    Raises:
        ActorError: the actor failed on ten drawn tasks in a row, or on all that it did not solve.
        NoFailureError: the actor solves every task.
    """
    tried: set[int] = set()
    solved = errors = 0  # errors: in a row
    error: str | None = None
    while len(tried) < len(task_ids):
        index = int(rng.integers(len(task_ids)))
        if index in tried:
            continue
        tried.add(index)
        trajectory = yield from first_trial(task_ids[index])
        if trajectory.end is EndReason.ACTOR_ERROR:
            errors, error = errors + 1, trajectory.error
            if errors >= _MAX_ACTOR_ERRORS:
                raise ActorError(f"the actor failed on {errors} tasks in a row; the last time: {error}")
        elif trajectory.success:
            errors, solved = 0, solved + 1
        else:
            return trajectory, solved
    if error is not None:
        raise ActorError(f"the actor failed on {len(tried) - solved} tasks and solved the others: {error}")
    raise NoFailureError(
        f"the actor solves all {len(task_ids)} tasks of split {split!r} unaided: there is nothing to reflect on. "
        "Choose harder tasks or a weaker actor."
    )
