"""The planner: a trainable language model in the role of the actor."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from retro_gym.actors.base import Reply
from retro_gym.actors.hf_batches import no_usable_logits, reply_in_batches
from retro_gym.actors.hf_prompts import PromptLayout, Row, check_shape
from retro_gym.checks import check_whole
from retro_gym.errors import ActorError, ConfigError, one_line
from retro_gym.generation import Generation
from retro_gym.prompts import ACTOR_FIELDS, BARE_TEMPLATE, Prompt, PromptShape, check_template
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.lm.pretrained import TINY
from retro_gym_agents.lm.sampler import can_resume, draw
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.lm.turn_cache import TurnCache

__all__ = ["Planner"]

_OPTIONS = "planner.json"  # beside a saved adapter


def _template_of(name: str) -> str | None:
    """Returns the template that a base model has learned to play with; None for the environment's."""
    return BARE_TEMPLATE if name == TINY else None


class Planner(LanguageModel):
    """A trainable language model as an actor: ``RetroEnv(task_env, actor=planner)``.

    Prompts are formatted and replies are parsed as in :class:`~retro_gym.actors.hf.HfActor`, but with the adapter on. A
    reply that runs into ``max_new_tokens`` is an action like any other, usually an invalid one.
    Each reply is sampled with its prompt's own ``seed`` and carries a :class:`~retro_gym.Generation`: its tokens and
    their log-probabilities. :meth:`recorded` turns these into samples that can be scored with a gradient.

    In a later turn of a trial it reads only what is new in the prompt, if the model has full attention in every layer.

    A deep copy is the planner itself, so that copies of an environment share its weights during training.

    Args:
        model: a causal LM of transformers, or a ``PeftModel`` around one.
        tokenizer: the model's tokenizer.
        name: name of the base model in saved adapters.
        greedy: takes the most likely token at each step instead of sampling.
        shape: format of prompts, see :meth:`retro_gym.Prompt.messages`; by default ``"chat"`` if the tokenizer has a
            chat template, otherwise ``"completion"``.
        batch_size: maximum number of prompts in a batch.
        template_options: further variables of the chat template, such as ``{"enable_thinking": False}``.
        template: replaces the environment's template of the actor's prompt, in the syntax of ``str.format``. The tiny
            model has :data:`~retro_gym.prompts.BARE_TEMPLATE`, with which it has learned to play.
        options: options of :class:`~retro_gym_agents.lm.adapted_model.AdaptedModel`. ``max_new_tokens`` limits a reply,
            including its reasoning.

    Raises:
        ConfigError: an argument is invalid, or the shape needs a chat template that the tokenizer does not have.
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
        template: str | None = None,
        **options: Any,
    ) -> None:
        check_whole(1, batch_size=batch_size)
        check_shape(shape)
        if template is not None:
            check_template("template", template, ACTOR_FIELDS)
        super().__init__(model, tokenizer, name=name, **options)
        self.greedy = greedy
        self.batch_size = batch_size
        self._memory = TurnCache()
        self.template = template or _template_of(name)
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
        """Sampling temperature; 0 is greedy."""
        return 0.0 if self.greedy else self.sampling.temperature

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that affect the replies besides the prompts."""
        return {
            "model": self.model_id,
            "shape": self._layout.shape,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "max_new_tokens": self.sampling.max_new_tokens,
            "temperature": self.temperature,
            **({} if self.template is None else {"template": self.template}),
        }

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns a reply or an error for each prompt; prompts are processed in batches of ``batch_size``.

        Raises:
            ConfigError: the chat template does not accept prompts of this shape.
            DivergedError: the adapter's weights are not finite.
        """
        with self.for_sampling():
            return reply_in_batches(self._layout, list(map(self._framed, prompts)), self.batch_size, self._generate)

    def encode(self, prompt: Prompt) -> list[int]:
        """Tokenises a prompt.

        Raises:
            ActorError: the tokenizer cannot read the prompt.
            PromptTooLongError: the prompt leaves no room for the reply.
        """
        return self._layout.row(self._framed(prompt)).ids

    def recorded(
        self, prompts: Sequence[Prompt], generations: Sequence[Generation], *, temperature: float | None = None
    ) -> Samples:
        """Reconstructs samples from recorded turns, to be scored by this model with a gradient.

        Args:
            prompts: P prompts.
            generations: K generations of replies to each prompt, prompt by prompt.
            temperature: temperature for scoring; by default that of sampling.

        Returns:
            Samples with the log-probabilities of the behaviour policy.

        Raises:
            ActorError: a prompt cannot be tokenised or is too long.
            ConfigError: the number of generations is not a multiple of P, a token is not in the vocabulary, or there is
                no single temperature above 0.
        """
        return self._recorded([self.encode(prompt) for prompt in prompts], generations, temperature)

    def save(self, folder: str | Path) -> None:
        """Writes the adapter and the generation config, and the template if it is not that of the base model.

        Raises:
            ConfigError: there is no adapter.
        """
        super().save(folder)
        if self.template != _template_of(self.name):
            text = json.dumps({"template": self.template}, indent=2)
            (Path(folder) / _OPTIONS).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def stored_options(cls, folder: Path) -> dict[str, Any]:
        """Returns the template that :meth:`save` wrote, if any.

        Raises:
            ConfigError: the file holds anything else.
        """
        path = folder / _OPTIONS
        if not path.is_file():
            return {}
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read ({error}). It must be a file that save() wrote.") from error
        if not isinstance(row, dict) or set(row) != {"template"} or not isinstance(row["template"], str | None):
            raise ConfigError(f"{path} holds {one_line(row)}; it must hold a template alone. Save the planner again.")
        return row

    # -- internals -------------------------------------------------------------------------------------------------

    @cached_property
    def _resumes(self) -> bool:
        """Whether a prompt that goes on from an earlier one is read from there."""
        return can_resume(self.model)

    @property
    def _weights_version(self) -> tuple[int, ...]:
        """Changes whenever a weight of the adapter, or of a model without one, is changed in place."""
        return tuple(weight._version for weight in self.trainable.values() or self.model.parameters())

    def _framed(self, prompt: Prompt) -> Prompt:
        return prompt if self.template is None else dataclasses.replace(prompt, template=self.template)

    def _generate(self, rows: Sequence[Row]) -> list[Reply | ActorError]:
        draws = draw(
            self.model,
            Prompts.from_rows([row.ids for row in rows], self._layout.pad, self.device),
            dataclasses.replace(self.sampling, pad_id=self._layout.pad),
            greedy=self.greedy,
            seed=[row.prompt.seed for row in rows],
            share_prompt=False,  # there is one sample for each prompt
            memory=self._memory.of_weights(self._weights_version) if self._resumes else None,
            stop=lambda number, tokens: self._layout.has_ended(rows[number], tokens),
        )
        finite_N = draws.logprobs_NT.isfinite().all(-1).tolist()
        usable = dataclasses.replace(draws, logprobs_NT=draws.logprobs_NT.nan_to_num())
        generations = usable.generations(self.model_id, self.temperature)
        return [
            self._reply(row, generation) if finite else no_usable_logits(len(row.ids), len(generation.token_ids) - 1)
            for row, generation, finite in zip(rows, generations, finite_N, strict=True)
        ]

    def _reply(self, row: Row, generation: Generation) -> Reply:
        tokens = generation.token_ids
        reply = self._layout.reply(row, tokens, ended=self._layout.has_ended(row, tokens))
        # Text that runs into the limit is a bad action of the policy, which must cost it the trial's reward. Were it an
        # error of the actor, as with a frozen model of which it says nothing, the trial would be left out.
        return dataclasses.replace(reply, generation=generation, cut=reply.cut and not reply.text)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
