"""Data of sampling: settings, and samples with their tokens.

Axes: P prompts, K samples per prompt, N = P·K samples (prompt by prompt), S prompt tokens, T reflection tokens, D
hidden size. Prompts are padded on the left, reflections on the right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from numbers import Integral

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from retro_gym.errors import ConfigError, one_line
from retro_gym.generation import Generation
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.batching import Prompts, in_groups

__all__ = ["Draws", "Samples", "Sampling", "check_asked", "each_seed", "recorded_draws"]


def check_asked(observations: Sequence[str], num_samples: int, top_k: int = 0, top_p: float = 1.0) -> None:
    """Checks the arguments of sampling.

    Raises:
        ConfigError: a single text instead of several, no observation, no sample, or an invalid ``top_k`` or ``top_p``.
    """
    if isinstance(observations, str):
        raise ConfigError(f"observations is the text {one_line(observations)}; give a list of texts, such as [text].")
    if not observations or num_samples < 1:
        raise ConfigError(f"sample needs an observation and a sample; got {len(observations)} and {num_samples}.")
    if top_k < 0 or not 0 < top_p <= 1:
        raise ConfigError(f"top_k is {top_k} and top_p {top_p}; top_k must be at least 0, top_p in (0, 1].")


def each_seed(seed: int | Sequence[int], count: int) -> list[int]:
    """Returns a seed for each prompt: the given ones, or seeds derived from a single one and the position.

    Raises:
        ConfigError: the numbers of seeds and prompts differ.

    >>> each_seed(0, 3)[:2] == each_seed(0, 2)
    True
    >>> each_seed([5, 7], 2)
    [5, 7]
    """
    if isinstance(seed, Integral):  # NumPy's integers too
        return [derive_seed(int(seed), place) for place in range(count)]
    seeds = [int(one) for one in seed if isinstance(one, Integral)] if isinstance(seed, Sequence | np.ndarray) else []
    if len(seeds) != count:
        raise ConfigError(
            f"seed is {one_line(seed)} for {count} prompts. Give a whole number for each, or a single one."
        )
    return seeds


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Sampling settings."""

    temperature: float
    max_new_tokens: int
    end_ids: tuple[int, ...]
    """Any of these ends a reflection."""
    pad_id: int
    top_k: int = 0
    """Samples from this many most likely tokens only; 0 for all. Policy gradients need all: log-probabilities are those
    of the whole distribution."""
    top_p: float = 1.0
    """Samples from the most likely tokens that together have this probability."""


@dataclasses.dataclass(frozen=True)
class Draws:
    """Sampled token ids with their log-probabilities."""

    tokens_NT: Tensor
    mask_NT: Tensor
    """True for every sampled token, including the end token; False for padding."""
    logprobs_NT: Tensor
    """Log-probabilities at the sampling temperature, float32; 0 where ``mask_NT`` is False."""
    hidden_NTD: Tensor | None
    """The last hidden state that each token was predicted from, if requested; 0 for padding."""

    def rows(self) -> list[list[int]]:
        """Returns the sampled token ids of each row, without padding."""
        lengths_N = self.mask_NT.sum(-1).tolist()
        return [row[:length] for row, length in zip(self.tokens_NT.tolist(), lengths_N, strict=True)]

    def generations(self, model: str, temperature: float) -> list[Generation]:
        """Returns the rows as generations.

        Args:
            model: identifies the weights that sampled them.
            temperature: sampling temperature; 0 for greedy decoding. The greedy policy gives each chosen token
                probability 1, whatever the model's distribution, so the log-probabilities are 0.
        """
        rows = self.rows()
        logprobs = self.logprobs_NT.tolist() if temperature else [[0.0] * len(row) for row in rows]
        return [
            Generation(model, tuple(row), tuple(said[: len(row)]), temperature)
            for row, said in zip(rows, logprobs, strict=True)
        ]


def recorded_draws(
    generations: Sequence[Generation],
    prompts: Prompts,
    pad_id: int,
    vocabulary: int,
    temperature: float | None = None,
) -> tuple[Draws, float]:
    """Reconstructs draws from recorded generations; also returns the temperature at which to score them.

    Args:
        generations: K for each prompt.
        prompts: P prompts.
        pad_id: padding token.
        vocabulary: size of the model's vocabulary.
        temperature: temperature for scoring; by default that of sampling.

    Raises:
        ConfigError: the number of generations is not a multiple of P, a token is not in the vocabulary, or there is no
            single temperature above 0.
    """
    if not generations or len(generations) % len(prompts.ids_PS):
        raise ConfigError(
            f"there are {len(generations)} generations for {len(prompts.ids_PS)} prompts; give the same number for "
            "each, prompt by prompt."
        )
    tokens = {token for one in generations for token in one.token_ids}
    if tokens and not 0 <= min(tokens) <= max(tokens) < vocabulary:
        raise ConfigError(
            f"the generations hold tokens from {min(tokens)} to {max(tokens)}, the model knows 0 to {vocabulary - 1}. "
            "Score them with the model that wrote them."
        )
    found = {one.temperature for one in generations} if temperature is None else {temperature}
    if len(found) > 1 or not 0 < min(found) < float("inf"):
        raise ConfigError(
            f"the generations have the temperatures {sorted(found)}, but are scored together at one above 0. Give "
            "temperature=…, or one call for each temperature; 0 is greedy decoding."
        )
    device = prompts.ids_PS.device
    width = max(1, *(len(one.token_ids) for one in generations))
    shape = (len(generations), width)
    tokens_NT, mask_NT, logprobs_NT = np.full(shape, pad_id), np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
    for number, one in enumerate(generations):
        length = len(one.token_ids)
        tokens_NT[number, :length], mask_NT[number, :length] = one.token_ids, True
        logprobs_NT[number, :length] = one.logprobs
    drawn, mask, logprobs = (torch.from_numpy(array).to(device) for array in (tokens_NT, mask_NT, logprobs_NT))
    return Draws(drawn, mask, logprobs, None), found.pop()


@dataclasses.dataclass(frozen=True)
class Samples(Draws):
    """Sampled texts with their prompts. The texts are never tokenised again."""

    prompts: Prompts
    texts: tuple[str, ...]
    """The N decoded rows, without special tokens; a reflector's are :class:`retro_gym.Reflection` objects."""
    num_samples: int
    """K: rows ``i * K`` to ``(i + 1) * K - 1`` answer prompt i."""
    temperature: float

    @property
    def num_prompts(self) -> int:
        """P."""
        return len(self.prompts.ids_PS)

    @property
    def num_tokens(self) -> int:
        """Number of sampled tokens."""
        return int(self.mask_NT.sum())

    def rows_of(self, prompts: Sequence[int]) -> list[int]:
        """Returns the numbers of the rows that answer the given prompts."""
        return [prompt * self.num_samples + sample for prompt in prompts for sample in range(self.num_samples)]

    def select(self, prompts: Sequence[int]) -> Samples:
        """Returns the samples of the given prompts, without columns that hold only padding."""
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

    @classmethod
    def joined(cls, parts: Sequence[Samples], pad_id: int) -> Samples:
        """Returns the samples of all parts, in their order: what sampling from all prompts at once would have returned.

        Args:
            parts: samples with the same K and temperature.
            pad_id: padding token.
        """
        width = max(part.tokens_NT.shape[1] for part in parts)

        def padded(name: str, value: float) -> Tensor:
            tensors = [getattr(part, name) for part in parts]
            shapes = [(0, 0) * (one.dim() - 2) + (0, width - one.shape[1]) for one in tensors]
            return torch.cat([pad(one, shape, value=value) for one, shape in zip(tensors, shapes, strict=True)])

        return cls(
            padded("tokens_NT", pad_id),
            padded("mask_NT", False),
            padded("logprobs_NT", 0.0),
            None if parts[0].hidden_NTD is None else padded("hidden_NTD", 0.0),
            Prompts.joined([part.prompts for part in parts], pad_id),
            tuple(text for part in parts for text in part.texts),
            parts[0].num_samples,
            parts[0].temperature,
        )

    def batches(
        self, prompts: Sequence[int], size: int | None, tokens: int | None, workers: int = 1
    ) -> list[list[int]]:
        """Groups the prompts with their samples so that each group fits into a forward pass: see :func:`in_groups`."""
        lengths_P = self.prompts.lengths + (self.mask_NT.reshape(self.num_prompts, -1).sum(-1) - self.num_samples)
        return in_groups(prompts, lengths_P.tolist(), size, tokens, workers)

    def parts(
        self,
        size: int | None,
        tokens: int | None = None,
        prompts: Sequence[int] | None = None,
        workers: int = 1,
    ) -> Iterator[tuple[list[int], Samples]]:
        """Yields row numbers and samples of each group that :meth:`batches` makes of the prompts, by default of all."""
        for group in self.batches(range(self.num_prompts) if prompts is None else prompts, size, tokens, workers):
            yield self.rows_of(group), self.select(group)
