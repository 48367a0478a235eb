"""Reads the folders of training runs: their records, their validations, and their metrics by update."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym.jsonl import read_json_lines
from retro_gym_agents.runs.validations import FILE, StoredValidation, read_validations
from retro_gym_agents.view.from_records import panel_key, panels_of_records
from retro_gym_agents.view.model import Failure, Panel, Trial, Try

__all__ = ["panels_of_run"]


def panels_of_run(folder: Path) -> list[Panel]:
    """Reads a training run: its validations, in which each policy is the run after some updates, and its records.

    Raises:
        ConfigError: the folder holds no records.
        RecordError: a file in it is damaged.
    """
    records, metrics = folder / "records.jsonl", folder / "metrics.jsonl"
    if not records.is_file():
        raise ConfigError(
            f"{folder} is a folder without records.jsonl, so it is no run of 'retro-gym train'. Give the folder of a "
            "run, a file of records, or a result of 'retro-gym evaluate --json'."
        )
    name = folder.resolve().name
    panels = panels_of_records(records, kind="training", name=name)
    found = list(read_validations(folder / FILE)) if (folder / FILE).is_file() else []
    if found:
        panels.insert(0, _validations(found, panels[0].header, name))
    rows = [row for _, row in read_json_lines(metrics, "a run's metrics")] if metrics.is_file() else []
    rows = [row for row in rows if isinstance(row, dict)]
    for panel in panels:
        panel.curves = [{"name": name, "rows": rows}]
        if not rows:
            panel.notes.append(f"{name} holds no metrics.jsonl: there is no curve.")
    return panels


def _validations(found: list[StoredValidation], header: Mapping[str, Any], name: str) -> Panel:
    """Returns the panel of a run's validations."""
    key = {**panel_key(header, "validation"), "seed": header.get("seed")}
    policies = [f"update {one.update}" for one in found]
    panel = Panel(key, "validation", [f"{name}, validation"], policies, {}, header=header, rounds=1)
    panel.notes.append(
        f"{name}: the policies are the run after so many updates, on the validation tasks that trial 0 did not solve."
    )
    for validation, policy in zip(found, policies, strict=True):
        for one in validation.tried:
            place = (one.failure.task_id, one.seed)
            if place not in panel.failures:
                panel.failures[place] = Failure(*place, trials=[Trial.of(one.failure)])
            failure = panel.failures[place]
            failure.players.add(policy)
            if one.reward is None:
                failure.lost[policy] = one.trial.error or "the actor failed"
            tried = Try(
                policy,
                0,
                one.reflection,
                0,
                (len(failure.trials),),
                reward=one.reward,
                leak=one.leak,
                update=validation.update,
            )
            failure.trials.append(Trial.of(one.trial))
            failure.tries.append(tried)
    return panel
