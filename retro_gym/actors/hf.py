"""An actor in the process: any causal language model of transformers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from retro_gym.actors.base import Reply
from retro_gym.actors.loading import check_dtype, context_of, end_ids_of, load_causal_lm
from retro_gym.actors.parsing import cut_at, split_reasoning
from retro_gym.errors import ActorError, ConfigError, MissingExtraError, PromptTooLongError, did_you_mean, one_line
from retro_gym.prompts import PROMPT_SHAPES, Prompt, PromptShape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["HfActor"]

_THINK = "<think>"


class HfActor:
    """A causal LM of transformers, as a frozen actor that answers in batches.

    Decoding is greedy, or at a temperature from the whole distribution; what the model's generation config says of
    sampling, penalties and lengths is left aside, its end tokens are kept. At a temperature every prompt draws from its
    own ``seed``, so that its reply depends on no other prompt of the batch (but for rounding, as in any batch).

    A prompt becomes messages through the tokenizer's chat template, or one text where it has none. A reply ends at an
    end token, at one of the prompt's stop texts, which is cut off and counts only after the reasoning, or at
    ``max_new_tokens``. What stands between ``<think>`` tags at its head becomes ``Reply.reasoning``.

    A prompt that leaves no room for the reply is a ``PromptTooLongError`` in its place. When the GPU's memory does not
    suffice for a batch its halves are tried; a single prompt that does not fit is an ``ActorError``.

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
        max_new_tokens: of a reply, its reasoning included.
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
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        template_options: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("max_new_tokens", max_new_tokens)):
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
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        """The path or name that the model was given by, or its class."""
        return self._path if self._path is not None else type(self._model).__name__

    @property
    def parameters(self) -> dict[str, Any]:
        """What replies depend on beside the prompts. The shape may be None until the model is loaded."""
        return {
            "model": self.name,
            "shape": self._shape if self._loaded is None else self._loaded.shape,
            "dtype": self.dtype,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
        }

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One reply, or the error that took its place, for each prompt; ``batch_size`` of them at a time.

        Raises:
            ConfigError: there is no such model, it has no room for ``max_new_tokens``, or no chat template that takes
                the prompts in this shape.
            MissingExtraError: torch or transformers is not installed.
        """
        loaded = self._load()
        replies: dict[int, Reply | ActorError] = {}
        rows = []
        for index, prompt in enumerate(prompts):
            row = self._encoded(loaded, prompt)
            if loaded.room is not None and len(row.ids) > loaded.room:
                replies[index] = PromptTooLongError(
                    f"the prompt has {len(row.ids)} tokens; {self.name} has room for {loaded.room} beside a reply of "
                    f"{self.max_new_tokens}. Give a smaller max_new_tokens, fewer turns, or a model of longer context."
                )
            else:
                rows.append((index, row))
        rows.sort(key=lambda pair: -len(pair[1].ids))  # alike in length, so that little is padded
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            answers = self._fitting(loaded, [row for _, row in batch])
            replies.update(zip((index for index, _ in batch), answers, strict=True))
        return [replies[index] for index in range(len(prompts))]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _load(self) -> _Loaded:
        if self._loaded is not None:
            return self._loaded
        model, tokenizer = self._model, self._tokenizer
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
        context = context_of(model)
        if context is not None and context <= self.max_new_tokens:
            raise ConfigError(
                f"max_new_tokens is {self.max_new_tokens}, but {self.name} has a context of {context} tokens: no room "
                "is left for the prompt. Give a smaller max_new_tokens."
            )
        ends = end_ids_of(model, tokenizer)
        pad = next((token for token in (tokenizer.pad_token_id, *ends) if token is not None), 0)
        room = None if context is None else context - self.max_new_tokens
        self._loaded = _Loaded(model, tokenizer, shape, ends, pad, room)
        return self._loaded

    def _encoded(self, loaded: _Loaded, prompt: Prompt) -> _Row:
        tokenizer = loaded.tokenizer
        if loaded.shape == "completion":
            ids = list(tokenizer(prompt.text, verbose=False)["input_ids"])
            while ids and ids[-1] == tokenizer.eos_token_id:  # some tokenizers end every text, which is to go on here
                ids.pop()
            return _Row(prompt, ids or [loaded.pad], thinks=False)
        try:
            text = tokenizer.apply_chat_template(
                prompt.messages(loaded.shape), tokenize=False, add_generation_prompt=True, **self.template_options
            )
        except ImportError as error:
            raise MissingExtraError(error.name or "jinja2", "train") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "jinja2":  # what templates raise when they refuse messages
                raise
            raise ConfigError(
                f"the chat template of {self.name} refuses the messages: {one_line(str(error), 200)} "
                "Try shape='user', or 'completion'."
            ) from error
        # Templates write the special tokens themselves, BOS too.
        ids = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        return _Row(prompt, ids or [loaded.pad], thinks=text.rstrip().endswith(_THINK))

    def _fitting(self, loaded: _Loaded, rows: Sequence[_Row]) -> list[Reply | ActorError]:
        """The replies to a batch, in smaller batches where memory does not suffice."""
        import torch

        try:
            return self._generate(loaded, rows)
        except torch.OutOfMemoryError as error:
            said = one_line(str(error).partition(". ")[0], 200)
        # Only here, behind the except clause, is the error gone that kept the batch's tensors alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(rows) == 1:
            return [
                ActorError(
                    f"a prompt of {len(rows[0].ids)} tokens does not fit into the memory of the device ({said}). Use a "
                    "smaller max_new_tokens, dtype='bfloat16', or another device."
                )
            ]
        half = len(rows) // 2
        return self._fitting(loaded, rows[:half]) + self._fitting(loaded, rows[half:])

    def _generate(self, loaded: _Loaded, rows: Sequence[_Row]) -> list[Reply | ActorError]:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        width = max(len(row.ids) for row in rows)
        padding = [width - len(row.ids) for row in rows]
        ids = [[loaded.pad] * pad + row.ids for pad, row in zip(padding, rows, strict=True)]
        mask = [[0] * pad + [1] * len(row.ids) for pad, row in zip(padding, rows, strict=True)]
        config = GenerationConfig(
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=list(loaded.ends) or None,
            pad_token_id=loaded.pad,
            use_cache=True,
        )
        ends = _Ends(loaded, rows, width)
        draws = [_Draws(rows, width, self.temperature, self.max_new_tokens)] if self.temperature > 0 else []
        with _frozen(loaded.model) as model:
            device = model.get_input_embeddings().weight.device
            model.generate(
                input_ids=torch.tensor(ids, device=device),
                attention_mask=torch.tensor(mask, device=device),
                generation_config=config,
                stopping_criteria=StoppingCriteriaList([ends]),
                logits_processor=LogitsProcessorList(draws),
            )
        return ends.replies()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}  # a model that was given as an object stays, in _model

    def __repr__(self) -> str:
        return f"HfActor({self.name!r})"


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A model that is ready, and what was found out about it."""

    model: Any
    tokenizer: Any
    shape: PromptShape
    ends: tuple[int, ...]
    """Any of these tokens ends a reply."""
    pad: int
    room: int | None
    """Tokens that a prompt may have; None for no limit."""

    def text(self, tokens: Sequence[int]) -> str:
        """What the model has written, without the token that ended it."""
        kept = tokens[:-1] if tokens and tokens[-1] in self.ends else tokens
        # Without cleaning up: that would take spaces out of actions.
        return str(self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@dataclasses.dataclass(frozen=True)
class _Row:
    """A prompt on its way through the model."""

    prompt: Prompt
    ids: list[int]
    thinks: bool
    """Whether the chat template has opened the reasoning, so that only its closing tag is written."""

    def read(self, text: str) -> tuple[str, str, bool]:
        """Answer, reasoning, and whether a stop text ended the answer; a stop text ends no reasoning."""
        answer, reasoning = split_reasoning(_THINK + text if self.thinks else text)
        cut = cut_at(answer, self.prompt.stop)
        return cut, reasoning, len(cut) < len(answer)


class _Ends:
    """Watches the rows of a batch until each has ended: a stopping criterion of transformers."""

    def __init__(self, loaded: _Loaded, rows: Sequence[_Row], width: int) -> None:
        self._loaded, self._rows, self._width = loaded, rows, width
        self._tokens: list[list[int]] = [[] for _ in rows]
        self._done = [False] * len(rows)

    def __call__(self, input_ids: Tensor, scores: object, **kwargs: object) -> Tensor:
        import torch

        for number, tokens in enumerate(input_ids[:, self._width :].tolist()):
            if not self._done[number]:
                self._tokens[number] = tokens
                ended = tokens[-1] in self._loaded.ends
                self._done[number] = ended or self._rows[number].read(self._loaded.text(tokens))[2]
        return torch.tensor(self._done, device=input_ids.device)

    def replies(self) -> list[Reply | ActorError]:
        """What the rows have become."""
        replies: list[Reply | ActorError] = []
        for row, tokens in zip(self._rows, self._tokens, strict=True):
            answer, reasoning, _ = row.read(self._loaded.text(tokens))
            replies.append(Reply(answer.strip(), len(row.ids), len(tokens), reasoning))
        return replies


class _Draws:
    """Draws each row's token from the row's own numbers: a logits processor of transformers.

    The token that was drawn is the only one that it leaves to choose, so that decoding can stay greedy.
    """

    def __init__(self, rows: Sequence[_Row], width: int, temperature: float, limit: int) -> None:
        self._uniform_BT = np.stack([np.random.default_rng(row.prompt.seed).random(limit) for row in rows])
        self._width, self._temperature = width, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        import torch

        device = torch.device("cpu") if scores.device.type == "mps" else scores.device  # which has no float64
        logprobs_BV = torch.log_softmax(scores.to(device).double() / self._temperature, -1)
        cumulative_BV = logprobs_BV.exp().cumsum(-1)
        uniform_B = torch.from_numpy(self._uniform_BT[:, input_ids.shape[1] - self._width].copy()).to(device)
        threshold_B1 = uniform_B[:, None] * cumulative_BV[:, -1:]
        token_B1 = torch.searchsorted(cumulative_BV, threshold_B1, right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(-1, token_B1.to(scores.device), 0.0)


@contextlib.contextmanager
def _frozen(model: Any) -> Iterator[Any]:
    """The bare model: adapter off, no dropout, a generation config that says nothing; afterwards all is as it was."""
    from transformers import GenerationConfig

    base = model.get_base_model() if hasattr(model, "disable_adapter") else model
    config, training = base.generation_config, model.training
    gradients = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        base.generation_config = GenerationConfig()  # its defaults would be filled in where ours are silent
        model.eval()
        with model.disable_adapter() if base is not model else contextlib.nullcontext():
            yield base
    finally:
        base.generation_config = config
        model.train(training)
        for weight, wanted in gradients:  # peft switches them on with the adapter, whatever they were before
            if weight.requires_grad != wanted:
                weight.requires_grad_(wanted)
