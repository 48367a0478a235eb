"""The tokens that a local model sampled, with their log-probabilities, and reflections that carry them."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from typing import Any, Self

from retro_gym.errors import DataError, one_line

__all__ = ["Generation", "Reflection"]


@dataclasses.dataclass(frozen=True)
class Generation:
    """The tokens that a model sampled, for off-policy learning; the text is never tokenised again.

    The prompt is not stored: that of a reflection can be rendered from the observation, that of an actor's turn from
    the trial's prompt, reflections and earlier turns.

    Raises:
        DataError: the numbers of log-probabilities and of tokens differ, an id is no whole number, or a log-probability
            is not finite.
    """

    model: str
    """The weights that generated it: the model's name, and what identifies the adapter or the update."""
    token_ids: tuple[int, ...]
    """The T tokens, including the end token."""
    logprobs: tuple[float, ...]
    """Log-probability of each of the T tokens under the behaviour policy, at its temperature, in nats."""
    temperature: float = 1.0
    """Sampling temperature."""

    def __post_init__(self) -> None:
        if len(self.token_ids) != len(self.logprobs):
            raise DataError(
                f"a generation has {len(self.token_ids)} tokens and {len(self.logprobs)} log-probabilities; one per "
                "token is required."
            )
        try:
            ids, logprobs = tuple(map(operator.index, self.token_ids)), tuple(map(float, self.logprobs))
        except (TypeError, ValueError) as error:
            raise DataError(f"a generation's tokens are {one_line(self.token_ids)}: {error}.") from error
        if not all(map(math.isfinite, logprobs)):
            raise DataError(f"a generation's log-probabilities are {one_line(logprobs)}; finite numbers are required.")
        object.__setattr__(self, "token_ids", ids)  # as Python's own numbers, whatever library they come from
        object.__setattr__(self, "logprobs", logprobs)

    def to_json(self) -> dict[str, Any]:
        """Returns a new dict of JSON types."""
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
            return cls(**{**row, "token_ids": tuple(row["token_ids"]), "logprobs": tuple(row["logprobs"])})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"not a generation: {error} in {one_line(row)}. "
                f"Its fields are {[field.name for field in dataclasses.fields(cls)]}."
            ) from error


class Reflection(str):
    """A reflection with its origin; a ``str`` with two more attributes.

    Args:
        text: the reflection.
        policy: name of the policy that wrote it.
        generation: its tokens, if a local model wrote it.

    >>> text = Reflection("Search for Velmora.", policy="oracle")
    >>> text.upper(), text.policy
    ('SEARCH FOR VELMORA.', 'oracle')
    """

    policy: str
    generation: Generation | None

    def __new__(cls, text: str, *, policy: str = "", generation: Generation | None = None) -> Self:
        """Creates the text with its origin."""
        made = super().__new__(cls, text)
        made.policy, made.generation = policy, generation
        return made

    @classmethod
    def of(cls, text: str, limit: int | None = None, *, policy: str = "") -> Self:
        """Returns a text cut to ``limit`` characters, with its origin, or with ``policy`` if it has none."""
        known = getattr(text, "policy", "") or policy
        return cls(text[:limit], policy=known, generation=getattr(text, "generation", None))

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (str(self),), {"policy": self.policy, "generation": self.generation}
