"""A trainable causal language model: sampling and scoring rows of tokens, and the reference policy."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from retro_gym.errors import ConfigError, DivergedError
from retro_gym.generation import Generation
from retro_gym.token_view.tokens import decode
from retro_gym_agents.lm.adapted_model import AdaptedModel
from retro_gym_agents.lm.adapters import activated, frozen
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.card import adapter_card
from retro_gym_agents.lm.chains import Chain, Reply, score_chains
from retro_gym_agents.lm.finite import REMEDY
from retro_gym_agents.lm.hub import Token, check_name
from retro_gym_agents.lm.merging import save_merged
from retro_gym_agents.lm.publishing import push_adapter
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Draws, Samples, recorded_draws
from retro_gym_agents.lm.scoring import Scores, score, why_not_shared
from retro_gym_agents.lm.served import ServedSampler

__all__ = ["LanguageModel"]


class LanguageModel(AdaptedModel):
    """A causal LM with a LoRA adapter, which works on rows of tokens; roles define the prompts.

    The roles are :class:`~retro_gym_agents.lm.reflector.Reflector` and :class:`~retro_gym_agents.lm.planner.Planner`.

    Temperature and length limit come from the model's generation config; its top-k, top-p and repetition penalty are
    not applied, because the policy gradient needs the distribution that was sampled from. If a model does not support
    the block mask with which samples share their prompt, every sample is a row of its own, and a warning says why.

    Arguments are those of :class:`~retro_gym_agents.lm.adapted_model.AdaptedModel`.
    """

    server: ServedSampler | None = None
    """Samples in this model's place, with its adapter; None to sample here."""

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
        """Samples K continuations for each of P rows of token ids, in one batch.

        Raises:
            ConfigError: the number of seeds is not P.
            DivergedError: the model's log-probabilities are not finite.
            SamplerError: a server samples, and gave no usable answer.
        """
        prompts = Prompts.from_rows(rows, self.sampling.pad_id, self.device)
        sampling = dataclasses.replace(self.sampling, top_k=top_k, top_p=top_p)
        if self.server is not None:
            found = self.server.draw(self, rows, sampling, num_samples=num_samples, greedy=greedy, seed=seed)
            samples = self._samples(found, prompts, sampling.temperature)
            return self._with_hidden(samples) if keep_hidden else samples
        share_prompt = self.share_prompt
        with self.for_sampling():
            draws = draw(
                self.model,
                prompts,
                sampling,
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
        return self._samples(draws, prompts, sampling.temperature)

    def decode(self, tokens: Sequence[int]) -> str:
        """Decodes sampled tokens, without special tokens and surrounding white space."""
        return decode(self.tokenizer, tokens)

    def encode(self, prompt: Any) -> list[int]:
        """Tokenises what this role reads: an observation, or an actor's prompt."""
        raise NotImplementedError

    def encode_reply(self, text: str) -> list[int]:
        """Tokenises a text as this role writes it after its prompt, with the end token."""
        ids = self.tokenizer(f"{self._lead}{text}", add_special_tokens=False, verbose=False)["input_ids"]
        return [*ids, self.sampling.end_ids[0]]

    @contextlib.contextmanager
    def for_sampling(self) -> Iterator[None]:
        """Disables gradients, activates this role's adapter, merged in float32, and sets the precision."""
        with activated(self.model, self.adapter), frozen(self.model), self.precision(sampling=True):
            yield

    @contextlib.contextmanager
    def for_scoring(self) -> Iterator[None]:
        """Activates this role's adapter and sets the precision, so that several threads may score inside."""
        with activated(self.model, self.adapter), self.precision():
            yield

    # -- log-probabilities -----------------------------------------------------------------------------------------

    def score(self, samples: Samples, *, keep_hidden: bool = False) -> Scores:
        """Computes log-probabilities (N, T) of samples under the present policy, and optionally hidden states."""
        share_prompt = self.share_prompt
        with self.for_scoring():
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

    def score_chains(self, chains: Sequence[Chain], temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """Computes log-probabilities (N, T) of the replies in some chains under the present policy, and their mask."""
        with self.for_scoring():
            return score_chains(self.model, chains, pad_id=self.sampling.pad_id, temperature=temperature)

    def score_groups(self, groups: Sequence[Sequence[Reply]]) -> tuple[Tensor, Tensor]:
        """Computes log-probabilities (N, T) of replies at temperature 1, and their mask.

        Args:
            groups: replies to one prompt each, which is computed once for all of them.
        """
        size, width = max(map(len, groups)), max(len(one.tokens) for group in groups for one in group)
        prompts = Prompts.from_rows([group[0].prompt for group in groups], self.sampling.pad_id, self.device)
        tokens_NT = torch.full((len(groups) * size, width), self.sampling.pad_id)
        mask_NT = torch.zeros_like(tokens_NT, dtype=torch.bool)  # rows that fill up a group stay empty
        for number, group in enumerate(groups):
            for row, one in enumerate(group, start=number * size):
                tokens_NT[row, : len(one.tokens)] = torch.tensor(one.tokens)
                mask_NT[row, : len(one.tokens)] = True
        tokens_NT, mask_NT = tokens_NT.to(self.device), mask_NT.to(self.device)
        share_prompt = self.share_prompt
        with self.for_scoring():
            scores = score(
                self.model,
                prompts,
                tokens_NT,
                mask_NT,
                temperature=1.0,
                num_samples=size,
                share_prompt=share_prompt,
            )
        return scores.logprobs_NT, mask_NT

    def logprobs(self, samples: Samples) -> Tensor:
        """Returns differentiable log-probabilities (N, T) under the present policy; 0 where the mask is False."""
        return self.score(samples).logprobs_NT

    def reference_logprobs(self, samples: Samples) -> Tensor:
        """Returns log-probabilities (N, T) of samples under the reference policy, without gradients.

        Raises:
            ConfigError: :meth:`freeze_reference` was not called.
        """
        if self._reference is None:
            raise ConfigError("there is no reference policy yet. Call freeze_reference() at the start of RL.")
        with activated(self.model, self.adapter), frozen(self.model, self._reference, self.adapter):
            return self.score(samples).logprobs_NT

    @cached_property
    def share_prompt(self) -> bool:
        """Whether the samples of a prompt share its computation; False computes a row for each sample.

        If the model does not support the block mask, this is False, and a warning says why.
        """
        reason = why_not_shared(self.model)
        if reason is not None:
            warnings.warn(
                f"{self.name!r} computes a prompt again for each of its samples, which is slower: {reason}.",
                stacklevel=3,
            )
        return reason is None

    # -- sharing ---------------------------------------------------------------------------------------------------

    def push_to_hub(
        self,
        name: str,
        *,
        card: str | None = None,
        base: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
        token: Token = None,
        message: str | None = None,
    ) -> str:
        """Uploads the adapter to the Hugging Face hub, in one commit; ``load(name)`` loads it.

        An adapter of the tiny model needs that on the hub too: a copy is uploaded to ``OWNER/retro-gym-tiny-VERSION``
        if it is not there yet. ``retro-gym push RUN NAME`` writes a card with the run's settings and figures.

        Args:
            name: ``OWNER/NAME``; the repository is created if it is not there.
            card: text of the model card, with its metadata; by default one that names the base model.
            base: name of the base model on the hub, if it was loaded from a folder.
            private: whether a new repository is private; None for the owner's default.
            revision: the branch; ``main`` by default.
            token: token of the hub; by default the one that is logged in (``hf auth login``, ``HF_TOKEN``).
            message: the commit's message.

        Returns:
            The repository's address.

        Raises:
            ConfigError: there is no adapter, the name is invalid, or the base model is not on the hub.
            HubError: the hub refused, or cannot be reached.
        """
        check_name(name)
        with tempfile.TemporaryDirectory(prefix="retro-gym-") as folder:
            self.save(folder)
            return push_adapter(
                Path(folder),
                name,
                lambda found: card or adapter_card(found, self.lora, title=name.partition("/")[2]),
                base=base,
                private=private,
                revision=revision,
                token=token,
                message=message,
            )

    def save_merged(self, folder: str | Path) -> None:
        """Writes a model of transformers, with the adapter merged into the base model; needs no peft to be loaded.

        Raises:
            ConfigError: there is no adapter, or the folder is there.
            DivergedError: the adapter's weights are not finite.
        """
        save_merged(self, Path(folder))

    # -- internals -------------------------------------------------------------------------------------------------

    @property
    def _lead(self) -> str:
        """What stands between a prompt and the text that answers it."""
        return ""

    def _recorded(
        self, rows: Sequence[Sequence[int]], generations: Sequence[Generation], temperature: float | None
    ) -> Samples:
        """Reconstructs samples from recorded generations and the token ids of their prompts."""
        if not rows:
            raise ConfigError(f"there is no prompt for {len(generations)} generations. Give the prompts they answer.")
        prompts = Prompts.from_rows(rows, self.sampling.pad_id, self.device)
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        draws, temperature = recorded_draws(generations, prompts, self.sampling.pad_id, vocabulary, temperature)
        return self._samples(draws, prompts, temperature)

    def _with_hidden(self, samples: Samples) -> Samples:
        with frozen(self.model):
            return dataclasses.replace(samples, hidden_NTD=self.score(samples, keep_hidden=True).hidden_NTD)

    def _samples(self, draws: Draws, prompts: Prompts, temperature: float) -> Samples:
        num_samples = len(draws.tokens_NT) // len(prompts.ids_PS)
        texts = tuple(map(self.decode, draws.rows()))
        return Samples(**vars(draws), prompts=prompts, texts=texts, num_samples=num_samples, temperature=temperature)
