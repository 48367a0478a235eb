"""The planner: a language model in the role that plays, as an actor whose turns can be learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

from retro_gym.actors.base import Reply
from retro_gym.actors.hf_batches import no_usable_logits, reply_in_batches
from retro_gym.actors.hf_prompts import PromptLayout, Row, check_shape
from retro_gym.checks import check_whole
from retro_gym.errors import ActorError
from retro_gym.generation import Generation
from retro_gym.prompts import Prompt, PromptShape
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.lm.sampler import draw
from retro_gym_agents.lm.samples import Samples

__all__ = ["Planner"]


class Planner(LanguageModel):
    """A language model that plays: ``RetroEnv(task_env, actor=planner)``.

    Prompts are laid out, and replies read and ended, as :class:`~retro_gym.actors.hf.HfActor` does it; here the adapter
    is on. Each reply is drawn from its prompt's own ``seed`` and carries a :class:`~retro_gym.Generation`: its tokens
    and their log-probabilities. :meth:`recorded` makes samples of them again, to be scored with a gradient.

    Deep copies are the planner itself, so that the copies of an environment share its weights, and learn with it.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        tokenizer: the model's tokenizer.
        name: what the base model is called in saved adapters.
        greedy: the likeliest token each time, instead of a sample.
        shape: how prompts are laid out, see :meth:`retro_gym.Prompt.messages`; by default ``"chat"`` when the tokenizer
            has a chat template, and ``"completion"`` when it has none.
        batch_size: prompts that are answered at once, at most.
        template_options: further variables of the chat template, such as ``{"enable_thinking": False}``.
        options: of :class:`~retro_gym_agents.lm.adapted_model.AdaptedModel`. ``max_new_tokens`` limits a reply, its
            reasoning included.

    Raises:
        ConfigError: an argument is out of its rule, or a shape asks for a chat template that is not there.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        greedy: bool = False,
        shape: PromptShape | None = None,
        batch_size: int = 16,
        template_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        check_whole(1, batch_size=batch_size)
        check_shape(shape)
        super().__init__(model, tokenizer, name=name, **options)
        self.greedy = greedy
        self.batch_size = batch_size
        self._layout = PromptLayout.of(
            self.model,
            tokenizer,
            name=name,
            shape=shape,
            max_new_tokens=self.sampling.max_new_tokens,
            template_options=template_options,
        )

    @property
    def temperature(self) -> float:
        """Of the policy that plays; 0 is greedy."""
        return 0.0 if self.greedy else self.sampling.temperature

    @property
    def parameters(self) -> dict[str, Any]:
        """What replies depend on beside the prompts."""
        return {
            "model": self.model_id,
            "shape": self._layout.shape,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "max_new_tokens": self.sampling.max_new_tokens,
            "temperature": self.temperature,
        }

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """One reply, or the error that took its place, for each prompt; ``batch_size`` of them at a time.

        Raises:
            ConfigError: the chat template does not take the prompts in this shape.
            DivergedError: the adapter's weights are not finite.
        """
        with self.for_sampling():
            return reply_in_batches(self._layout, prompts, self.batch_size, self._generate)

    def encode(self, prompt: Prompt) -> list[int]:
        """A prompt as token ids.

        Raises:
            ActorError: the tokenizer cannot read the prompt.
            PromptTooLongError: it leaves no room for the reply.
        """
        return self._layout.row(prompt).ids

    def recorded(
        self, prompts: Sequence[Prompt], generations: Sequence[Generation], *, temperature: float | None = None
    ) -> Samples:
        """Turns of a record as the samples that they were: to be scored by this model, with a gradient.

        Args:
            prompts: P of them.
            generations: of the replies: K to each prompt, one prompt's behind the other's.
            temperature: what they are scored at; by default that of sampling.

        Returns:
            Samples whose log-probabilities are those of the model that played.

        Raises:
            ActorError: a prompt that this model cannot be given.
            ConfigError: not as many generations for each prompt, a token that the model does not know, or no single
                temperature above 0.
        """
        return self._recorded([self.encode(prompt) for prompt in prompts], generations, temperature)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _generate(self, rows: Sequence[Row]) -> list[Reply | ActorError]:
        draws = draw(
            self.model,
            Prompts.from_rows([row.ids for row in rows], self._layout.pad, self.device),
            dataclasses.replace(self.sampling, pad_id=self._layout.pad),
            greedy=self.greedy,
            seed=[row.prompt.seed for row in rows],
            share_prompt=False,  # there is one sample of each
            stop=lambda number, tokens: self._layout.has_ended(rows[number], tokens),
        )
        finite_N = draws.logprobs_NT.isfinite().all(-1).tolist()
        generations = draws.generations(self.model_id, self.temperature)
        return [
            self._reply(row, generation) if finite else no_usable_logits(len(row.ids), len(generation.token_ids) - 1)
            for row, generation, finite in zip(rows, generations, finite_N, strict=True)
        ]

    def _reply(self, row: Row, generation: Generation) -> Reply:
        tokens = generation.token_ids
        reply = self._layout.reply(row, tokens, ended=self._layout.has_ended(row, tokens))
        return dataclasses.replace(reply, generation=generation)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
