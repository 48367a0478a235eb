"""Where models and adapters come from: the package, a folder, or the Hugging Face hub."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from retro_gym.actors.loading import load_causal_lm
from retro_gym.errors import ConfigError, MissingExtraError, one_line
from retro_gym.seeding import derive_seed

__all__ = [
    "DEFAULT_LORA",
    "TINY",
    "LoraSettings",
    "add_lora",
    "base_name",
    "checkpoint_activations",
    "load_adapter",
    "load_base",
]

TINY = "tiny"
"""The name of the model that is shipped in the package."""


@dataclasses.dataclass(frozen=True)
class LoraSettings:
    """The low-rank adapter (arXiv 2106.09685) that learns while the base model stays frozen.

    There is no dropout: the update's log-probabilities are to be those of the sampler.
    """

    rank: int = 8
    """r: the rank of each weight's update."""
    alpha: int = 16
    """Updates are scaled by alpha / rank."""
    target_modules: str = "all-linear"
    """``"all-linear"``, or names of layers separated by commas: ``"q_proj,v_proj"``."""


DEFAULT_LORA = LoraSettings()


def add_lora(model: Any, lora: LoraSettings, name: str, seed: int) -> Any:
    """The model with a fresh adapter, whose initial weights are drawn from the seed."""
    try:
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers.pytorch_utils import Conv1D
    except ImportError as error:
        raise MissingExtraError(error.name or "peft", "train") from error
    if lora.rank < 1:
        raise ConfigError(f"the LoRA rank is {lora.rank}; it must be at least 1.")
    names = lora.target_modules
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=names if names == "all-linear" else [part.strip() for part in names.split(",")],
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2 stores W transposed
    )
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(derive_seed(seed, "lora"))
        try:
            return get_peft_model(model, config)
        except Exception as error:  # peft knows many kinds of layers, and refuses others in many ways
            raise ConfigError(f"LoRA cannot be added to {name!r}: {error}") from error


def load_base(name: str, device: str | torch.device, dtype: str | None) -> tuple[Any, Any]:
    """The model and the tokenizer that a name or a path leads to."""
    return load_causal_lm(
        _tiny_folder() if name == TINY else name,
        device=device,
        dtype=dtype,
        what=f"reflector {name!r}",
        give="'tiny', a folder in the format of transformers or peft, or a name on the Hugging Face hub",
    )


def load_adapter(model: Any, folder: Path, device: str | torch.device) -> Any:
    """The model with the adapter that stands in a folder, and the adapter's generation config."""
    try:
        from peft import PeftModel
        from transformers import GenerationConfig
    except ImportError as error:
        raise MissingExtraError(error.name or "peft", "train") from error
    with _quiet():
        try:
            model = PeftModel.from_pretrained(model, str(folder), is_trainable=True, torch_device=str(device))
            if (folder / "generation_config.json").is_file():
                model.get_base_model().generation_config = GenerationConfig.from_pretrained(str(folder))
        except Exception as error:  # files of others, such as the settings of a newer peft, may fail in any way
            raise ConfigError(f"{folder} holds no adapter that fits its base model: {error}") from error
    return model


def checkpoint_activations(model: Any) -> None:
    """Lets every layer compute its activations again in the backward pass instead of keeping them.

    transformers does so in training mode alone. Only the layers themselves are told that they train; what is inside
    stays in evaluation mode, so that no dropout comes with it.

    Raises:
        ConfigError: the model has no layers that can do so.
    """
    with _quiet():
        try:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise ConfigError(f"gradient_checkpointing is set, but {type(model).__name__} has none: {error}") from error
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True


def _tiny_folder() -> Path:
    folder = Path(str(importlib.resources.files("retro_gym_agents"))) / "tiny" / "weights"
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"the tiny reflector is missing: {folder} holds no model. It comes with the package; install it again, or "
            "build it: python -m retro_gym_agents.tiny.build."
        )
    return folder


def base_name(folder: Path) -> str:
    """The name of the base model of the adapter in a folder."""
    file = folder / "adapter_config.json"
    try:
        name = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} names no base model ({error}). It must be a file that peft wrote.") from error
    if not isinstance(name, str):
        raise ConfigError(f"{file} names {one_line(name)} as its base model; a path or a name is the rule.")
    return name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences warnings of names that transformers has renamed, in peft and here: no user could act on them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`(is_)?gradient_checkpointing(_enable)?` is deprecated", FutureWarning)
        yield
