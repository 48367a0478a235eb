"""What several reflections on one state earn: which trials are played for them, and what comes of these."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from retro_gym.errors import ActionError, one_line
from retro_gym.memory import Memory
from retro_gym.rewards import RewardName, pay
from retro_gym.stage import PlannedTrial
from retro_gym.trajectory import Outcome, Trajectory

__all__ = ["checked_reflections", "control_returns", "outcomes_of", "planned_trials"]

_CONTROL = "control"


def checked_reflections(reflections: Sequence[str], limit: int) -> list[str]:
    """Reflections, cut to so many characters.

    Raises:
        ActionError: a single text in place of several, or something that is not text.
    """
    if isinstance(reflections, str):
        raise ActionError(f"branch takes several reflections, such as [text]; received {one_line(reflections)}.")
    for reflection in reflections:
        if not isinstance(reflection, str):
            raise ActionError(f"a reflection is text (str); received {type(reflection).__name__}.")
    return [reflection[:limit] for reflection in reflections]


def planned_trials(
    before: Trajectory, memory: Memory, reflections: Sequence[str], *, source: str, pairs: int, known: Collection[int]
) -> list[PlannedTrial]:
    """The trials that tell what reflections are worth.

    Args:
        before: the failed trial.
        memory: what the actor's prompt held in it.
        reflections: those that are tried.
        source: what records call their trials.
        pairs: trials for each reflection, replicas 0 to ``pairs`` − 1, each with a control; 0 for one without control.
        known: replicas whose control has been played.

    Returns:
        The trials of the first reflection, of the second and so on, then the controls that are not known yet.
    """
    tried = [
        PlannedTrial(before.task_id, before.trial + 1, memory.add(text), replica, source)
        for text in reflections
        for replica in range(max(1, pairs))
    ]
    controls = [
        PlannedTrial(before.task_id, before.trial + 1, memory, replica, _CONTROL)
        for replica in range(pairs)
        if replica not in known
    ]
    return tried + controls


def control_returns(planned: Sequence[PlannedTrial], played: Sequence[Trajectory]) -> dict[int, float]:
    """The returns of the controls by replica; one that the actor failed in is absent, so that it is asked for again."""
    return {
        one.replica: trajectory.return_
        for one, trajectory in zip(planned, played, strict=True)
        if one.source == _CONTROL and not trajectory.end.void
    }


def outcomes_of(
    reward: RewardName,
    before: Trajectory,
    reflections: Sequence[str],
    played: Sequence[Trajectory],
    controls: Mapping[int, float],
    *,
    pairs: int,
    c: float,
) -> list[Outcome]:
    """What each reflection has earned.

    Args:
        reward: how it is paid.
        before: the failed trial.
        reflections: those that were tried.
        played: the trials of :func:`planned_trials`.
        controls: see :func:`control_returns`.
        pairs: as there.
        c: of ``"retroact"``.

    Returns:
        One outcome for each reflection, with the first of its trials that the actor did not fail in.
    """
    size = max(1, pairs)
    outcomes = []
    for start, reflection in zip(range(0, size * len(reflections), size), reflections, strict=True):
        trials = played[start : start + size]
        after = next((trial for trial in trials if not trial.end.void), trials[0])
        whole = [
            (trial.return_, controls[replica])
            for replica, trial in enumerate(trials)
            if replica in controls and not trial.end.void
        ]
        paid = None if after.end.void else pay(reward, before.return_, after.return_, pairs=whole, c=c)
        outcomes.append(Outcome(reflection, paid, after))
    return outcomes
