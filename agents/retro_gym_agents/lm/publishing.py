"""Adapters on the Hugging Face hub: what is uploaded of one, and under which name its base model is found there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from retro_gym.errors import ConfigError
from retro_gym_agents.lm.adapter_folder import REWARD_HEAD
from retro_gym_agents.lm.card import base_card
from retro_gym_agents.lm.hub import Content, Token, check_name, holds_file, push_files
from retro_gym_agents.lm.pretrained import TINY, tiny_folder
from retro_gym_agents.lm.sources import Base, base_of, is_local, read_config, tiny_repository

__all__ = ["adapter_files", "model_files", "published_base", "push_adapter", "push_model"]

_CONFIG = "adapter_config.json"
_CARD = "README.md"
_PARTS = ("adapter_model.*", "generation_config.json", "planner.json")
_TOKENIZER = (
    *("tokenizer*.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
    *("chat_template.*", "spiece.model"),
)
_MODEL = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", *_TOKENIZER)


def push_adapter(
    folder: Path,
    name: str,
    card: Callable[[str], str],
    *,
    base: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    token: Token = None,
    message: str | None = None,
) -> str:
    """Uploads the adapter in a folder; for one of the tiny model also a copy of that, if it is not there yet.

    Args:
        folder: a folder in peft's format.
        name: ``OWNER/NAME``.
        card: makes the model card for the base model's name on the hub.
        base: that name, if the base model is a folder of this machine.
        private: see :func:`~retro_gym_agents.lm.hub.push_files`, as for the next ones.
        revision: the branch.
        token: the token.
        message: the commit's message.

    Returns:
        The repository's address.

    Raises:
        ConfigError: the name is invalid, the base model is not on the hub, the folder holds a reward model, or the
            repository holds a whole model.
        HubError: the hub refused, or cannot be reached.
    """
    check_name(name)
    found = published_base(folder, name, base)
    files = adapter_files(folder, found, card(found.name))
    if base_of(folder).name == TINY:
        _push_tiny(found.name, private, token)
    elif base is not None and not holds_file(base, "config.json", token=token):
        raise ConfigError(f"base {base!r} is no model on the hub that can be read. Give the name of the base model.")
    return push_files(
        name,
        files,
        message=message or "An adapter of retro_gym",
        private=private,
        revision=revision,
        token=token,
        stale=_is_any_of(*_PARTS, *_TOKENIZER),
        unfit={"config.json": "a whole model"},
    )


def push_model(
    folder: Path,
    name: str,
    card: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: Token = None,
    message: str | None = None,
) -> str:
    """Uploads a whole model, as :func:`~retro_gym_agents.lm.merging.save_merged` wrote it; returns the address.

    Raises:
        ConfigError: the name is invalid, or the repository holds an adapter.
        HubError: the hub refused, or cannot be reached.
    """
    return push_files(
        name,
        model_files(folder, card),
        message=message or "A model of retro_gym",
        private=private,
        revision=revision,
        token=token,
        stale=_is_any_of(*_MODEL, *_PARTS),
        unfit={_CONFIG: "an adapter"},
    )


def published_base(folder: Path, name: str, base: str | None) -> Base:
    """Returns the base model as the hub knows it.

    Raises:
        ConfigError: it is a folder of this machine, and ``base`` does not say where it is on the hub.
    """
    own = base_of(folder)
    if own.name == TINY:
        if base is not None:
            raise ConfigError(
                f"base is {base!r}, but this adapter's base model is tiny, whose name on the hub is fixed. Leave it "
                "out."
            )
        return Base(tiny_repository(name.partition("/")[0]))
    if base is not None:
        return Base(check_name(base))
    if is_local(own):
        raise ConfigError(
            f"the base model of {folder} is the folder {Path(own.name).name!r} of this machine, which nobody else has. "
            "Say where it is on the hub: base='OWNER/NAME' (--base), or push the merged model (--merged)."
        )
    return own


def adapter_files(folder: Path, base: Base, card: str) -> dict[str, Content]:
    """Returns the files of an adapter as they are uploaded.

    Raises:
        ConfigError: the folder holds a reward model.
    """
    if (folder / f"{REWARD_HEAD}.pt").is_file():
        raise ConfigError(f"{folder} holds a reward model, not a reflector. Push the folder of a reflector's run.")
    row = {**read_config(folder / _CONFIG), "base_model_name_or_path": base.name, "revision": base.revision}
    text = json.dumps(row, indent=2, sort_keys=True) + "\n"
    return {**_files(folder, *_PARTS, *_TOKENIZER), _CONFIG: text.encode(), _CARD: card.encode()}


def model_files(folder: Path, card: str) -> dict[str, Content]:
    """Returns the files of a whole model as they are uploaded."""
    return {**_files(folder, *_MODEL), _CARD: card.encode()}


def _push_tiny(name: str, private: bool | None, token: Token) -> None:
    """Uploads a copy of the tiny model, whose name holds its version, unless it is there."""
    if holds_file(name, "model.safetensors", token=token):
        return
    push_model(tiny_folder(), name, base_card(), private=private, token=token, message="The tiny model of retro_gym")


def _files(folder: Path, *patterns: str) -> dict[str, Content]:
    return {path.name: path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()}


def _is_any_of(*patterns: str) -> Callable[[str], bool]:
    return lambda file: any(Path(file).match(pattern) and "/" not in file for pattern in patterns)
