"""An actor in the process: any causal language model of transformers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from retro_gym.actors.base import Reply
from retro_gym.actors.hf_decoding import Draws, Ends, Finite, Loaded, Row, frozen, opened_reasoning, reasoning_tags
from retro_gym.actors.loading import check_dtype, context_of, end_ids_of, load_causal_lm
from retro_gym.chat import render_chat
from retro_gym.errors import ActorError, ConfigError, PromptTooLongError, RetroGymError, did_you_mean, one_line
from retro_gym.prompts import PROMPT_SHAPES, Prompt, PromptShape

__all__ = ["HfActor"]

_MAX_NEW_TOKENS = 1024  # enough for the reasoning of a turn
# torch has a class of its own for the memory of CUDA alone. "Illegal memory access" is another matter.
_NO_MEMORY = re.compile(r"out of memory|allocate memory|not enough memory|alloc_failed", re.IGNORECASE)


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
        if shape is not None and shape not in PROMPT_SHAPES:
            raise ConfigError(f"shape {shape!r} is not one of {PROMPT_SHAPES}.{did_you_mean(shape, PROMPT_SHAPES)}")
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
        self._loaded: Loaded | None = None

    @property
    def name(self) -> str:
        """The path or name that the model was given by, or its class."""
        return self._path if self._path is not None else type(self._model).__name__

    @property
    def parameters(self) -> dict[str, Any]:
        """What replies depend on beside the prompts. What is left to the model is None until it is loaded."""
        loaded = self._loaded
        return {
            "model": self.name,
            "shape": self._shape if loaded is None else loaded.shape,
            "dtype": self.dtype,
            "max_new_tokens": self.max_new_tokens if loaded is None else loaded.max_new_tokens,
            "temperature": self.temperature,
        }

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One reply, or the error that took its place, for each prompt; ``batch_size`` of them at a time.

        Raises:
            ConfigError: there is no such model, it has no room for ``max_new_tokens``, its tokenizer is another
                model's, or its chat template does not take the prompts in this shape.
            MissingExtraError: torch or transformers is not installed.
        """
        loaded = self._load()
        replies: dict[int, Reply | ActorError] = {}
        rows = []
        for index, prompt in enumerate(prompts):
            try:
                rows.append((index, self._encoded(loaded, prompt)))
            except ActorError as error:
                replies[index] = error
        rows.sort(key=lambda pair: -len(pair[1].ids))  # alike in length, so that little is padded
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            answers = self._fitting(loaded, [row for _, row in batch])
            replies.update(zip((index for index, _ in batch), answers, strict=True))
        return [replies[index] for index in range(len(prompts))]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _load(self) -> Loaded:
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
        shape = self._shape or ("chat" if tokenizer.chat_template else "completion")
        if shape != "completion" and not tokenizer.chat_template:
            raise ConfigError(
                f"shape is {shape!r}, but the tokenizer of {self.name} has no chat template. Use 'completion'."
            )
        if getattr(model.config, "is_encoder_decoder", False):
            raise ConfigError(f"{self.name} is {type(model).__name__}, an encoder with a decoder. Give a causal LM.")
        context = context_of(model)
        limit = self.max_new_tokens
        if limit is None:
            limit = _MAX_NEW_TOKENS if context is None else max(1, min(_MAX_NEW_TOKENS, context // 4))
        if context is not None and context <= limit:
            raise ConfigError(
                f"max_new_tokens is {limit}, but {self.name} has a context of {context} tokens: no room "
                "is left for the prompt. Give a smaller max_new_tokens."
            )
        ends = end_ids_of(model, tokenizer)
        vocabulary = model.get_input_embeddings().weight.shape[0]
        pads = (token for token in (tokenizer.pad_token_id, *ends) if token is not None)
        self._loaded = Loaded(
            model,
            tokenizer,
            shape,
            ends,
            pad=next((token for token in pads if token < vocabulary), 0),  # several tokenizers add one of their own
            vocabulary=vocabulary,
            max_new_tokens=limit,
            room=None if context is None else context - limit,
            tags=reasoning_tags(tokenizer),
        )
        return self._loaded

    def _encoded(self, loaded: Loaded, prompt: Prompt) -> Row:
        tokenizer, chat = loaded.tokenizer, loaded.shape != "completion"
        text = prompt.text
        if chat:
            text = render_chat(
                tokenizer,
                prompt.messages(loaded.shape),
                model=self.name,
                remedy="Try shape='user', or 'completion'.",
                options=self.template_options,
            )
        try:
            # Templates write the special tokens themselves, BOS too.
            ids = list(tokenizer(text, add_special_tokens=not chat, verbose=False)["input_ids"])
        except Exception as error:  # half of a surrogate pair, or a character that it has no token for
            raise ActorError(
                f"the tokenizer of {self.name} cannot read the prompt: {one_line(str(error), 200)}. See which "
                "characters the task environment's observations hold."
            ) from error
        while not chat and ids and ids[-1] == tokenizer.eos_token_id:  # some end every text, which is to go on here
            ids.pop()
        if max(ids, default=0) >= loaded.vocabulary:
            raise ConfigError(
                f"the tokenizer of {self.name} gives the id {max(ids)}, but the model has embeddings for "
                f"{loaded.vocabulary} tokens. Give the tokenizer that belongs to the model."
            )
        if loaded.room is not None and len(ids) > loaded.room:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens; {self.name} has room for {loaded.room} beside a reply of "
                f"{loaded.max_new_tokens}. Give a smaller max_new_tokens, fewer turns, or a model of longer context."
            )
        return Row(prompt, ids or [loaded.pad], opened_reasoning(text) if chat else "")

    def _fitting(self, loaded: Loaded, rows: Sequence[Row]) -> list[Reply | ActorError]:
        """The replies to a batch, in smaller batches where the model fails on it."""
        import torch

        try:
            replies = self._generate(loaded, rows)
        except RetroGymError:
            raise
        except Exception as error:  # a model is a program of others: it may fail in any way
            memory = isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None
            failed = _failed(error, rows[0], memory=memory)
        else:
            # Padding is a usual cause of NaN, so a row that was broken beside others gets a chance of its own.
            return [
                self._fitting(loaded, [row])[0] if isinstance(reply, ActorError) and len(rows) > 1 else reply
                for row, reply in zip(rows, replies, strict=True)
            ]
        # Only here, behind the except clause, is the error gone that kept the batch's tensors alive.
        if memory and torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(rows) == 1:
            return [failed]
        half = len(rows) // 2
        return self._fitting(loaded, rows[:half]) + self._fitting(loaded, rows[half:])

    def _generate(self, loaded: Loaded, rows: Sequence[Row]) -> list[Reply | ActorError]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        width = max(len(row.ids) for row in rows)
        padding = [width - len(row.ids) for row in rows]
        ids = [[loaded.pad] * pad + row.ids for pad, row in zip(padding, rows, strict=True)]
        mask = [[0] * pad + [1] * len(row.ids) for pad, row in zip(padding, rows, strict=True)]
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=loaded.max_new_tokens,
            eos_token_id=list(loaded.ends) or None,
            pad_token_id=loaded.pad,
            use_cache=True,
        )
        finite = Finite()
        ends = Ends(loaded, rows, width, finite)
        draws = [Draws(rows, width, self.temperature, loaded.max_new_tokens)] if self.temperature > 0 else []
        with frozen(loaded.model) as model:
            device = model.get_input_embeddings().weight.device
            model.generate(
                input_ids=torch.tensor(ids, device=device),
                attention_mask=torch.tensor(mask, device=device),
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


def _failed(error: Exception, row: Row, *, memory: bool) -> ActorError:
    """What stands for the reply to a prompt that the model has failed on."""
    said = one_line(str(error).partition(". ")[0], 200)
    if memory:
        return ActorError(
            f"a prompt of {len(row.ids)} tokens does not fit into the memory of the device ({said}). Use a "
            "smaller max_new_tokens, dtype='bfloat16', or another device."
        )
    return ActorError(
        f"the model failed on a prompt of {len(row.ids)} tokens: {type(error).__name__} ({said}). See that model, "
        "tokenizer and the versions of torch and transformers belong together. After an error of CUDA only a new "
        "process can use the device again; device='cpu' says more of the cause."
    )
