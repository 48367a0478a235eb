"""Reads records files: row by row, or a whole file with its rows linked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from retro_gym.checks import check_choice
from retro_gym.errors import ConfigError, RecordError, one_line
from retro_gym.jsonl import read_json_lines
from retro_gym.prompts import Prompt
from retro_gym.records.rows import blank_columns, record_of, with_later_columns
from retro_gym.records.schema import (
    KINDS,
    SCHEMA,
    GenerationRecord,
    LostRecord,
    PromptRecord,
    Record,
    ReflectionRecord,
    RunHeader,
    TrialRecord,
)
from retro_gym.rewards import REWARD_NAMES, RewardName, pay
from retro_gym.seeding import derive_seed, turn_seed

__all__ = ["RunRecords", "load_run", "read_records"]

_OLD = 1  # its files have neither headers nor ids
_KNOWN = [*((SCHEMA, kind) for kind in KINDS), (_OLD, "trial"), (_OLD, "reflection")]


def read_records(path: str | os.PathLike[str], kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Yields the rows of a records file in order; an incomplete last line is skipped.

    A header has only its own columns. Rows of schema 1 are converted to the present schema, with empty ids.

    Args:
        path: the JSONL file.
        kind: ``"header"``, ``"prompt"``, ``"trial"``, ``"reflection"``, ``"lost"`` or ``"generation"``; all rows by
            default.

    Raises:
        ConfigError: the kind is unknown.
        RecordError: a line is not a row of a known schema; the error names file and line number.
    """
    check_choice("kind", kind or "trial", KINDS)
    for _, row in _rows(path):
        if kind is None or row["kind"] == kind:
            yield row


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in read_json_lines(path, "a records file"):
        if not isinstance(row, dict) or (row.get("schema"), row.get("kind")) not in _KNOWN:
            raise RecordError(
                f"{Path(path)}, line {number}: {one_line(row)} is not a record of schema {SCHEMA}, nor of {_OLD}. "
                "Give a file that retro_gym of this version, or of an earlier one, wrote."
            )
        if row["schema"] == _OLD:
            row = _upgraded(row)
        elif row["kind"] == RunHeader.kind:
            own = {"schema", "kind", *blank_columns(RunHeader.kind)}
            row = {column: value for column, value in row.items() if column in own}
        yield number, with_later_columns(row)


def _upgraded(row: Mapping[str, Any]) -> dict[str, Any]:
    """Converts a row of schema 1 to the present schema; its links to other rows are unknown."""
    blank = {name: [] if isinstance(value, list) else value for name, value in blank_columns(row["kind"]).items()}
    said = {column: "" if value is None else value for column, value in row.items()}
    return {**blank, **said, "schema": SCHEMA}


@dataclasses.dataclass(frozen=True)
class RunRecords:
    """A records file with its rows linked. Mappings are keyed by id, in the order of the file."""

    headers: Mapping[str, RunHeader]
    """One for each run in the file."""
    prompts: Mapping[str, PromptRecord]
    trials: Mapping[str, TrialRecord]
    reflections: Mapping[str, ReflectionRecord]
    lost: Mapping[str, LostRecord]
    """Reflections without a reward, because the actor failed."""
    generations: Mapping[tuple[str, int], GenerationRecord]
    """Keyed by the row that they belong to and the turn; turn −1 for a reflection."""

    def header(self, record: Record) -> RunHeader:
        """Returns the header of a record's run."""
        return self.headers[record.id.partition("-")[0]]

    def before(self, reflection: ReflectionRecord | LostRecord) -> TrialRecord:
        """Returns the failed trial that a reflection is about."""
        return self.trials[reflection.before]

    def after(self, reflection: ReflectionRecord | LostRecord) -> list[TrialRecord]:
        """Returns the trials that were played with a reflection."""
        return [self.trials[each] for each in reflection.after]

    def controls(self, reflection: ReflectionRecord | LostRecord) -> list[TrialRecord | None]:
        """Returns the controls of those trials, None for a void one; empty if no controls were played."""
        return [self.trials.get(each) for each in reflection.controls]

    def generation(self, reflection: ReflectionRecord | LostRecord) -> GenerationRecord | None:
        """Returns the tokens of a reflection, if a local model wrote it."""
        return self.generations.get((reflection.id, -1))

    def rate(
        self,
        reflection: ReflectionRecord | LostRecord,
        reward: RewardName | None = None,
        *,
        c: float | None = None,
    ) -> float | None:
        """Computes one of the four rewards for a reflection: exactly the number that an environment would have paid.

        Args:
            reflection: a reflection of this file.
            reward: name of the reward; that of the run by default.
            c: coefficient of ``"retroact"``; that of the run by default.

        Returns:
            The reward; None if every trial is void, or for ``"over_control"`` one half of every pair.

        Raises:
            ConfigError: the reward is unknown, or ``c`` is not above 0.
        """
        run = self.header(reflection)
        name = cast(RewardName, reward or run.reward_name)
        check_choice("reward", name, REWARD_NAMES)
        played = self.after(reflection)
        pairs = [
            (trial.return_, control.return_)
            for trial, control in zip(played, self.controls(reflection), strict=False)
            if control is not None and not (control.void or trial.void)
        ]
        after = next((trial for trial in played if not trial.void), None)
        if after is None:
            return None
        before = self.before(reflection).return_
        return pay(name, before, after.return_, pairs=pairs, c=run.retroact_c if c is None else c)

    def prompt(self, trial: TrialRecord, turn: int) -> Prompt:
        """Reconstructs the actor's prompt for a turn, counted from 0, with the turn's seed.

        A task environment whose ``prompt`` changes within a trial is reconstructed with the last one.

        Raises:
            ConfigError: the trial has no such turn.
            RecordError: the trial was not played in this run, but taken from a bank.
        """
        if not 0 <= turn <= len(trial.turns):
            raise ConfigError(f"turn is {turn}; trial {trial.id} has {len(trial.turns)} turns, counted from 0.")
        if not trial.prompt:
            raise RecordError(f"trial {trial.id} was not played here, but stored before: its prompt is unknown.")
        said, seed = self.prompts[trial.prompt], derive_seed(trial.episode, trial.task_id, trial.trial, trial.replica)
        return Prompt(
            said.instruction,
            said.examples,
            trial.reflections,
            trial.task,
            trial.turns[:turn],
            seed=turn_seed(seed, turn),
            template=self.header(trial).actor_template,
            last_trial=trial.last_trial,
        )


def load_run(path: str | os.PathLike[str]) -> RunRecords:
    """Reads a whole records file and links its rows.

    Rows of schema 1 have no ids and are left out, as in the file of a run that an earlier version began.

    Raises:
        RecordError: all rows are of schema 1, a line is no row, an id occurs twice, or a row refers to one that is not
            above it.
    """
    where = Path(path)
    found: dict[str, dict[Any, Any]] = {kind: {} for kind in KINDS}
    ids: set[str] = {""}
    old = 0
    for number, row in _rows(where):
        if row.get("id") == "":
            old += 1
            continue
        try:
            record = record_of(row)
            if record.id in ids:
                raise RecordError(f"the id {record.id} occurs twice: the file holds one run twice. Keep one of them.")
            missing = [each for each in _referred(record) if each not in ids]
            if missing:
                raise RecordError(f"it refers to {missing[0]}, which is in no row above: rows were deleted.")
        except RecordError as error:
            raise RecordError(f"{where}, line {number}: {error}") from error
        ids.add(record.id)
        key = (record.of, record.turn) if isinstance(record, GenerationRecord) else record.id
        found[record.kind][key] = record
    if old and len(ids) == 1:
        raise RecordError(
            f"{where} holds rows of schema 1 only, which have no ids and cannot be linked. read_records and a bank "
            "still read them; to load a run, record it again."
        )
    return RunRecords(*(found[kind] for kind in KINDS))


def _referred(record: Record) -> list[str]:
    """Returns the ids of other rows that a row refers to, including its run's header."""
    run = [] if isinstance(record, RunHeader) else [record.id.partition("-")[0]]
    match record:
        case TrialRecord():
            return [*run, record.prompt]
        case ReflectionRecord() | LostRecord():
            return [*run, record.group, record.parent, record.before, *record.after, *record.controls]
        case GenerationRecord():
            return [*run, record.of]
    return run
