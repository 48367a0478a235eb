"""The schema of records files, version 2: one frozen dataclass for each kind of row.

A row is a line of JSON: ``schema``, ``kind``, ``id`` and the columns of its kind, which are the fields of its dataclass
(``return`` for ``return_``). A column has the same type in every row: there is no null, a missing text is empty,
integers and floats are kept apart, and values without a fixed schema are JSON text. Besides its own columns, a header
holds every other column of the schema with an empty value of its type, so that libraries that infer types from the
first lines see all columns. Two columns that came later, ``memory`` and ``last_trial``, are left out where they have no
use, so that other files are as they were; read files with and without them apart. A row refers only to rows above it,
so a file can be truncated after any line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeAlias

from retro_gym.prompts import TaskPrompt
from retro_gym.trajectory import EndReason, Trajectory, Turn

__all__ = [
    "KINDS",
    "LATER_COLUMNS",
    "SCHEMA",
    "GenerationRecord",
    "LostRecord",
    "PromptRecord",
    "Record",
    "ReflectionRecord",
    "RunHeader",
    "TrialRecord",
    "without_later_columns",
]

SCHEMA = 2
LATER_COLUMNS = {"memory": "reflections", "last_trial": ""}
"""Columns that the schema has got since its first files, with the values that rows without them have. They are left
out of rows with these values, so that files of runs that have no use for them are as they were before."""


def without_later_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row without those of the :data:`LATER_COLUMNS` that say nothing new."""
    return {name: value for name, value in row.items() if name not in LATER_COLUMNS or value != LATER_COLUMNS[name]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunHeader:
    """A run: the settings that determine its trials and reflections, as far as they are known.

    The header precedes the first row of its run. The ids of a run's rows begin with the header's id.
    """

    kind: ClassVar[str] = "header"

    id: str = ""
    """Digest of all other columns: runs with the same settings have the same id."""
    env_id: str = ""
    """The environment's id; empty if it was made without one."""
    env_kwargs: str = "{}"
    """Arguments of the environment and its task environment that have JSON types, as JSON text. The actor has columns
    of its own."""
    split: str = ""
    """The split that tasks are drawn from."""
    world_seed: int = -1
    """Seed of the task environment's built-in world; −1 if it has none."""
    panel: str = ""
    """Digest of the ids of the run's tasks, in their order."""
    panel_size: int = 0
    """Number of these tasks."""
    reward_name: str = ""
    """Reward of the reflections: return, improvement, retroact or over_control."""
    retroact_c: float = 1.0
    """The coefficient c of the reward retroact."""
    control_trials: int = 0
    """Number of pairs for the reward over_control."""
    max_reflections: int = 0
    """Maximum number of reflections in an episode."""
    memory_window: int = 0
    """Maximum number of reflections in the actor's prompt."""
    memory: str = "reflections"
    """What the actor's prompt holds of earlier trials: reflections, trajectory (the last failed trial) or both. The
    column is left out if it is reflections, as in files of earlier versions."""
    actor: str = ""
    """Name of the actor: its spec, or its class if it was given as an object."""
    actor_parameters: str = "{}"
    """Parameters that affect its replies besides the prompts, as JSON text; neither addresses nor keys."""
    actor_template: str = ""
    """Template of the actor's prompt, in the syntax of ``str.format``."""
    observation_template: str = ""
    """Template of the observation, in the same syntax."""
    policy: str = ""
    """Name of the policy that writes the reflections; several names are separated by commas."""
    settings: str = "{}"
    """Further settings of the run, as JSON text: those of a learner, such as its learning rate."""
    seed: int = -1
    """Seed of the run; −1 if there is none or it is unknown. The rows' ``episode`` determines their trials anyway."""
    retro_gym_version: str = ""
    """Version of this package; empty, like the next four, if the package is not installed."""
    gymnasium_version: str = ""
    """Version of Gymnasium."""
    numpy_version: str = ""
    """Version of NumPy."""
    torch_version: str = ""
    """Version of PyTorch."""
    transformers_version: str = ""
    """Version of transformers."""

    def to_json(self) -> dict[str, Any]:
        """Returns the header's own columns, in JSON types."""
        return {"schema": SCHEMA, **without_later_columns(vars(self))}

    def identified(self) -> Self:
        """Returns the header with its id."""
        content = json.dumps(self.to_json() | {"id": ""}, sort_keys=True)
        return dataclasses.replace(self, id=hashlib.sha256(content.encode()).hexdigest()[:12])

    def or_else(self, other: Self) -> Self:
        """Returns this header, with columns that have default values taken from another one."""
        plain = type(self)()
        said = {name: value for name, value in vars(self).items() if value != getattr(plain, name)}
        return dataclasses.replace(other, **said)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PromptRecord:
    """The instruction and examples that a task environment gives its actor. Each is written once in a file."""

    kind: ClassVar[str] = "prompt"

    id: str = ""
    """The row's own."""
    instruction: str
    """The task instruction and the grammar of actions."""
    examples: tuple[str, ...]
    """Worked examples."""

    @classmethod
    def of(cls, prompt: TaskPrompt) -> Self:
        """Creates the record of a prompt."""
        return cls(instruction=prompt.instruction, examples=tuple(prompt.examples))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial: one attempt of the actor at a task."""

    kind: ClassVar[str] = "trial"

    id: str = ""
    """The row's own."""
    episode: int
    """Seed of the episode. With task, trial and replica it determines the random numbers of environment and actor."""
    replica: int
    """Number of the trial's random stream: trials of one state with equal replicas use the same random numbers."""
    source: str
    """Why it was played: reset, step, branch or control. ``bank``: it was not played in this run, but stored before."""
    prompt: str
    """Row of the task environment's instruction and examples; empty for a stored trial."""
    reflections: tuple[str, ...]
    """The reflections in the actor's prompt."""
    last_trial: str = ""
    """The last failed trial in the actor's prompt, as text. The column is left out if there is none."""
    task_id: str
    """The task."""
    trial: int
    """0 for the first attempt; reflection i leads to trial i + 1."""
    task: str
    """The task environment's first observation: the task in words."""
    turns: tuple[Turn, ...]
    """Each with ``thought``, ``action``, ``observation``, ``reward``, and ``reasoning``, which is in no prompt."""
    return_: float
    """The sum of the trial's rewards (G)."""
    success: bool
    """Whether the trial solved the task."""
    end: str
    """Why the trial ended. With ``actor error`` and ``budget``, the return is meaningless."""
    prompt_tokens: int
    """Prompt tokens of all actor calls."""
    completion_tokens: int
    """Tokens that the actor generated."""
    error: str
    """The error that ended the trial; empty otherwise."""

    def __post_init__(self) -> None:
        EndReason(self.end)  # a ValueError for an unknown one

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
        last_trial: str = "",
    ) -> Self:
        """Creates the record of a trial; by default of one that was stored before."""
        fields = vars(trajectory) | {"end": trajectory.end.value, "error": trajectory.error or ""}
        fields |= {"reflections": reflections, "last_trial": last_trial}
        return cls(episode=episode, replica=replica, source=source, prompt=prompt, **fields)

    @property
    def void(self) -> bool:
        """Whether the trial was interrupted from outside, so that its return is meaningless."""
        return EndReason(self.end).void

    @property
    def trajectory(self) -> Trajectory:
        """The trial as a :class:`~retro_gym.trajectory.Trajectory`."""
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
    """Number of the failed trial that the reflection is about."""
    source: str
    """``step``: the episode continued with it; ``branch``: it was tried as one of several."""
    group: str
    """Id of the first trial that was played in the call; equal for all reflections tried in one call on one state."""
    parent: str
    """Row of the reflection that the failed trial was played with; empty for an episode's first trial."""
    before: str
    """Row of the failed trial."""
    after: tuple[str, ...]
    """Rows of the trials that were played with the reflection: one, or one for each pair of over_control."""
    controls: tuple[str, ...]
    """Rows of the controls, pair by pair; an empty id for a void one. No entries for the other rewards."""
    policy: str
    """Name of the policy that wrote it; empty if unknown."""
    observation: str
    """The observation that the reflection answers."""
    reflection: str
    """The text as it was written, truncated to the length limit."""
    leak: bool
    """Whether it contains the task's answer; False also if the teacher does not define ``leaks``. With the argument
    ``leak`` of value ``ignore`` (in the header), the actor read a blank one in its place."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReflectionRecord(_Tried):
    """A reflection and its reward."""

    kind: ClassVar[str] = "reflection"

    reward: float
    """The reflection's reward."""
    return_before: float
    """The return of the failed trial (G)."""
    return_: float
    """The return of the next trial (G'): the first trial of ``after`` that is not void."""
    success: bool
    """Whether that trial solved the task."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LostRecord(_Tried):
    """A reflection without a reward, because the actor failed; a separate kind, so that it is not mistaken for 0."""

    kind: ClassVar[str] = "lost"

    error: str
    """The actor's error."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationRecord:
    """The tokens that a local model generated, for off-policy learning."""

    kind: ClassVar[str] = "generation"

    id: str = ""
    """The row's own."""
    of: str
    """Row of the reflection, the lost reflection or the trial that the tokens belong to."""
    turn: int
    """The trial's turn, counted from 0; −1 for a reflection."""
    model: str
    """Identifies the weights that generated the tokens."""
    token_ids: tuple[int, ...]
    """The T tokens, including the end token."""
    logprobs: tuple[float, ...]
    """Log-probability of each of the T tokens under the behaviour policy, at its temperature, in nats."""
    temperature: float
    """Sampling temperature."""


Record: TypeAlias = RunHeader | PromptRecord | TrialRecord | ReflectionRecord | LostRecord | GenerationRecord
KINDS: dict[str, type[Record]] = {
    kind.kind: kind for kind in (RunHeader, PromptRecord, TrialRecord, ReflectionRecord, LostRecord, GenerationRecord)
}
"""The kinds of rows and their dataclasses, in the order in which they are documented."""
