"""Where in a folder a reflector's adapter stands, and which update of a run it is. Nothing is loaded for that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["adapter_folder", "adapter_source", "files_digest", "weights_digest"]

_LONGEST_NAME = 255  # characters: a longer text is no name of a file


def adapter_folder(path: Path) -> Path | None:
    """The folder with the adapter: the path itself, or the one in a training run's output."""
    for folder in (path, path / "best", path / "adapter"):
        if (folder / "adapter_config.json").is_file():
            return folder
    return None


def adapter_source(path: Path) -> str | None:
    """Which adapter of a training run its folder stands for, in words; None where the path is no such folder.

    The update is told as far as the run's metrics tell it: they know nothing of the last adapter where they have grown
    since it was saved.
    """
    folder = adapter_folder(path)
    if folder is None or folder == path:
        return None
    metrics = path / "metrics.jsonl"
    rows = _rows(metrics)
    if folder.name == "best":
        best = max((row.get("validation_success", -1.0) for row in rows), default=-1.0)
        found = [row for row in rows if row.get("validation_success") == best]
        why = "the one that did best on the validation tasks"
    else:
        found = rows if rows and metrics.stat().st_mtime <= folder.stat().st_mtime else []
        why = "the last one, since no validation has chosen a best"
    of = f" of update {int(found[-1]['update'])}" if found else ""
    return f"{folder.name}{of}: {why}"


def weights_digest(path: Path) -> str | None:
    """A digest of the weights that a folder stands for; None for what is no folder."""
    if not path.is_dir():
        return None
    folder = adapter_folder(path) or path
    return _digest(sorted(one for one in folder.iterdir() if one.suffix in (".safetensors", ".bin", ".pt")))


def files_digest(arguments: Mapping[str, Any]) -> str | None:
    """A digest of the files that an environment's arguments name; None where they name none."""
    given = [*arguments.values()]
    given += [each for value in given if isinstance(value, Mapping) for each in value.values()]
    paths = [Path(value) for value in given if isinstance(value, str) and value]
    return _digest([path for path in paths if len(path.name) < _LONGEST_NAME and path.is_file()])


def _digest(files: Sequence[Path]) -> str | None:
    if not files:
        return None
    together = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            together.update(hashlib.file_digest(opened, "sha256").digest())
    return together.hexdigest()[:16]


def _rows(file: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics; none where they cannot be read."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row, dict) and "update" in row]
