"""The record of a trial, and the outcome of a reflection: frozen data."""

from __future__ import annotations

import dataclasses
import math
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
    """The actor repeated the same action too often."""
    PROMPT_TOO_LONG = "prompt too long"
    """The prompt exceeds the actor's context window: a failure like running out of turns."""
    ACTOR_ERROR = "actor error"
    """The actor gave no usable reply. The return of such a trial is meaningless."""
    BUDGET = "budget"
    """The budget of calls, tokens or money was spent. The return of such a trial is meaningless."""

    @property
    def void(self) -> bool:
        """Whether the trial was interrupted from outside, so that its result is meaningless."""
        return self in (EndReason.ACTOR_ERROR, EndReason.BUDGET)


@dataclasses.dataclass(frozen=True)
class Turn:
    """One actor reply and the observation that follows it."""

    thought: str
    """The reasoning before the action; empty if the actor wrote none."""
    action: str
    """The text that was sent to the task environment."""
    observation: str
    """The task environment's observation after the action."""
    reward: float = 0.0
    """The task environment's reward for this turn."""
    reasoning: str = ""
    """The reasoning of a reasoning model before its answer; it appears in no prompt and no observation."""
    generation: Generation | None = None
    """The tokens of the reply, if the actor is a trainable local model."""

    def to_json(self) -> dict[str, Any]:
        """Returns a new dict of JSON types, without ``generation`` if it is None."""
        row = dict(vars(self))
        generation = row.pop("generation")
        return row if generation is None else {**row, "generation": generation.to_json()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Turn:
        """The inverse of :meth:`to_json`.

        Raises:
            TypeError: a field is missing, unknown or of the wrong type.
            DataError: the generation is invalid.
        """
        generation = row.get("generation")
        known = None if generation is None else Generation.from_json(generation)
        return _checked(cls(**{**row, "generation": known}))


def render_turn(number: int, turn: Turn) -> tuple[str, str]:
    """Renders the actor's reply and the observation of a turn; turns are counted from 1."""
    thought = f"Thought {number}: {turn.thought}\n" if turn.thought else ""
    return f"{thought}Action {number}: {turn.action}", f"Observation {number}: {turn.observation}"


def render_turns(task: str, turns: Iterable[Turn]) -> str:
    """Renders a task and its turns as text, one line per thought, action and observation."""
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
    """The error message, if ``end`` is ``ACTOR_ERROR``, ``BUDGET`` or ``PROMPT_TOO_LONG``."""

    def render(self) -> str:
        """Renders the trajectory for the reflector, one line per thought, action and observation."""
        return render_turns(self.task, self.turns)

    def info(self) -> dict[str, Any]:
        """Returns what an environment's ``info`` says of the trial: main columns, and the trajectory itself."""
        about = {"task_id": self.task_id, "trial": self.trial, "success": self.success, "return": self.return_}
        return {**about, "trajectory": self}

    def __getitem__(self, column: str) -> Any:
        """Returns a column of :meth:`to_json`; kept because ``info["trajectory"]`` used to be that dict."""
        if column == "turns":
            return [turn.to_json() for turn in self.turns]
        return self.end.value if column == "end" else vars(self)["return_" if column == "return" else column]

    def to_json(self) -> dict[str, Any]:
        """Returns a new dict of JSON types, in which ``return_`` is named ``return``."""
        row = dict(vars(self))  # asdict copies every text and takes ten times as long
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
            if not math.isfinite(fields["return_"]):
                raise ValueError(f"the return is {fields['return_']}, not a finite number")
            return _checked(cls(**fields))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not a trajectory: {error} in {one_line(dict(row))}. "
                f"Its fields are {[field.name for field in dataclasses.fields(cls)]} with 'return' for 'return_'."
            ) from error


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of one reflection on a state: its reward and the trial that followed."""

    reflection: str
    """The text as it was written, truncated to the length limit."""
    reward: float | None
    """None if the actor failed: drop such a sample, it does not count as 0."""
    trajectory: Trajectory
    """The trial that followed."""
    record: str = ""
    """Id of the reflection's row in the records file; empty without a records file."""
    trial_record: str = ""
    """Id of the trial's row."""
    leak: bool | None = None
    """Whether the reflection contains the task's answer; None if the teacher does not define ``leaks``."""

    @property
    def success(self) -> bool:
        """Whether the trial solved the task."""
        return self.trajectory.success

    @property
    def actor_error(self) -> str | None:
        """The actor's error, if there is no reward: from the trial, or from one half of every pair."""
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
    """Returns the record if its plain fields have their declared types."""
    for field in dataclasses.fields(record):
        value, declared = getattr(record, field.name), str(field.type)
        wanted = _TYPES.get(declared, object)
        if not isinstance(value, wanted) or (isinstance(value, bool) and declared not in ("bool", "EndReason")):
            raise TypeError(f"{field.name} is {one_line(value)}, not of type {declared}")
    return record
