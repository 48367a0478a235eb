"""A model that is not trained and is asked for reflections by a prompt, as in Reflexion (arXiv 2303.11366)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retro_gym.actors import (
    Actor,
    ActorSpec,
    ConcurrentActor,
    Reply,
    actor_name,
    make_actor,
    parameters_of,
    reply_all,
    reply_of,
)
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, ConfigError, CutReplyError
from retro_gym.prompts import Prompt

__all__ = ["REFLECTOR_INSTRUCTION", "PromptedPolicy", "replies_to"]

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
    """Writes reflections with a model that is not trained: behind a server, in this process, or from a tape.

    A call that fails for good yields no reflection: its error takes the place of a text, and its episode is not scored.

    Args:
        spec: ``"openai:MODEL"``, ``"hf:MODEL"`` (transformers, with the model's chat template), ``"replay:FILE"`` for a
            tape that was recorded with ``record``, or any other actor.
        instruction: the text before the observation in the prompt; :data:`REFLECTOR_INSTRUCTION` by default.
        instruction_file: a file that holds this text, such as :mod:`retro_gym_agents.algorithms.gepa` writes.
        options: ``base_url``, ``temperature``, ``max_tokens``, ``record``, ``budget`` and the like, see
            :func:`retro_gym.make_actor`, :class:`~retro_gym.actors.openai.OpenAIActor` and
            :class:`~retro_gym.actors.HfActor`.

    Raises:
        ConfigError: an option is unknown or invalid, or there is no such file.
        RecordError: the file is not a tape.
    """

    def __init__(
        self,
        spec: ActorSpec,
        *,
        instruction: str | None = None,
        instruction_file: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self.actor = make_actor(spec, None, **options)
        self.name = actor_name(spec, self.actor)
        if instruction is not None and instruction_file is not None:
            raise ConfigError("instruction and instruction_file are both given. Leave one of them out.")
        if instruction_file is not None:
            instruction = _text_in(Path(instruction_file))
        self.instruction = REFLECTOR_INSTRUCTION if instruction is None else instruction
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
        replies = replies_to(prompts, self.actor)
        self.prompt_tokens += sum(reply.prompt_tokens for reply in replies)
        self.completion_tokens += sum(reply.completion_tokens for reply in replies)
        return list(map(self._reflection, replies))

    def _reflection(self, reply: Reply | ActorError) -> str | ActorError:
        who = f"reflector {self.name!r}"
        if isinstance(reply, CutReplyError) or (isinstance(reply, Reply) and reply.cut):
            limit = "max_new_tokens" if hasattr(self.actor, "max_new_tokens") else "max_tokens"
            return ActorError(f"{who} ran into its token limit before its reflection was whole. Raise its {limit}.")
        if isinstance(reply, ActorError):
            return type(reply)(f"{who} wrote no reflection: {reply}")
        text = _LABEL.sub("", reply.text, count=1) if _LABEL.match(reply.text) else reply.text
        return text.strip() or ActorError(f"{who} wrote an empty reflection: {reply.text!r}.")


def replies_to(prompts: Sequence[Prompt], actor: Actor) -> list[Reply | ActorError]:
    """Asks all prompts at once, and returns a reply or an error for each."""
    if not isinstance(actor, ConcurrentActor):
        return reply_all(actor, prompts)
    futures = [actor.submit(prompt) for prompt in prompts]  # each is recorded when it is answered
    return [reply_of(future.result()) for future in futures]


def _text_in(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"instruction_file {str(path)!r} cannot be read: {error}. Give a text file.") from error
    if not text:
        raise ConfigError(f"instruction_file {str(path)!r} is empty. Give a text file, or leave it out.")
    return text
