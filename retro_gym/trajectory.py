"""What a trial leaves behind: turns, end reason, return. Plain frozen data that goes to JSON and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from retro_gym.errors import DataError, one_line

__all__ = ["EndReason", "Trajectory", "Turn", "render_turns"]


class EndReason(StrEnum):
    """Why a trial ended."""

    SOLVED = "solved"
    """The task environment reported success."""
    FAILED = "failed"
    """The task environment ended the trial without success."""
    OUT_OF_TURNS = "out of turns"
    """The turn limit was reached."""
    ACTOR_ERROR = "actor error"
    """The actor gave no usable reply. The return of such a trial means nothing."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """One actor reply and the observation that follows it."""

    thought: str
    """The reasoning in front of the action; empty when the actor wrote none."""
    action: str
    """The text that was sent to the task environment."""
    observation: str
    """What the task environment answered."""
    reward: float = 0.0
    """What the task environment paid for this turn."""


def render_turns(task: str, turns: Iterable[Turn]) -> str:
    """A task and its turns as text, one line per thought, action and observation."""
    lines = [task]
    for number, turn in enumerate(turns, start=1):
        if turn.thought:
            lines.append(f"Thought {number}: {turn.thought}")
        lines.append(f"Action {number}: {turn.action}")
        lines.append(f"Observation {number}: {turn.observation}")
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """The record of one trial.

    >>> turn = Turn("I should look.", "Search[Velmora]", "Velmora is a town.")
    >>> trajectory = Trajectory("t-0", 0, "Question: Where is Velmora?", (turn,), 0.0, False, EndReason.OUT_OF_TURNS)
    >>> print(trajectory.render())
    Question: Where is Velmora?
    Thought 1: I should look.
    Action 1: Search[Velmora]
    Observation 1: Velmora is a town.
    >>> Trajectory.from_json(trajectory.to_json()) == trajectory
    True
    """

    task_id: str
    trial: int
    """0 for the first attempt; reflection i leads to trial i + 1."""
    task: str
    """The task environment's first observation: the task in words."""
    turns: tuple[Turn, ...]
    return_: float
    """The sum of the trial's rewards (G)."""
    success: bool
    end: EndReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str | None = None
    """What the actor's failure was, when ``end`` is ``ACTOR_ERROR``."""

    def render(self) -> str:
        """The trajectory as the reflector reads it, one line per thought, action and observation."""
        return render_turns(self.task, self.turns)

    def to_json(self) -> dict[str, Any]:
        """A fresh dict of JSON types. The field ``return_`` is called ``return`` there."""
        row = dataclasses.asdict(self)
        row["return"] = row.pop("return_")
        row["end"] = self.end.value
        row["turns"] = [dataclasses.asdict(turn) for turn in self.turns]
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Trajectory:
        """The inverse of :meth:`to_json`.

        Raises:
            DataError: a field is missing, unknown or of the wrong type.
        """
        fields = dict(row)
        try:
            fields["return_"] = float(fields.pop("return"))
            fields["end"] = EndReason(fields["end"])
            fields["turns"] = tuple(Turn(**turn) for turn in fields["turns"])
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not a trajectory: {error} in {one_line(dict(row))}. "
                f"Its fields are {[field.name for field in dataclasses.fields(cls)]} with 'return' for 'return_'."
            ) from error
