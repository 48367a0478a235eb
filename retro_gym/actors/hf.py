"""An actor in the process: any causal language model of transformers."""

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
    """A causal LM of transformers, as a frozen actor that answers in batches.

    Decoding is greedy, or at a temperature from the whole distribution; what the model's generation config says of
    sampling, penalties and lengths is left aside, its end tokens are kept. At a temperature every prompt draws from its
    own ``seed``, so that its reply depends on no other prompt of the batch (but for rounding, as in any batch).

    A prompt becomes messages through the tokenizer's chat template, or one text where it has none. A reply ends at an
    end token or at one of the prompt's stop texts, which is cut off and counts only after the reasoning; one that goes
    on to ``max_new_tokens`` is marked as ``cut``. The reasoning at its head, between tags such as ``<think>``, becomes
    ``Reply.reasoning``.

    A prompt that leaves no room for the reply is a ``PromptTooLongError`` in its place. When the model fails on a
    batch, for want of memory or for another reason, its halves are tried; a single prompt that it fails on is an
    ``ActorError``. So is a reply whose logits are no numbers, as when float16 overflows.

    A model that is given by path is loaded at the first reply, and pickling leaves it behind: the unpickled actor loads
    it again. One that is given as an object is pickled whole, so that every process has a copy of its weights. Deep
    copies are the actor itself, since it is frozen: no second copy of the weights, and its prompts share batches.

    Args:
        model: a folder, a name on the Hugging Face hub, or a loaded model. In a ``PeftModel`` the adapter is off while
            the actor replies, so that a reflector and its actor can share their weights.
        tokenizer: by default the one that stands beside the model; to be given with a loaded model.
        shape: how prompts are laid out, see :meth:`retro_gym.Prompt.messages`; by default ``"chat"`` when the tokenizer
            has a chat template, and ``"completion"`` when it has none.
        device: where the model goes; a loaded one stays where it is.
        dtype: ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"`` (as stored); by default ``"float32"`` on the
            CPU and ``"auto"`` elsewhere. A loaded model stays as it is.
        batch_size: prompts that are answered at once, at most.
        max_new_tokens: of a reply, its reasoning included; by default 1,024, or a quarter of the model's context where
            that is less.
        temperature: 0 is greedy.
        template_options: further variables of the chat template, such as ``{"enable_thinking": False}``.

    Raises:
        ConfigError: an argument is out of its rule. What needs the model to be known is raised by the first reply.
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
        """What replies depend on beside the prompts. What is left to the model is None until it is loaded."""
        layout = None if self._loaded is None else self._loaded.layout
        return {
            "model": self.name,
            "shape": self._shape if layout is None else layout.shape,
            "dtype": self.dtype,
            "max_new_tokens": self.max_new_tokens if layout is None else layout.max_new_tokens,
            "temperature": self.temperature,
        }

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One reply, or the error that took its place, for each prompt; ``batch_size`` of them at a time.

        Raises:
            ConfigError: there is no such model, it has no room for ``max_new_tokens``, its tokenizer is another
                model's, or its chat template does not take the prompts in this shape.
            MissingExtraError: torch or transformers is not installed.
        """
        model, layout = self._load()
        return reply_in_batches(layout, prompts, self.batch_size, lambda rows: self._generate(model, layout, rows))

    # -- inside ----------------------------------------------------------------------------------------------------

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
                give="a folder in the format of transformers, or a name on the Hugging Face hub",
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
