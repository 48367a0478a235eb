"""A causal language model that learns: sampling and scoring rows of tokens, and the reference policy."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property

from torch import Tensor

from retro_gym.errors import ConfigError, DivergedError
from retro_gym.generation import Generation
from retro_gym.token_view.tokens import decode
from retro_gym_agents.lm.adapted_model import AdaptedModel
from retro_gym_agents.lm.adapters import activated, frozen
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.finite import REMEDY
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Draws, Samples, recorded_draws
from retro_gym_agents.lm.scoring import Scores, score, why_not_shared

__all__ = ["LanguageModel"]


class LanguageModel(AdaptedModel):
    """A causal LM with a LoRA adapter. It knows rows of tokens; what they are about is said by its roles.

    The roles are :class:`~retro_gym_agents.lm.reflector.Reflector` and :class:`~retro_gym_agents.lm.planner.Planner`.

    Temperature and length limit come from the model's generation config; top-k, top-p and repetition penalties that
    stand there are not applied, since the policy gradient needs the distribution that was sampled from. A model that
    cannot take the block mask by which samples share their prompt is run plainly, with a warning that says why.

    Arguments are those of :class:`~retro_gym_agents.lm.adapted_model.AdaptedModel`.
    """

    def sample_rows(
        self,
        rows: Sequence[Sequence[int]],
        *,
        num_samples: int = 1,
        greedy: bool = False,
        seed: int | Sequence[int] = 0,
        keep_hidden: bool = False,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Samples:
        """Samples K continuations of each of P rows of token ids, in one batch.

        Raises:
            ConfigError: another number of seeds than rows.
            DivergedError: the model's log-probabilities are not finite.
        """
        prompts = Prompts.from_rows(rows, self.sampling.pad_id, self.device)
        share_prompt = self.share_prompt
        with self.for_sampling():
            draws = draw(
                self.model,
                prompts,
                dataclasses.replace(self.sampling, top_k=top_k, top_p=top_p),
                num_samples=num_samples,
                greedy=greedy,
                seed=seed,
                share_prompt=share_prompt,
                keep_hidden=keep_hidden,
            )
        if not draws.logprobs_NT.isfinite().all():
            raise DivergedError(
                f"{self.role} {self.name!r} gives a token a log-probability that is not finite: weights or activations "
                f"are too large, or are not numbers. {REMEDY}"
            )
        return self._samples(draws, prompts, self.sampling.temperature)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of sampled tokens, without special tokens and the white space around it."""
        return decode(self.tokenizer, tokens)

    @contextlib.contextmanager
    def for_sampling(self) -> Iterator[None]:
        """No gradients, this role's adapter merged into the base where that is exact, and the role's precision."""
        with activated(self.model, self.adapter), frozen(self.model), self.precision():
            yield

    # -- log-probabilities -----------------------------------------------------------------------------------------

    def score(self, samples: Samples, *, keep_hidden: bool = False) -> Scores:
        """The present policy's log-probabilities (N, T) of samples, differentiable, and hidden states if asked for."""
        share_prompt = self.share_prompt
        with activated(self.model, self.adapter), self.precision():
            return score(
                self.model,
                samples.prompts,
                samples.tokens_NT,
                samples.mask_NT,
                temperature=samples.temperature,
                num_samples=samples.num_samples,
                share_prompt=share_prompt,
                keep_hidden=keep_hidden,
            )

    def logprobs(self, samples: Samples) -> Tensor:
        """The present policy's log-probabilities (N, T) of samples, differentiable; 0 where their mask is False."""
        return self.score(samples).logprobs_NT

    def reference_logprobs(self, samples: Samples) -> Tensor:
        """The reference policy's log-probabilities (N, T) of samples, without a gradient.

        Raises:
            ConfigError: :meth:`freeze_reference` was not called.
        """
        if self._reference is None:
            raise ConfigError("there is no reference policy yet. Call freeze_reference() at the start of RL.")
        with activated(self.model, self.adapter), frozen(self.model, self._reference, self.adapter):
            return self.score(samples).logprobs_NT

    @cached_property
    def share_prompt(self) -> bool:
        """Whether the samples of a prompt share its computation; set it to False to run plainly.

        A model that cannot take the block mask is run plainly, with a warning that says why.
        """
        reason = why_not_shared(self.model)
        if reason is not None:
            warnings.warn(
                f"{self.name!r} computes a prompt again for each of its samples, which is slower: {reason}.",
                stacklevel=3,
            )
        return reason is None

    # -- inside ----------------------------------------------------------------------------------------------------

    def _recorded(
        self, rows: Sequence[Sequence[int]], generations: Sequence[Generation], temperature: float | None
    ) -> Samples:
        """Generations of a record as the samples that they were, behind their prompts' token ids."""
        prompts = Prompts.from_rows(rows, self.sampling.pad_id, self.device)
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        draws, temperature = recorded_draws(generations, prompts, self.sampling.pad_id, vocabulary, temperature)
        return self._samples(draws, prompts, temperature)

    def _samples(self, draws: Draws, prompts: Prompts, temperature: float) -> Samples:
        num_samples = len(draws.tokens_NT) // len(prompts.ids_PS)
        texts = tuple(map(self.decode, draws.rows()))
        return Samples(**vars(draws), prompts=prompts, texts=texts, num_samples=num_samples, temperature=temperature)
