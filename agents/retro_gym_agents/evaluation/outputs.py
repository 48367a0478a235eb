"""Checks of the files that results are written to."""

from __future__ import annotations

import os
from pathlib import Path

from retro_gym.errors import ConfigError

__all__ = ["check_output"]


def check_output(path: str | os.PathLike[str]) -> Path:
    """Returns the path after checking that it can be written; creates its folder. Call it before long computations.

    Raises:
        ConfigError: the path is a folder, or its folder cannot be created or written to.
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: its folder cannot be created ({error.strerror}). Give another path.") from error
    if target.is_dir():
        raise ConfigError(f"{path} is a folder. Give the path of a file.")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written to. Give another path.")
    return target
