"""Plans the trials of several reflections on one state, and computes their rewards from the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence

from retro_gym.errors import ActionError, EpisodeError, one_line
from retro_gym.generation import Reflection
from retro_gym.memory import Memory
from retro_gym.rewards import ControlKind, RewardName, pay
from retro_gym.stage import PlannedTrial
from retro_gym.trajectory import Outcome, Trajectory

__all__ = ["Control", "check_follows", "checked_reflections", "controls_of", "outcomes_of", "planned_trials"]

_CONTROL = "control"


@dataclasses.dataclass(frozen=True)
class Control:
    """The result of a trial without the new reflection that is not void."""

    return_: float
    record: str
    """Id of its row in the records file; empty without a records file."""


def checked_reflections(reflections: Sequence[str], limit: int) -> list[Reflection]:
    """Truncates reflections to ``limit`` characters and keeps their origin, if they have one.

    Raises:
        ActionError: a single text is given instead of several, or a reflection is not text.
    """
    if isinstance(reflections, str):
        raise ActionError(f"branch takes several reflections, such as [text]; received {one_line(reflections)}.")
    for reflection in reflections:
        if not isinstance(reflection, str):
            raise ActionError(f"a reflection is text (str); received {type(reflection).__name__}.")
    return [Reflection.of(reflection, limit) for reflection in reflections]


def check_follows(outcome: Outcome, before: Trajectory) -> None:
    """Checks that an episode in the state after a trial can continue from an outcome.

    Raises:
        EpisodeError: the outcome has no reward, or does not follow from this state.
    """
    after = outcome.trajectory
    if outcome.reward is None or (after.task_id, after.trial) != (before.task_id, before.trial + 1):
        raise EpisodeError(
            f"the outcome is trial {after.trial} of task {after.task_id!r} with reward {outcome.reward}; it must "
            f"have a reward and follow trial {before.trial} of task {before.task_id!r}."
        )


def planned_trials(
    before: Trajectory,
    memory: Memory,
    reflections: Sequence[str],
    *,
    source: str,
    pairs: int,
    kind: ControlKind,
    known: Collection[int],
) -> list[PlannedTrial]:
    """Plans the trials from which the rewards of reflections are computed.

    Args:
        before: the failed trial.
        memory: the memory with which the failed trial was played.
        reflections: what the actor reads of the reflections to try.
        source: the trials' ``source`` in records.
        pairs: trials for each reflection, replicas 0 to ``pairs`` − 1, each with a control; 0 for one without control.
        kind: whether control i has the replica of trial i, and so its seeds, or replica ``pairs`` + i.
        known: pairs whose control has been played already.

    Returns:
        The trials of the first reflection, of the second and so on, then the controls that are not known yet.
    """
    memory = memory.after(before)  # of the trials and of their controls
    tried = [
        PlannedTrial(before.task_id, before.trial + 1, memory.add(str(text)), replica, source)
        for text in reflections
        for replica in range(max(1, pairs))
    ]
    first = 0 if kind == "paired" else pairs
    controls = [
        PlannedTrial(before.task_id, before.trial + 1, memory, first + pair, _CONTROL)
        for pair in range(pairs)
        if pair not in known
    ]
    return tried + controls


def controls_of(
    planned: Sequence[PlannedTrial], played: Sequence[Trajectory], records: Sequence[str], *, pairs: int
) -> dict[int, Control]:
    """Returns the controls by pair; void ones are left out, so that they are played again."""
    return {
        one.replica % pairs: Control(trajectory.return_, record)
        for one, trajectory, record in zip(planned, played, records, strict=True)
        if one.source == _CONTROL and not trajectory.end.void
    }


def outcomes_of(
    reward: RewardName,
    before: Trajectory,
    reflections: Iterable[tuple[str, bool | None]],
    played: Sequence[Trajectory],
    records: Sequence[str],
    controls: Mapping[int, Control],
    *,
    pairs: int,
    c: float,
) -> list[Outcome]:
    """Computes the reward of each reflection.

    Args:
        reward: name of the reward.
        before: the failed trial.
        reflections: the reflections that were tried, each with whether it contains the answer.
        played: the results of the trials of :func:`planned_trials`.
        records: ids of their rows.
        controls: see :func:`controls_of`.
        pairs: see :func:`planned_trials`.
        c: coefficient of ``"retroact"``.

    Returns:
        One outcome for each reflection, with the first of its trials that is not void.
    """
    size = max(1, pairs)
    outcomes = []
    for number, (reflection, leak) in enumerate(reflections):
        start = number * size
        trials = played[start : start + size]
        chosen = next((index for index, trial in enumerate(trials) if not trial.end.void), 0)
        after = trials[chosen]
        whole = [
            (trial.return_, controls[pair].return_)
            for pair, trial in enumerate(trials)
            if pair in controls and not trial.end.void
        ]
        paid = None if after.end.void else pay(reward, before.return_, after.return_, pairs=whole, c=c)
        outcomes.append(Outcome(reflection, paid, after, trial_record=records[start + chosen], leak=leak))
    return outcomes
