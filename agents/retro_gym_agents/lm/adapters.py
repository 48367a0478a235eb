"""LoRA adapters: settings, adding, loading and saving them, and inference without gradients.

A model may have several adapters, one for each role that shares it; one of them is active at a time. The weights of
all adapters stay trainable, because the backward pass may reach an adapter that is no longer active.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retro_gym.errors import ConfigError, DivergedError, MissingExtraError
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.finite import not_finite
from retro_gym_agents.lm.fitting import check_fit

__all__ = [
    "DEFAULT_LORA",
    "FIRST",
    "LoraSettings",
    "activated",
    "active_adapter",
    "add_lora",
    "checkpoint_activations",
    "free_name",
    "frozen",
    "inputs_as_they_come",
    "load_adapter",
    "lora_of",
    "save_adapter",
    "trainable_weights",
]

FIRST = "default"
"""peft's name for a model's first adapter."""


@dataclasses.dataclass(frozen=True)
class LoraSettings:
    """Settings of the low-rank adapter (arXiv 2106.09685) that is trained while the base model stays frozen.

    A setting that is None is taken from the loaded adapter, or else has the default below. There is no dropout, because
    the log-probabilities in the update must equal those in sampling.
    """

    rank: int | None = None
    """r: the rank of each weight's update; 8 by default."""
    alpha: int | None = None
    """Updates are scaled by alpha / rank; 16 by default."""
    target_modules: str | None = None
    """``"all-linear"``, the default, or names of layers separated by commas: ``"q_proj,v_proj"``."""

    def filled(self) -> LoraSettings:
        """Returns the settings of a new adapter, with defaults for those that are None."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        return LoraSettings(**{"rank": 8, "alpha": 16, "target_modules": _ALL_LINEAR, **given})


_ALL_LINEAR = "all-linear"
DEFAULT_LORA = LoraSettings()


def active_adapter(model: Any) -> str | None:
    """Returns the name of the model's active adapter; None if it has none."""
    return str(model.active_adapter) if hasattr(model, "peft_config") else None


def trainable_weights(model: Any, adapter: str | None = None) -> dict[str, torch.nn.Parameter]:
    """Returns the trainable weights by name: those of an adapter, if there is one.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        adapter: name of one of several adapters; None for all. The weights of a further adapter get the names that they
            would have in a model with this adapter alone, so that its state can be loaded into such a model.
    """
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    adapters = list(getattr(model, "peft_config", ()))
    if adapter is None or len(adapters) < 2:
        return weights
    called = adapter if adapter == adapters[0] else FIRST
    parts = {name: name.split(".") for name in weights}
    return {
        ".".join(called if part == adapter else part for part in parts[name]): weight
        for name, weight in weights.items()
        if adapter in parts[name]
    }


def _learning(model: Any, adapter: str) -> Any:
    """Makes the weights of an adapter trainable; peft freezes all but the active adapter's."""
    for name, weight in model.named_parameters():
        if adapter in name.split("."):
            weight.requires_grad_(True)
    return model


@contextlib.contextmanager
def activated(model: Any, adapter: str | None) -> Iterator[None]:
    """Activates one of a model's adapters temporarily; None changes nothing."""
    before = active_adapter(model)
    if before is None or adapter in (None, before):
        yield
        return
    _activate(model, adapter)
    try:
        yield
    finally:
        _activate(model, before)


def _activate(model: Any, adapter: str | None) -> None:
    learns = [(weight, weight.requires_grad) for weight in model.parameters()]
    model.set_adapter(adapter)
    for weight, wanted in learns:  # peft freezes the other adapters, but a backward pass may still reach them
        weight.requires_grad_(wanted)


def add_lora(model: Any, lora: LoraSettings, name: str, seed: int, adapter: str = FIRST) -> Any:
    """Adds a new adapter with initial weights drawn from the seed, and returns the model.

    Args:
        model: a causal LM of transformers; a ``PeftModel`` keeps its adapters and the active one.
        lora: the adapter's settings.
        name: name of the model in error messages.
        seed: seed of the initial weights.
        adapter: name of the adapter.

    Raises:
        ConfigError: a setting is invalid, or the adapter cannot be added to the model.
    """
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
            if active_adapter(model) is None:
                return get_peft_model(model, config, adapter)
            model.add_adapter(adapter, config)
            return _learning(model, adapter)
        except Exception as error:  # peft refuses unsupported layers with various errors
            raise ConfigError(f"LoRA cannot be added to {name!r}: {error}") from error


def load_adapter(
    model: Any,
    folder: Path,
    device: str | torch.device,
    lora: LoraSettings | None = DEFAULT_LORA,
    adapter: str = FIRST,
) -> Any:
    """Loads an adapter from a folder and returns the model; a first adapter also brings its generation config.

    Args:
        model: as in :func:`add_lora`.
        folder: a folder in peft's format.
        device: device of the adapter.
        lora: settings that the adapter must have; None, in whole or for single settings, accepts any.
        adapter: name of the adapter.

    Raises:
        ConfigError: it is not an adapter of this model, its weights are not finite, or its settings differ from those
            in ``lora``.
    """
    try:
        from peft import PeftModel
        from transformers import GenerationConfig
    except ImportError as error:
        raise MissingExtraError(error.name or "peft", "train") from error
    is_first = active_adapter(model) is None
    with _quiet():
        try:
            if is_first:
                model = PeftModel.from_pretrained(
                    model, str(folder), adapter, is_trainable=True, torch_device=str(device)
                )
                if (folder / "generation_config.json").is_file():
                    model.get_base_model().generation_config = GenerationConfig.from_pretrained(str(folder))
            else:
                model.load_adapter(str(folder), adapter, is_trainable=True, torch_device=str(device))
                _learning(model, adapter)
        except Exception as error:  # foreign files, such as the settings of a newer peft, may raise any error
            if not is_first:
                _remove(model, adapter)  # peft leaves an adapter that it could not load
            raise ConfigError(f"{folder} holds no adapter that fits its base model: {error}") from error
    try:
        where = not_finite(trainable_weights(model, adapter))
        if where is not None:
            raise ConfigError(
                f"the adapter in {folder} holds numbers that are not finite, first in {where}: the run that wrote it "
                "has diverged. Take another adapter."
            )
        check_fit(model, adapter, folder)
        _check_lora(lora_of(model, adapter), folder, lora or DEFAULT_LORA)
    except ConfigError:
        if not is_first:
            _remove(model, adapter)
        raise
    return model


def _remove(model: Any, adapter: str) -> None:
    if adapter in model.peft_config:
        model.delete_adapter(adapter)


def save_adapter(model: Any, adapter: str, folder: Path, base: str, revision: str | None = None) -> None:
    """Writes an adapter in peft's format, with ``base`` and ``revision`` as those of its base model."""
    config = model.peft_config[adapter]
    config.base_model_name_or_path, config.revision = base, revision
    # The vocabulary is that of the base model; otherwise peft would query the hub about it.
    model.save_pretrained(str(folder), selected_adapters=[adapter], save_embedding_layers=False)
    if adapter != FIRST:  # peft writes all but the first adapter to a subfolder
        inner = folder / adapter
        for file in inner.iterdir():
            file.replace(folder / file.name)
        inner.rmdir()
    for weights in folder.glob("*.safetensors"):  # written for their owner alone, unlike the files beside them
        shutil.copymode(folder / "adapter_config.json", weights)


def free_name(model: Any, role: str) -> str:
    """Returns an unused adapter name: the role's name, with a number if it is taken."""
    names = (role, *(f"{role}_{number}" for number in range(2, len(model.peft_config) + 2)))
    return next(name for name in names if name not in model.peft_config)


def lora_of(model: Any, adapter: str | None = None) -> LoraSettings | None:
    """Returns the settings of a model's adapter, by default the active one; None if it is no LoRA adapter."""
    adapter = adapter or active_adapter(model)
    config = None if adapter is None else model.peft_config[adapter]
    if config is None or not hasattr(config, "r"):
        return None
    names = config.target_modules
    text = names if isinstance(names, str) else ",".join(sorted(names or ()))
    return LoraSettings(config.r, config.lora_alpha, _ALL_LINEAR if _is_everywhere(model, adapter) else text)


def _is_everywhere(model: Any, adapter: str | None) -> bool:
    """Returns whether every linear layer except the output layer has the adapter."""
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    layers = dict(model.named_modules())
    return all(
        module is head or "lora_" in name or adapter in getattr(layers[name.rpartition(".")[0]], "lora_A", ())
        for name, module in layers.items()
        if isinstance(module, torch.nn.Linear | Conv1D)
    )


def _names(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


def _check_lora(own: LoraSettings | None, folder: Path, lora: LoraSettings) -> None:
    """Refuses settings that differ from those of the loaded adapter, because its shape is fixed."""
    for name, given in dataclasses.asdict(lora).items():
        found = None if own is None else getattr(own, name)
        same = found == given or (name == "target_modules" and given and _names(given) == _names(found or ""))
        if given is not None and not same:
            raise ConfigError(
                f"LoRA's {name} is given as {given!r}, but the adapter in {folder} has {found!r}, which is fixed. "
                f"Leave {name} out, or start from the base model."
            )


def checkpoint_activations(model: Any) -> None:
    """Enables gradient checkpointing: layers recompute their activations in the backward pass.

    transformers does so only in training mode. Only the layers themselves are set to training mode; their submodules
    stay in evaluation mode, so that there is no dropout.

    Raises:
        ConfigError: the model does not support gradient checkpointing.
    """
    with _quiet():
        try:
            model.gradient_checkpointing_enable(
                {"use_reentrant": False, "context_fn": functools.partial(_same_adapter, model)}
            )
        except ValueError as error:
            raise ConfigError(f"gradient_checkpointing is set, but {type(model).__name__} has none: {error}") from error
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True


@contextlib.contextmanager
def inputs_as_they_come(model: Any, active: bool = True) -> Iterator[None]:
    """Keeps peft from casting each layer's input to the adapter's float32, which autocast would cast back."""
    if not active or active_adapter(model) is None:
        yield
        return
    from peft.helpers import disable_input_dtype_casting

    with disable_input_dtype_casting(model):
        yield


def _same_adapter(model: Any) -> tuple[contextlib.AbstractContextManager[Any], contextlib.AbstractContextManager[Any]]:
    """Returns context managers for a layer's forward pass and its recomputation, which activate the same adapter."""
    return contextlib.nullcontext(), activated(model, active_adapter(model))


def _merge(model: Any) -> None:
    try:
        model.merge_adapter(safe_merge=True)
    except ValueError as error:  # raised by peft if weights are not finite
        raise DivergedError(f"the adapter cannot be merged into its base model: {error}") from error


@contextlib.contextmanager
def frozen(model: Any, adapter: Mapping[str, Tensor] | None = None, name: str | None = None) -> Iterator[None]:
    """Disables gradients and checkpointing; in float32 also merges the adapter into the base model, for speed.

    Weights are merged in copies and the originals are restored afterwards, so that no rounding error remains.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        adapter: weights, by name, that temporarily replace the trainable ones.
        name: the adapter that they belong to, if the model has several.

    Raises:
        DivergedError: the merged weights are not finite.
    """
    trainable = trainable_weights(model, name)
    present = {key: weight.data for key, weight in trainable.items()}
    layers = [module for module in model.modules() if hasattr(module, "merged_adapters")]
    bases = [list(layer.get_base_layer().parameters(recurse=False)) for layer in layers]
    originals = [[weight.data for weight in base] for base in bases]
    merge = bool(layers) and model.dtype == torch.float32
    training = [module for module in model.modules() if module.training]  # checkpointing layers take no KV cache
    try:
        for module in training:
            module.training = False
        for key, weight in trainable.items():
            weight.data = weight.data if adapter is None else adapter[key]
        if merge:
            _merge(model)
        with torch.no_grad():
            yield
    finally:
        if merge:
            for layer, base, original in zip(layers, bases, originals, strict=True):
                layer.merged_adapters.clear()
                for weight, data in zip(base, original, strict=True):
                    weight.data = data
        for key, weight in trainable.items():
            weight.data = present[key]
        for module in training:
            module.training = True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppresses deprecation warnings about names that peft and this package use: users cannot act on them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`(is_)?gradient_checkpointing(_enable)?` is deprecated", FutureWarning)
        yield
