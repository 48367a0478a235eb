"""What a records file holds, schema 2: one frozen dataclass for each kind of row.

A row is a line of JSON: ``schema``, ``kind``, ``id`` and the columns of its kind, which are the fields of its dataclass
(``return`` for ``return_``). A column has one type wherever it stands: there is no null, an empty text says that there
is nothing, whole and other numbers are kept apart, and what has no fixed form is JSON text. A header holds, beside its
own columns, every other column of the schema with an empty value of its type, so that libraries which infer types from
the first lines see all of them. Every id in a row is that of a row above it, so that a file may be cut anywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeAlias

from retro_gym.errors import RecordError, one_line
from retro_gym.prompts import TaskPrompt
from retro_gym.trajectory import EndReason, Trajectory, Turn

__all__ = [
    "KINDS",
    "SCHEMA",
    "GenerationRecord",
    "LostRecord",
    "PromptRecord",
    "Record",
    "ReflectionRecord",
    "RunHeader",
    "TrialRecord",
    "blank_columns",
    "record_of",
    "row_of",
    "trajectory_of",
]

SCHEMA = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunHeader:
    """A run: all that its trials and reflections depend on, as far as it can be told.

    It stands above the first row of its run. The ids of a run's rows begin with the header's id.
    """

    kind: ClassVar[str] = "header"

    id: str = ""
    """Digest of all other columns: runs of the same settings have the same one."""
    env_id: str = ""
    """The environment's id; empty where it was made without one."""
    env_kwargs: str = "{}"
    """The arguments of the environment and its task environment, as JSON text: those of JSON types. An actor is told by
    its own columns."""
    split: str = ""
    """Which tasks of the environment."""
    world_seed: int = -1
    """Of the task environment's built-in world; −1 where it has none."""
    panel: str = ""
    """Digest of the ids of the tasks that are played, in their order."""
    panel_size: int = 0
    """How many tasks that are."""
    reward_name: str = ""
    """How reflections are paid: return, improvement, retroact or over_control."""
    retroact_c: float = 1.0
    """The coefficient c of the reward retroact."""
    control_trials: int = 0
    """Pairs of the reward over_control."""
    max_reflections: int = 0
    """Reflections that an episode may take."""
    memory_window: int = 0
    """Reflections that the actor's prompt holds at most."""
    actor: str = ""
    """What the actor is called: its spec, or its class where it was given as an object."""
    actor_parameters: str = "{}"
    """What shapes its replies beside the prompts, as JSON text; neither addresses nor keys."""
    actor_template: str = ""
    """Of the actor's prompt, in the language of ``str.format``."""
    observation_template: str = ""
    """Of the observation, in the same language."""
    policy: str = ""
    """What writes the reflections; several names are parted by commas."""
    seed: int = -1
    """Of the run; −1 where there is none, or none is known. The rows' ``episode`` fixes their trials either way."""
    retro_gym_version: str = ""
    """Of this package; empty, as for the next four, where it is not installed."""
    gymnasium_version: str = ""
    """Of Gymnasium."""
    numpy_version: str = ""
    """Of NumPy."""
    torch_version: str = ""
    """Of PyTorch."""
    transformers_version: str = ""
    """Of transformers."""

    def to_json(self) -> dict[str, Any]:
        """Its own columns, in the types of JSON."""
        return {"schema": SCHEMA, **vars(self)}

    def identified(self) -> Self:
        """The header with its id."""
        content = json.dumps(self.to_json() | {"id": ""}, sort_keys=True)
        return dataclasses.replace(self, id=hashlib.sha256(content.encode()).hexdigest()[:12])

    def or_else(self, other: Self) -> Self:
        """This header, with what it does not say taken from another one."""
        plain = type(self)()
        said = {name: value for name, value in vars(self).items() if value != getattr(plain, name)}
        return dataclasses.replace(other, **said)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptRecord:
    """What a task environment tells its actor. Each is written once in a file."""

    kind: ClassVar[str] = "prompt"

    id: str = ""
    """The row's own."""
    instruction: str
    """What the actor is to do, and the grammar of its actions."""
    examples: tuple[str, ...]
    """Worked examples."""

    @classmethod
    def of(cls, prompt: TaskPrompt) -> Self:
        """The row of a prompt."""
        return cls(instruction=prompt.instruction, examples=tuple(prompt.examples))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial: one attempt of the actor at a task."""

    kind: ClassVar[str] = "trial"

    id: str = ""
    """The row's own."""
    episode: int
    """Seed of the episode. With task, trial and replica it fixes what environment and actor draw from."""
    replica: int
    """Trials that differ by this number alone have luck of their own; those that share it have the same."""
    source: str
    """What it was played for: reset, step, branch or control. ``bank``: it was not played here, but stored before."""
    prompt: str
    """Row that holds what the task environment told the actor; empty for a stored trial."""
    reflections: tuple[str, ...]
    """Those that the actor's prompt held."""
    task_id: str
    """The task."""
    trial: int
    """0 for the first attempt; reflection i leads to trial i + 1."""
    task: str
    """The task environment's first observation: the task in words."""
    turns: tuple[Turn, ...]
    """Each with ``thought``, ``action``, ``observation``, ``reward``, and ``reasoning`` that was in no prompt."""
    return_: float
    """The sum of the trial's rewards (G)."""
    success: bool
    """Whether it solved the task."""
    end: str
    """Why it ended. ``actor error`` and ``budget``: the return means nothing."""
    prompt_tokens: int
    """Tokens that the actor has read."""
    completion_tokens: int
    """Tokens that the actor has written."""
    error: str
    """What went wrong, when it ended so; empty otherwise."""

    @classmethod
    def of(
        cls,
        trajectory: Trajectory,
        reflections: tuple[str, ...],
        *,
        episode: int,
        replica: int = 0,
        source: str = "bank",
        prompt: str = "",
    ) -> Self:
        """The row of a trial; by default of one that was stored before."""
        fields = vars(trajectory) | {"end": trajectory.end.value, "error": trajectory.error or ""}
        return cls(episode=episode, replica=replica, source=source, prompt=prompt, reflections=reflections, **fields)

    @property
    def void(self) -> bool:
        """Whether it was cut off from outside, so that its return means nothing."""
        return EndReason(self.end).void

    @property
    def trajectory(self) -> Trajectory:
        """The trial as environments have it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(Trajectory)}
        return Trajectory(**fields | {"end": EndReason(self.end), "error": self.error or None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Tried:
    """A reflection that was tried."""

    id: str = ""
    """The row's own."""
    episode: int
    """Seed of the episode."""
    task_id: str
    """The task."""
    trial: int
    """Number of the failed trial that it was written on."""
    source: str
    """``step``: the episode went on with it; ``branch``: it was tried beside others."""
    group: str
    """The same for all that were tried on one state in one call: the id of the first trial that was played in it."""
    parent: str
    """Row of the reflection that led to the failed trial; empty at an episode's first one."""
    before: str
    """Row of the failed trial."""
    after: tuple[str, ...]
    """Rows of the trials that were played with it: one, or one for each pair of over_control."""
    controls: tuple[str, ...]
    """Rows of the controls, pair by pair; empty for one that was void. None at all under the other rewards."""
    policy: str
    """What wrote it; empty where that is unknown."""
    observation: str
    """What it was written on."""
    reflection: str
    """The text, as it entered the memory."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReflectionRecord(_Tried):
    """A reflection and what it has earned."""

    kind: ClassVar[str] = "reflection"

    reward: float
    """What was paid for it."""
    return_before: float
    """The return of the failed trial (G)."""
    return_: float
    """The return of the trial that followed (G'): the first of ``after`` that is not void."""
    success: bool
    """Whether that trial solved the task."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LostRecord(_Tried):
    """A reflection without a reward, since the actor failed: of a kind of its own, lest it is taken for one of 0."""

    kind: ClassVar[str] = "lost"

    error: str
    """How the actor failed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationRecord:
    """What a model of ours wrote: its tokens, as an off-policy learner needs them."""

    kind: ClassVar[str] = "generation"

    id: str = ""
    """The row's own."""
    of: str
    """Row of the reflection, or of the trial, that it belongs to."""
    turn: int
    """The trial's turn, counted from 0; −1 for a reflection."""
    model: str
    """Which weights wrote it."""
    token_ids: tuple[int, ...]
    """The T tokens, the ending one included."""
    logprobs: tuple[float, ...]
    """Log-probability of each of the T tokens under the behaviour policy, at its temperature, in nats."""
    temperature: float
    """Of sampling."""


Record: TypeAlias = RunHeader | PromptRecord | TrialRecord | ReflectionRecord | LostRecord | GenerationRecord
KINDS: dict[str, type[Record]] = {
    kind.kind: kind for kind in (RunHeader, PromptRecord, TrialRecord, ReflectionRecord, LostRecord, GenerationRecord)
}
"""The kinds of rows and their dataclasses, in the order of the documentation."""


# -- rows --------------------------------------------------------------------------------------------------------------

_TURN = ("thought", "action", "observation", "reward", "reasoning")


def _turn_to_row(turn: Turn) -> dict[str, Any]:
    return {**{name: getattr(turn, name) for name in _TURN}, "reward": float(turn.reward)}


def _turn_of_row(row: Mapping[str, Any]) -> Turn:
    return Turn(**{name: row[name] for name in _TURN})


# By declared type: an empty value, and what brings a value to JSON and back.
_TYPES: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "str": ("", str, str),
    "int": (0, int, int),
    "float": (0.0, float, float),
    "bool": (False, bool, bool),
    "tuple[str, ...]": ([""], list, tuple),
    "tuple[int, ...]": ([0], list, tuple),
    "tuple[float, ...]": ([0.0], lambda values: list(map(float, values)), tuple),
    "tuple[Turn, ...]": (
        [_turn_to_row(Turn("", "", ""))],
        lambda turns: list(map(_turn_to_row, turns)),
        lambda rows: tuple(map(_turn_of_row, rows)),
    ),
}
_COLUMNS = {
    name: [(field.name, field.name.rstrip("_"), str(field.type)) for field in dataclasses.fields(kind)]
    for name, kind in KINDS.items()
}


def blank_columns(kind: str | None = None) -> dict[str, Any]:
    """Every column of a kind, or of all kinds, with an empty value of its type."""
    names = KINDS if kind is None else (kind,)
    return {column: _TYPES[declared][0] for name in names for _, column, declared in _COLUMNS[name]}


def row_of(record: Record) -> dict[str, Any]:
    """The row of a record, in the types of JSON; a header's with every column of the schema."""
    row = {column: _TYPES[declared][1](getattr(record, name)) for name, column, declared in _COLUMNS[record.kind]}
    everything = blank_columns() if isinstance(record, RunHeader) else {}
    return {"schema": SCHEMA, "kind": record.kind, **everything, **row}


def record_of(row: Mapping[str, Any]) -> Record:
    """The record that a row holds: the inverse of :func:`row_of`.

    Raises:
        RecordError: a column is missing or of another type.
    """
    kind = str(row.get("kind"))
    try:
        fields = {name: _TYPES[declared][2](row[column]) for name, column, declared in _COLUMNS[kind]}
    except (LookupError, TypeError, ValueError) as error:
        raise RecordError(
            f"{one_line(row)} is no row of kind {kind!r} ({type(error).__name__}: {error}). Its columns are "
            f"{list(blank_columns(kind)) if kind in KINDS else list(KINDS)}."
        ) from error
    return KINDS[kind](**fields)


def trajectory_of(row: Mapping[str, Any]) -> Trajectory:
    """The trajectory in a row of kind ``trial``.

    Raises:
        DataError: a column is missing or of another type.
    """
    names = [field.name.rstrip("_") for field in dataclasses.fields(Trajectory)]
    return Trajectory.from_json(
        {**{name: row[name] for name in names if name in row}, "error": row.get("error") or None}
    )
