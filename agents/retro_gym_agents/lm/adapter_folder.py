"""Finds a reflector's adapter in a folder, and the update of the run that it is from, without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retro_gym.actors.gguf_file import is_gguf
from retro_gym.errors import ConfigError

__all__ = ["REWARD_HEAD", "adapter_folder", "adapter_source", "files_digest", "reward_head_file", "weights_digest"]

REWARD_HEAD = "reward_head"
"""The module's name in checkpoints of a reward model, and of its file beside the adapter."""

_LONGEST_NAME = 255  # characters; a longer text is not a file name


def adapter_folder(path: Path) -> Path | None:
    """Returns the folder with the adapter: the path itself, or a folder in a training run's output."""
    for folder in (path, path / "best", path / "adapter"):
        if (folder / "adapter_config.json").is_file():
            return folder
    return None


def adapter_source(path: Path) -> str | None:
    """Describes which adapter of a training run a folder refers to; None if it is no run's folder.

    The update is given if the run's metrics determine it; they do not for a last adapter that is older than the
    metrics.
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


def reward_head_file(folder: Path) -> Path:
    """Returns the file of a reward model's head, beside its adapter.

    Raises:
        ConfigError: the folder holds no reward model.
    """
    path = folder / "adapter" / f"{REWARD_HEAD}.pt"
    if not path.is_file():
        raise ConfigError(f"{folder} holds no reward model: {path} is absent. Train one: retro-gym reward-model.")
    return path


def weights_digest(path: Path) -> str | None:
    """Returns a digest of the weights in a GGUF file, or those that a folder refers to; None for other paths."""
    if is_gguf(path) and path.is_file():
        return _digest([path])
    if not path.is_dir():
        return None
    folder = adapter_folder(path) or path
    return _digest(sorted(one for one in folder.iterdir() if one.suffix in (".safetensors", ".bin", ".pt")))


def files_digest(arguments: Mapping[str, Any]) -> str | None:
    """Returns a digest of the files named in an environment's arguments; None if there are none."""
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
    """Returns the rows of a run's metrics; empty if they cannot be read."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row, dict) and "update" in row]
