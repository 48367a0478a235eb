"""Records as the tables of a data set: a file of JSON lines for each kind of row, and a card that says their types.

``datasets.load_dataset(FOLDER, "reflections")`` reads a table. The tables one after the other, in the order of
:data:`TABLES`, are a file of records again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, RecordError
from retro_gym.records import RunRecords, load_run
from retro_gym.records.rows import blank_columns, row_of, with_later_columns
from retro_gym_agents.data.cleaning import Cleaner

__all__ = ["TABLES", "card_metadata", "load_runs", "records_files", "write_rows", "write_tables"]

TABLES = {
    "headers": "header",
    "prompts": "prompt",
    "trials": "trial",
    "reflections": "reflection",
    "lost": "lost",
    "generations": "generation",
}
"""Names of the tables, and the kinds of rows that they hold. A row refers only to rows of its own table and of those
before it."""

_DEFAULT = "reflections"
_SETTINGS = {
    "header": ("env_kwargs", "actor", "actor_parameters", "policy", "settings"),
    "trial": ("error",),
    "reflection": ("policy",),
    "lost": ("policy", "error"),
    "generation": ("model",),
}
"""Columns that may name paths and addresses of the machine that they were written on."""
_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64"}


def records_files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Returns the files of records that paths name: files, or folders of runs."""
    return [path / "records.jsonl" if (path := Path(given)).is_dir() else path for given in paths]


def load_runs(files: Sequence[Path]) -> list[RunRecords]:
    """Reads files of records, which must hold different runs.

    Raises:
        RecordError: a file cannot be read, or two hold the same run.
    """
    runs = [load_run(path) for path in files]
    seen: dict[str, Path] = {}
    for path, run in zip(files, runs, strict=True):
        for header in run.headers:
            if header in seen:
                raise RecordError(
                    f"{path} and {seen[header]} hold the same run ({header}): their settings are the same, and so are "
                    "the ids of their rows. Give one of them."
                )
            seen[header] = path
    return runs


def write_tables(runs: Iterable[RunRecords], folder: Path, *, clean: bool = False, body: str = "") -> dict[str, int]:
    """Writes the tables that have rows, and the card; returns the number of rows of each.

    Args:
        runs: what files of records hold.
        folder: the folder to write.
        clean: removes keys, addresses and paths, see :class:`~retro_gym_agents.data.cleaning.Cleaner`.
        body: the card's text; by default the number of rows.

    Raises:
        ConfigError: there is no row.
    """
    cleaner = Cleaner() if clean else None
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for run in runs:
        for name in tables:
            tables[name] += [_row(record, cleaner) for record in getattr(run, name).values()]
    kept = {name: rows for name, rows in tables.items() if rows}
    if not kept:
        raise ConfigError("the files of records hold no row: there is nothing to write.")
    for name, rows in kept.items():
        write_rows(rows, folder / f"{name}.jsonl")
    counts = {name: len(rows) for name, rows in kept.items()}
    said = body or "# Records of retro_gym\n\n" + ", ".join(f"{count:,} {name}" for name, count in counts.items()) + "."
    (folder / "README.md").write_text(_card(card_metadata(counts), said), encoding="utf-8")
    return counts


def card_metadata(counts: Mapping[str, int]) -> dict[str, Any]:
    """Returns what the hub and ``load_dataset`` read of a card: the tables, their files, and the types of columns."""
    configs = [
        {"config_name": name, "data_files": f"{name}.jsonl"} | ({"default": True} if name == _DEFAULT else {})
        for name in counts
    ]
    infos = [{"config_name": name, "features": _features(TABLES[name])} for name in counts]
    return {"configs": configs, "dataset_info": infos, "tags": ["retro_gym", "reflection"]}


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Writes rows as JSON lines; creates the file's folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, allow_nan=False) + "\n")


def _row(record: Any, cleaner: Cleaner | None) -> dict[str, Any]:
    """Returns a record's row with all columns of its kind and no others."""
    row = with_later_columns(row_of(record))
    own = {"schema", "kind", *blank_columns(record.kind)}
    row = {name: value for name, value in row.items() if name in own}
    return row if cleaner is None else cleaner.row(row, _SETTINGS.get(record.kind, ()))


def _features(kind: str) -> list[dict[str, Any]]:
    return [_feature(name, value) for name, value in {"schema": 0, "kind": "", **blank_columns(kind)}.items()]


def _feature(name: str, value: Any) -> dict[str, Any]:
    """Returns a column's type, from a value of it."""
    if not isinstance(value, list):
        return {"name": name, "dtype": _TYPES[type(value)]}
    inner = value[0]
    return {
        "name": name,
        "list": [_feature(*each) for each in inner.items()] if isinstance(inner, Mapping) else _TYPES[type(inner)],
    }


def _card(metadata: Mapping[str, Any], body: str) -> str:
    try:
        import yaml
    except ModuleNotFoundError as error:
        from retro_gym.errors import MissingExtraError

        raise MissingExtraError(error.name or "yaml", "train") from error
    return f"---\n{yaml.safe_dump(dict(metadata), sort_keys=False)}---\n\n{body.strip()}\n"
