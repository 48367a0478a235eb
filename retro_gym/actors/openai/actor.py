"""The actor behind an OpenAI-compatible URL: OpenAI, vLLM, SGLang, llama.cpp, Ollama, a gateway."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Literal

from retro_gym.actors.base import Reply
from retro_gym.actors.budget import Budget
from retro_gym.actors.openai.connection import Connection, Limits
from retro_gym.actors.openai.endpoint import is_url, shown_url
from retro_gym.actors.openai.wire import Request
from retro_gym.errors import ActorError, ConfigError, did_you_mean, one_line
from retro_gym.prompts import PROMPT_SHAPES, Prompt, PromptShape

__all__ = ["OpenAIActor"]

# Connections of a parent process. A forked copy has no thread and shares its sockets with the parent, so it is not
# closed; it is kept here because garbage collection would warn of unclosed resources.
_INHERITED: list[Connection | None] = []


class OpenAIActor:
    """A model behind one or several OpenAI-compatible servers, with many calls in flight.

    Connections are opened at the first call, so the actor can be copied, pickled and sent to worker processes; every
    copy opens its own connections. Transient failures (no connection, timeouts, 408, 409, 429, 5xx, malformed answers)
    are retried with exponential back-off, or after the time in Retry-After, until ``patience`` is used up; then the
    call returns an ``ActorError``. After a call has used up its patience while no other call succeeded, each call makes
    one attempt per endpoint until one succeeds.

    An error inside an answer with status 200 is treated as the status that it names. A reply that was refused or
    blocked, a tool call, and a reply that was truncated before its action was complete become an ``ActorError`` at
    once, an empty reply after three attempts: none of them is played.

    Args:
        model: the model's name on the server.
        base_url: one or several URLs, in a list or separated by commas; each call goes to the one with the fewest calls
            in flight. Default: the environment variable ``OPENAI_BASE_URL``, else the OpenAI API.
        shape: ``"chat"`` (the history as messages), ``"user"`` (all in one message), or ``"completion"`` (one text,
            continued through ``/completions``).
        temperature: sampling temperature; None uses the server's default.
        max_tokens: token limit of a reply, reasoning included (the default leaves room for reasoning models); None uses
            the server's limit. A reply that is truncated before its action is complete is a ``CutReplyError``.
        max_tokens_field: the parameter's name in the request; newer OpenAI models need ``"max_completion_tokens"``.
        send_stop: whether the prompt's stop texts are sent; the reply is cut at them in any case. If a server applies
            them to the reasoning, so that no action is left, this and all later requests to it omit them.
        send_seed: whether the prompt's seed is sent.
        extra_body: further parameters of the request, such as ``{"top_k": 20}``.
        timeout: seconds for one attempt.
        patience: seconds for one call, all attempts included.
        retry_wait: seconds before the second attempt; doubled for each further one, up to 16 times this.
        max_in_flight: maximum number of concurrent calls; further calls are queued.
        api_key_env: environment variable with the key, read at the first call; may be unset if the server needs none.
        budget: limits on what the calls may cost.

    Raises:
        ConfigError: an argument is invalid.
    """

    _connection: Connection | None
    _closing: weakref.finalize[[int, Connection], OpenAIActor] | None
    _lock: threading.Lock
    _process: int

    def __init__(
        self,
        model: str,
        *,
        base_url: str | Sequence[str] | None = None,
        shape: PromptShape = "chat",
        temperature: float | None = 0.0,
        max_tokens: int | None = 4096,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        send_stop: bool = True,
        send_seed: bool = True,
        extra_body: Mapping[str, Any] | None = None,
        timeout: float = 120.0,
        patience: float = 180.0,
        retry_wait: float = 0.5,
        max_in_flight: int = 64,
        api_key_env: str = "OPENAI_API_KEY",
        budget: Budget | None = None,
    ) -> None:
        self._request = _checked_request(
            Request(
                model,
                shape,
                temperature,
                max_tokens,
                max_tokens_field,
                send_stop,
                send_seed,
                _checked_extra(extra_body),
            )
        )
        for name, seconds in (("timeout", timeout), ("patience", patience), ("retry_wait", retry_wait)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
                raise ConfigError(f"{name} is {one_line(seconds)}; it is a number of seconds above 0.")
        if not isinstance(max_in_flight, int) or max_in_flight < 1:
            raise ConfigError(f"max_in_flight is {one_line(max_in_flight)}; it must be a whole number, at least 1.")
        if budget is not None and not isinstance(budget, Budget):
            raise ConfigError(f"budget is {one_line(budget)}; give a retro_gym.actors.Budget.")
        self._limits = Limits(timeout, patience, retry_wait, max_in_flight)
        self._urls = None if base_url is None else _urls_of(base_url)
        if not isinstance(api_key_env, str) or not api_key_env:
            raise ConfigError(f"api_key_env is {one_line(api_key_env)}; it is the name of an environment variable.")
        self._key_env = api_key_env
        self.budget = budget if budget is not None else Budget()
        self._forget()

    @property
    def model(self) -> str:
        """The model's name."""
        return self._request.model

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything except the prompt that influences a reply, as JSON types. Holds neither URLs nor keys."""
        return dataclasses.asdict(self._request)

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Sends one prompt and returns at once. The future's result is the reply or an ``ActorError``.

        Raises:
            MissingExtraError: the extra [openai] is not installed.
            ConfigError: the key in the environment is absent where one is needed, or cannot be sent.
        """
        future = self._open().submit(prompt)
        future.add_done_callback(self._answered)  # a bound method: keeps the actor and its loop alive until then
        return future

    def reply(self, prompts: Sequence[Prompt]) -> list[Reply | ActorError]:
        """Sends all prompts at once and waits for the replies, in the same order."""
        futures = [self.submit(prompt) for prompt in prompts]
        return [future.result() for future in futures]

    def close(self) -> None:
        """Cancels the calls in flight and closes the connections. A later call opens new ones."""
        self._start_afresh_if_forked()
        closing = self._closing
        self._forget()
        if closing is not None:
            closing()

    def _open(self) -> Connection:
        self._start_afresh_if_forked()
        with self._lock:
            if self._connection is None:
                given = os.environ.get("OPENAI_BASE_URL")
                urls = self._urls or (_urls_of(given) if given else (None,))
                key = _key_in(self._key_env, needed=urls == (None,))
                self._connection = Connection(self._request, self._limits, urls, key, self._key_env, self.budget)
                self._closing = weakref.finalize(self, _close_in, os.getpid(), self._connection)
            return self._connection

    def _answered(self, future: Future[Reply | ActorError]) -> None:
        """Does nothing; its reference to the actor is what matters, see :meth:`submit`."""

    def _start_afresh_if_forked(self) -> None:
        if self._process != os.getpid():
            _INHERITED.append(self._connection)
            self._forget()

    def _forget(self) -> None:
        self._connection = None
        self._closing = None
        self._lock, self._process = threading.Lock(), os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("_request", "_limits", "_urls", "_key_env", "budget")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        urls = "" if self._urls is None else f", base_url={','.join(map(shown_url, self._urls))!r}"
        return f"OpenAIActor({self.model!r}{urls}, shape={self._request.shape!r})"


def _close_in(process: int, connection: Connection) -> None:
    if process == os.getpid():
        connection.close()
    else:
        _INHERITED.append(connection)


def _checked_request(request: Request) -> Request:
    if not isinstance(request.model, str) or not request.model:
        raise ConfigError(f"model is {one_line(request.model)}; it is the name that the server knows the model by.")
    if request.shape not in PROMPT_SHAPES:
        hint = did_you_mean(request.shape, PROMPT_SHAPES)
        raise ConfigError(f"shape {one_line(request.shape)} is not one of {PROMPT_SHAPES}.{hint}")
    temperature, tokens = request.temperature, request.max_tokens
    if temperature is not None and (not isinstance(temperature, int | float) or not 0 <= temperature < math.inf):
        raise ConfigError(f"temperature is {one_line(temperature)}; it is a number of at least 0, or None.")
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise ConfigError(f"max_tokens is {one_line(tokens)}; it is a whole number of at least 1, or None.")
    if request.max_tokens_field not in ("max_tokens", "max_completion_tokens"):
        raise ConfigError(
            f"max_tokens_field is {one_line(request.max_tokens_field)}; give 'max_tokens' or 'max_completion_tokens'."
        )
    try:
        json.dumps(request.extra_body, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"extra_body {one_line(request.extra_body)} cannot be sent as JSON: {error}.") from error
    return request


def _checked_extra(extra_body: Mapping[str, Any] | None) -> dict[str, Any]:
    if extra_body is not None and not isinstance(extra_body, Mapping):
        raise ConfigError(f"extra_body is {one_line(extra_body)}; it is a dict of parameters, such as {{'top_k': 20}}.")
    return dict(extra_body or {})


def _urls_of(base_url: str | Sequence[str]) -> tuple[str, ...]:
    given = base_url.split(",") if isinstance(base_url, str) else base_url
    if not isinstance(given, Iterable):
        raise ConfigError(f"base_url is {one_line(base_url)}; it is a URL such as http://127.0.0.1:8000/v1, or a list.")
    urls = tuple(url.strip() if isinstance(url, str) else url for url in given)
    for url in urls:
        if not isinstance(url, str) or not is_url(url):
            shown = shown_url(url) if isinstance(url, str) else url
            raise ConfigError(f"base_url {one_line(shown)} is not a URL such as http://127.0.0.1:8000/v1.")
    if not urls:
        raise ConfigError("base_url names no URL; give one such as http://127.0.0.1:8000/v1, or None.")
    return urls


def _key_in(variable: str, *, needed: bool) -> str | None:
    """Returns the key from the environment."""
    key = os.environ.get(variable, "").strip()
    if not key:
        if needed:
            raise ConfigError(
                f"the environment variable {variable} is not set; the OpenAI API needs a key in it. "
                "For another server give base_url."
            )
        return None
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"the key in {variable} holds characters that an HTTP header cannot hold; set it again.")
    return key
