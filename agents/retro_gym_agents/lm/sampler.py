"""Sampling: a prompt is read once, however many samples continue it.

The K samples of one prompt stand side by side in one row of the batch, behind the prompt's key-value cache. An
attention mask lets each see the prompt and itself, and positions start after the prompt for each of them. The cache has
room for all that will come from the start, and grows by K tokens a step instead of being held K times. When many
samples have ended, they leave the batch.

A sample follows from the weights, the prompt, the prompt's seed and the sample's number: not from what else stands in
the batch, nor from its order. (Up to the rounding of matrix products, which differs with the batch's shape: once in a
great many tokens, and more often in half precision, a number falls between two such roundings.)

Models that cannot take such a mask (sliding windows, positions derived from the mask) are run plainly, one row for
each sample: ``share_prompt=False``.

Axes: see :mod:`retro_gym_agents.lm.samples`; V vocabulary, R the samples that still run, C cached columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from retro_gym.actors.token_rows import pick
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.attention import additive_mask, attention_dtype
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.samples import Draws, Sampling, each_seed

__all__ = ["Stop", "draw", "read_prompts"]

Stop: TypeAlias = Callable[[int, list[int]], bool]
"""From a row's number and its tokens up to now to whether the row has ended."""

_CROWDED = 0.7  # the share of running samples below which the others are worth removing


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
) -> Draws:
    """Samples K texts for each prompt. A row ends at an end token, and where its log-probability is not finite.

    Args:
        model: a causal LM of transformers.
        prompts: P of them.
        sampling: temperature, truncation, length limit and special tokens.
        num_samples: K.
        greedy: the likeliest token each time; the log-probabilities are still those under the temperature.
        seed: one for each prompt, or one that they follow from, see :func:`~retro_gym_agents.lm.samples.each_seed`.
            Numbers are drawn on the CPU, so that they are the same whatever device the model is on.
        share_prompt: see the module's docstring.
        keep_hidden: whether the hidden states are returned as well.
        stop: tells whether a row ends for another reason.
    """
    total, limit = len(prompts.ids_PS) * num_samples, sampling.max_new_tokens
    device = prompts.ids_PS.device
    uniform_NT = _uniform(each_seed(seed, len(prompts.ids_PS)), num_samples, limit).to(device)
    end_ids = torch.tensor(sampling.end_ids, dtype=torch.long, device=device)
    kind = _Shared if share_prompt else _Plain
    continuation: _Continuation = kind(model, prompts, num_samples, limit, hidden=keep_hidden)
    rows_R = torch.arange(total, device=device)
    running_R = torch.ones(total, dtype=torch.bool, device=device)
    tokens_NT = torch.full((total, limit), sampling.pad_id, device=device)
    mask_NT = torch.zeros(total, limit, dtype=torch.bool, device=device)
    logprobs_NT = torch.zeros(total, limit, device=device)
    hidden_NTD: Tensor | None = None

    logits_RV, hidden_RD = continuation.start()
    for step in range(limit):
        token_R, logprob_R = _next(logits_RV, sampling, None if greedy else uniform_NT[rows_R, step])
        tokens_NT[rows_R, step] = token_R.where(running_R, sampling.pad_id)
        logprobs_NT[rows_R, step] = logprob_R.where(running_R, 0.0)
        mask_NT[rows_R, step] = running_R
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
        logits_RV, hidden_RD = continuation.extend(token_R)
    width = step + 1
    return Draws(
        tokens_NT[:, :width],
        mask_NT[:, :width],
        logprobs_NT[:, :width],
        None if hidden_NTD is None else hidden_NTD[:, :width],
    )


def _going_on(stop: Stop, rows_R: Tensor, running_R: Tensor, tokens_RT: Tensor) -> Tensor:
    """Which of the running rows (R) are not stopped."""
    rows = zip(rows_R.tolist(), running_R.tolist(), tokens_RT.tolist(), strict=True)
    return torch.tensor([runs and not stop(row, tokens) for row, runs, tokens in rows], device=running_R.device)


def _uniform(seeds: Sequence[int], samples: int, limit: int) -> Tensor:
    """Numbers in [0, 1) for each sample and token (N, T); a row is drawn by a generator of its own."""
    uniform_NT = torch.empty(len(seeds) * samples, limit, dtype=torch.float64)
    generator = torch.Generator()
    for row, uniform_T in enumerate(uniform_NT):
        generator.manual_seed(derive_seed(seeds[row // samples], "sample", row % samples))
        uniform_T.uniform_(generator=generator)
    return uniform_NT


def _next(logits_RV: Tensor, sampling: Sampling, uniform_R: Tensor | None) -> tuple[Tensor, Tensor]:
    """One token for each row and its log-probability under the temperature; the likeliest one without numbers."""
    scaled_RV = logits_RV.float() / sampling.temperature
    norm_R1 = scaled_RV.logsumexp(-1, keepdim=True)
    if uniform_R is None:
        token_R = scaled_RV.argmax(-1)
    else:
        weights_RV = torch.exp(scaled_RV - norm_R1)
        token_R = pick(_truncated(weights_RV, sampling), uniform_R)
    return token_R, (scaled_RV.gather(-1, token_R[:, None]) - norm_R1)[:, 0]


def _truncated(weights_RV: Tensor, sampling: Sampling) -> Tensor:
    """The weights with those of unlikely tokens at 0, by top-k first and then top-p, as ``generate`` does it."""
    if sampling.top_k:
        least_R1 = weights_RV.topk(min(sampling.top_k, weights_RV.shape[-1]), -1).values[:, -1:]
        weights_RV = weights_RV.where(weights_RV >= least_R1, 0.0)
    if sampling.top_p < 1.0:
        sorted_RV, order_RV = weights_RV.sort(-1, descending=True)
        before_RV = sorted_RV.cumsum(-1) - sorted_RV  # what likelier tokens have together
        outside_RV = before_RV >= sampling.top_p * sorted_RV.sum(-1, keepdim=True)
        weights_RV = weights_RV.masked_fill(outside_RV.scatter(-1, order_RV, outside_RV), 0.0)
    return weights_RV


class _Continuation(Protocol):
    """Prompts that a model has read, and rows of tokens behind each of them."""

    def start(self) -> tuple[Tensor, Tensor | None]:
        """Reads the prompts; returns logits (R, V) and hidden states (R, D) of the first token's prediction."""
        ...

    def extend(self, token_R: Tensor) -> tuple[Tensor, Tensor | None]:
        """Appends a token to every row; returns logits (R, V) and hidden states (R, D) after it."""
        ...

    def drop(self, running_R: Tensor) -> Tensor:
        """Removes rows that have ended, as far as the layout allows; returns the numbers of those that are left."""
        ...


class _Plain:
    """A row of the batch for each sample."""

    def __init__(self, model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> None:
        self._model, self._prompts, self._samples, self._hidden = model, prompts, samples, hidden
        self._cache: Any = None

    def start(self) -> tuple[Tensor, Tensor | None]:
        out = read_prompts(self._model, self._prompts, None, hidden=self._hidden)
        self._cache = out.past_key_values
        self._mask = self._prompts.mask_PS.long().repeat_interleave(self._samples, 0)
        self._positions = self._prompts.lengths.repeat_interleave(self._samples)
        self._cache.batch_repeat_interleave(self._samples)
        return _last(out, self._samples, self._hidden)

    def extend(self, token_R: Tensor) -> tuple[Tensor, Tensor | None]:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], -1)
        out = self._model(
            input_ids=token_R[:, None],
            attention_mask=self._mask,
            position_ids=self._positions[:, None],
            past_key_values=self._cache,
            use_cache=True,
            output_hidden_states=self._hidden,
        )
        self._positions = self._positions + 1
        return _last(out, 1, self._hidden)

    def drop(self, running_R: Tensor) -> Tensor:
        kept_R = running_R.nonzero()[:, 0]
        self._cache.batch_select_indices(kept_R)
        self._mask, self._positions = self._mask[kept_R], self._positions[kept_R]
        return kept_R


class _Shared:
    """A row of the batch for each prompt; its samples stand side by side behind it."""

    def __init__(self, model: Any, prompts: Prompts, samples: int, limit: int, *, hidden: bool) -> None:
        self._model, self._prompts, self._samples, self._hidden = model, prompts, samples, hidden
        self._limit = limit  # of tokens in a sample
        self._steps = 0
        self._positions = prompts.lengths
        self._mask_P1KC = self._whole_mask()

    def start(self) -> tuple[Tensor, Tensor | None]:
        from retro_gym_agents.lm.kv_cache import roomy_cache

        self._cache = roomy_cache(self._model, (self._limit - 1) * self._samples)
        out = read_prompts(self._model, self._prompts, self._cache, hidden=self._hidden)
        return _last(out, self._samples, self._hidden)

    def extend(self, token_R: Tensor) -> tuple[Tensor, Tensor | None]:
        prompts, width = self._prompts.ids_PS.shape
        self._steps += 1
        out = self._model(
            input_ids=token_R.view(prompts, self._samples),
            attention_mask=self._mask_P1KC[..., : width + self._steps * self._samples],
            position_ids=(self._positions + self._steps - 1)[:, None].expand(-1, self._samples),
            past_key_values=self._cache,
            use_cache=True,
            output_hidden_states=self._hidden,
        )
        logits_RV = out.logits.reshape(len(token_R), -1)
        return logits_RV, out.hidden_states[-1].reshape(len(token_R), -1) if self._hidden else None

    def drop(self, running_R: Tensor) -> Tensor:
        """Keeps the prompts with a running sample, and of each as many samples as the one with most has left."""
        running_PK = running_R.view(-1, self._samples)
        kept_P = running_PK.any(-1).nonzero()[:, 0]
        samples = int(running_PK.sum(-1).max())
        order_PK = running_PK[kept_P].int().argsort(dim=-1, descending=True, stable=True)[:, :samples]
        kept_PK, _ = order_PK.sort(-1)
        rows_R = (kept_P[:, None] * self._samples + kept_PK).flatten()
        width = self._prompts.ids_PS.shape[1]
        steps_T1 = torch.arange(self._steps, device=running_R.device)[:, None]
        own_PC = width + (steps_T1 * self._samples + kept_PK[:, None]).flatten(1)
        prompt_PS = torch.arange(width, device=running_R.device).expand(len(kept_P), -1)
        columns_PC = torch.cat([prompt_PS, own_PC], -1)
        for layer in self._cache.layers:
            layer.keep(kept_P, columns_PC, (self._limit - 1 - self._steps) * samples)
        self._prompts = Prompts(self._prompts.ids_PS[kept_P], self._prompts.mask_PS[kept_P])
        self._positions, self._samples = self._positions[kept_P], samples
        self._mask_P1KC = self._whole_mask()
        return rows_R

    def _whole_mask(self) -> Tensor:
        """What each sample sees of the prompt and of all columns that are to come: additive."""
        sees_P1S = self._prompts.mask_PS[:, None].expand(-1, self._samples, -1)
        own_KK = torch.eye(self._samples, dtype=torch.bool, device=sees_P1S.device).repeat(1, self._limit)
        sees_PKC = torch.cat([sees_P1S, own_KK.expand(len(sees_P1S), -1, -1)], -1)
        return additive_mask(sees_PKC, attention_dtype(self._model))


def read_prompts(model: Any, prompts: Prompts, cache: Any, *, hidden: bool) -> Any:
    """A forward pass over the prompts; logits of the last token alone.

    Args:
        model: a causal LM of transformers.
        prompts: P of them.
        cache: what it fills; None for the model's own.
        hidden: whether hidden states are returned.
    """
    return model(
        input_ids=prompts.ids_PS,
        attention_mask=prompts.mask_PS.long(),
        position_ids=(prompts.mask_PS.long().cumsum(-1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        output_hidden_states=hidden,
    )


def _last(out: Any, samples: int, hidden: bool) -> tuple[Tensor, Tensor | None]:
    """Logits and hidden states at the last column, for every sample."""
    logits_RV = out.logits[:, -1].repeat_interleave(samples, 0)
    return logits_RV, out.hidden_states[-1][:, -1].repeat_interleave(samples, 0) if hidden else None
