"""The scripted actor of a mixture: passes each prompt to the actor of the environment that the prompt comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retro_gym.actors import Actor, Reply, reply_all
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt

__all__ = ["MixActor"]


class MixActor:
    """Identifies the environment of a prompt by its instruction.

    Args:
        actors: the environments' actors, by instruction.
    """

    def __init__(self, actors: Mapping[str, Actor]) -> None:
        # Longest first: one instruction may be a prefix of another.
        self._actors = dict(sorted(actors.items(), key=lambda pair: -len(pair[0])))

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Returns the replies of the environments' actors; an error for a prompt that contains no known instruction."""
        groups: dict[str, list[int]] = {}
        replies: dict[int, Reply | ActorError] = {}
        for index, prompt in enumerate(prompts):
            instruction = next((each for each in self._actors if each in prompt.text), None)
            if instruction is None:
                replies[index] = ActorError(
                    "the prompt holds the instruction of no environment of the mixture, which selects the scripted "
                    "actor. Keep {instruction} in actor_template."
                )
            else:
                groups.setdefault(instruction, []).append(index)
        for instruction, indices in groups.items():
            answers = reply_all(self._actors[instruction], [prompts[index] for index in indices])
            replies.update(zip(indices, answers, strict=True))
        return [replies[index] for index in range(len(prompts))]
