"""Examples for learning, from records: what a reflector or a planner wrote, on which prompt, and what came of it."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from retro_gym.errors import ConfigError, did_you_mean
from retro_gym.generation import Generation
from retro_gym.prompts import Prompt
from retro_gym.records import RunRecords, load_run
from retro_gym.records.schema import GenerationRecord
from retro_gym.rewards import RewardName
from retro_gym.trajectory import render_turn

__all__ = [
    "ROLES",
    "Example",
    "Role",
    "Written",
    "by_failure",
    "examples_in",
    "first_and_last",
    "load_examples",
    "num_replies",
]

Role: TypeAlias = Literal["reflector", "planner"]
"""Who wrote: a reflector answers observations with reflections, a planner plays."""
ROLES: tuple[Role, ...] = get_args(Role)


@dataclasses.dataclass(frozen=True)
class Written:
    """A text and the prompt that it answers."""

    prompt: str | Prompt
    """A reflector's observation, or a planner's prompt."""
    text: str
    generation: Generation | None = None
    """The tokens, if a local model wrote them."""


@dataclasses.dataclass(frozen=True)
class Example:
    """What a role wrote in one go: a reflection, or all turns of a trial."""

    role: Role
    written: tuple[Written, ...]
    reward: float
    """A reflection's rating G' − G, or the return of a trial."""
    success: bool
    """Whether the trial, or the one after the reflection, solved the task."""
    task_id: str
    trial: int
    """Number of the trial; of a reflection, that of the failed one."""
    row: str
    """Id of the row in the records."""
    failure: str = ""
    """Row of the failed trial that a reflection is about: those on one failure can be compared."""

    def passes(self, min_rating: float | None, *, successful: bool) -> bool:
        """Returns whether it is good enough: of at least this rating or return, and, if asked for, successful."""
        return (min_rating is None or self.reward >= min_rating) and (self.success or not successful)


def load_examples(paths: Iterable[str | os.PathLike[str]], role: Role, **options: Any) -> list[Example]:
    """Returns the examples in some files of records; see :func:`examples_in`.

    Raises:
        RecordError: a file cannot be read, or is of schema 1.
        ConfigError: the role or the reward is unknown, or there is no example.
    """
    files = [Path(path) for path in paths]
    found = [example for path in files for example in examples_in(load_run(path), role, **options)]
    if not found:
        names = ", ".join(str(path) for path in files) or "no file"
        raise ConfigError(f"{names} holds nothing that a {role} wrote. Collect some: retro-gym collect ENV_ID.")
    return found


def examples_in(records: RunRecords, role: Role, *, reward: RewardName = "improvement") -> list[Example]:
    """Returns what a role wrote, in the order of the records.

    A trial that an error ended has no return, so it is no example; nor is a trial that was taken from a bank, whose
    prompts are unknown.

    Args:
        records: the rows of a file.
        role: ``"reflector"`` or ``"planner"``.
        reward: how reflections are rated; the papers' rating by default.

    Raises:
        ConfigError: the role or the reward is unknown.
    """
    if role not in ROLES:
        raise ConfigError(f"role {role!r} is not one of {ROLES}.{did_you_mean(role, ROLES)}")
    return _reflections(records, reward) if role == "reflector" else _trials(records)


def _reflections(records: RunRecords, reward: RewardName) -> list[Example]:
    found = []
    for row in records.reflections.values():
        rating = records.rate(row, reward)
        if rating is None:
            continue
        written = Written(row.observation, row.reflection, _generation(records.generation(row)))
        found.append(Example("reflector", (written,), rating, row.success, row.task_id, row.trial, row.id, row.before))
    return found


def _trials(records: RunRecords) -> list[Example]:
    found = []
    for row in records.trials.values():
        if row.void or not row.prompt or not row.turns:
            continue
        written = tuple(
            Written(
                records.prompt(row, number),
                render_turn(number + 1, turn)[0],
                _generation(records.generations.get((row.id, number))),
            )
            for number, turn in enumerate(row.turns)
        )
        found.append(Example("planner", written, row.return_, row.success, row.task_id, row.trial, row.id))
    return found


def _generation(row: GenerationRecord | None) -> Generation | None:
    return None if row is None else Generation(row.model, row.token_ids, row.logprobs, row.temperature)


def by_failure(reflections: Iterable[Example]) -> list[list[Example]]:
    """Returns the reflections grouped by the failure that they are about; of equal texts on one, the first."""
    groups: defaultdict[str, dict[str, Example]] = defaultdict(dict)
    for one in reflections:
        groups[one.failure].setdefault(one.written[0].text, one)
    return [list(group.values()) for group in groups.values()]


def first_and_last(trials: Sequence[Example]) -> dict[str, float]:
    """Returns the success of an exploration's first trials, and that of its episodes after their last reflections."""
    first = [one.success for one in trials if one.trial == 0]
    later = [one.success for one in trials if one.trial > 0]
    return {"first_success": sum(first) / len(first), "last_success": (sum(first) + sum(later)) / len(first)}


def num_replies(records: RunRecords) -> int:
    """Returns how many replies the actor gave in all trials of a file."""
    return sum(len(trial.turns) for trial in records.trials.values())
