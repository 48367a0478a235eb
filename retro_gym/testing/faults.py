"""How a test server misbehaves: how long it takes, and which of its answers go wrong in which way."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import NormalDist
from typing import Any

from retro_gym.errors import ConfigError, did_you_mean, one_line

__all__ = ["PASSING_FAULTS", "Fault", "Faults", "Latency", "failed_body"]

_Z99 = NormalDist().inv_cdf(0.99)  # how many sigmas lie between the median and the 99th percentile


class Fault(StrEnum):
    """One way in which an answer goes wrong."""

    RATE_LIMIT = "rate_limit"
    """429, with a Retry-After header."""
    RATE_LIMIT_BARE = "rate_limit_bare"
    """429 that does not say when to come back."""
    SERVER_ERROR = "server_error"
    """500."""
    UNAVAILABLE = "unavailable"
    """503."""
    SLOW_BODY = "slow_body"
    """The headers at once, the body after ``slow_seconds``."""
    CUT = "cut"
    """The connection ends in the middle of the body."""
    INVALID_JSON = "invalid_json"
    """200 with half a JSON document."""
    EMPTY_CHOICES = "empty_choices"
    """200 without a choice."""
    WRONG_TYPES = "wrong_types"
    """200 with a number for the text, or a text for the choices."""
    CHOICE_ERROR = "choice_error"
    """200 with an error in the choice, as gateways report that the model behind them has failed."""
    REFUSAL = "refusal"
    """200 with ``refusal`` in place of the content, or blocked by a filter."""
    LENGTH = "length"
    """200 with half of the text, which ran into its limit of tokens."""
    CONTEXT_LENGTH = "context_length"
    """400: the prompt is said not to fit into the context."""


PASSING_FAULTS: tuple[Fault, ...] = (
    Fault.RATE_LIMIT,
    Fault.RATE_LIMIT_BARE,
    Fault.SERVER_ERROR,
    Fault.UNAVAILABLE,
    Fault.SLOW_BODY,
    Fault.CUT,
    Fault.INVALID_JSON,
    Fault.EMPTY_CHOICES,
    Fault.WRONG_TYPES,
    Fault.CHOICE_ERROR,
)
"""Those that another attempt may cure. With the others, asking again is of no use."""


@dataclasses.dataclass(frozen=True)
class Faults:
    """Which answers go wrong.

    >>> faults = Faults.mixed(0.3, seed=7)
    >>> round(sum(faults.shares.values()), 3)
    0.3
    """

    shares: Mapping[Fault, float] = dataclasses.field(default_factory=dict)
    """The probability of each fault; they sum to at most 1."""
    first: Sequence[Fault | None] = ()
    """What happens to the first requests, in order; the shares hold for those after them."""
    seed: int = 0
    slow_seconds: float = 0.5
    """Until a slow body goes on."""
    retry_after: float = 0.0
    """Seconds that a 429 asks to wait."""
    retry_after_date: bool = False
    """Whether it names the date instead, which is precise to one second."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in (*self.shares, *self.first) if kind is not None and kind not in tuple(Fault)]
        if unknown:
            known = [fault.value for fault in Fault]
            raise ConfigError(f"fault {unknown[0]!r} is not one of {known}.{did_you_mean(unknown[0], known)}")
        if not all(share >= 0 for share in self.shares.values()) or not sum(self.shares.values()) <= 1 + 1e-9:
            raise ConfigError(f"shares of faults are {one_line(dict(self.shares))}; they are >= 0 and sum to <= 1.")

    @classmethod
    def mixed(cls, share: float, kinds: Sequence[Fault] = tuple(Fault), *, seed: int = 0) -> Faults:
        """A share of all answers goes wrong, in all of these ways alike."""
        return cls({kind: share / len(kinds) for kind in kinds}, seed=seed)

    def draw(self, number: int, rng: random.Random) -> Fault | None:
        """What happens to a request, given how many came before it."""
        if number < len(self.first):
            return self.first[number]
        left = rng.random()
        for fault, share in self.shares.items():
            left -= share
            if left < 0:
                return Fault(fault)
        return None


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long an answer takes: always the same, or log-normal.

    >>> Latency(0.2).draw(random.Random(0))
    0.2
    """

    median: float = 0.0
    """Seconds."""
    p99: float | None = None
    """Seconds within which 99 of 100 answers come; None makes them all take the median."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.median < math.inf or (self.p99 is not None and not math.inf > self.p99 >= self.median > 0):
            raise ConfigError(f"latency is {self}; the rule is median >= 0 and, with p99, p99 >= median > 0.")

    def draw(self, rng: random.Random) -> float:
        """Seconds."""
        if self.p99 is None:
            return self.median
        return self.median * math.exp(math.log(self.p99 / self.median) / _Z99 * rng.gauss())


def failed_body(answer: dict[str, Any], fault: Fault, draw: float) -> dict[str, Any]:
    """An answer with status 200 in which something has gone wrong.

    Args:
        answer: a good one; it is changed.
        fault: one of those that come with status 200.
        draw: a random number below 1, for faults of more than one kind.
    """
    choice = answer["choices"][0]
    said = choice.get("message", choice)
    name = "content" if "message" in choice else "text"
    if fault is Fault.EMPTY_CHOICES:
        answer["choices"] = []
    elif fault is Fault.CHOICE_ERROR:
        said[name] = ""
        choice.update(finish_reason="error", error={"code": 502, "message": "The model has failed."})
    elif fault is Fault.REFUSAL and name == "content":
        said.update(content=None, refusal="I cannot help with that.")
    elif fault is Fault.REFUSAL:
        choice.update(text="", finish_reason="content_filter")
    elif fault is Fault.LENGTH:
        said[name] = said[name][: len(said[name]) // 2]
        choice["finish_reason"] = "length"
    elif draw < 0.5:
        answer["choices"] = "a lot"
    else:
        said[name] = 42
    return answer
