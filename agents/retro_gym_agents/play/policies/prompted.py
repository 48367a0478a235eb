"""A model behind a server that is asked for reflections by a prompt, as in Reflexion (arXiv 2303.11366)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from retro_gym.actors import ConcurrentActor, Reply, actor_name, make_actor, parameters_of, reply_all, reply_of
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, CutReplyError
from retro_gym.prompts import Prompt

__all__ = ["REFLECTOR_INSTRUCTION", "PromptedPolicy"]

REFLECTOR_INSTRUCTION = """\
You advise someone who has just failed at a task and will try the same task once more, from the start. You are shown \
the record of the failed attempt: the task, then every action and what was observed after it, then the score. The \
advice that was given before it, if any, did not suffice.

Find out why the attempt failed. Look for the first step that led away from the goal, for what the observations \
revealed and the attempt did not use, and for what the task asks for and was never checked.

Then write the advice for the next attempt, in one to three sentences:
- say what went wrong, and what to do in its place;
- name things exactly as the record names them: places, people, products, tables, columns, values;
- advise only what the record supports, and nothing that has already failed.

Write the advice and nothing else: no heading, no list, no summary of the attempt."""

_LABEL = re.compile(r"[*_#\s]*(?:reflection|advice)\s*\d*\s*[*_]*\s*:[*_\s]*", re.IGNORECASE)


class PromptedPolicy:
    """Writes reflections with a model that is not trained, behind an OpenAI-compatible server, or from its tape.

    A call that fails for good yields no reflection: its error takes the place of a text, and its episode is not scored.

    Args:
        spec: ``"openai:MODEL"``, or ``"replay:FILE"`` for a tape that was recorded with ``record``.
        instruction: the text before the observation in the prompt.
        options: ``base_url``, ``temperature``, ``max_tokens``, ``record``, ``budget`` and the like, see
            :func:`retro_gym.make_actor` and :class:`~retro_gym.actors.openai.OpenAIActor`.

    Raises:
        ConfigError: an option is unknown or invalid.
        RecordError: the file is not a tape.
    """

    def __init__(self, spec: str, *, instruction: str = REFLECTOR_INSTRUCTION, **options: Any) -> None:
        self.actor = make_actor(spec, None, **options)
        self.name = actor_name(spec, self.actor)
        self.instruction = instruction
        self.prompt_tokens = 0
        self.completion_tokens = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """What the reflections depend on besides the observations, as JSON types."""
        return {**parameters_of(self.actor), "instruction": self.instruction}

    def reflect(
        self, observations: Sequence[str], envs: Sequence[RetroEnv], seeds: Sequence[int]
    ) -> list[str | ActorError]:
        """Asks for all reflections at once; returns one, or the error of its call, for each observation.

        Raises:
            MissingExtraError: the extra [openai] is not installed.
            ConfigError: the server needs a key, and there is none.
            CassetteError: a prompt is not on the tape.
        """
        prompts = [
            Prompt(self.instruction, (), (), str(text), (), seed=seed, stop=())
            for text, seed in zip(observations, seeds, strict=True)
        ]
        replies = self._replies(prompts)
        self.prompt_tokens += sum(reply.prompt_tokens for reply in replies)
        self.completion_tokens += sum(reply.completion_tokens for reply in replies)
        return list(map(self._reflection, replies))

    def _replies(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        if not isinstance(self.actor, ConcurrentActor):
            return reply_all(self.actor, prompts)
        futures = [self.actor.submit(prompt) for prompt in prompts]  # each is recorded when it is answered
        return [reply_of(future.result()) for future in futures]

    def _reflection(self, reply: Reply | ActorError) -> str | ActorError:
        who = f"reflector {self.name!r}"
        if isinstance(reply, CutReplyError) or (isinstance(reply, Reply) and reply.cut):
            return ActorError(f"{who} ran into its token limit before its reflection was whole. Raise its max_tokens.")
        if isinstance(reply, ActorError):
            return type(reply)(f"{who} wrote no reflection: {reply}")
        text = _LABEL.sub("", reply.text, count=1) if _LABEL.match(reply.text) else reply.text
        return text.strip() or ActorError(f"{who} wrote an empty reflection: {reply.text!r}.")
