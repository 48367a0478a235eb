"""What :class:`~retro_gym.actors.hf.HfActor` decodes with: rows of a batch, where they end, and how they are drawn."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retro_gym.actors.base import Reply
from retro_gym.actors.parsing import cut_at, split_reasoning
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt, PromptShape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Draws", "Ends", "Finite", "Loaded", "Row", "frozen", "opened_reasoning", "reasoning_tags"]

_LAST_TAG = re.compile(r"([<\[][^<>\[\]\s]+[>\]])\s*\Z")


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A model that is ready, and what was found out about it."""

    model: Any
    tokenizer: Any
    shape: PromptShape
    ends: tuple[int, ...]
    """Any of these tokens ends a reply."""
    pad: int
    vocabulary: int
    """How many ids the model can read."""
    max_new_tokens: int
    room: int | None
    """Tokens that a prompt may have; None for no limit."""
    tags: Mapping[int, str]
    """The special tokens around the reasoning, which are written out where others are left out."""

    def text(self, tokens: Sequence[int]) -> str:
        """What the model has written, without the token that ended it."""
        kept = list(tokens[:-1] if tokens and tokens[-1] in self.ends else tokens)
        written, start = "", 0
        for at, token in enumerate(kept) if self.tags else ():
            if token in self.tags:
                written += self._decoded(kept[start:at]) + self.tags[token]
                start = at + 1
        return written + self._decoded(kept[start:])

    def _decoded(self, tokens: list[int]) -> str:
        # Without cleaning up: that would take spaces out of actions.
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@dataclasses.dataclass(frozen=True)
class Row:
    """A prompt on its way through the model."""

    prompt: Prompt
    ids: list[int]
    opened: str = ""
    """The tag by which the chat template has opened the reasoning, so that only the closing one is written."""

    def read(self, text: str) -> tuple[str, str, bool]:
        """Answer, reasoning, and whether a stop text ended the answer; a stop text ends no reasoning."""
        answer, reasoning = split_reasoning(self.opened + text)
        cut = cut_at(answer, self.prompt.stop)
        return cut, reasoning, len(cut) < len(answer)


def opened_reasoning(prompt: str) -> str:
    r"""The tag at a prompt's end by which it opens the reasoning, or an empty text.

    >>> opened_reasoning("<|assistant|><think>\n"), opened_reasoning("<|assistant|><think></think>")
    ('<think>', '')
    """
    found = _LAST_TAG.search(prompt)
    return found.group(1) if found and _opens(found.group(1)) else ""


def reasoning_tags(tokenizer: Any) -> dict[int, str]:
    """The special tokens of a tokenizer that open or close the reasoning."""
    added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
    special = {token: str(tag) for token, tag in added.items() if tag.special}
    return {token: tag for token, tag in special.items() if _opens(tag) or split_reasoning(f"a{tag}b") == ("b", "a")}


def _opens(tag: str) -> bool:
    return split_reasoning(f"{tag}a") == ("", "a")


class Ends:
    """Watches the rows of a batch until each has ended: a stopping criterion of transformers.

    Args:
        loaded: the model.
        rows: the batch.
        width: columns of its prompts.
        finite: what has looked at the logits that each token was chosen from.
    """

    def __init__(self, loaded: Loaded, rows: Sequence[Row], width: int, finite: Finite) -> None:
        self._loaded, self._rows, self._width, self._finite = loaded, rows, width, finite
        self._tokens: list[list[int]] = [[] for _ in rows]
        self._ended = [False] * len(rows)
        self._broken = [False] * len(rows)

    def __call__(self, input_ids: Tensor, scores: object, **kwargs: object) -> Tensor:
        """Which rows (B) have ended."""
        import torch

        for number, tokens in enumerate(input_ids[:, self._width :].tolist()):
            if self._ended[number] or self._broken[number]:
                continue
            if not self._finite.rows[number]:
                self._broken[number] = True
                continue
            self._tokens[number] = tokens
            ended = tokens[-1] in self._loaded.ends
            self._ended[number] = ended or self._rows[number].read(self._loaded.text(tokens))[2]
        done = [ended or broken for ended, broken in zip(self._ended, self._broken, strict=True)]
        return torch.tensor(done, device=input_ids.device)

    def replies(self) -> list[Reply | ActorError]:
        """What the rows have become."""
        return [self._reply(number) for number in range(len(self._rows))]

    def _reply(self, number: int) -> Reply | ActorError:
        row, tokens = self._rows[number], self._tokens[number]
        if self._broken[number]:
            return ActorError(
                f"the model has computed no usable logits (NaN or infinite) behind a prompt of {len(row.ids)} tokens "
                f"and {len(tokens)} of the reply. float16 overflows in many models: give dtype='bfloat16' or "
                "'float32'. If that does not help, load the model with attn_implementation='eager' and hand it over, "
                "or see whether its weights are whole."
            )
        answer, reasoning, _ = row.read(self._loaded.text(tokens))
        ended = self._ended[number]
        text = answer.strip() if ended else answer.lstrip()  # a line break says that a cut reply's last line is whole
        return Reply(text, len(row.ids), len(tokens), reasoning, cut=not ended)


class Finite:
    """Looks which rows have logits that a token can be chosen from: a logits processor of transformers.

    A row with NaN, with +inf, or with -inf alone has none; -inf at some tokens is how models rule them out.
    """

    def __init__(self) -> None:
        self.rows: list[bool] = []
        """For each row, of the step that was taken last."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The logits (B, V), as they are."""
        self.rows = scores.amax(-1).isfinite().tolist()
        return scores


class Draws:
    """Draws each row's token from the row's own numbers: a logits processor of transformers.

    The token that was drawn is the only one that it leaves to choose, so that decoding can stay greedy.

    Args:
        rows: the batch.
        width: columns of its prompts.
        temperature: above 0.
        limit: the most tokens that are drawn for a row.
    """

    def __init__(self, rows: Sequence[Row], width: int, temperature: float, limit: int) -> None:
        self._uniform_BT = np.stack([np.random.default_rng(row.prompt.seed).random(limit) for row in rows])
        self._width, self._temperature = width, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits (B, V) that are 0 at the token drawn and -inf elsewhere."""
        import torch

        device = torch.device("cpu") if scores.device.type == "mps" else scores.device  # which has no float64
        logits_BV = scores.to(device).double()
        # Measured from the highest, so that no temperature is too low to divide by.
        logprobs_BV = torch.log_softmax((logits_BV - logits_BV.amax(-1, keepdim=True)) / self._temperature, -1)
        cumulative_BV = logprobs_BV.exp().cumsum(-1)
        uniform_B = torch.from_numpy(self._uniform_BT[:, input_ids.shape[1] - self._width].copy()).to(device)
        threshold_B1 = uniform_B[:, None] * cumulative_BV[:, -1:]
        token_B1 = torch.searchsorted(cumulative_BV, threshold_B1, right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(-1, token_B1.to(scores.device), 0.0)


@contextlib.contextmanager
def frozen(model: Any) -> Iterator[Any]:
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
