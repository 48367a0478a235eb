"""What goes to an OpenAI-compatible server, and how an attempt may fail. Nothing here opens a connection."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt, PromptShape, valid_text

__all__ = ["Failure", "Request", "read_json"]

_MAX_STOPS = 4  # the API's own limit
_MOST_DIGITS = 400  # of a whole number


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why an attempt gave no reply."""

    said: str
    after: float | None = None
    """Seconds that the server asks to wait."""
    unreachable: bool = False
    """Whether nothing was sent, since no connection came about."""
    hurried: bool = False
    """Whether it was cut short since the patience was over, which says little about the server."""
    final: ActorError | None = None
    """What the call comes to, where another attempt is of no use."""
    final_after: int = 1
    """How many attempts must have ended like this one before that is what the call comes to."""
    silenced: bool = False
    """Whether no action was reached, which a stop text within the reasoning, seen or not, may have brought about."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """What it cost all the same."""


@dataclasses.dataclass(frozen=True)
class Request:
    """The parameters that every request of an actor has in common. None leaves a parameter out."""

    model: str
    shape: PromptShape
    temperature: float | None
    max_tokens: int | None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"]
    send_stop: bool
    send_seed: bool
    extra_body: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Relative to the base URL."""
        return "/completions" if self.shape == "completion" else "/chat/completions"

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """The JSON of a request for one prompt."""
        body: dict[str, Any] = {"model": self.model}
        if self.shape == "completion":
            body["prompt"] = valid_text(prompt.text)
        else:
            messages = prompt.messages(self.shape)
            body["messages"] = [{**message, "content": valid_text(message["content"])} for message in messages]
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.max_tokens is not None:
            body[self.max_tokens_field] = self.max_tokens
        if self.send_stop and prompt.stop:
            body["stop"] = list(prompt.stop[:_MAX_STOPS])
        if self.send_seed:
            body["seed"] = prompt.seed
        return {**body, **self.extra_body}

    @property
    def most_tokens(self) -> int | None:
        """The limit of tokens that is sent; None where none is, or none that can be read."""
        for name in ("max_tokens", "max_completion_tokens"):
            if name in self.extra_body:
                given = self.extra_body[name]
                return given if isinstance(given, int) else None
        return self.max_tokens

    @property
    def sends_own_stop(self) -> bool:
        """Whether the prompt's stop texts are sent."""
        return self.send_stop and "stop" not in self.extra_body

    @property
    def limit(self) -> str:
        """The limit of tokens that is sent, for messages."""
        for name in ("max_tokens", "max_completion_tokens"):
            if name in self.extra_body:
                return f"{name}={self.extra_body[name]}"
        return "the server's own limit of tokens" if self.max_tokens is None else f"max_tokens={self.max_tokens}"

    def without_stop(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The same body without the prompt's stop texts; None where it has none. Those of ``extra_body`` stay."""
        if "stop" not in body or "stop" in self.extra_body:
            return None
        return {name: value for name, value in body.items() if name != "stop"}


def read_json(text: str | bytes) -> Any:
    """The value of a JSON document. A number that is too long for Python to read is an infinite one.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
