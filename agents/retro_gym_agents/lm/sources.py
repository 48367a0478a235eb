"""What a name or a path of a model refers to: a base model, or an adapter and the base model that it was made for."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from retro_gym.actors.gguf_file import is_gguf, transformers_folder
from retro_gym.errors import ConfigError, one_line
from retro_gym_agents.lm.adapter_folder import adapter_folder, weights_digest
from retro_gym_agents.lm.hub import Token, fetch_adapter, hub_parts
from retro_gym_agents.lm.pretrained import TINY, tiny_folder

__all__ = [
    "Base",
    "Source",
    "base_of",
    "find_source",
    "is_local",
    "read_config",
    "stored_base",
    "tiny_repository",
    "tiny_version",
    "tokenizer_source",
]

_CONFIG = "adapter_config.json"
_TINY_REVISION = f"{TINY}-"
_TINY_REPOSITORY = re.compile(r"[^/]+/retro-gym-tiny-([0-9a-f]{8})")


@dataclasses.dataclass(frozen=True)
class Base:
    """A base model."""

    name: str
    """``"tiny"``, a path, or a name on the hub."""
    revision: str | None = None
    """Its branch, tag or commit on the hub; None for the newest."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a model comes from."""

    base: Base
    folder: Path | None = None
    """The folder of an adapter; None for the base model alone."""


def find_source(name_or_path: str | os.PathLike[str], revision: str | None = None, token: Token = None) -> Source:
    """Finds out what a name or a path refers to; downloads an adapter from the hub.

    Args:
        name_or_path: ``"tiny"``, a path, or a name on the hub, also as ``OWNER/NAME@REVISION``.
        revision: branch, tag or commit of a name on the hub.
        token: see :data:`~retro_gym_agents.lm.hub.Token`.

    Raises:
        ConfigError: the adapter names no base model, or another tiny model than this package's; or a revision is given
            for what is not on the hub.
        HubError: the hub refused, or cannot be reached.
    """
    text = os.fspath(name_or_path)
    folder = adapter_folder(Path(text))
    if folder is not None or text == TINY or Path(text).exists():
        if revision is not None:
            raise ConfigError(
                f"revision is {revision!r}, but {text!r} is not on the hub. Leave it out, or give OWNER/NAME."
            )
        return Source(Base(text), None) if folder is None else Source(base_of(folder), folder)
    parts = hub_parts(text)
    if parts is None:  # a name without an owner, which no adapter has, or what the loader will refuse
        return Source(Base(text, revision))
    name, named = parts
    if revision is not None and named not in (None, revision):
        raise ConfigError(f"{text!r} names the revision {named!r}, but revision is {revision!r}. Give one of them.")
    wanted = revision or named
    folder = fetch_adapter(name, wanted, token)
    return Source(Base(name, wanted)) if folder is None else Source(base_of(folder), folder)


def tokenizer_source(name: str) -> tuple[str | Path, str | None]:
    """Returns the folder or hub name with the tokenizer of a reflector, and its revision on the hub.

    An adapter has the tokenizer of its base model.

    Args:
        name: as in ``Reflector.load``.

    Raises:
        ConfigError: see :func:`find_source`; or a GGUF file cannot be read.
        HubError: the hub refused, or cannot be reached.
        MissingExtraError: gguf is not installed, and the name is a GGUF file.
    """
    base = find_source(name).base
    if base.name == TINY:
        return tiny_folder(), None
    return (transformers_folder(base.name), None) if is_gguf(base.name) else (base.name, base.revision)


def base_of(folder: Path) -> Base:
    """Returns the base model that the adapter in a folder was made for.

    Raises:
        ConfigError: it names none, or another tiny model than this package's, or a folder that is not there.
    """
    file = folder / _CONFIG
    row = read_config(file)
    name, revision = row["base_model_name_or_path"], row.get("revision")
    if not isinstance(name, str):
        raise ConfigError(f"{file} names {one_line(name)} as its base model; it must be a path or a name.")
    published = _TINY_REPOSITORY.fullmatch(name)
    if published is not None and published[1] == tiny_version():
        return Base(TINY)  # the copy on the hub is this package's
    if name != TINY and not str(revision).startswith(_TINY_REVISION):
        if Path(name).is_absolute() and not Path(name).exists():
            raise ConfigError(
                f"the adapter in {folder} was made for the base model in {name!r}, which is not there. Put it there, "
                f"or write its place into {file.name}."
            )
        return Base(name, revision)
    made_for = str(revision).removeprefix(_TINY_REVISION)
    if revision is not None and made_for != tiny_version():
        raise ConfigError(
            f"the adapter in {folder} was made for the tiny model {made_for}, but this version of retro-gym has "
            f"{tiny_version()}. Install the version that it was made with, which its README.md names."
        )
    return Base(TINY)


def stored_base(base: Base) -> Base:
    """Returns how an adapter names its base model, so that peft finds it without this package.

    The tiny model is named by its folder, and by its version as the revision: peft loads the folder, and
    :func:`base_of` knows it wherever the package is.
    """
    return Base(str(tiny_folder()), f"{_TINY_REVISION}{tiny_version()}") if base.name == TINY else base


def is_local(base: Base) -> bool:
    """Returns whether a base model is a file or a folder of this machine."""
    return base.name != TINY and (Path(base.name).is_absolute() or Path(base.name).exists())


def tiny_version() -> str:
    """Returns what identifies the tiny model's weights."""
    return _version(tiny_folder())


def tiny_repository(owner: str) -> str:
    """Returns the name under which an owner's copy of the tiny model is on the hub."""
    return f"{owner}/retro-gym-tiny-{tiny_version()}"


def read_config(file: Path) -> dict[str, Any]:
    """Reads an adapter's config.

    Raises:
        ConfigError: it names no base model.
    """
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
        return {**row, "base_model_name_or_path": row["base_model_name_or_path"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} names no base model ({error}). It must be a file that peft wrote.") from error


@lru_cache(maxsize=8)
def _version(folder: Path) -> str:
    return str(weights_digest(folder))[:8]
