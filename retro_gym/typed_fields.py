"""Checks the fields of a config against their declared types."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from retro_gym.errors import ConfigError, one_line

__all__ = ["settle_fields"]

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "Path": (Path,),
    "None": (type(None),),
}


def settle_fields(config: Any) -> None:
    """Checks and converts the simple fields of a frozen dataclass, in its ``__post_init__``.

    NumPy numbers become Python numbers, since configs are written as JSON, and texts become paths or paths texts, as
    declared. Fields of other types are not checked.

    Raises:
        ConfigError: a value is of another type.
    """
    for field in dataclasses.fields(config):
        names = [name.strip() for name in str(field.type).split("|")]
        if not set(names) <= set(_TYPES):
            continue
        value = getattr(config, field.name)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str) and "Path" in names:
            value = Path(value)
        if isinstance(value, Path) and "str" in names:
            value = str(value)
        wanted = tuple(kind for name in names for kind in _TYPES[name])
        if not isinstance(value, wanted) or (isinstance(value, bool) and "bool" not in names):
            raise ConfigError(f"{field.name} is {one_line(value)}; it must be of type {field.type}.")
        object.__setattr__(config, field.name, value)
