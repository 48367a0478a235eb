"""Starts episodes: draws tasks until the actor fails at one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from retro_gym.errors import ActorError, ConfigError, NoFailureError, UnknownTaskError, one_line
from retro_gym.records.bank import FailureBank
from retro_gym.scheduling import Plan
from retro_gym.task_env import TaskEnv, checked_task_id
from retro_gym.trajectory import EndReason, Trajectory

__all__ = ["check_reachable", "draw_failure", "drawable_tasks", "start_failure", "stored_failure"]

_MAX_ACTOR_ERRORS = 10  # consecutive errors after which the actor counts as down


def check_reachable(lost: list[str]) -> None:
    """Refuses to start another episode after ten consecutive episodes with actor errors, and resets the count.

    With a bank in place of trial 0, nothing else would detect this, and training would continue on truncated steps.

    Args:
        lost: the errors of the most recent consecutive episodes.

    Raises:
        ActorError: there are ten errors.
    """
    if len(lost) >= _MAX_ACTOR_ERRORS:
        count, last = len(lost), lost[-1]
        lost.clear()
        raise ActorError(f"the actor failed in {count} episodes in a row; the last time: {last}")


def _checked_first_trial(stored: object) -> Trajectory:
    """Returns the trajectory if it can replace trial 0.

    Raises:
        ConfigError: it is of another trial, void, or not a trajectory.
    """
    if not isinstance(stored, Trajectory) or stored.trial != 0 or stored.end.void:
        raise ConfigError(
            f"options['trajectory'] is {one_line(stored)}; it must be the Trajectory of a trial 0 that is not void."
        )
    return stored


def drawable_tasks(task_env: TaskEnv, split: str, bank: FailureBank | None) -> Sequence[str]:
    """Returns the tasks of a split; with a bank, only those with a stored failure.

    Raises:
        ConfigError: the task environment returns no task, or no sequence.
        NoFailureError: the bank holds no failure of the split.
        UnknownTaskError: the split is unknown.
    """
    task_ids = task_env.task_ids(split)
    if not isinstance(task_ids, Sequence) or not task_ids:
        raise ConfigError(
            f"{type(task_env).__name__}.task_ids({split!r}) returned {one_line(task_ids)}; it must return a sequence "
            "of at least one task id."
        )
    if bank is None:
        return task_ids
    stored = bank.among(task_ids)
    if not stored:
        raise NoFailureError(f"{bank.path} holds no failure of split {split!r}.")
    return stored


def stored_failure(bank: FailureBank, task_id: str, rng: np.random.Generator) -> Trajectory:
    """Draws one of a bank's failures of a task.

    Raises:
        UnknownTaskError: the bank holds none.
    """
    stored = bank.failures(task_id)
    if not stored:
        raise UnknownTaskError(f"{bank.path} holds no failure of task {task_id!r}.")
    return stored[int(rng.integers(len(stored)))]


def draw_failure(
    task_ids: Sequence[str],
    first_trial: Callable[[str], Plan[Trajectory]],
    rng: np.random.Generator,
    *,
    split: str,
) -> Plan[tuple[Trajectory, int]]:
    """Draws tasks without replacement until one fails.

    Args:
        task_ids: the tasks to draw from.
        first_trial: plays trial 0 of a task, or returns a stored one.
        rng: generator for the draws.
        split: name of the split, for error messages.

    Returns:
        The failed trial, and the number of tasks that were solved before it.

    Raises:
        ActorError: the actor failed on ten consecutive tasks, or on every task that it did not solve.
        NoFailureError: the actor solves every task.
    """
    tried: set[int] = set()
    solved = errors = 0  # errors: consecutive
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


def start_failure(
    options: Mapping[str, Any],
    first_trial: Callable[[str], Plan[Trajectory]],
    draw: Callable[[], Plan[tuple[Trajectory, int]]],
) -> Plan[tuple[Trajectory, int]]:
    """Starts an episode as the options of ``reset`` say: with a given trial 0, on a requested task or on a drawn one.

    Args:
        options: ``trajectory``, ``task_id`` or neither; see :meth:`retro_gym.RetroEnv.reset`.
        first_trial: plays trial 0 of a task, or returns a stored one.
        draw: draws a failure, see :func:`draw_failure`.

    Returns:
        Trial 0, and the number of tasks that were solved before it.

    Raises:
        ActorError: the actor failed on the requested task, or as in ``draw``.
        ConfigError: the given trial 0 cannot replace one.
    """
    task_id, stored = options.get("task_id"), options.get("trajectory")
    if stored is not None:
        return _checked_first_trial(stored), 0
    if task_id is None:
        return (yield from draw())
    trajectory = yield from first_trial(checked_task_id(task_id))
    if trajectory.end.void:
        raise ActorError(f"the actor failed on task {task_id!r}: {trajectory.error}")
    return trajectory, 0
