"""What a page shows, whichever file it comes from: panels of failures, each with its trials and tried reflections.

A *panel* holds failures that can be set beside each other: the same environment, tasks, seeds and actor. A *failure* is
one task with one seed. Its trials and the reflections that were tried on it refer to each other by position.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from retro_gym.trajectory import EndReason, Trajectory, Turn

__all__ = ["Failure", "Panel", "Trial", "Try", "differing"]


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial, as far as it is known."""

    number: int
    """0 for the first attempt; reflection i leads to trial i + 1."""
    task: str
    """The task in words; empty if it is not known."""
    turns: tuple[Turn, ...] | None
    """None if the file does not hold them."""
    return_: float | None
    success: bool
    end: str
    error: str = ""
    noted: str = ""
    """What the actor's prompt held of earlier trials, as it stood there."""
    form: int = -1
    """Position of the prompt's form in :attr:`Panel.forms`; −1 if it is not known."""
    source: str = ""
    """Why it was played: reset, step, branch, control or bank; empty if it is not known."""

    @classmethod
    def of(cls, found: Trajectory) -> Self:
        """Returns a trial whose prompt is not known."""
        about = (found.trial, found.task, found.turns, found.return_, found.success, found.end.value)
        return cls(*about, error=found.error or "")

    @property
    def void(self) -> bool:
        """Whether the actor failed, so that the return is meaningless."""
        return self.end in (EndReason.ACTOR_ERROR, EndReason.BUDGET)


@dataclasses.dataclass(frozen=True)
class Try:
    """A reflection that was tried, and what came of it."""

    policy: str
    trial: int
    """Number of the failed trial that it is about."""
    text: str
    before: int
    """Position of the failed trial."""
    after: tuple[int, ...]
    """Positions of the trials that were played with it."""
    controls: tuple[int, ...] = ()
    """Positions of the trials without it, pair by pair; −1 for a void one."""
    reward: float | None = None
    """None if the actor failed."""
    leak: bool | None = None
    """Whether it contains the task's answer; None if it is not known."""
    named: bool | None = None
    """Whether it names the true cause of the failure; None if it is not known."""
    source: str = "step"
    update: int | None = None
    """The update of a training run in which it was written, counted from 1."""


@dataclasses.dataclass
class Failure:
    """A task with a seed: its trials, and the reflections of all policies."""

    task_id: str
    seed: int
    """Tells episodes on one task apart: the evaluation seed, or the episode's seed in a file of records."""
    group: str = ""
    """The kind of task; empty if it is not known."""
    cause: str = ""
    """The cause of failure that a generated task was given."""
    trials: list[Trial] = dataclasses.field(default_factory=list)
    tries: list[Try] = dataclasses.field(default_factory=list)
    players: set[str] = dataclasses.field(default_factory=set)
    """The policies that played it: also those that wrote nothing, since the first trial solved the task."""
    lost: dict[str, str] = dataclasses.field(default_factory=dict)
    """The actor's error, for the policies with which it failed."""

    @property
    def key(self) -> tuple[str, int]:
        """Task and seed."""
        return self.task_id, self.seed

    @property
    def task(self) -> str:
        """The task in words."""
        return next((trial.task for trial in self.trials if trial.task), "")

    def solved(self, policy: str, rounds: int) -> list[float | None] | None:
        """Returns how much of a failure a policy has solved by trial 0…``rounds``, each in [0, 1].

        After several reflections on one trial it is the share that solved the task. What was solved stays solved. None
        where the actor failed; None for the whole list if the policy did not play.
        """
        if policy not in self.players:
            return None
        first = next((trial for trial in self.trials if trial.number == 0), None)
        if first is None or first.void:
            return [None] * (rounds + 1)
        by_trial: list[float | None] = [float(first.success)]
        for number in range(rounds):
            before = by_trial[-1]
            tried = [one for one in self.tries if one.policy == policy and one.trial == number]
            ends = [self.trials[one.after[0]] for one in tried if one.after]
            counted = [trial.success for trial in ends if not trial.void]
            if before is None or (policy in self.lost and not counted and before < 1):
                by_trial.append(None)
            else:
                by_trial.append(max(before, sum(counted) / len(counted)) if counted else before)
        return by_trial

    def absorb(self, other: Failure, names: Mapping[str, str]) -> bool:
        """Adds the trials and tries of another file's failure on the same task and seed.

        Args:
            other: the other failure.
            names: new names of its policies.

        Returns:
            Whether both had the same first trial, as far as this is known.
        """
        first, twin = ([trial for trial in one.trials if trial.number == 0] for one in (self, other))
        places: dict[int, int] = {}
        alike = True
        for place, trial in enumerate(other.trials):
            if trial.number == 0 and first and trial is twin[0]:
                alike = _alike(first[0], trial)
                if alike:
                    places[place] = self.trials.index(first[0])
                    if first[0].turns is None:
                        self.trials[places[place]] = trial
                    continue
            places[place] = len(self.trials)
            self.trials.append(trial)
        self.tries += [
            dataclasses.replace(
                one,
                policy=names[one.policy],
                before=places[one.before],
                after=tuple(places[each] for each in one.after),
                controls=tuple(places.get(each, -1) for each in one.controls),
            )
            for one in other.tries
        ]
        self.players |= {names[name] for name in other.players}
        self.lost |= {names[name]: error for name, error in other.lost.items()}
        self.group, self.cause = self.group or other.group, self.cause or other.cause
        return alike


def _alike(one: Trial, other: Trial) -> bool:
    if one.turns is None or other.turns is None:
        return one.success == other.success
    return [(turn.action, turn.observation) for turn in one.turns] == [
        (turn.action, turn.observation) for turn in other.turns
    ]


@dataclasses.dataclass
class Panel:
    """Failures that can be set beside each other, and what is known of the whole."""

    key: Mapping[str, Any]
    """The settings that must be equal for two files to be set beside each other."""
    kind: str
    """evaluation, records or training."""
    files: list[str]
    """Names of the files that it was read from."""
    policies: list[str]
    failures: dict[tuple[str, int], Failure]
    header: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The columns of a records file's header."""
    forms: list[list[str | int]] = dataclasses.field(default_factory=list)
    """Forms of the actor's prompt: texts, and 0 for the trial so far, 1 for what it holds of earlier trials."""
    rounds: int = 0
    """Highest number of a trial."""
    curves: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """For each training run its ``name``, and its metrics as ``rows``."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """What a reader has to know: what is missing, what could not be joined."""

    @property
    def env_id(self) -> str:
        """The environment's id."""
        return str(self.key.get("env_id", ""))

    @property
    def num_trials(self) -> int:
        """Number of trials."""
        return sum(len(failure.trials) for failure in self.failures.values())

    def absorb(self, other: Panel) -> None:
        """Adds the failures and policies of another file on the same panel.

        A policy whose name is taken gets the name of its file beside it.
        """
        names = {name: _free(name, other.files[0], self.policies) for name in other.policies}
        unlike = 0
        offset = len(self.forms)
        for key, failure in other.failures.items():
            failure.trials = [
                dataclasses.replace(trial, form=trial.form + offset) if trial.form >= 0 else trial
                for trial in failure.trials
            ]
            if key not in self.failures:
                self.failures[key] = Failure(failure.task_id, failure.seed, failure.group, failure.cause)
            unlike += not self.failures[key].absorb(failure, names)
        self.policies += names.values()
        self.forms += other.forms
        self.files += other.files
        self.rounds = max(self.rounds, other.rounds)
        self.curves += other.curves
        self.notes += other.notes
        if unlike:
            self.notes.append(
                f"{unlike} of {len(other.failures)} first trials in {other.files[0]} differ from those in "
                f"{self.files[0]}, before any reflection: the actor does not repeat itself, and differences hold its "
                "luck too."
            )


def _free(name: str, file: str, taken: Sequence[str]) -> str:
    """Returns the name, or if it is taken a longer one that is not."""
    if name not in taken:
        return name
    longer = f"{name} ({file})"
    number = 2
    while longer in taken:
        longer, number = f"{name} ({file}, {number})", number + 1
    return longer


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Returns the first setting in which two panels' keys differ; None if they are equal.

    >>> differing({"split": "test", "seed": 0}, {"split": "test", "seed": 7})
    'seed'
    """
    return next((name for name in {**one, **other} if one.get(name) != other.get(name)), None)
