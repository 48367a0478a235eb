"""The scripted actor of a mixture: each prompt goes to the actor of the environment that it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retro_gym.actors import Actor, Reply, reply_all
from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt

__all__ = ["MixActor"]


class MixActor:
    """Tells by its instruction which environment a prompt is of.

    Args:
        actors: by instruction.
    """

    def __init__(self, actors: Mapping[str, Actor]) -> None:
        # The longest first: one instruction may be the beginning of another one.
        self._actors = dict(sorted(actors.items(), key=lambda pair: -len(pair[0])))

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """The replies of the environments' own actors; an error for a prompt that holds none of the instructions."""
        groups: dict[str, list[int]] = {}
        replies: dict[int, Reply | ActorError] = {}
        for index, prompt in enumerate(prompts):
            instruction = next((each for each in self._actors if each in prompt.text), None)
            if instruction is None:
                replies[index] = ActorError(
                    "the prompt holds the instruction of no environment of the mixture, by which its scripted actors "
                    "are told apart. Keep {instruction} in actor_template."
                )
            else:
                groups.setdefault(instruction, []).append(index)
        for instruction, indices in groups.items():
            answers = reply_all(self._actors[instruction], [prompts[index] for index in indices])
            replies.update(zip(indices, answers, strict=True))
        return [replies[index] for index in range(len(prompts))]
