"""The reflector: a language model in the role that writes reflections on observations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from retro_gym.actors.hf import HfActor
from retro_gym.checks import check_whole
from retro_gym.generation import Generation, Reflection
from retro_gym.token_view.tokens import encode_prompt, fit_text, fitting_ids
from retro_gym_agents.lm.adapters import LoraSettings
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.lm.pretrained import TINY
from retro_gym_agents.lm.samples import Samples, check_asked, each_seed

__all__ = ["TINY", "LoraSettings", "Reflector"]


class Reflector(LanguageModel):
    """A language model that answers observations with reflections.

    An observation becomes a prompt through the tokenizer's chat template where it has one, and as plain text behind
    the BOS token (where there is one) otherwise. When a prompt does not fit into the model's context beside the
    longest reflection, the observation is shortened by the rule of :func:`retro_gym.prompts.render_observation`, as a
    token view does it; a text that is no environment's observation loses words out of its middle.

    Arguments are those of :class:`~retro_gym_agents.lm.language_model.LanguageModel`.
    """

    def sample(
        self,
        observations: Sequence[str],
        *,
        num_samples: int = 1,
        greedy: bool = False,
        seed: int | Sequence[int] = 0,
        keep_hidden: bool = False,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> Samples:
        """Samples K reflections for each observation, in one batch.

        Args:
            observations: P texts.
            num_samples: K.
            greedy: the likeliest token each time, instead of a sample.
            seed: one for each observation, or one that they follow from by their places. The same weights, observation
                and seed give the same samples, whatever else is in the batch; sample k is the same for any K.
            keep_hidden: also return the hidden states that tokens were predicted from (for a value head).
            top_k: draws from this many likeliest tokens alone; 0 for all. Not for what policy gradient learns from: the
                log-probabilities are those of the whole distribution.
            top_p: draws from the likeliest tokens that together have this probability.

        Returns:
            Texts with the token ids and log-probabilities that were sampled. Each text is a
            :class:`retro_gym.Reflection` whose ``generation`` holds those of its own; see
            :meth:`~retro_gym_agents.lm.samples.Draws.generations` for greedy ones.

        Raises:
            ConfigError: no observation, fewer than one sample of each, another number of seeds, or a truncation that
                is out of its rule.
            DivergedError: the model's log-probabilities are not finite.
        """
        check_asked(observations, num_samples, top_k, top_p)
        samples = self.sample_rows(
            [self.encode(text) for text in observations],
            num_samples=num_samples,
            greedy=greedy,
            seed=seed,
            keep_hidden=keep_hidden,
            top_k=top_k,
            top_p=top_p,
        )
        generations = samples.generations(self.model_id, 0.0 if greedy else samples.temperature)
        texts = (
            Reflection(text, generation=generation) for text, generation in zip(samples.texts, generations, strict=True)
        )
        return dataclasses.replace(samples, texts=tuple(texts))

    def reflect(
        self,
        observations: Sequence[str],
        *,
        greedy: bool = True,
        seed: int | Sequence[int] = 0,
        batch_size: int = 64,
    ) -> list[str]:
        """One reflection for each observation, ``batch_size`` of them at a time: the same ones for any size."""
        check_asked(observations or [""], 1)
        check_whole(1, batch_size=batch_size)
        seeds = each_seed(seed, len(observations))
        texts: list[str] = []
        for start in range(0, len(observations), batch_size):
            batch = slice(start, start + batch_size)
            texts.extend(self.sample(observations[batch], greedy=greedy, seed=seeds[batch]).texts)
        return texts

    __call__ = reflect

    def encode(self, observation: str) -> list[int]:
        """The prompt of an observation, as token ids. See the class docstring on what is done with a long one."""
        limit, new = self.max_prompt_tokens, self.sampling.max_new_tokens
        room = f"max_new_tokens is {new}, which leaves {limit} tokens of {self.name!r}'s context"
        return self._render(observation) if limit is None else fitting_ids(self._render, observation, limit, room)

    def fit(self, observation: str) -> str:
        """The observation, or the longest form of it that leaves room in the context for the longest reflection."""
        limit = self.max_prompt_tokens
        return observation if limit is None else fit_text(self._render, observation, limit)

    def recorded(
        self, observations: Sequence[str], generations: Sequence[Generation], *, temperature: float | None = None
    ) -> Samples:
        """Reflections of a record as the samples that they were: to be scored by this model, with a gradient.

        Args:
            observations: P texts that were reflected on.
            generations: K of each, one observation's behind the other's.
            temperature: what they are scored at; by default that of sampling.

        Returns:
            Samples whose log-probabilities are those of the model that wrote them.

        Raises:
            ConfigError: not as many generations of each observation, a token that the model does not know, or no
                single temperature above 0.
        """
        return self._recorded([self.encode(text) for text in observations], generations, temperature)

    def as_actor(self, **options: Any) -> HfActor:
        """The base model as an actor: the same weights, without the adapter, so that learning does not change it.

        Args:
            options: of :class:`~retro_gym.actors.hf.HfActor`, such as ``temperature``; device and dtype are this
                model's.

        Raises:
            ConfigError: an option is out of its rule.
        """
        return HfActor(self.model, self.tokenizer, **options)

    def _render(self, observation: str) -> list[int]:
        return encode_prompt(self.tokenizer, observation) or [self.sampling.pad_id]
