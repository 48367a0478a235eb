"""What a run's folder says about itself: its settings, the header of its records, its metrics, its evaluation."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, RecordError, one_line
from retro_gym.records import read_records
from retro_gym_agents.data.cleaning import Cleaner
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.lm.adapter_folder import adapter_source
from retro_gym_agents.play.policies import BASELINES, TINY

__all__ = ["Judged", "RunFacts", "read_facts"]

_RESULT = "evaluation.json"


@dataclasses.dataclass(frozen=True)
class Judged:
    """A policy's part of an evaluation's result."""

    result: Mapping[str, Any]
    """The result, as in ``docs/evaluation.md``."""
    policy: str
    """The run's name in it."""

    @property
    def shown(self) -> list[Mapping[str, Any]]:
        """The run's figures, between those of a plain retry and of the untrained model, as far as they are there."""
        figures = {row["reflector"]: row for row in self.result["policies"]}
        wanted = (NONE, TINY, self.policy, "oracle")
        return [figures[name] for name in dict.fromkeys(wanted) if name in figures]

    def paired(self, policy: str) -> Mapping[str, Any] | None:
        """Returns the difference of a policy to a plain retry; None if that was not evaluated."""
        pairs = (row for row in self.result["paired"] if (row["reflector"], row["against"]) == (policy, NONE))
        return next(pairs, None)


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What is told of a run: without keys, addresses, and paths of the machine that it was made on."""

    config: Mapping[str, Any]
    """Its settings; empty if the folder is no run's."""
    header: Mapping[str, Any]
    """The header of its records; empty without records."""
    metrics: Mapping[str, Any]
    """Those of the last update; empty without updates."""
    adapter: str | None
    """Which adapter of the run it is."""
    judged: Judged | None
    """Its evaluation, if there is one."""


def read_facts(folder: Path, evaluation: str | os.PathLike[str] | None = None) -> RunFacts:
    """Reads what is known of a run. What is absent is left out.

    Args:
        folder: the folder of a run, or of an adapter.
        evaluation: a result of ``retro-gym evaluate --json`` in which the run was evaluated; by default
            ``evaluation.json`` in the folder, if it is there.

    Raises:
        ConfigError: the result cannot be read, or the run is not in it.
    """
    cleaner = Cleaner()
    home = folder if _json(folder / "config.json") else folder.resolve().parent  # of one of its adapters
    beside = home / _RESULT
    file = Path(evaluation) if evaluation is not None else beside if beside.is_file() else None
    return RunFacts(
        config=cleaner.about(_json(home / "config.json")),
        header=_header(home / "records.jsonl", cleaner),
        metrics=_last(home / "metrics.jsonl"),
        adapter=adapter_source(folder),
        judged=None if file is None else _judged(file, folder, cleaner),
    )


def _json(file: Path) -> Mapping[str, Any]:
    """Returns the settings of a run; a model's own config.json is none."""
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) and "algorithm" in row else {}


def _header(file: Path, cleaner: Cleaner) -> Mapping[str, Any]:
    if not file.is_file():
        return {}
    try:
        row = next(read_records(file, "header"), None)
    except RecordError:
        return {}
    return {} if row is None else cleaner.about(_unpacked(row))


def _unpacked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a header with its columns of JSON text as values."""
    return {
        name: json.loads(value) if name in ("env_kwargs", "actor_parameters", "settings") else value
        for name, value in row.items()
    }


def _last(file: Path) -> Mapping[str, Any]:
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return {}
    return next((row for row in reversed(rows) if isinstance(row, dict)), {})


def _judged(file: Path, folder: Path, cleaner: Cleaner) -> Judged:
    """Finds a run in a result."""
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        names = [str(row["reflector"]) for row in result["policies"]]
        known = result["schema"] == 2 and isinstance(result["paired"], list)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} cannot be read as a result: {one_line(repr(error))}.") from error
    if not known:
        raise ConfigError(f"{file} is no result of schema 2. Write one: retro-gym evaluate ENV_ID --json FILE.")
    others = [name for name in names if name not in (*BASELINES, TINY)]
    own = [name for name in others if _is_same(Path(name), folder) or _is_same(Path(name), folder.parent)]
    own = own or [name for name in others if Path(name).name == folder.resolve().name] or others
    if len(own) != 1:
        raise ConfigError(
            f"{file} is no evaluation of {folder}: its policies are {', '.join(names)}. Give one of the run: "
            f"retro-gym evaluate ENV_ID --reflector none tiny {folder} oracle --json FILE."
        )
    (policy,) = own
    told = str(cleaner.about(policy))
    figures = {name: result[name] for name in ("policies", "paired")}
    renamed = json.loads(json.dumps(figures), object_hook=lambda row: _renamed(row, policy, told))
    settings = {name: value for name, value in result.items() if name not in (*figures, "rows", "header")}
    return Judged({**cleaner.about(settings), **renamed}, told)


def _renamed(row: dict[str, Any], policy: str, told: str) -> dict[str, Any]:
    return {name: told if value == policy else value for name, value in row.items()}


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and one.resolve() == other.resolve()
