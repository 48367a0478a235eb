"""The next token of each sample, from what a layout of the sampler computed.

Axes: R samples in the batch, B different distributions of a next token, V vocabulary, D hidden size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from retro_gym.actors.token_rows import pick
from retro_gym_agents.lm.samples import Sampling

__all__ = ["Step", "next_token", "truncated"]


class Step(NamedTuple):
    """What the model says after a token of each sample."""

    logits_BV: Tensor
    hidden_BD: Tensor | None
    of_R: Tensor | None = None
    """The row of these that each sample draws from; None if each has its own, in order."""

    @property
    def logits(self) -> Tensor:
        """The logits of each sample (R, V)."""
        return self.logits_BV if self.of_R is None else self.logits_BV[self.of_R]

    @property
    def hidden(self) -> Tensor | None:
        """The hidden states of each sample (R, D)."""
        return self.hidden_BD if self.of_R is None or self.hidden_BD is None else self.hidden_BD[self.of_R]


def next_token(step: Step, sampling: Sampling, uniform_R: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns a token for each sample and its log-probability at the temperature; greedy if ``uniform_R`` is None."""
    scaled_BV = step.logits_BV if sampling.temperature == 1 else step.logits_BV.float() / sampling.temperature
    logprobs_BV = torch.log_softmax(scaled_BV, -1, dtype=torch.float32)
    of_R = torch.arange(len(scaled_BV), device=scaled_BV.device) if step.of_R is None else step.of_R
    if uniform_R is None:
        token_R = scaled_BV.argmax(-1)[of_R]
    else:
        token_R = pick(truncated(logprobs_BV.exp(), sampling), uniform_R, step.of_R)
    return token_R, logprobs_BV[of_R, token_R]


def truncated(weights_BV: Tensor, sampling: Sampling) -> Tensor:
    """Sets the weights of unlikely tokens to 0, first by top-k and then by top-p, as ``generate`` does."""
    if sampling.top_k:
        least_B1 = weights_BV.topk(min(sampling.top_k, weights_BV.shape[-1]), -1).values[:, -1:]
        weights_BV = weights_BV.where(weights_BV >= least_B1, 0.0)
    if sampling.top_p < 1.0:
        sorted_BV, order_BV = weights_BV.sort(-1, descending=True)
        before_BV = sorted_BV.cumsum(-1) - sorted_BV  # total weight of the more likely tokens
        outside_BV = before_BV >= sampling.top_p * sorted_BV.sum(-1, keepdim=True)
        weights_BV = weights_BV.masked_fill(outside_BV.scatter(-1, order_BV, outside_BV), 0.0)
    return weights_BV
