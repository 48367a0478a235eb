"""What a trial leaves behind, and what a reflection earned by it. Plain frozen data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from retro_gym.errors import DataError, one_line
from retro_gym.generation import Generation

__all__ = ["EndReason", "Outcome", "Trajectory", "Turn", "render_turn", "render_turns"]


class EndReason(StrEnum):
    """Why a trial ended."""

    SOLVED = "solved"
    """The task environment reported success."""
    FAILED = "failed"
    """The task environment ended the trial without success."""
    OUT_OF_TURNS = "out of turns"
    """The turn limit was reached."""
    REPEATED_ACTION = "repeated action"
    """The actor did the same thing again and again."""
    PROMPT_TOO_LONG = "prompt too long"
    """The history no longer fits into the actor's context: a failure like running out of turns."""
    ACTOR_ERROR = "actor error"
    """The actor gave no usable reply. The return of such a trial means nothing."""
    BUDGET = "budget"
    """The budget of calls, tokens or money was spent. The return of such a trial means nothing."""

    @property
    def void(self) -> bool:
        """Whether the trial was cut off from outside, so that it says nothing about the actor or the reflection."""
        return self in (EndReason.ACTOR_ERROR, EndReason.BUDGET)


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
    reasoning: str = ""
    """What a reasoning model thought before it answered; in no prompt and no observation."""
    generation: Generation | None = None
    """The tokens of the reply, where the actor is a model of ours that learns."""

    def to_json(self) -> dict[str, Any]:
        """A fresh dict of JSON types; without the generation where there is none."""
        row = dict(vars(self))
        generation = row.pop("generation")
        return row if generation is None else {**row, "generation": generation.to_json()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Turn:
        """The inverse of :meth:`to_json`.

        Raises:
            TypeError: a field is missing, unknown or of the wrong type.
            DataError: the generation is none.
        """
        generation = row.get("generation")
        known = None if generation is None else Generation.from_json(generation)
        return _checked(cls(**{**row, "generation": known}))


def render_turn(number: int, turn: Turn) -> tuple[str, str]:
    """What the actor said in a turn, and what it saw then; turns are counted from 1."""
    thought = f"Thought {number}: {turn.thought}\n" if turn.thought else ""
    return f"{thought}Action {number}: {turn.action}", f"Observation {number}: {turn.observation}"


def render_turns(task: str, turns: Iterable[Turn]) -> str:
    """A task and its turns as text, one line per thought, action and observation."""
    lines = [task]
    for number, turn in enumerate(turns, start=1):
        lines += render_turn(number, turn)
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
    """What went wrong, when ``end`` is ``ACTOR_ERROR``, ``BUDGET`` or ``PROMPT_TOO_LONG``."""

    def render(self) -> str:
        """The trajectory as the reflector reads it, one line per thought, action and observation."""
        return render_turns(self.task, self.turns)

    def __getitem__(self, column: str) -> Any:
        """A column of :meth:`to_json`, for those who read ``info["trajectory"]`` as the JSON that it once was."""
        if column == "turns":
            return [turn.to_json() for turn in self.turns]
        return self.end.value if column == "end" else vars(self)["return_" if column == "return" else column]

    def to_json(self) -> dict[str, Any]:
        """A fresh dict of JSON types. The field ``return_`` is called ``return`` there."""
        row = dict(vars(self))  # not asdict, which copies every text and takes ten times as long
        row["return"] = row.pop("return_")
        row["end"] = self.end.value
        row["turns"] = [turn.to_json() for turn in self.turns]
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
            fields["turns"] = tuple(Turn.from_json(turn) for turn in fields["turns"])
            return _checked(cls(**fields))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not a trajectory: {error} in {one_line(dict(row))}. "
                f"Its fields are {[field.name for field in dataclasses.fields(cls)]} with 'return' for 'return_'."
            ) from error


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one reflection earned, or would earn, from a state."""

    reflection: str
    """As it entered the memory: cut to the length limit."""
    reward: float | None
    """None when the actor failed: such a sample is to be dropped, it is not worth 0."""
    trajectory: Trajectory
    """The trial that followed."""
    record: str = ""
    """The reflection's row in the records file; empty without one."""
    trial_record: str = ""
    """The trial's row."""

    @property
    def success(self) -> bool:
        """Whether that trial solved the task."""
        return self.trajectory.success

    @property
    def actor_error(self) -> str | None:
        """The actor's failure, if it failed: in that trial, or in one half of every pair that the reward needs."""
        if self.reward is not None:
            return None
        return self.trajectory.error or "the actor failed in the control, or in the trial, of every pair"


_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "str | None": (str, type(None)),
}
_Record = TypeVar("_Record", Turn, Trajectory)


def _checked(record: _Record) -> _Record:
    """The record itself, when its plain fields have the types that they are declared with."""
    for field in dataclasses.fields(record):
        value, declared = getattr(record, field.name), str(field.type)
        wanted = _TYPES.get(declared, object)
        if not isinstance(value, wanted) or (isinstance(value, bool) and declared not in ("bool", "EndReason")):
            raise TypeError(f"{field.name} is {one_line(value)}, not of type {declared}")
    return record
