"""What a model of ours wrote: the tokens themselves, beside the text that they make."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Self

from retro_gym.errors import DataError, one_line

__all__ = ["Generation", "Reflection"]


@dataclasses.dataclass(frozen=True)
class Generation:
    """The tokens that a model sampled, as an off-policy learner needs them. A text is never tokenised again.

    The prompt is not kept: that of a reflection is rendered again from the observation, that of an actor's turn from
    the trial's prompt, reflections and earlier turns.

    Raises:
        DataError: another number of log-probabilities than of tokens, or one that is not finite.
    """

    model: str
    """Which weights wrote it: a name, and what tells an adapter or an update apart from others."""
    token_ids: tuple[int, ...]
    """The T tokens, the ending one included."""
    logprobs: tuple[float, ...]
    """Log-probability of each of the T tokens under the behaviour policy, at its temperature, in nats."""
    temperature: float = 1.0
    """Of sampling."""

    def __post_init__(self) -> None:
        if len(self.token_ids) != len(self.logprobs):
            raise DataError(
                f"a generation has {len(self.token_ids)} tokens and {len(self.logprobs)} log-probabilities; one for "
                "each token is the rule."
            )
        if not all(map(math.isfinite, self.logprobs)):
            odd = next(each for each in self.logprobs if not math.isfinite(each))
            raise DataError(f"a generation has the log-probability {odd}; that of a token that was drawn is finite.")

    def to_json(self) -> dict[str, Any]:
        """A fresh dict of JSON types."""
        return {**vars(self), "token_ids": list(self.token_ids), "logprobs": list(self.logprobs)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`.

        Raises:
            DataError: a field is missing, unknown or of the wrong type.

        >>> generation = Generation("tiny", (5, 2), (-0.5, -0.25), 0.7)
        >>> Generation.from_json(generation.to_json()) == generation
        True
        """
        try:
            ids, logprobs = tuple(row["token_ids"]), tuple(map(float, row["logprobs"]))
            if any(type(each) is not int for each in ids) or not all(map(math.isfinite, logprobs)):
                raise TypeError("token_ids are whole numbers and logprobs finite ones")
            return cls(**{**row, "token_ids": ids, "logprobs": logprobs})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not a generation: {error} in {one_line(row)}. "
                f"Its fields are {[field.name for field in dataclasses.fields(cls)]}."
            ) from error


class Reflection(str):
    """A reflection that says who wrote it. It is an ordinary text to all who do not ask.

    Args:
        text: the reflection.
        policy: what the policy that wrote it is called.
        generation: its tokens, where a model of ours wrote it.

    >>> text = Reflection("Search for Velmora.", policy="oracle")
    >>> text.upper(), text.policy
    ('SEARCH FOR VELMORA.', 'oracle')
    """

    policy: str
    generation: Generation | None

    def __new__(cls, text: str, *, policy: str = "", generation: Generation | None = None) -> Self:
        """The text with its origin."""
        made = super().__new__(cls, text)
        made.policy, made.generation = policy, generation
        return made

    @classmethod
    def of(cls, text: str, limit: int | None = None, *, policy: str = "") -> Self:
        """A text, cut to so many characters, with the origin that it has; ``policy`` where it has none."""
        known = getattr(text, "policy", "") or policy
        return cls(text[:limit], policy=known, generation=getattr(text, "generation", None))

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (str(self),), {"policy": self.policy, "generation": self.generation}
