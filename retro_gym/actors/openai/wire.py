"""The body of a request to an OpenAI-compatible server, and the failure of an attempt. Opens no connection."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

from retro_gym.errors import ActorError
from retro_gym.prompts import Prompt, PromptShape, valid_text

__all__ = ["Failure", "Request", "read_json"]

_MAX_STOPS = 4  # the API's own limit
_MOST_DIGITS = 400  # of an integer


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why an attempt gave no reply."""

    said: str
    after: float | None = None
    """Seconds that the server asks to wait."""
    unreachable: bool = False
    """Whether nothing was sent because the connection failed."""
    hurried: bool = False
    """Whether the remaining patience was shorter than the timeout, so that it says little about the server."""
    final: ActorError | None = None
    """The result of the call if a retry is of no use; None for a transient failure."""
    final_after: int = 1
    """Consecutive attempts that must fail in this way before ``final`` is the result."""
    silenced: bool = False
    """Whether the reply ended before an action, possibly because a stop text occurred in the reasoning."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """What the failed attempt cost."""


@dataclasses.dataclass(frozen=True)
class Request:
    """The parameters that all requests of an actor share. None leaves a parameter out."""

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
        """The request's path, relative to the base URL."""
        return "/completions" if self.shape == "completion" else "/chat/completions"

    def body(self, prompt: Prompt) -> dict[str, Any]:
        """Returns the JSON body of a request for one prompt."""
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
        """The token limit that is sent; None if there is none or it is not an integer."""
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
        """The token limit that is sent, for messages."""
        for name in ("max_tokens", "max_completion_tokens"):
            if name in self.extra_body:
                return f"{name}={self.extra_body[name]}"
        return "the server's own token limit" if self.max_tokens is None else f"max_tokens={self.max_tokens}"

    def without_stop(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns the body without the prompt's stop texts; None if it has none. Those of ``extra_body`` are kept."""
        if "stop" not in body or "stop" in self.extra_body:
            return None
        return {name: value for name, value in body.items() if name != "stop"}


def read_json(text: str | bytes) -> Any:
    """Parses a JSON document. An integer with too many digits for Python becomes infinity.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
