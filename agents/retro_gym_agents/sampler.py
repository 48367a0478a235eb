"""Sampling reflections and scoring them: a prompt is read once, however many samples continue it.

The K samples of one prompt stand side by side in one row of the batch, behind the prompt's key-value cache. An
attention mask lets each see the prompt and itself, and positions start after the prompt for each of them. The cache
then grows by K tokens a step instead of being held K times. The same layout serves sampling (one token a step) and the
differentiable log-probabilities of the update (all tokens at once).

Models that cannot take such a mask (sliding windows, positions derived from the mask) are run plainly, one row for
each sample: ``share_prompt=False``.

Axes: P prompts, K samples per prompt, N = P·K samples (prompt by prompt), S prompt tokens, T reflection tokens,
V vocabulary, D hidden size. Prompts are padded on the left, reflections on the right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Draws", "Prompts", "Samples", "Sampling", "Scores", "can_share_prompt", "draw", "score"]


@dataclasses.dataclass(frozen=True)
class Prompts:
    """A batch of tokenised prompts, padded on the left."""

    ids_PS: Tensor
    mask_PS: Tensor
    """True where a token stands, False where padding does."""

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]], pad_id: int, device: torch.device | str) -> Prompts:
        """Pads token lists on the left to the length of the longest."""
        width = max(map(len, rows))
        ids = [[pad_id] * (width - len(row)) + list(row) for row in rows]
        mask = [[False] * (width - len(row)) + [True] * len(row) for row in rows]
        return cls(torch.tensor(ids, device=device), torch.tensor(mask, device=device))

    @property
    def lengths(self) -> Tensor:
        """Tokens of each prompt (P), without padding."""
        return self.mask_PS.sum(-1)

    def select(self, rows: Sequence[int]) -> Prompts:
        """Some of the prompts, without columns that only hold padding."""
        ids, mask = self.ids_PS[list(rows)], self.mask_PS[list(rows)]
        first = int(mask.any(0).int().argmax())
        return Prompts(ids[:, first:], mask[:, first:])

    def repeat(self, times: int) -> Prompts:
        """Every prompt several times in a row."""
        return Prompts(self.ids_PS.repeat_interleave(times, 0), self.mask_PS.repeat_interleave(times, 0))


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. There is no top-k or top-p: the policy gradient needs the distribution that was sampled."""

    temperature: float
    max_new_tokens: int
    end_ids: tuple[int, ...]
    """Any of these ends a reflection."""
    pad_id: int


@dataclasses.dataclass(frozen=True)
class Draws:
    """Token ids as they were sampled."""

    tokens_NT: Tensor
    mask_NT: Tensor
    """True for every sampled token, the ending one included; False for what only fills the row."""
    logprobs_NT: Tensor
    """Under the temperature of sampling, float32; 0 where ``mask_NT`` is False."""
    hidden_NTD: Tensor | None
    """The last hidden state that each token was predicted from, when it was asked for."""


@dataclasses.dataclass(frozen=True)
class Samples(Draws):
    """Reflections with the prompts that they answer. Nothing in here is ever tokenised again."""

    prompts: Prompts
    texts: tuple[str, ...]
    """The N reflections as text, without special tokens."""
    num_samples: int
    """K: rows ``i * K`` to ``(i + 1) * K - 1`` answer prompt i."""
    temperature: float

    @property
    def num_prompts(self) -> int:
        """P."""
        return len(self.prompts.ids_PS)

    @property
    def num_tokens(self) -> int:
        """How many tokens were sampled."""
        return int(self.mask_NT.sum())

    def rows_of(self, prompts: Sequence[int]) -> list[int]:
        """The rows that answer some of the prompts."""
        return [prompt * self.num_samples + sample for prompt in prompts for sample in range(self.num_samples)]

    def select(self, prompts: Sequence[int]) -> Samples:
        """The samples of some of the prompts, without columns that only hold padding."""
        rows = self.rows_of(prompts)
        width = max(1, int(self.mask_NT[rows].any(0).sum()))
        return Samples(
            self.tokens_NT[rows, :width],
            self.mask_NT[rows, :width],
            self.logprobs_NT[rows, :width],
            None if self.hidden_NTD is None else self.hidden_NTD[rows, :width],
            self.prompts.select(prompts),
            tuple(self.texts[row] for row in rows),
            self.num_samples,
            self.temperature,
        )

    def parts(self, size: int | None) -> Iterator[tuple[list[int], Samples]]:
        """Row numbers and samples of ``size`` prompts at a time; of all at once when it is None."""
        size = size or self.num_prompts
        for first in range(0, self.num_prompts, size):
            prompts = range(first, min(first + size, self.num_prompts))
            yield self.rows_of(prompts), self.select(prompts)


@dataclasses.dataclass(frozen=True)
class Scores:
    """What the model now thinks of tokens that were sampled before."""

    logprobs_NT: Tensor
    """Under the temperature of sampling, float32, differentiable; 0 where the samples' mask is False."""
    hidden_NTD: Tensor | None
    """The last hidden state that each token is predicted from, when it was asked for."""


class _Continuation:
    """Prompts that a model has read, and K rows of tokens behind each of them."""

    def __init__(self, model: Any, prompts: Prompts, num_samples: int, *, share_prompt: bool, hidden: bool) -> None:
        self.model = model
        self.num_samples = num_samples
        self.share_prompt = share_prompt
        self.hidden = hidden
        self.prompts = prompts if share_prompt else prompts.repeat(num_samples)
        self.positions = self.prompts.lengths  # of the next token of each row
        self.cache: Any = None
        self.mask = self.prompts.mask_PS  # of the cached columns, in the plain layout
        self.bias: Tensor | None = None  # of the cached columns, in the shared layout: (P, K, columns)

    def start(self) -> tuple[Tensor, Tensor | None]:
        """Reads the prompts; returns logits (N, V) and hidden states (N, D) of the first token's prediction."""
        mask = self.prompts.mask_PS
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
        logits, hidden = self._forward(self.prompts.ids_PS, mask.long(), positions, keep=1)
        if self.share_prompt:
            blocked = torch.zeros(mask.shape, dtype=logits.dtype, device=mask.device)
            blocked = blocked.masked_fill(~mask, torch.finfo(logits.dtype).min)
            self.bias = blocked[:, None].expand(-1, self.num_samples, -1)
            logits = logits.repeat_interleave(self.num_samples, 0)
            hidden = None if hidden is None else hidden.repeat_interleave(self.num_samples, 0)
        return logits[:, -1], None if hidden is None else hidden[:, -1]

    def extend(self, tokens_Nt: Tensor) -> tuple[Tensor, Tensor | None]:
        """Appends t tokens to every row; returns logits (N, t, V) and hidden states (N, t, D) after each of them."""
        rows, added = tokens_Nt.shape
        positions = self.positions[:, None] + torch.arange(added, device=tokens_Nt.device)
        self.positions = self.positions + added
        if not self.share_prompt:
            self.mask = torch.cat([self.mask, self.mask.new_ones(rows, added)], -1)
            return self._forward(tokens_Nt, self.mask.long(), positions, keep=0)
        prompts = len(self.prompts.ids_PS)
        logits, hidden = self._forward(
            tokens_Nt.reshape(prompts, self.num_samples * added),
            self._shared_mask(added),
            positions.repeat(1, self.num_samples),
            keep=0,
        )
        return logits.view(rows, added, -1), None if hidden is None else hidden.view(rows, added, -1)

    def _shared_mask(self, added: int) -> Tensor:
        """The additive mask (P, 1, K·t, columns) of t more tokens in each sample; also extends the cached columns."""
        if self.bias is None:
            raise RuntimeError("start() comes first.")
        samples = self.num_samples
        prompts, _, columns = self.bias.shape
        blocked = torch.finfo(self.bias.dtype).min
        causal = torch.full((added, added), blocked, dtype=self.bias.dtype, device=self.bias.device).triu(1)
        same = torch.eye(samples, dtype=torch.bool, device=self.bias.device)
        new = torch.where(same[:, None, :, None], causal[None, :, None, :], blocked)  # (K, t, K, t)
        old = self.bias[:, :, None].expand(-1, -1, added, -1).reshape(prompts, samples * added, columns)
        new = new.reshape(1, samples * added, samples * added).expand(prompts, -1, -1)
        own = torch.where(same[:, :, None], 0.0, blocked).to(self.bias.dtype).expand(-1, -1, added)  # (K, K, t)
        self.bias = torch.cat([self.bias, own.reshape(1, samples, -1).expand(prompts, -1, -1)], -1)
        return torch.cat([old, new], -1)[:, None]

    def _forward(
        self, ids: Tensor, attention_mask: Tensor, position_ids: Tensor, keep: int
    ) -> tuple[Tensor, Tensor | None]:
        out = self.model(
            input_ids=ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,  # 0 keeps all
            output_hidden_states=self.hidden,
        )
        self.cache = out.past_key_values
        return out.logits, out.hidden_states[-1] if self.hidden else None


@torch.no_grad()
def draw(
    model: Any,
    prompts: Prompts,
    sampling: Sampling,
    *,
    num_samples: int = 1,
    greedy: bool = False,
    seed: int = 0,
    share_prompt: bool = True,
    keep_hidden: bool = False,
) -> Draws:
    """Samples K reflections for each prompt.

    Args:
        model: a causal LM of transformers.
        prompts: P of them.
        sampling: temperature, length limit and special tokens.
        num_samples: K.
        greedy: the likeliest token each time; the log-probabilities are still those under the temperature.
        seed: of a generator on the CPU, so that the same numbers are drawn whatever device the model is on.
        share_prompt: see the module's docstring.
        keep_hidden: whether the hidden states are returned as well.
    """
    rows, limit = len(prompts.ids_PS) * num_samples, sampling.max_new_tokens
    device = prompts.ids_PS.device
    generator = torch.Generator().manual_seed(seed)
    uniform_TN = torch.rand((limit, rows), generator=generator, dtype=torch.float64).to(device)
    end_ids = torch.tensor(sampling.end_ids, dtype=torch.long, device=device)
    running_N = torch.ones(rows, dtype=torch.bool, device=device)
    continuation = _Continuation(model, prompts, num_samples, share_prompt=share_prompt, hidden=keep_hidden)
    logits_NV, hidden_ND = continuation.start()
    tokens, masks, logprobs, hiddens = [], [], [], []
    for step in range(limit):
        logprobs_NV = torch.log_softmax(logits_NV.float() / sampling.temperature, -1)
        token_N = logprobs_NV.argmax(-1) if greedy else _pick(logprobs_NV, uniform_TN[step])
        logprob_N = logprobs_NV.gather(-1, token_N[:, None])[:, 0]
        tokens.append(token_N.where(running_N, sampling.pad_id))
        masks.append(running_N)
        logprobs.append(logprob_N.where(running_N, 0.0))
        if hidden_ND is not None:
            hiddens.append(hidden_ND)
        running_N = running_N & ~torch.isin(token_N, end_ids)
        if step + 1 == limit or not running_N.any():
            break
        logits_NtV, hidden_NtD = continuation.extend(tokens[-1][:, None])
        logits_NV, hidden_ND = logits_NtV[:, 0], None if hidden_NtD is None else hidden_NtD[:, 0]
    hidden_NTD = torch.stack(hiddens, 1) if hiddens else None
    return Draws(torch.stack(tokens, 1), torch.stack(masks, 1), torch.stack(logprobs, 1), hidden_NTD)


def _pick(logprobs_NV: Tensor, uniform_N: Tensor) -> Tensor:
    """The token at which the cumulative distribution passes a uniform number: one draw per row and step."""
    cumulative_NV = logprobs_NV.double().exp().cumsum(-1)
    threshold_N1 = uniform_N[:, None] * cumulative_NV[:, -1:]
    return torch.searchsorted(cumulative_NV, threshold_N1, right=True)[:, 0].clamp(max=logprobs_NV.shape[-1] - 1)


def score(
    model: Any,
    prompts: Prompts,
    tokens_NT: Tensor,
    mask_NT: Tensor,
    *,
    temperature: float,
    num_samples: int = 1,
    share_prompt: bool = True,
    keep_hidden: bool = False,
) -> Scores:
    """The log-probabilities of given tokens, differentiable in the model's weights.

    Args:
        model: a causal LM of transformers.
        prompts: P of them.
        tokens_NT: K rows for each prompt.
        mask_NT: which of the tokens count.
        temperature: what the tokens were sampled under.
        num_samples: K.
        share_prompt: see the module's docstring; False is one plain forward pass without a cache.
        keep_hidden: whether the hidden states are returned as well.
    """
    if share_prompt:
        continuation = _Continuation(model, prompts, num_samples, share_prompt=True, hidden=keep_hidden)
        first_NV, first_ND = continuation.start()
        logits_NTV, hidden_NTD = first_NV[:, None], None if first_ND is None else first_ND[:, None]
        if tokens_NT.shape[1] > 1:  # the last token predicts nothing that is asked for
            rest_NtV, rest_NtD = continuation.extend(tokens_NT[:, :-1])
            logits_NTV = torch.cat([logits_NTV, rest_NtV], 1)
            hidden_NTD = None if rest_NtD is None or hidden_NTD is None else torch.cat([hidden_NTD, rest_NtD], 1)
    else:
        logits_NTV, hidden_NTD = _plain_logits(model, prompts.repeat(num_samples), tokens_NT, mask_NT, keep_hidden)
    scaled_NTV = logits_NTV.float() / temperature
    logprobs_NT = scaled_NTV.gather(-1, tokens_NT[..., None])[..., 0] - scaled_NTV.logsumexp(-1)
    return Scores(logprobs_NT.where(mask_NT, 0.0), hidden_NTD)


def _plain_logits(
    model: Any, prompts: Prompts, tokens_NT: Tensor, mask_NT: Tensor, keep_hidden: bool
) -> tuple[Tensor, Tensor | None]:
    """Logits (N, T, V) and hidden states (N, T, D) by one forward pass over whole rows."""
    width = tokens_NT.shape[1]
    mask = torch.cat([prompts.mask_PS, mask_NT], -1).long()
    out = model(
        input_ids=torch.cat([prompts.ids_PS, tokens_NT], -1),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=width + 1,
        output_hidden_states=keep_hidden,
    )
    hidden_NTD = out.hidden_states[-1][:, -width - 1 : -1] if keep_hidden else None
    return out.logits[:, :-1], hidden_NTD


@torch.no_grad()
def can_share_prompt(model: Any) -> bool:
    """Whether the shared layout gives this model the same log-probabilities as plain rows do.

    Sliding windows are refused by the configuration, since they show on long texts only; everything else is tried out
    on a few tokens.
    """
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    if any(layer != "full_attention" for layer in layers or ()):
        return False
    if layers is None and getattr(config, "sliding_window", None) is not None:
        return False
    device = model.get_input_embeddings().weight.device
    some = [1 + (7 * i) % (config.vocab_size - 1) for i in range(14)]
    prompts = Prompts.from_rows([some[:5], some[5:8]], 0, device)
    tokens_NT = torch.tensor(some[2:14], device=device).view(4, 3)
    mask_NT = torch.ones_like(tokens_NT, dtype=torch.bool)
    plain = score(model, prompts, tokens_NT, mask_NT, temperature=1.0, num_samples=2, share_prompt=False)
    try:
        shared = score(model, prompts, tokens_NT, mask_NT, temperature=1.0, num_samples=2)
    except (RuntimeError, TypeError, ValueError, AttributeError):  # the model refuses the mask: no bug of ours
        return False
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    return bool(torch.allclose(plain.logprobs_NT, shared.logprobs_NT, rtol=tolerance, atol=tolerance))
