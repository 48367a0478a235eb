"""The reflector: a trainable language model that writes reflections on observations."""

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
    """A trainable language model that answers observations with reflections.

    An observation is formatted with the tokenizer's chat template if it has one; otherwise it is plain text after the
    BOS token, if there is one. If prompt and longest reflection exceed the model's context window, the observation is
    shortened as in :func:`retro_gym.prompts.render_observation` and in token views; other texts lose words from their
    middle.

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
            greedy: takes the most likely token at each step instead of sampling.
            seed: one for each observation, or a single one from which theirs are derived by position. The same weights,
                observation and seed give the same samples, whatever else is in the batch; sample k is the same for any
                K.
            keep_hidden: also returns the hidden states that tokens were predicted from (for a value head).
            top_k: samples from this many most likely tokens only; 0 for all. Do not use it for policy gradient samples:
                the log-probabilities are those of the whole distribution.
            top_p: samples from the most likely tokens that together have this probability.

        Returns:
            Texts with the sampled token ids and their log-probabilities. Each text is a :class:`retro_gym.Reflection`
            whose ``generation`` holds its tokens; see :meth:`~retro_gym_agents.lm.samples.Draws.generations` on greedy
            decoding.

        Raises:
            ConfigError: there is no observation, ``num_samples`` is below 1, the number of seeds is not P, or ``top_k``
                or ``top_p`` is invalid.
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
        """Writes one reflection for each observation, in batches; the results do not depend on ``batch_size``."""
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
        """Returns the token ids of an observation's prompt, shortened if necessary (see the class docstring)."""
        limit, new = self.max_prompt_tokens, self.sampling.max_new_tokens
        room = f"max_new_tokens is {new}, which leaves {limit} tokens of {self.name!r}'s context"
        return self._render(observation) if limit is None else fitting_ids(self._render, observation, limit, room)

    def fit(self, observation: str) -> str:
        """Shortens the observation until the context window has room for the longest reflection."""
        limit = self.max_prompt_tokens
        return observation if limit is None else fit_text(self._render, observation, limit)

    def recorded(
        self, observations: Sequence[str], generations: Sequence[Generation], *, temperature: float | None = None
    ) -> Samples:
        """Reconstructs samples from recorded reflections, to be scored by this model with a gradient.

        Args:
            observations: P texts.
            generations: K generations for each observation, observation by observation.
            temperature: temperature for scoring; by default that of sampling.

        Returns:
            Samples with the log-probabilities of the behaviour policy.

        Raises:
            ConfigError: the number of generations is not a multiple of P, a token is not in the vocabulary, or there is
                no single temperature above 0.
        """
        return self._recorded([self.encode(text) for text in observations], generations, temperature)

    def as_actor(self, **options: Any) -> HfActor:
        """Returns the base model as an actor: the same weights without the adapter, so training does not change it.

        Args:
            options: options of :class:`~retro_gym.actors.hf.HfActor`, such as ``temperature``; device and dtype are
                those of this model.

        Raises:
            ConfigError: an option is invalid.
        """
        return HfActor(self.model, self.tokenizer, **options)

    @property
    def _lead(self) -> str:
        return "" if self.tokenizer.chat_template else " "  # an observation ends without a space

    def _render(self, observation: str) -> list[int]:
        return encode_prompt(self.tokenizer, observation) or [self.sampling.pad_id]
