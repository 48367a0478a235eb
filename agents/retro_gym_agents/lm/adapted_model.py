"""The weights of a causal LM with a LoRA adapter: loading, saving, roles on one base model, the adapter's state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

import torch
from torch import Tensor, nn

from retro_gym.actors.loading import context_of, contiguous_head
from retro_gym.errors import CheckpointError, ConfigError
from retro_gym_agents.lm.adapter_folder import weights_digest
from retro_gym_agents.lm.adapters import (
    DEFAULT_LORA,
    LoraSettings,
    active_adapter,
    add_lora,
    checkpoint_activations,
    free_name,
    inputs_as_they_come,
    load_adapter,
    lora_of,
    save_adapter,
    trainable_weights,
)
from retro_gym_agents.lm.block_attention import use_block_attention
from retro_gym_agents.lm.card import adapter_card
from retro_gym_agents.lm.hub import Token
from retro_gym_agents.lm.memory import tokens_that_fit
from retro_gym_agents.lm.pretrained import TINY, load_base, sampling_of, save_tokenizer, stored_sampling
from retro_gym_agents.lm.sources import Base, base_of, find_source, stored_base

__all__ = ["AdaptedModel", "Autocast"]

Autocast: TypeAlias = bool | Literal["updates"]


class AdaptedModel:
    """The weights and settings of a causal LM with a LoRA adapter.

    Two roles may have separate models, share one base model with an adapter each, or share the adapter too: see
    :meth:`beside`. Roles on one base model are not safe for concurrent threads, since each activates its adapter in it;
    and gradient checkpointing is a property of the base model, so that one role sets it for both.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        tokenizer: the model's tokenizer.
        name: name of the base model in saved adapters: a path, a name on the hub, or ``"tiny"``.
        lora: the adapter to add; None adds none. A ``PeftModel`` keeps the adapter that it has.
        temperature: overrides the generation config.
        max_new_tokens: overrides the generation config.
        autocast: computes matrix products in bfloat16, whatever the type of the weights; ``"updates"`` does so in
            scoring, not in sampling.
        gradient_checkpointing: recomputes activations in the backward pass instead of storing them.
        seed: seed of the adapter's initial weights.

    Raises:
        ConfigError: the temperature is not above 0, or ``max_new_tokens`` leaves no room for the prompt.
    """

    revision: str | None = None
    """Branch, tag or commit of the base model on the hub; None for the newest."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        lora: LoraSettings | None = DEFAULT_LORA,
        temperature: float | None = None,
        max_new_tokens: int | None = None,
        autocast: Autocast = False,
        gradient_checkpointing: bool = False,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.model = model
        if lora is not None and active_adapter(model) is None:
            self.model = add_lora(self.model, lora, name, seed)
        self.adapter = active_adapter(self.model)
        """Name of this role's adapter; None if it has none."""
        self._own: tuple[str | None, list[nn.Parameter]] = (None, [])
        self.version = ""
        self._autocast, self._checkpointing = autocast, gradient_checkpointing
        self._settle()
        self.sampling = sampling_of(self.model, tokenizer, temperature, max_new_tokens)
        self._reference: dict[str, Tensor] | None = None
        context = context_of(model)
        self.max_prompt_tokens = None if context is None else context - self.sampling.max_new_tokens
        """Maximum prompt length: the context window less ``max_new_tokens``; None for no limit."""
        if context is not None and context <= self.sampling.max_new_tokens:
            raise ConfigError(
                f"max_new_tokens is {self.sampling.max_new_tokens}, but {name!r} has a context of {context} tokens: "
                "no room is left for the prompt. Give a smaller max_new_tokens."
            )

    # -- loading and saving ----------------------------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        name_or_path: str | Path,
        *,
        lora: LoraSettings | None = DEFAULT_LORA,
        device: str | torch.device = "cpu",
        dtype: str | None = None,
        temperature: float | None = None,
        max_new_tokens: int | None = None,
        autocast: Autocast = False,
        gradient_checkpointing: bool = False,
        seed: int = 0,
        revision: str | None = None,
        token: Token = None,
        **options: Any,
    ) -> Self:
        """Loads a model for this role.

        Args:
            name_or_path: ``"tiny"`` (the model in this package), a folder, a GGUF file, a folder that :meth:`save`
                wrote, the output of a training run (its ``best`` adapter, or else the last), or the name of a model or
                an adapter on the Hugging Face hub: ``"owner/name"``, ``"owner/name@revision"``.
            lora: the adapter to add if none is loaded; None for the base model alone. If an adapter is loaded, the
                settings given here must equal its own.
            device: device of the model.
            dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"`` (as stored); by default ``"float32"`` on
                the CPU and ``"auto"`` elsewhere.
            temperature: see the class.
            max_new_tokens: see the class.
            autocast: see the class.
            gradient_checkpointing: see the class.
            seed: seed of a new adapter's initial weights.
            revision: branch, tag or commit on the hub; the newest by default.
            token: token of the hub; by default the one that is logged in (``hf auth login``, ``HF_TOKEN``).
            options: further arguments of the role.

        Raises:
            ConfigError: the model does not exist, an argument is invalid, or the adapter was made for another base
                model.
            HubError: the hub has no such model or adapter, refused, or cannot be reached.
            MissingExtraError: transformers or peft is not installed.
        """
        source = find_source(name_or_path, revision, token)
        folder, name, revision = source.folder, source.base.name, source.base.revision
        model, tokenizer = load_base(name, device, dtype, cls.__name__.lower(), revision, token)
        if folder is not None:
            model = load_adapter(model, folder, device, lora)
        elif name != TINY and Path(name).exists():
            name = str(Path(name).resolve())  # so that a saved adapter finds its base from any working directory
        made = cls(
            model,
            tokenizer,
            name=name,
            lora=lora,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            autocast=autocast,
            gradient_checkpointing=gradient_checkpointing,
            seed=seed,
            **({} if folder is None else cls.stored_options(folder)) | options,
        )
        made.revision = revision
        if folder is not None:
            made.version = weights_digest(folder) or ""
        return made

    @classmethod
    def beside(
        cls,
        other: AdaptedModel,
        *,
        lora: LoraSettings | None = None,
        folder: str | Path | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Self:
        """Creates another role on the base model of an existing one, so that the base weights are stored once.

        With ``lora`` or ``folder``, the role has its own adapter, and the two are trained independently. Without them,
        the two share all weights, and an update of one is an update of both.

        Args:
            other: the existing role. If the new role gets its own adapter, this one must have an adapter too.
            lora: settings of a new adapter.
            folder: an adapter that :meth:`save` wrote, a run's output folder, or an adapter's name on the hub.
            seed: seed of a new adapter's initial weights.
            options: further arguments of the role; temperature, ``max_new_tokens`` and autocast default to those of
                the other role, or to those saved with the adapter.

        Raises:
            ConfigError: the other role has no adapter, or the folder holds none that fits the model.
            HubError: the hub has no such adapter, refused, or cannot be reached.
        """
        found = None if folder is None else find_source(folder).folder
        if folder is not None and found is None:
            raise ConfigError(f"{folder} holds no adapter. Give a folder that save() wrote, or a run's output.")
        if found is not None and base_of(found).name != other.name:
            raise ConfigError(
                f"the adapter in {found} was made for {base_of(found).name!r}, the base model here is {other.name!r}. "
                f"Load it by itself: {cls.__name__}.load({str(folder)!r})."
            )
        if other.adapter is None and not (lora is None and found is None):
            raise ConfigError(
                f"{other.name!r} has no adapter, and would compute with that of the new role. Load it with "
                "lora=LoraSettings(), which has no effect until it is trained."
            )
        given = {
            "temperature": other.sampling.temperature,
            "max_new_tokens": other.sampling.max_new_tokens,
            "autocast": other._autocast,
            "gradient_checkpointing": other._checkpointing,
            **({} if found is None else stored_sampling(found) | cls.stored_options(found)),
            **options,
        }
        made = cls(other.model, other.tokenizer, name=other.name, lora=None, **given)
        made.revision = other.revision
        made.adapter, version = other.adapter, other.version
        if found is not None:
            made.adapter, version = free_name(made.model, made.role), weights_digest(found) or ""
            load_adapter(made.model, found, made.device, lora, made.adapter)
        elif lora is not None:
            made.adapter, version = free_name(made.model, made.role), ""
            add_lora(made.model, lora, made.name, seed, made.adapter)
        made.version = version
        made._settle()
        return made

    def save(self, folder: str | Path) -> None:
        """Writes the adapter in peft's format with a model card, the generation config and the tokenizer.

        ``AutoPeftModelForCausalLM`` of peft loads the folder as well, as long as the base model is where it is now.

        Raises:
            ConfigError: there is no adapter.
        """
        self.save_weights(folder)
        save_tokenizer(self.tokenizer, Path(folder))
        (Path(folder) / "README.md").write_text(adapter_card(self.base.name, self.lora), encoding="utf-8")

    def save_weights(self, folder: str | Path) -> None:
        """Writes the adapter in peft's format and the generation config: what a server needs.

        Raises:
            ConfigError: there is no adapter.
        """
        if self.adapter is None:
            raise ConfigError(f"this {self.role} has no adapter to save. Load it with lora=LoraSettings(…).")
        base = stored_base(self.base)
        save_adapter(self.model, self.adapter, Path(folder), base.name, base.revision)
        self.generation_config().save_pretrained(str(folder))

    def generation_config(self) -> Any:
        """Returns a generation config with this model's temperature and length limit."""
        generation = self.model.generation_config
        row = {
            **generation.to_diff_dict(),
            "do_sample": True,
            "temperature": self.sampling.temperature,
            "max_new_tokens": self.sampling.max_new_tokens,
        }
        return type(generation).from_dict(row)

    @classmethod
    def stored_options(cls, folder: Path) -> dict[str, Any]:
        """Returns the role's own options that :meth:`save` wrote into a folder."""
        return {}

    # -- weights ---------------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """The device of the model's input."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def hidden_size(self) -> int:
        """D: the size of the hidden states."""
        return int(self.model.config.get_text_config().hidden_size)

    @contextlib.contextmanager
    def precision(self, *, sampling: bool = False) -> Iterator[None]:
        """Enables autocast if it is set for what is done, or spares sampling casts to an adapter's float32 and back."""
        enabled = self._autocast is True or (self._autocast == "updates" and not sampling)
        on_cpu = self.device.type == "cpu"
        enabled = enabled or (sampling and on_cpu and self.model.dtype == torch.bfloat16)
        with (
            # Threads share the cache of cast weights, which the first to end clears; a pass on a CPU needs each once.
            torch.autocast(self.device.type, torch.bfloat16, enabled=enabled, cache_enabled=sampling or not on_cpu),
            inputs_as_they_come(self.model, enabled),
        ):
            yield

    @cached_property
    def tokens_that_fit(self) -> int:
        """Tokens of a training pass that fit into the device's memory: see :mod:`retro_gym_agents.lm.memory`."""
        return tokens_that_fit(self.model, checkpointing=self._checkpointing)

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """The adapter's weights by name; empty without an adapter."""
        return {} if self.adapter is None else trainable_weights(self.model, self.adapter)

    @property
    def lora(self) -> LoraSettings | None:
        """The adapter's settings; None without an adapter."""
        return lora_of(self.model, self.adapter)

    def freeze_reference(self) -> None:
        """Stores a copy of the adapter as the reference policy of KL terms; call it at the start of RL."""
        self._reference = self.adapter_state()

    @property
    def reference_state(self) -> dict[str, Tensor] | None:
        """The reference policy's adapter, in the form of :meth:`adapter_state`."""
        return None if self._reference is None else dict(self._reference)

    def adapter_state(self) -> dict[str, Tensor]:
        """Returns a copy of the adapter's weights."""
        return {name: weight.detach().clone() for name, weight in self.trainable.items()}

    @torch.no_grad()
    def load_adapter_state(self, state: Mapping[str, Tensor], reference: Mapping[str, Tensor] | None = None) -> None:
        """Sets the adapter's weights, and the reference policy's if given.

        Raises:
            CheckpointError: the state does not fit the adapter.
        """
        trainable = self.trainable
        shapes = {name: tuple(weight.shape) for name, weight in trainable.items()}
        for given in (state, reference or state):
            if {name: tuple(weight.shape) for name, weight in given.items()} != shapes:
                raise CheckpointError(
                    f"the stored adapter has {len(given)} weights that do not fit this one's {len(shapes)}. "
                    "Use the base model and the LoRA settings that it was made with."
                )
        for name, weight in trainable.items():
            weight.copy_(state[name])
        if reference is not None:
            self._reference = {name: weight.to(self.device, copy=True) for name, weight in reference.items()}

    # -- names -----------------------------------------------------------------------------------------------------

    @property
    def base(self) -> Base:
        """The base model."""
        return Base(self.name, self.revision)

    @property
    def role(self) -> str:
        """The role's name, for errors and the names of further adapters."""
        return type(self).__name__.lower()

    @property
    def model_id(self) -> str:
        """Identifies the weights in generations: the name, with the version if it is known."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def version(self) -> str:
        """Version of the weights; empty once they have changed since it was set.

        For a loaded adapter it is a digest of its files; training sets a new version after every update.
        """
        return self._version if self.changes() == self._changes_then else ""

    @version.setter
    def version(self, version: str) -> None:
        self._version, self._changes_then = version, self.changes()

    def changes(self) -> list[int]:
        """Returns how often each trainable weight was changed in place, as optimisers do."""
        if self._own[0] != self.adapter:  # cached: walking all modules takes milliseconds
            self._own = self.adapter, list(self.trainable.values())
        return [weight._version for weight in self._own[1]]

    # -- internals -------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Switches off dropout, also in added modules, then enables checkpointing, which sets layers to training."""
        self.model.eval()
        contiguous_head(self.model)
        use_block_attention(self.model)
        if self._checkpointing:
            checkpoint_activations(self.model)
