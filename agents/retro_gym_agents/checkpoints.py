"""Checkpoints: all that a run needs to go on as if nothing had happened, in one file that is replaced whole."""

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

from retro_gym.errors import CheckpointError

__all__ = ["Checkpoint", "load_checkpoint", "replace_folder", "save_checkpoint"]

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two updates.

    There are no generators in it: every update draws from seeds that follow from the run's seed and the update's
    number.
    """

    settings: Mapping[str, str]
    """The config's fields that the result depends on, each as JSON."""
    update: int
    """How many updates were made."""
    seconds: float
    """Wall-clock time that they took."""
    finished: bool
    """Whether the run had come to its end and written its results."""
    adapter: Mapping[str, Tensor]
    reference: Mapping[str, Tensor]
    """The adapter at the start of RL, which KL terms refer to."""
    modules: Mapping[str, Mapping[str, Tensor]]
    """Weights beside the adapter, such as PPO's value head."""
    optimizer: Mapping[str, Any]
    metrics: list[dict[str, float]]
    """One row for each update so far."""
    records_position: int
    """Bytes of the records file that belong to these updates."""
    best: Mapping[str, Tensor] | None = None
    """The adapter that did best on the validation tasks."""
    best_success: float = -1.0
    """How well that was."""


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint in place of the one before. A process that is killed on the way leaves the old one."""
    fields = {field.name: getattr(checkpoint, field.name) for field in dataclasses.fields(checkpoint)}
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        torch.save({"version": VERSION, **fields}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def load_checkpoint(path: Path, settings: Mapping[str, str]) -> Checkpoint:
    """Reads a checkpoint and compares it with the config that wants to go on from it.

    Args:
        path: the file.
        settings: of the config, as in :class:`Checkpoint`.

    Raises:
        CheckpointError: the file is not a checkpoint, or was made under other settings.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state.pop("version")
        if version != VERSION:
            raise CheckpointError(f"{path} is of version {version}, this is {VERSION}. Start a new run.")
        checkpoint = Checkpoint(**state)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of a run: {error}. Start a new run elsewhere.") from error
    for name in dict.fromkeys([*settings, *checkpoint.settings]):
        stored, given = checkpoint.settings.get(name), settings.get(name)
        if stored != given:
            raise CheckpointError(
                f"the run in {path.parent} was started with {name}={stored}, and now {name}={given} is asked for. "
                f"Resume with {name}={stored}, or start a new run in another folder."
            )
    return checkpoint


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a folder in place of the one before; a reader never finds half of it."""
    new, old = (path.with_name(f".{path.name}.{word}") for word in ("new", "old"))
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    write(new)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)
