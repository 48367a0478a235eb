"""The reflector: a causal language model with a LoRA adapter that writes reflections."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from retro_gym.actors.hf import HfActor
from retro_gym.actors.loading import context_of
from retro_gym.checks import check_whole
from retro_gym.errors import CheckpointError, ConfigError, DivergedError
from retro_gym.token_view.tokens import decode, encode_prompt, fit_text, fitting_ids
from retro_gym_agents.lm.adapter_folder import adapter_folder
from retro_gym_agents.lm.adapters import frozen, trainable_weights
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.finite import REMEDY
from retro_gym_agents.lm.pretrained import (
    DEFAULT_LORA,
    TINY,
    LoraSettings,
    add_lora,
    base_name,
    checkpoint_activations,
    load_adapter,
    load_base,
    lora_of,
    sampling_of,
)
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Samples, check_asked, each_seed
from retro_gym_agents.lm.scoring import Scores, score, why_not_shared

__all__ = ["TINY", "LoraSettings", "Reflector"]


class Reflector:
    """A causal LM that answers observations with reflections.

    Temperature and length limit come from the model's generation config; top-k, top-p and repetition penalties that
    stand there are not applied, since the policy gradient needs the distribution that was sampled from. A model that
    cannot take the block mask by which samples share their prompt is run plainly, with a warning that says why.

    An observation becomes a prompt through the tokenizer's chat template where it has one, and as plain text behind
    the BOS token (where there is one) otherwise. When a prompt does not fit into the model's context beside the
    longest reflection, the observation is shortened by the rule of :func:`retro_gym.prompts.render_observation`, as a
    token view does it; a text that is no environment's observation loses words out of its middle.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        tokenizer: the model's tokenizer.
        name: what the base model is called in saved adapters: a path, a name on the hub, or ``"tiny"``.
        lora: the adapter to add; None adds none. A ``PeftModel`` keeps the adapter that it has.
        temperature: overrides the generation config.
        max_new_tokens: overrides the generation config; tokens.
        autocast: computes matrix products in bfloat16, whatever type the weights have.
        gradient_checkpointing: computes activations again in the backward pass instead of keeping them.
        seed: of the adapter's initial weights.

    Raises:
        ConfigError: a temperature that is not above 0, or a length limit that leaves no room for the prompt.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        lora: LoraSettings | None = DEFAULT_LORA,
        temperature: float | None = None,
        max_new_tokens: int | None = None,
        autocast: bool = False,
        gradient_checkpointing: bool = False,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.model = model.eval()
        self._has_adapter = hasattr(model, "peft_config")
        if lora is not None and not self._has_adapter:
            self.model = add_lora(self.model, lora, name, seed).eval()
            self._has_adapter = True
        self._autocast = autocast
        if gradient_checkpointing:
            checkpoint_activations(self.model)
        self.sampling = sampling_of(self.model, tokenizer, temperature, max_new_tokens)
        self._reference: dict[str, Tensor] | None = None
        context = context_of(model)
        self._max_prompt_tokens = None if context is None else context - self.sampling.max_new_tokens
        if self._max_prompt_tokens is not None and self._max_prompt_tokens < 1:
            raise ConfigError(
                f"max_new_tokens is {self.sampling.max_new_tokens}, but {name!r} has a context of {context} tokens: "
                "no room is left for the prompt. Give a smaller max_new_tokens."
            )

    # -- coming and going ------------------------------------------------------------------------------------------

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
        autocast: bool = False,
        gradient_checkpointing: bool = False,
        seed: int = 0,
    ) -> Reflector:
        """Loads a reflector.

        Args:
            name_or_path: ``"tiny"`` (the model in this package), a folder or a name on the hub, a folder that
                :meth:`save` wrote, or the output folder of a training run (its ``best`` adapter, or else the last).
            lora: the adapter to add where none is loaded; None for the base model alone. Of an adapter that is loaded,
                what is given here must be its own.
            device: where the model runs.
            dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"`` (as stored); by default ``"float32"`` on
                the CPU and ``"auto"`` elsewhere.
            temperature: overrides the generation config.
            max_new_tokens: overrides the generation config; tokens.
            autocast: computes matrix products in bfloat16, whatever type the weights have.
            gradient_checkpointing: computes activations again in the backward pass instead of keeping them.
            seed: of a new adapter's initial weights.

        Raises:
            ConfigError: there is no such model, or an argument is out of its rule.
            MissingExtraError: transformers or peft is not installed.
        """
        folder = adapter_folder(Path(name_or_path))
        name = str(name_or_path) if folder is None else base_name(folder)
        model, tokenizer = load_base(name, device, dtype)
        if folder is not None:
            model = load_adapter(model, folder, device, lora)
        elif name != TINY and Path(name).is_dir():
            name = str(Path(name).resolve())  # a saved adapter is to find its base from any working directory
        return cls(
            model,
            tokenizer,
            name=name,
            lora=lora,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            autocast=autocast,
            gradient_checkpointing=gradient_checkpointing,
            seed=seed,
        )

    def save(self, folder: str | Path) -> None:
        """Writes the adapter in peft's format, with the generation config; it names its base model by ``name``.

        Raises:
            ConfigError: the reflector has no adapter.
        """
        if not self._has_adapter:
            raise ConfigError("this reflector has no adapter to save. Load it with lora=LoraSettings(…).")
        self.model.active_peft_config.base_model_name_or_path = self.name
        # The vocabulary is the base model's own; peft would ask the hub about it otherwise.
        self.model.save_pretrained(str(folder), save_embedding_layers=False)
        generation = self.model.generation_config
        row = {
            **generation.to_diff_dict(),
            "do_sample": True,
            "temperature": self.sampling.temperature,
            "max_new_tokens": self.sampling.max_new_tokens,
        }
        type(generation).from_dict(row).save_pretrained(str(folder))

    # -- writing reflections ---------------------------------------------------------------------------------------

    def sample(
        self,
        observations: Sequence[str],
        *,
        num_samples: int = 1,
        greedy: bool = False,
        seed: int | Sequence[int] = 0,
        keep_hidden: bool = False,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Samples:
        """Samples K reflections for each observation, in one batch.

        Args:
            observations: P texts.
            num_samples: K.
            greedy: the likeliest token each time, instead of a sample.
            seed: one for each observation, or one that they follow from by their places. The same weights, observation
                and seed give the same samples, whatever else is in the batch; sample k is the same for any K.
            keep_hidden: also return the hidden states that tokens were predicted from (for a value head).
            top_k: draws from this many likeliest tokens alone; 0 for all. Not for what policy gradient learns from: the
                log-probabilities are those of the whole distribution.
            top_p: draws from the likeliest tokens that together have this probability.

        Returns:
            Texts with the token ids and log-probabilities that were sampled.

        Raises:
            ConfigError: no observation, fewer than one sample of each, another number of seeds, or a truncation that
                is out of its rule.
            DivergedError: the model's log-probabilities are not finite.
        """
        check_asked(observations, num_samples, top_k, top_p)
        prompts = Prompts.from_rows([self.encode(text) for text in observations], self.sampling.pad_id, self.device)
        share_prompt = self.share_prompt
        with frozen(self.model), self._precision():
            draws = draw(
                self.model,
                prompts,
                dataclasses.replace(self.sampling, top_k=top_k, top_p=top_p),
                num_samples=num_samples,
                greedy=greedy,
                seed=seed,
                share_prompt=share_prompt,
                keep_hidden=keep_hidden,
            )
        if not draws.logprobs_NT.isfinite().all():
            raise DivergedError(
                f"reflector {self.name!r} gives a token a log-probability that is not finite: weights or activations "
                f"are too large, or are not numbers. {REMEDY}"
            )
        rows = zip(draws.tokens_NT.tolist(), draws.mask_NT.sum(-1).tolist(), strict=True)
        return Samples(
            draws.tokens_NT,
            draws.mask_NT,
            draws.logprobs_NT,
            draws.hidden_NTD,
            prompts,
            tuple(self.decode(tokens[:length]) for tokens, length in rows),
            num_samples,
            self.sampling.temperature,
        )

    def reflect(
        self,
        observations: Sequence[str],
        *,
        greedy: bool = True,
        seed: int | Sequence[int] = 0,
        batch_size: int = 64,
    ) -> list[str]:
        """One reflection for each observation, ``batch_size`` of them at a time: the same ones for any size."""
        check_asked(observations or [""], 1)
        check_whole(1, batch_size=batch_size)
        seeds = each_seed(seed, len(observations))
        texts: list[str] = []
        for start in range(0, len(observations), batch_size):
            batch = slice(start, start + batch_size)
            texts.extend(self.sample(observations[batch], greedy=greedy, seed=seeds[batch]).texts)
        return texts

    __call__ = reflect

    def encode(self, observation: str) -> list[int]:
        """The prompt of an observation, as token ids. See the class docstring on what is done with a long one."""
        limit, new = self._max_prompt_tokens, self.sampling.max_new_tokens
        room = f"max_new_tokens is {new}, which leaves {limit} tokens of {self.name!r}'s context"
        return self._render(observation) if limit is None else fitting_ids(self._render, observation, limit, room)

    def fit(self, observation: str) -> str:
        """The observation, or the longest form of it that leaves room in the context for the longest reflection."""
        limit = self._max_prompt_tokens
        return observation if limit is None else fit_text(self._render, observation, limit)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of sampled tokens, without special tokens and the white space around it."""
        return decode(self.tokenizer, tokens)

    def as_actor(self, **options: Any) -> HfActor:
        """The base model as an actor: the same weights, without the adapter, so that learning does not change it.

        Args:
            options: of :class:`~retro_gym.actors.hf.HfActor`, such as ``temperature``; device and dtype are this
                model's.

        Raises:
            ConfigError: an option is out of its rule.
        """
        return HfActor(self.model, self.tokenizer, **options)

    # -- log-probabilities -----------------------------------------------------------------------------------------

    def score(self, samples: Samples, *, keep_hidden: bool = False) -> Scores:
        """The present policy's log-probabilities (N, T) of samples, differentiable, and hidden states if asked for."""
        share_prompt = self.share_prompt
        with self._precision():
            return score(
                self.model,
                samples.prompts,
                samples.tokens_NT,
                samples.mask_NT,
                temperature=samples.temperature,
                num_samples=samples.num_samples,
                share_prompt=share_prompt,
                keep_hidden=keep_hidden,
            )

    def logprobs(self, samples: Samples) -> Tensor:
        """The present policy's log-probabilities (N, T) of samples, differentiable; 0 where their mask is False."""
        return self.score(samples).logprobs_NT

    def freeze_reference(self) -> None:
        """Keeps the present adapter as the policy that KL terms refer to: the one at the start of RL."""
        self._reference = self.adapter_state()

    def reference_logprobs(self, samples: Samples) -> Tensor:
        """The reference policy's log-probabilities (N, T) of samples, without a gradient.

        Raises:
            ConfigError: :meth:`freeze_reference` was not called.
        """
        if self._reference is None:
            raise ConfigError("there is no reference policy yet. Call freeze_reference() at the start of RL.")
        with frozen(self.model, self._reference):
            return self.score(samples).logprobs_NT

    # -- weights ---------------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the model's input goes."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def hidden_size(self) -> int:
        """D: the width of the hidden states."""
        return int(self.model.config.get_text_config().hidden_size)

    @cached_property
    def share_prompt(self) -> bool:
        """Whether the samples of a prompt share its computation; set it to False to run plainly.

        A model that cannot take the block mask is run plainly, with a warning that says why.
        """
        reason = why_not_shared(self.model)
        if reason is not None:
            warnings.warn(
                f"{self.name!r} computes a prompt again for each of its samples, which is slower: {reason}.",
                stacklevel=3,
            )
        return reason is None

    @property
    def trainable(self) -> dict[str, nn.Parameter]:
        """The adapter's weights by name; none where there is no adapter."""
        return trainable_weights(self.model) if self._has_adapter else {}

    @property
    def lora(self) -> LoraSettings | None:
        """The adapter's settings; None where there is none."""
        return lora_of(self.model)

    @property
    def reference_state(self) -> dict[str, Tensor] | None:
        """The reference policy's adapter, as :meth:`adapter_state` gives it."""
        return None if self._reference is None else dict(self._reference)

    def adapter_state(self) -> dict[str, Tensor]:
        """A copy of the adapter's weights."""
        return {name: weight.detach().clone() for name, weight in self.trainable.items()}

    @torch.no_grad()
    def load_adapter_state(self, state: Mapping[str, Tensor], reference: Mapping[str, Tensor] | None = None) -> None:
        """Sets the adapter's weights, and the reference policy's if they are given.

        Raises:
            CheckpointError: the state is of another adapter.
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

    # -- inside ----------------------------------------------------------------------------------------------------

    def _render(self, observation: str) -> list[int]:
        return encode_prompt(self.tokenizer, observation) or [self.sampling.pad_id]

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast)
