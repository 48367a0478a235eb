"""Reads files of records."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym.prompts import ACTOR_TEMPLATE, Prompt
from retro_gym.records import (
    LostRecord,
    PromptRecord,
    ReflectionRecord,
    RunHeader,
    RunRecords,
    TrialRecord,
    load_run,
)
from retro_gym_agents.view.model import Failure, Panel, Trial, Try

__all__ = ["HISTORY", "NOTED", "panel_key", "panels_of_records"]

HISTORY, NOTED = 0, 1
"""Places in the form of a prompt: of the trial so far, and of what it holds of earlier trials."""

_KEY = (
    *("env_id", "env_kwargs", "split", "world_seed", "panel_size", "panel", "actor", "actor_parameters", "memory"),
    *("max_reflections", "memory_window", "actor_template", "observation_template", "reward_name"),
)
_UPDATE = re.compile(r"update-(\d+)$")  # of the weights that wrote a generation
_UNKNOWN = "unknown"  # the name of a policy that is not known


def panel_key(header: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Returns the settings of a records header that two files on one panel have in common."""
    memory = {"memory": header.get("memory", "reflections")}
    return {"kind": kind, **{name: header.get(name) for name in _KEY}, **memory}


def panels_of_records(path: Path, *, kind: str = "records", name: str | None = None) -> list[Panel]:
    """Reads a file of records: a panel for each run in it.

    Args:
        path: the file.
        kind: what the panels are called.
        name: the name to show in place of the file's.

    Raises:
        RecordError: the file is no file of records, or damaged before its last line.
        ConfigError: there is no trial in it.
    """
    run = load_run(path)
    panels = {run_id: _panel(header, kind, name or path.name) for run_id, header in run.headers.items()}
    forms: dict[str, int] = {}
    for prompt_id, prompt in run.prompts.items():
        panel = panels[_run_of(prompt_id)]
        forms[prompt_id] = len(panel.forms)
        panel.forms.append(_form(prompt, run.headers[_run_of(prompt_id)].actor_template))
    places: dict[str, int] = {}
    for trial in run.trials.values():
        _add_trial(panels[_run_of(trial.id)], trial, forms.get(trial.prompt, -1), places)
    everything: list[ReflectionRecord | LostRecord] = [*run.reflections.values(), *run.lost.values()]
    for tried in everything:
        _add_try(panels[_run_of(tried.id)], run, tried, places)
    found = [panel for panel in panels.values() if panel.failures]
    if not found:
        raise ConfigError(f"{path} holds no trial yet: there is nothing to show.")
    for panel in found:
        _name_the_players(panel)
    return found


def _run_of(row_id: str) -> str:
    return row_id.partition("-")[0]


def _panel(header: RunHeader, kind: str, name: str) -> Panel:
    columns = header.to_json()
    return Panel(panel_key(columns, kind), kind, [name], [], {}, header=columns)


def _form(prompt: PromptRecord, template: str) -> list[str | int]:
    """Returns the actor's prompt in parts: texts, and numbers for what differs from turn to turn and trial to trial."""
    examples = Prompt(prompt.instruction, prompt.examples, (), "", (), seed=0, template="{examples}").text
    texts = {"instruction": prompt.instruction, "examples": examples}
    parts: list[str | int] = []
    for literal, field, _, _ in string.Formatter().parse(template or ACTOR_TEMPLATE):
        parts += [literal] if literal else []
        if field is not None:
            parts.append(texts.get(field, HISTORY if field == "history" else NOTED))
    return parts


def _add_trial(panel: Panel, row: TrialRecord, form: int, places: dict[str, int]) -> None:
    key = (row.task_id, row.episode)
    failure = panel.failures.setdefault(key, Failure(*key))
    places[row.id] = len(failure.trials)
    noted = Prompt(
        "", (), row.reflections, row.task, (), seed=0, template="{reflections}", last_trial=row.last_trial
    ).text
    failure.trials.append(
        Trial(
            row.trial,
            row.task,
            row.turns,
            row.return_,
            row.success,
            row.end,
            error=row.error,
            noted=noted,
            form=form,
            source=row.source,
        )
    )
    panel.rounds = max(panel.rounds, row.trial)


def _add_try(panel: Panel, run: RunRecords, row: ReflectionRecord | LostRecord, places: Mapping[str, int]) -> None:
    key, policy = (row.task_id, row.episode), row.policy or run.header(row).policy or _UNKNOWN
    failure = panel.failures[key]
    made = run.generation(row)
    update = None if made is None else _UPDATE.search(made.model)
    failure.tries.append(
        Try(
            policy,
            row.trial,
            row.reflection,
            places[row.before],
            tuple(places[each] for each in row.after),
            tuple(places.get(each, -1) for each in row.controls),
            reward=row.reward if isinstance(row, ReflectionRecord) else None,
            leak=row.leak,
            source=row.source,
            update=None if update is None else int(update[1]) + 1,
        )
    )
    if isinstance(row, LostRecord):
        failure.lost[policy] = row.error
    if policy not in panel.policies:
        panel.policies.append(policy)


def _name_the_players(panel: Panel) -> None:
    """Says who played which failure: whoever wrote something, and everyone if the first trial solved the task."""
    if not panel.policies:
        panel.policies = _names(str(panel.header.get("policy", ""))) or [_UNKNOWN]
    for failure in panel.failures.values():
        failure.players = {one.policy for one in failure.tries} or set(panel.policies)


def _names(policy: str) -> list[str]:
    return [name for name in (each.strip() for each in policy.split(",")) if name]
