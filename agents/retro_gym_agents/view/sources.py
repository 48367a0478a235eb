"""Finds out what each given file or folder is, reads it, and joins files that belong together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from retro_gym.errors import ConfigError, one_line
from retro_gym.records.schema import KINDS
from retro_gym_agents.evaluation.stored import load_result
from retro_gym_agents.view.from_records import panel_key, panels_of_records
from retro_gym_agents.view.from_results import (
    JOURNAL_SCHEMA,
    Played,
    journal_header,
    panel_of_journal,
    panel_of_result,
    played_in,
    recorded,
)
from retro_gym_agents.view.from_runs import panels_of_run
from retro_gym_agents.view.model import Panel, differing

__all__ = ["load_panels"]

_Kind: TypeAlias = Literal["run", "records", "journal", "result"]
_ACCEPTED = (
    "Give the folder of a run, a file of records (JSONL), a result of 'retro-gym evaluate --json', or its "
    "FILE.trials.jsonl."
)
_WORDS = {
    "kind": "the kind of file",
    "env_id": "the environment",
    "env_kwargs": "the environment's arguments",
    "panel": "the digest of the tasks' names",
    "panel_size": "the number of tasks",
    "seed": "the evaluation seed",
    "seeds": "the number of evaluation seeds",
    "trials": "the number of trials",
    "actor_parameters": "the actor's setting",
    "retro_gym_version": "the version of retro_gym",
}


def load_panels(paths: Sequence[Path]) -> list[Panel]:
    """Reads files and folders. What was measured on one panel is set beside each other, whichever file it is in.

    The journal of a result is found beside it, and need not be given.

    Raises:
        ConfigError: no path is given, one is given twice, or one is of no kind that can be shown.
        RecordError: a file is damaged before its last line.
    """
    if not paths:
        raise ConfigError(f"no file is given. {_ACCEPTED}")
    whole = [path.expanduser().resolve() for path in paths]
    twice = next((path for path, real in zip(paths, whole, strict=True) if whole.count(real) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given twice. Give each file once.")
    kinds = {path: _kind_of(path) for path in paths}
    records = [(path, panel) for path in paths if kinds[path] == "records" for panel in panels_of_records(path)]
    journals = {path: journal_header(path) for path in paths if kinds[path] == "journal"}
    panels: list[Panel] = []
    used: list[object] = []
    for path in paths:
        if kinds[path] == "result":
            panel, joined = _result(path, [each for _, each in records], journals)
            panels.append(panel)
            used += joined
    for path in paths:
        if kinds[path] == "run":
            panels += panels_of_run(path)
        elif kinds[path] == "journal" and path not in used:
            panels.append(panel_of_journal(path))
    panels += [panel for _, panel in records if not any(panel is each for each in used)]
    return _merged(panels)


def _kind_of(path: Path) -> _Kind:
    if path.is_dir():
        return "run"
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}). {_ACCEPTED}") from error
    if not first.strip():
        raise ConfigError(f"{path} is empty. {_ACCEPTED}")
    try:
        row = json.loads(first)
    except ValueError:
        row = None
    if isinstance(row, dict) and row.get("kind") == "header" and "settings" in row and "run" in row:
        if row.get("schema") != JOURNAL_SCHEMA:
            raise ConfigError(
                f"{path} is an evaluation's journal of schema {one_line(row.get('schema'))}; this version reads "
                f"{JOURNAL_SCHEMA}. Evaluate again with this version, or give the result alone."
            )
        return "journal"
    if isinstance(row, dict) and row.get("kind") in KINDS:
        return "records"
    if first.lstrip()[:1] == b"{":
        load_result(path)  # its error says what is wrong
        return "result"
    raise ConfigError(f"{path} begins with {one_line(first.decode(errors='replace'))}. {_ACCEPTED}")


def _result(
    path: Path, records: Sequence[Panel], journals: Mapping[Path, Mapping[str, Any]]
) -> tuple[Panel, list[object]]:
    """Reads a result with the trials of the files that are of the same evaluation; returns these too."""
    header = json.loads(path.read_text(encoding="utf-8"))["header"]
    beside = path.with_name(f"{path.name}.trials.jsonl")
    notes: list[str] = []
    fitting: list[object] = [each for each in journals if _same_evaluation(header, journals[each])]
    found: list[Played] = []
    mine = [panel for panel in records if _same_evaluation(header, panel.header)]
    found += map(recorded, mine)
    found += [played_in(each) for each in journals if each in fitting]
    if not fitting and beside.is_file():
        if _same_evaluation(header, journal_header(beside)):
            found.append(played_in(beside))
        else:
            notes.append(f"{beside.name} is of an evaluation with other settings, and is left out.")
    panel = panel_of_result(path, found)
    panel.files += [each.file for each in found]
    panel.notes += notes
    return panel, [*fitting, *mine]


def _same_evaluation(header: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two headers are of evaluations on one panel with the same seeds."""
    one, two = (
        panel_key(each, "") | {name: each.get(name) for name in ("seed", "settings")} for each in (header, other)
    )
    return one == two


def _merged(panels: Iterable[Panel]) -> list[Panel]:
    """Sets panels of one key beside each other; says of the others why they are apart."""
    merged: list[Panel] = []
    for panel in panels:
        home = next((each for each in merged if differing(each.key, panel.key) is None), None)
        if home is None:
            merged.append(panel)
        else:
            home.absorb(panel)
    first = merged[0]
    for other in merged[1:]:
        name = differing(first.key, other.key)
        assert name is not None
        if {first.kind, other.kind} == {"training", "validation"}:
            continue  # of a run, whose two panels nobody expects to be one
        other.notes.append(
            f"{other.files[0]} is on another panel than {first.files[0]}, so they are not set beside each other: "
            f"{_WORDS.get(name, name)} is {one_line(other.key.get(name))} in place of {one_line(first.key.get(name))}."
        )
    return merged
