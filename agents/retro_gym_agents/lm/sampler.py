"""Sampling: each prompt is computed once, however many samples continue it.

The K samples of a prompt share one row of the batch and the prompt's key-value cache, and those that have the same
tokens so far are computed once (:mod:`retro_gym_agents.lm.shared_rows`). An attention mask lets each sample attend to
the prompt and itself, and the positions of each start after the prompt. The cache is preallocated and grows by at most
K tokens per step, instead of being stored K times. When many samples have ended, they are removed from the batch.

A sample is determined by the weights, the prompt, the prompt's seed and the sample's number, not by the rest of the
batch or its order. (Except for rounding in matrix products, which depends on the shape of the batch: very rarely, and
more often in half precision, it changes which token is drawn.)

For models that do not support such a mask (sliding windows, positions derived from the mask), every sample is a row of
its own: ``share_prompt=False``.

Axes: see :mod:`retro_gym_agents.lm.samples`; R samples in the batch, C cached columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.attention import why_not_full_attention
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.graphed_rows import shared_rows
from retro_gym_agents.lm.kv_cache import CACHE
from retro_gym_agents.lm.next_token import Step, next_token
from retro_gym_agents.lm.samples import Draws, Sampling, each_seed
from retro_gym_agents.lm.shared_rows import last_column, read_prompts
from retro_gym_agents.lm.trying import a_few_tokens, same_numbers
from retro_gym_agents.lm.turn_cache import Resumed, SeparateRows, TurnCache

__all__ = ["Stop", "can_resume", "draw"]

Stop: TypeAlias = Callable[[int, list[int]], bool]
"""Takes a row's number and its tokens so far; returns whether the row has ended."""

_CROWDED = 0.7  # ended samples are removed when the share of running ones falls below this


@torch.no_grad()
def draw(
    model: Any,
    prompts: Prompts,
    sampling: Sampling,
    *,
    num_samples: int = 1,
    greedy: bool = False,
    seed: int | Sequence[int] = 0,
    share_prompt: bool = True,
    keep_hidden: bool = False,
    stop: Stop | None = None,
    memory: TurnCache | None = None,
) -> Draws:
    """Samples K texts for each prompt. A row ends at an end token or at a log-probability that is not finite.

    Args:
        model: a causal LM of transformers.
        prompts: P prompts.
        sampling: temperature, truncation, length limit and special tokens.
        num_samples: K.
        greedy: takes the most likely token at each step; the log-probabilities are still those at the temperature.
        seed: one for each prompt, or a single one, see :func:`~retro_gym_agents.lm.samples.each_seed`. Random numbers
            are drawn on the CPU, so that they do not depend on the model's device.
        share_prompt: see the module's docstring.
        keep_hidden: also returns the hidden states.
        stop: an additional condition that ends a row.
        memory: what was read before, which is not read again; one sample per prompt. The rows are added to it.
    """
    total, limit = len(prompts.ids_PS) * num_samples, sampling.max_new_tokens
    device = prompts.ids_PS.device
    uniform_NT = _uniform(each_seed(seed, len(prompts.ids_PS)), num_samples, limit).to(device)
    end_ids = torch.tensor(sampling.end_ids, dtype=torch.long, device=device)
    continuation: _Continuation
    if memory is not None:
        continuation = Resumed(model, prompts, limit, memory, hidden=keep_hidden)
    else:
        layout = shared_rows if share_prompt else _Plain
        continuation = layout(model, prompts, num_samples, limit, hidden=keep_hidden)
    rows_R = torch.arange(total, device=device)
    running_R = torch.ones(total, dtype=torch.bool, device=device)
    tokens_NT = torch.full((total, limit), sampling.pad_id, device=device)
    mask_NT = torch.zeros(total, limit, dtype=torch.bool, device=device)
    logprobs_NT = torch.zeros(total, limit, device=device)
    hidden_NTD: Tensor | None = None

    said = continuation.start()
    for step in range(limit):
        token_R, logprob_R = next_token(said, sampling, None if greedy else uniform_NT[rows_R, step])
        tokens_NT[rows_R, step] = token_R.where(running_R, sampling.pad_id)
        logprobs_NT[rows_R, step] = logprob_R.where(running_R, 0.0)
        mask_NT[rows_R, step] = running_R
        hidden_RD = said.hidden
        if hidden_RD is not None:
            if hidden_NTD is None:
                hidden_NTD = hidden_RD.new_zeros(total, limit, hidden_RD.shape[-1])
            hidden_NTD[rows_R, step] = hidden_RD.where(running_R[:, None], 0.0)
        running_R = running_R & ~torch.isin(token_R, end_ids) & logprob_R.isfinite()
        if stop is not None:
            running_R = _going_on(stop, rows_R, running_R, tokens_NT[rows_R, : step + 1])
        count = int(running_R.sum())
        if step + 1 == limit or not count:
            break
        if count < _CROWDED * len(running_R):
            kept_R = continuation.drop(running_R)
            rows_R, running_R, token_R = rows_R[kept_R], running_R[kept_R], token_R[kept_R]
        said = continuation.extend(token_R)
    if isinstance(continuation, Resumed):
        continuation.finish()
    width = step + 1
    return Draws(
        tokens_NT[:, :width],
        mask_NT[:, :width],
        logprobs_NT[:, :width],
        None if hidden_NTD is None else hidden_NTD[:, :width],
    )


def _going_on(stop: Stop, rows_R: Tensor, running_R: Tensor, tokens_RT: Tensor) -> Tensor:
    """Returns which of the running rows (R) are not stopped."""
    rows = zip(rows_R.tolist(), running_R.tolist(), tokens_RT.tolist(), strict=True)
    return torch.tensor([runs and not stop(row, tokens) for row, runs, tokens in rows], device=running_R.device)


def _uniform(seeds: Sequence[int], samples: int, limit: int) -> Tensor:
    """Draws numbers in [0, 1) for each sample and token (N, T), with a separate generator for each row."""
    uniform_NT = torch.empty(len(seeds) * samples, limit, dtype=torch.float64)
    generator = torch.Generator()
    for row, uniform_T in enumerate(uniform_NT):
        generator.manual_seed(derive_seed(seeds[row // samples], "sample", row % samples))
        uniform_T.uniform_(generator=generator)
    return uniform_NT


class _Continuation(Protocol):
    """The state of sampling: prompts and the rows of tokens that continue them."""

    def start(self) -> Step:
        """Evaluates the prompts; returns what predicts the first token."""
        ...

    def extend(self, token_R: Tensor) -> Step:
        """Appends a token to every row; returns what predicts the one after it."""
        ...

    def drop(self, running_R: Tensor) -> Tensor:
        """Removes ended rows, as far as the layout allows; returns the numbers of the remaining rows."""
        ...


class _Plain(SeparateRows):
    """The plain layout: a row of the batch for each sample."""

    def __init__(self, model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> None:
        self._model, self._prompts, self._samples, self._hidden = model, prompts, samples, hidden
        self._cache: Any = None

    def start(self) -> Step:
        out = read_prompts(self._model, self._prompts, None, hidden=self._hidden)
        self._cache = getattr(out, CACHE)
        self._mask = self._prompts.mask_PS.long().repeat_interleave(self._samples, 0)
        self._positions = self._prompts.lengths.repeat_interleave(self._samples)
        self._cache.batch_repeat_interleave(self._samples)
        return last_column(out, self._samples, self._hidden)

    def drop(self, running_R: Tensor) -> Tensor:
        kept_R = running_R.nonzero()[:, 0]
        self._cache.batch_select_indices(kept_R)
        self._mask, self._positions = self._mask[kept_R], self._positions[kept_R]
        return kept_R


def can_resume(model: Any) -> bool:
    """Returns whether a model gives the same log-probabilities when it goes on from what it has read before.

    Other kinds of layers are seen in the configuration, because some only matter in long texts; everything else is
    tested on a few tokens.
    """
    if why_not_full_attention(model) is not None:
        return False
    device = model.get_input_embeddings().weight.device
    some = a_few_tokens(model, 14)
    sampling = Sampling(temperature=1.0, max_new_tokens=2, end_ids=(), pad_id=0)
    memory, rows = TurnCache(), [some[:11], some[3:11]]

    def drawn(memory: TurnCache | None) -> Draws:
        prompts = Prompts.from_rows(rows, 0, device)
        return draw(model, prompts, sampling, greedy=True, share_prompt=False, memory=memory)

    try:
        said = drawn(memory).tokens_NT.tolist()
        rows = [[*row, *tokens, *some[11:]] for row, tokens in zip(rows, said, strict=True)]
        resumed = drawn(memory)
    except (RuntimeError, TypeError, ValueError, AttributeError):  # the cache or the mask is not for this model
        return False
    plain = drawn(None)
    return bool(memory.tokens_saved) and same_numbers(model, plain.logprobs_NT, resumed.logprobs_NT)
