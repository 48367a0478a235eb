"""Reads observations of token views: predictions of the next token by a model whose weights are in training.

Axes: B rows, W columns of an observation, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retro_gym.errors import ConfigError, DivergedError, one_line
from retro_gym_agents.lm.finite import REMEDY
from retro_gym_agents.lm.prefixes import CausalModel, IncrementalReader, NextToken, Row, read_plain, read_shared

__all__ = ["Observation", "TokenReader", "next_logprobs", "rows_of"]

Observation: TypeAlias = Any
"""Observations of a token view: an array or tensor of ids (…, W) with −1 as padding, or a mapping of ``ids`` and
``mask``. Libraries may have made floats of them."""

_MAX_READERS = 3  # one for each number of rows: training, evaluation, single observations


def rows_of(observation: Observation) -> tuple[list[Row], tuple[int, ...], int]:
    """Returns the tokens of each observation, without padding, the axes before W, and W.

    A row of padding only, with which some libraries fill batches or try out a network, is read as one token 0.

    Raises:
        ConfigError: it is no observation of a token view.
    """
    try:
        if isinstance(observation, Tensor | np.ndarray):
            ids = _whole(observation)
            mask = ids >= 0
        else:
            ids, mask = _whole(observation["ids"]), _whole(observation["mask"]) > 0
    except (TypeError, KeyError, IndexError) as error:
        raise ConfigError(
            f"an observation of a token view is ids, or ids and mask; received {one_line(observation)}."
        ) from error
    ids_BW, mask_BW = ids.reshape(-1, ids.shape[-1]), mask.reshape(-1, ids.shape[-1])
    rows = [ids_W[mask_W] for ids_W, mask_W in zip(ids_BW, mask_BW, strict=True)]
    return [row if len(row) else np.zeros(1, np.int64) for row in rows], ids.shape[:-1], ids.shape[-1]


def _whole(values: Any) -> NDArray[np.int64]:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values).astype(np.int64)


def next_logprobs(next_token: NextToken, temperature: float, num_tokens: int) -> Tensor:
    """Returns the log-probabilities (B, V) of the first ``num_tokens`` tokens at a temperature, float32.

    Raises:
        DivergedError: they are not numbers.
    """
    logprobs_BV = torch.log_softmax(next_token.logits_BV[..., :num_tokens].float() / temperature, -1)
    if logprobs_BV.detach()[:, 0].isnan().any():  # one NaN logit makes the whole row NaN
        raise DivergedError(f"the policy's log-probabilities are not numbers, so no token is chosen. {REMEDY}")
    return logprobs_BV


class TokenReader:
    """Predicts the token after each row, in the cheapest way that gives the same result.

    Without gradients, keys and values are kept between calls, so that a row that has grown by one token costs one
    token. They are dropped when the weights change. With gradients, and for many rows, rows that are prefixes of others
    are read as part of them: the observations of a rollout cost one pass over its longest rows.

    Args:
        model: the causal LM.
        weights: what is trained.
        width: length of the longest row.
        most_rows: batches of more rows are read without a cache, whose memory grows with rows times width.
        incremental: False reads every row from its first token, which gives the same results.
    """

    def __init__(
        self, model: CausalModel, weights: Iterable[Tensor], width: int, *, most_rows: int, incremental: bool = True
    ) -> None:
        self.model = model
        self._weights = list(weights)
        self.width = width
        self._most_rows = most_rows
        self._incremental = incremental
        self._readers: dict[int, IncrementalReader] = {}
        self._known: tuple[float, ...] = ()

    def clear(self) -> None:
        """Drops what is kept between calls."""
        self._readers.clear()

    def read(self, rows: Sequence[Row]) -> NextToken:
        """Returns the prediction for each row; differentiable where gradients are enabled."""
        if torch.is_grad_enabled() or not self._incremental or len(rows) > self._most_rows:
            return self.reread(rows)
        known = self._fingerprint()
        if known != self._known:
            self._readers.clear()
            self._known = known
        reader = self._readers.pop(len(rows), None) or IncrementalReader(self.model, len(rows), self.width)
        self._readers[len(rows)] = reader
        if len(self._readers) > _MAX_READERS:
            del self._readers[next(iter(self._readers))]
        return reader.read(rows)

    def reread(self, rows: Sequence[Row]) -> NextToken:
        """The same without a cache."""
        return read_shared(self.model, rows) if self._incremental else read_plain(self.model, rows)

    def _fingerprint(self) -> tuple[float, ...]:
        """Tells weights apart: optimisers count a tensor's version up, ``tensor.data.copy_`` does not."""
        norm = torch.nn.utils.get_total_norm(weight.detach() for weight in self._weights)
        return (float(norm), *(weight._version for weight in self._weights))
