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

from retro_gym.actors.loading import end_ids_of, load_causal_lm
from retro_gym.errors import ConfigError, MissingExtraError, one_line
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.finite import not_finite
from retro_gym_agents.lm.samples import Sampling

__all__ = [
    "DEFAULT_LORA",
    "TINY",
    "LoraSettings",
    "add_lora",
    "base_name",
    "checkpoint_activations",
    "load_adapter",
    "load_base",
    "lora_of",
    "sampling_of",
]

TINY = "tiny"
"""The name of the model that is shipped in the package."""

_MAX_NEW_TOKENS = 128  # for models whose generation config sets no limit


@dataclasses.dataclass(frozen=True)
class LoraSettings:
    """The low-rank adapter (arXiv 2106.09685) that learns while the base model stays frozen.

    What is left out is as in the adapter that is loaded, and otherwise as said below. There is no dropout: the update's
    log-probabilities are to be those of the sampler.
    """

    rank: int | None = None
    """r: the rank of each weight's update; 8 by default."""
    alpha: int | None = None
    """Updates are scaled by alpha / rank; 16 by default."""
    target_modules: str | None = None
    """``"all-linear"``, the default, or names of layers separated by commas: ``"q_proj,v_proj"``."""

    def filled(self) -> LoraSettings:
        """The settings of a fresh adapter, with the defaults in place of what was left out."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return LoraSettings(**{"rank": 8, "alpha": 16, "target_modules": _ALL_LINEAR, **given})


_ALL_LINEAR = "all-linear"
DEFAULT_LORA = LoraSettings()


def add_lora(model: Any, lora: LoraSettings, name: str, seed: int) -> Any:
    """The model with a fresh adapter, whose initial weights are drawn from the seed."""
    try:
        from peft import LoraConfig, TaskType, get_peft_model
        from transformers.pytorch_utils import Conv1D
    except ImportError as error:
        raise MissingExtraError(error.name or "peft", "train") from error
    settings = dataclasses.asdict(lora.filled())
    for setting in ("rank", "alpha"):
        if settings[setting] < 1:
            raise ConfigError(f"the LoRA {setting} is {settings[setting]}; it must be at least 1.")
    names = settings["target_modules"]
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        target_modules=names if names == _ALL_LINEAR else sorted(_names(names)),
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


def lora_of(model: Any) -> LoraSettings | None:
    """The settings of a model's adapter; None where it has none of this kind."""
    config = getattr(model, "active_peft_config", None) if hasattr(model, "peft_config") else None
    if config is None or not hasattr(config, "r"):
        return None
    names = config.target_modules
    text = names if isinstance(names, str) else ",".join(sorted(names or ()))
    return LoraSettings(config.r, config.lora_alpha, _ALL_LINEAR if _is_everywhere(model) else text)


def _is_everywhere(model: Any) -> bool:
    """Whether every linear layer has an adapter, but for the one that gives the logits."""
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    return all(
        module is head or "lora_" in name or name.endswith(".base_layer")
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
    )


def _names(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


def _check_lora(model: Any, folder: Path, lora: LoraSettings) -> None:
    """Refuses settings that are others than a loaded adapter's: it cannot be given another shape."""
    own = lora_of(model)
    for name, given in dataclasses.asdict(lora).items():
        found = None if own is None else getattr(own, name)
        same = found == given or (name == "target_modules" and given and _names(given) == _names(found or ""))
        if given is not None and not same:
            raise ConfigError(
                f"LoRA's {name} is given as {given!r}, but the adapter in {folder} has {found!r}, and goes on with it. "
                f"Leave {name} out, or start from the base model."
            )


def load_adapter(model: Any, folder: Path, device: str | torch.device, lora: LoraSettings | None = DEFAULT_LORA) -> Any:
    """The model with the adapter that stands in a folder, and the adapter's generation config.

    Raises:
        ConfigError: it is no adapter of this model, its weights are not finite, or its settings are others than those
            that are given in ``lora``.
    """
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
    where = not_finite({name: weight for name, weight in model.named_parameters() if weight.requires_grad})
    if where is not None:
        raise ConfigError(
            f"the adapter in {folder} holds numbers that are not finite, first in {where}: the run that wrote it has "
            "diverged. Take another adapter."
        )
    _check_lora(model, folder, lora or DEFAULT_LORA)
    return model


def sampling_of(model: Any, tokenizer: Any, temperature: float | None, max_new_tokens: int | None) -> Sampling:
    """How a model is sampled from: by its generation config, or as said here.

    Raises:
        ConfigError: a temperature that is not above 0, or a length limit below 1.
    """
    generation = model.generation_config
    if temperature is None:
        temperature = 1.0 if generation.temperature is None else generation.temperature
    if max_new_tokens is None:
        max_new_tokens = generation.max_new_tokens or _MAX_NEW_TOKENS
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}; it must be above 0. For the likeliest text: greedy=True.")
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens is {max_new_tokens}; it must be at least 1.")
    end_ids = end_ids_of(model, tokenizer)
    pad_id = next((i for i in (tokenizer.pad_token_id, *end_ids) if i is not None), 0)
    return Sampling(float(temperature), int(max_new_tokens), end_ids, pad_id)


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
