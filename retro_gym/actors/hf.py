"""An in-process actor: any causal language model of transformers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from retro_gym.actors.base import Reply
from retro_gym.actors.hf_batches import reply_in_batches
from retro_gym.actors.hf_decoding import Draws, Ends, Finite, bare_base
from retro_gym.actors.hf_prompts import PromptLayout, Row, check_shape
from retro_gym.actors.loading import check_dtype, load_causal_lm
from retro_gym.actors.token_rows import left_padded
from retro_gym.errors import ActorError, ConfigError, one_line
from retro_gym.prompts import Prompt, PromptShape

__all__ = ["HfActor"]


class _Loaded(NamedTuple):
    model: Any
    layout: PromptLayout


class HfActor:
    """A causal LM of transformers as a frozen actor that replies in batches.

    Decoding is greedy, or samples from the whole distribution at a temperature; of the model's generation config only
    the end tokens are used, not its settings for sampling, penalties and lengths. Every prompt is sampled with its own
    ``seed``, so that its reply does not depend on the rest of the batch (except for rounding, as in any batch).

    A prompt is formatted as messages with the tokenizer's chat template, or as one text if there is none. A reply ends
    at an end token or at one of the prompt's stop texts, which is removed and is only recognised after the reasoning; a
    reply that reaches ``max_new_tokens`` is marked as ``cut``. The reasoning at its start, between tags such as
    ``<think>``, becomes ``Reply.reasoning``.

    A prompt that leaves no room for the reply gives a ``PromptTooLongError`` instead. When the model fails on a batch,
    for lack of memory or another reason, the halves of the batch are tried; failure on a single prompt gives an
    ``ActorError``. So does a reply whose logits are not finite, as when float16 overflows.

    A model given by path is loaded at the first reply and is not pickled: the unpickled actor loads it again. A model
    given as an object is pickled with its weights, so that every process has a copy. A deep copy is the actor itself,
    because it is frozen: weights are not duplicated, and prompts share batches.

    Args:
        model: a folder, a GGUF file, a name on the Hugging Face hub, or a loaded model. The adapter of a ``PeftModel``
            is disabled while the actor replies, so that a reflector and its actor can share weights.
        tokenizer: by default the one stored with the model; required with a loaded model.
        shape: format of prompts, see :meth:`retro_gym.Prompt.messages`; by default ``"chat"`` if the tokenizer has a
            chat template, otherwise ``"completion"``.
        device: device of the model; a loaded model is not moved.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"`` (as stored); by default ``"float32"`` on the
            CPU and ``"auto"`` elsewhere. A loaded model is not converted.
        batch_size: maximum number of prompts in a batch.
        max_new_tokens: token limit of a reply, including its reasoning; by default 1,024 or a quarter of the model's
            context window, whichever is less.
        temperature: 0 is greedy.
        template_options: further variables of the chat template, such as ``{"enable_thinking": False}``.

    Raises:
        ConfigError: an argument is invalid. Errors that depend on the model are raised by the first reply.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        shape: PromptShape | None = None,
        device: Any = "cpu",
        dtype: str | None = None,
        batch_size: int = 16,
        max_new_tokens: int | None = None,
        temperature: float = 0.0,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("max_new_tokens", max_new_tokens)):
            if value is None and name == "max_new_tokens":
                continue
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {one_line(value)}; it must be a whole number, at least 1.")
        if not 0.0 <= temperature < float("inf"):
            raise ConfigError(f"temperature is {temperature}; it must be 0 (greedy) or above.")
        check_shape(shape)
        check_dtype(dtype)
        self._path = os.fspath(model) if isinstance(model, str | os.PathLike) else None
        if self._path is None and (tokenizer is None or not hasattr(model, "generate")):
            raise ConfigError(
                f"model is {type(model).__name__} and tokenizer {type(tokenizer).__name__}. Give a path or a name, "
                "or a causal LM of transformers together with its tokenizer."
            )
        self._model = None if self._path is not None else model
        self._tokenizer = tokenizer
        self._shape = shape
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        self.max_new_tokens = max_new_tokens
        self.temperature = float(temperature)
        self.template_options = dict(template_options or {})
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        """The path or name that the model was given by, or its class."""
        return self._path if self._path is not None else type(self._model).__name__

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that affect the replies besides the prompts; defaults that need the model are None until then."""
        layout = None if self._loaded is None else self._loaded.layout
        return {
            "model": self.name,
            "shape": self._shape if layout is None else layout.shape,
            "dtype": self.dtype,
            "max_new_tokens": self.max_new_tokens if layout is None else layout.max_new_tokens,
            "temperature": self.temperature,
        }

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns a reply or an error for each prompt; prompts are processed in batches of ``batch_size``.

        Raises:
            ConfigError: the model does not exist, it has no room for ``max_new_tokens``, its tokenizer is another
                model's, or its chat template does not accept prompts of this shape.
            MissingExtraError: torch or transformers is not installed.
        """
        model, layout = self._load()
        return reply_in_batches(layout, prompts, self.batch_size, lambda rows: self._generate(model, layout, rows))

    # -- internals -------------------------------------------------------------------------------------------------

    def _load(self) -> _Loaded:
        if self._loaded is not None:
            return self._loaded
        model: Any = self._model
        tokenizer = self._tokenizer
        if self._path is not None:
            model, own = load_causal_lm(
                self._path,
                device=self.device,
                dtype=self.dtype,
                what=f"actor {self._path!r}",
                give="a folder in the format of transformers, a GGUF file, or a name on the Hugging Face hub",
            )
            tokenizer = own if tokenizer is None else tokenizer
            model.eval()
        layout = PromptLayout.of(
            model,
            tokenizer,
            name=self.name,
            shape=self._shape,
            max_new_tokens=self.max_new_tokens,
            template_options=self.template_options,
        )
        self._loaded = _Loaded(model, layout)
        return self._loaded

    def _generate(self, model: Any, layout: PromptLayout, rows: Sequence[Row]) -> list[Reply | ActorError]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        ids_BL, mask_BL = left_padded([row.ids for row in rows], layout.pad)
        width = ids_BL.shape[1]
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=layout.max_new_tokens,
            eos_token_id=list(layout.ends) or None,
            pad_token_id=layout.pad,
            use_cache=True,
        )
        finite = Finite()
        ends = Ends(layout, rows, width, finite)
        draws = [Draws(rows, width, self.temperature, layout.max_new_tokens)] if self.temperature > 0 else []
        with bare_base(model) as base:
            device = base.get_input_embeddings().weight.device
            base.generate(
                input_ids=torch.from_numpy(ids_BL).to(device),
                attention_mask=torch.from_numpy(mask_BL.astype("int64")).to(device),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([ends]),
                logits_processor=LogitsProcessorList([finite, *draws]),
            )
        return ends.replies()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}  # a model that was given as an object stays, in _model

    def __repr__(self) -> str:
        return f"HfActor({self.name!r})"
