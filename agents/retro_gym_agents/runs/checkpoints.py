"""Checkpoints: the whole state of a training run in one file, which is replaced atomically."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retro_gym.errors import CheckpointError, ConfigError
from retro_gym_agents.lm.finite import not_finite
from retro_gym_agents.lm.language_model import LanguageModel

__all__ = [
    "AdapterState",
    "Checkpoint",
    "clear_folder",
    "copied",
    "find_checkpoint",
    "load_checkpoint",
    "read_checkpoint",
    "replace_folder",
    "save_checkpoint",
]

VERSION = 1
FILE = "checkpoint.pt"

_BEFORE_THE_FIRST_CHECKPOINT = {
    "config.json",
    "metrics.jsonl",
    "tb",
    "best",
    ".best.new",
    "records.jsonl",
    "trackers.json",
    "validations.jsonl",
    f"{FILE}.new",
}
"""Files that a run may leave when it is killed before its first checkpoint."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two updates.

    It holds no random states: every update derives its seeds from the run's seed and the update's number.
    """

    settings: Mapping[str, str]
    """The config's fields that the result depends on, each as JSON."""
    update: int
    """Number of updates made."""
    seconds: float
    """Wall-clock time of these updates."""
    finished: bool
    """Whether the run was complete and had written its results."""
    adapter: Mapping[str, Tensor]
    reference: Mapping[str, Tensor]
    """The adapter at the start of RL: the reference policy of the KL terms."""
    modules: Mapping[str, Mapping[str, Tensor]]
    """State dicts of modules trained beside the adapter, such as PPO's value head."""
    optimizer: Mapping[str, Any]
    metrics: list[dict[str, float]]
    """One row for each update so far."""
    records_position: int
    """Size of the records file after these updates, in bytes."""
    best: Mapping[str, Tensor] | None = None
    """The adapter with the best validation so far."""
    best_score: float | None = None
    """What selected ``best``: validation success, for example."""
    carried: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)
    """What an update hands on to later ones beside the weights."""
    stopped: bool = False
    """Whether an error or an interruption ended the run here."""


def copied(value: Any) -> Any:
    """Copies nested dicts and lists with all tensors on the CPU, so that later steps do not change them."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    return [copied(part) for part in value] if isinstance(value, list) else value


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Replaces the checkpoint file atomically: a process that is killed while writing leaves the old one intact."""
    fields = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)}
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        torch.save({"version": VERSION, **fields}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        CheckpointError: the file is not a checkpoint, or holds numbers that are not finite.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state.pop("version")
        if version != VERSION:
            raise CheckpointError(f"{path} has version {version}; this release reads {VERSION}. Start a new run.")
        checkpoint = Checkpoint(**state)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of a run: {error}. Start a new run elsewhere.") from error
    where = not_finite(state)
    if where is not None:
        raise CheckpointError(
            f"{path} holds numbers that are not finite, first in {where}: that run has diverged and cannot be resumed. "
            "Start a new run elsewhere, with a lower learning rate."
        )
    return checkpoint


def load_checkpoint(path: Path, settings: Mapping[str, str]) -> Checkpoint:
    """Reads a checkpoint and checks that the config which resumes it has the same settings.

    Args:
        path: the file.
        settings: the config's, as in :class:`Checkpoint`.

    Raises:
        CheckpointError: the file is not a checkpoint, is damaged, or was made with other settings.
    """
    checkpoint = read_checkpoint(path)
    for name in dict.fromkeys([*settings, *checkpoint.settings]):
        stored, given = checkpoint.settings.get(name), settings.get(name)
        if stored != given:
            raise CheckpointError(
                f"the run in {path.parent} was started with {name}={stored}, but {name}={given} is given now. "
                f"Resume with {name}={stored}, or start a new run in another folder."
            )
    return checkpoint


def find_checkpoint(folder: Path, settings: Mapping[str, str], *, resume: bool) -> Checkpoint | None:
    """Returns the checkpoint to resume from, or None to start a new run in the folder.

    Args:
        folder: the run's folder; it need not exist.
        settings: the config's, as in :class:`Checkpoint`.
        resume: whether to resume a run that the folder holds.

    Raises:
        ConfigError: the path is a file, or the folder is not empty and holds no run to resume. A run that ended before
            its first update counts as empty.
        CheckpointError: the run was started with other settings.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"output {str(folder)!r} is a file. Give the path of a folder.")
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if not resume:
        if found and not _came_to_nothing(folder, found):
            raise ConfigError(
                f"output {str(folder)!r} holds {found[:5]} already. Give an empty folder, or resume the run in it."
            )
        return None
    if FILE in found:
        return load_checkpoint(folder / FILE, settings)
    if not set(found) <= _BEFORE_THE_FIRST_CHECKPOINT:
        raise ConfigError(
            f"output {str(folder)!r} holds {found[:5]} but no {FILE}: there is no run to resume. Give another folder."
        )
    return None


def _came_to_nothing(folder: Path, found: list[str]) -> bool:
    """Whether the folder holds only the files of a run that ended before its first update."""
    if FILE not in found or not set(found) <= {*_BEFORE_THE_FIRST_CHECKPOINT, FILE}:
        return False
    try:
        checkpoint = read_checkpoint(folder / FILE)
    except CheckpointError:
        return False
    return checkpoint.stopped and checkpoint.update == 0


class AdapterState:
    """The adapter of a further model, as a part of a checkpoint."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def state_dict(self) -> Mapping[str, Any]:
        """Returns the adapter's weights."""
        return self.model.adapter_state()

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Sets the adapter's weights."""
        self.model.load_adapter_state(state_dict)


def clear_folder(folder: Path) -> None:
    """Removes the files of a run that made no update."""
    for name in (*_BEFORE_THE_FIRST_CHECKPOINT, FILE):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Replaces a folder by a new one that ``write`` fills; a reader never sees a partly written folder."""
    new, old = (path.with_name(f".{path.name}.{word}") for word in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    write(new)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)
