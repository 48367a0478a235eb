"""Loads base models from the package, the disk or the Hugging Face hub, and their default sampling settings."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any

import torch

from retro_gym.actors.gguf_file import is_gguf, transformers_folder
from retro_gym.actors.loading import end_ids_of, load_causal_lm
from retro_gym.errors import ConfigError, one_line
from retro_gym_agents.lm.adapter_folder import adapter_folder
from retro_gym_agents.lm.samples import Sampling

__all__ = ["TINY", "base_name", "load_base", "sampling_of", "stored_sampling", "tiny_folder", "tokenizer_source"]

TINY = "tiny"
"""The name of the model that is included in the package."""

_MAX_NEW_TOKENS = 128  # for models whose generation config sets no limit


def load_base(name: str, device: str | torch.device, dtype: str | None, role: str) -> tuple[Any, Any]:
    """Loads the model and the tokenizer of a name or a path; errors name the role."""
    return load_causal_lm(
        tiny_folder() if name == TINY else name,
        device=device,
        dtype=dtype,
        what=f"{role} {name!r}",
        give="'tiny', a folder in the format of transformers or peft, a GGUF file, or a name on the Hugging Face hub",
    )


def sampling_of(model: Any, tokenizer: Any, temperature: float | None, max_new_tokens: int | None) -> Sampling:
    """Returns a model's sampling settings: the arguments, or else those of its generation config.

    Raises:
        ConfigError: the temperature is not above 0, or ``max_new_tokens`` is below 1.
    """
    generation = model.generation_config
    if temperature is None:
        temperature = 1.0 if generation.temperature is None else generation.temperature
    if max_new_tokens is None:
        max_new_tokens = generation.max_new_tokens or _MAX_NEW_TOKENS
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}; it must be above 0. For greedy decoding: greedy=True.")
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens is {max_new_tokens}; it must be at least 1.")
    end_ids = end_ids_of(model, tokenizer)
    pad_id = next((i for i in (tokenizer.pad_token_id, *end_ids) if i is not None), 0)
    return Sampling(float(temperature), int(max_new_tokens), end_ids, pad_id)


def stored_sampling(folder: Path) -> dict[str, Any]:
    """Reads the temperature and length limit that were saved with an adapter, if any.

    Raises:
        ConfigError: the file cannot be read.
    """
    file = folder / "generation_config.json"
    try:
        row = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return {name: row[name] for name in ("temperature", "max_new_tokens") if row.get(name) is not None}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}). It must be a file that transformers wrote.") from error


def tiny_folder() -> Path:
    """Returns the folder of the reflector that comes with the package.

    Raises:
        ConfigError: it is missing.
    """
    folder = Path(str(importlib.resources.files("retro_gym_agents"))) / "tiny" / "weights"
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"the tiny reflector is missing: {folder} holds no model. It comes with the package; install it again, or "
            "build it: python -m retro_gym_agents.tiny.build."
        )
    return folder


def tokenizer_source(name: str) -> str | Path:
    """Returns the folder or hub name with the tokenizer of a reflector, given as in ``Reflector.load``.

    An adapter has the tokenizer of its base model.

    Raises:
        ConfigError: an adapter names no base model, the tiny reflector is missing, or a GGUF file cannot be read.
        MissingExtraError: gguf is not installed, and the name is a GGUF file.
    """
    folder = adapter_folder(Path(name))
    base = name if folder is None else base_name(folder)
    if base == TINY:
        return tiny_folder()
    return transformers_folder(base) if is_gguf(base) else base


def base_name(folder: Path) -> str:
    """Returns the base model's name from the adapter in a folder."""
    file = folder / "adapter_config.json"
    try:
        name = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} names no base model ({error}). It must be a file that peft wrote.") from error
    if not isinstance(name, str):
        raise ConfigError(f"{file} names {one_line(name)} as its base model; it must be a path or a name.")
    return name
