"""Decoding for :class:`~retro_gym.actors.hf.HfActor`: stopping criterion, sampling, and checks of logits."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retro_gym.actors.base import Reply
from retro_gym.actors.hf_batches import no_usable_logits
from retro_gym.actors.hf_prompts import PromptLayout, Row
from retro_gym.actors.token_rows import pick
from retro_gym.errors import ActorError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Draws", "Ends", "Finite", "bare_base"]


class Ends:
    """Tracks which rows of a batch have ended: a stopping criterion of transformers.

    Args:
        layout: layout of the model's prompts.
        rows: the batch.
        width: number of prompt columns.
        finite: checks the logits that each token was chosen from.
    """

    def __init__(self, layout: PromptLayout, rows: Sequence[Row], width: int, finite: Finite) -> None:
        self._layout, self._rows, self._width, self._finite = layout, rows, width, finite
        self._tokens: list[list[int]] = [[] for _ in rows]
        self._ended = [False] * len(rows)
        self._broken = [False] * len(rows)

    def __call__(self, input_ids: Tensor, scores: object, **kwargs: object) -> Tensor:
        """Returns which rows (B) have ended."""
        import torch

        for number, tokens in enumerate(input_ids[:, self._width :].tolist()):
            if self._ended[number] or self._broken[number]:
                continue
            if not self._finite.rows[number]:
                self._broken[number] = True
                continue
            self._tokens[number] = tokens
            self._ended[number] = self._layout.has_ended(self._rows[number], tokens)
        done = [ended or broken for ended, broken in zip(self._ended, self._broken, strict=True)]
        return torch.tensor(done, device=input_ids.device)

    def replies(self) -> list[Reply | ActorError]:
        """Returns a reply or an error for each row."""
        return [self._reply(number) for number in range(len(self._rows))]

    def _reply(self, number: int) -> Reply | ActorError:
        row, tokens = self._rows[number], self._tokens[number]
        if self._broken[number]:
            return no_usable_logits(len(row.ids), len(tokens))
        return self._layout.reply(row, tokens, ended=self._ended[number])


class Finite:
    """Checks which rows have usable logits: a logits processor of transformers.

    Rows with NaN, with +inf, or with only -inf are unusable; -inf for some tokens is how models exclude them.
    """

    def __init__(self) -> None:
        self.rows: list[bool] = []
        """Whether each row's logits were usable in the last step."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Returns the logits (B, V) unchanged."""
        self.rows = scores.amax(-1).isfinite().tolist()
        return scores


class Draws:
    """Samples each row's token with the row's own random numbers: a logits processor of transformers.

    It excludes all other tokens, so that greedy decoding chooses the sampled one.

    Args:
        rows: the batch.
        width: number of prompt columns.
        temperature: sampling temperature, above 0.
        limit: maximum number of tokens drawn for a row.
    """

    def __init__(self, rows: Sequence[Row], width: int, temperature: float, limit: int) -> None:
        self._uniform_BT = np.stack([np.random.default_rng(row.prompt.seed).random(limit) for row in rows])
        self._width, self._temperature = width, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Returns logits (B, V) that are 0 at the sampled token and -inf elsewhere."""
        import torch

        device = torch.device("cpu") if scores.device.type == "mps" else scores.device  # mps has no float64
        logits_BV = scores.to(device).double()
        # Subtracting the maximum first avoids overflow at very low temperatures.
        logprobs_BV = torch.log_softmax((logits_BV - logits_BV.amax(-1, keepdim=True)) / self._temperature, -1)
        uniform_B = torch.from_numpy(self._uniform_BT[:, input_ids.shape[1] - self._width].copy()).to(device)
        token_B1 = pick(logprobs_BV.exp(), uniform_B)[:, None]
        return torch.full_like(scores, -torch.inf).scatter_(-1, token_B1.to(scores.device), 0.0)


@contextlib.contextmanager
def bare_base(model: Any) -> Iterator[Any]:
    """Yields the base model without adapter, dropout and generation config; restores all settings afterwards."""
    from transformers import GenerationConfig

    base = model.get_base_model() if hasattr(model, "disable_adapter") else model
    config, training = base.generation_config, model.training
    gradients = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        base.generation_config = GenerationConfig()  # otherwise its values would fill in those that we do not set
        model.eval()
        with model.disable_adapter() if base is not model else contextlib.nullcontext():
            yield base
    finally:
        base.generation_config = config
        model.train(training)
        for weight, wanted in gradients:  # peft enables gradients with the adapter, whatever they were before
            if weight.requires_grad != wanted:
                weight.requires_grad_(wanted)
