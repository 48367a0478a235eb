"""Fault injection of the test server: its latency, and the faults in its answers."""

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

_Z99 = NormalDist().inv_cdf(0.99)  # standard deviations between the median and the 99th percentile


class Fault(StrEnum):
    """A kind of fault in an answer."""

    RATE_LIMIT = "rate_limit"
    """429, with a Retry-After header."""
    RATE_LIMIT_BARE = "rate_limit_bare"
    """429 without a Retry-After header."""
    SERVER_ERROR = "server_error"
    """500."""
    UNAVAILABLE = "unavailable"
    """503."""
    SLOW_BODY = "slow_body"
    """The headers at once, the body after ``slow_seconds``."""
    CUT = "cut"
    """The connection closes in the middle of the body."""
    INVALID_JSON = "invalid_json"
    """200 with half a JSON document."""
    EMPTY_CHOICES = "empty_choices"
    """200 without a choice."""
    WRONG_TYPES = "wrong_types"
    """200 with a number for the text, or a text for the choices."""
    CHOICE_ERROR = "choice_error"
    """200 with an error in the choice, as gateways report a failure of the model behind them."""
    REFUSAL = "refusal"
    """200 with ``refusal`` in place of the content, or blocked by a filter."""
    LENGTH = "length"
    """200 with half of the text, truncated at the token limit."""
    CONTEXT_LENGTH = "context_length"
    """400: the prompt exceeds the context window."""


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
"""The transient faults, after which a retry may succeed; after the others a retry is of no use."""


@dataclasses.dataclass(frozen=True)
class Faults:
    """The faults to inject.

    >>> faults = Faults.mixed(0.3, seed=7)
    >>> round(sum(faults.shares.values()), 3)
    0.3
    """

    shares: Mapping[Fault, float] = dataclasses.field(default_factory=dict)
    """The probability of each fault; they sum to at most 1."""
    first: Sequence[Fault | None] = ()
    """The faults of the first requests, in order (None for no fault); ``shares`` applies to the requests after them."""
    seed: int = 0
    slow_seconds: float = 0.5
    """Seconds between the headers and the body of a slow answer."""
    retry_after: float = 0.0
    """Seconds in the Retry-After header of a 429."""
    retry_after_date: bool = False
    """Whether the header gives a date instead, with a resolution of one second."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in (*self.shares, *self.first) if kind is not None and kind not in tuple(Fault)]
        if unknown:
            known = [fault.value for fault in Fault]
            raise ConfigError(f"fault {unknown[0]!r} is not one of {known}.{did_you_mean(unknown[0], known)}")
        if not all(share >= 0 for share in self.shares.values()) or not sum(self.shares.values()) <= 1 + 1e-9:
            raise ConfigError(f"shares of faults are {one_line(dict(self.shares))}; they are >= 0 and sum to <= 1.")

    @classmethod
    def mixed(cls, share: float, kinds: Sequence[Fault] = tuple(Fault), *, seed: int = 0) -> Faults:
        """Returns faults in a share of all answers, divided equally among the kinds."""
        return cls({kind: share / len(kinds) for kind in kinds}, seed=seed)

    def draw(self, number: int, rng: random.Random) -> Fault | None:
        """Draws the fault of a request, given how many came before it; None for no fault."""
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
    """The latency of answers: constant or log-normal.

    >>> Latency(0.2).draw(random.Random(0))
    0.2
    """

    median: float = 0.0
    """Seconds."""
    p99: float | None = None
    """99th percentile in seconds; None makes the latency constant."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.median < math.inf or (self.p99 is not None and not math.inf > self.p99 >= self.median > 0):
            raise ConfigError(f"latency is {self}; it needs median >= 0 and, with p99, p99 >= median > 0.")

    def draw(self, rng: random.Random) -> float:
        """Draws a latency in seconds."""
        if self.p99 is None:
            return self.median
        return self.median * math.exp(math.log(self.p99 / self.median) / _Z99 * rng.gauss())


def failed_body(answer: dict[str, Any], fault: Fault, draw: float) -> dict[str, Any]:
    """Returns an answer with status 200 and a fault.

    Args:
        answer: a correct answer; it is modified.
        fault: a fault with status 200.
        draw: a random number in [0, 1), which picks the variant of a fault with several.
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
