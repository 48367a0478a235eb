"""What goes to an OpenAI-compatible server, and what its answers mean. Nothing here opens a connection."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from retro_gym.actors.base import Reply
from retro_gym.actors.parsing import cut_at, split_reasoning
from retro_gym.errors import ActorError, PromptTooLongError, one_line
from retro_gym.prompts import Prompt, PromptShape

__all__ = ["Failure", "MalformedReplyError", "Request", "failed_status", "read_reply", "retry_after"]

_MAX_STOPS = 4  # the API's own limit
_SAID = 300  # characters of a server's message that an error shows

# OpenAI and vLLM, SGLang, vLLM with a decoder prompt, llama.cpp, Ollama and LM Studio, text-generation-inference.
_CONTEXT = re.compile(
    r"maximum context length|model'?s context length|maximum model length|context size|context window|context_length"
    r"|prompt is too long|longer than the context|max_new_tokens` must be <=",
    re.IGNORECASE,
)
_QUOTA = ("insufficient_quota", "billing_hard_limit_reached")
_OPTIONS = {
    "stop": "send_stop=False (replies are cut at the stop texts all the same)",
    "temperature": "temperature=None",
    "seed": "send_seed=False",
    "max_tokens": 'max_tokens_field="max_completion_tokens"',
    "max_completion_tokens": 'max_tokens_field="max_tokens", or max_tokens=None',
}
_NAMED = re.compile(r"['\"`](stop|temperature|seed|max_tokens|max_completion_tokens)['\"`]")


class MalformedReplyError(ValueError):
    """An answer that is no reply; the message says how. Another attempt may cure it."""


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
            body["prompt"] = _valid(prompt.text)
        else:
            messages = prompt.messages(self.shape)
            body["messages"] = [{**message, "content": _valid(message["content"])} for message in messages]
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.max_tokens is not None:
            body[self.max_tokens_field] = self.max_tokens
        if self.send_stop and prompt.stop:
            body["stop"] = list(prompt.stop[:_MAX_STOPS])
        if self.send_seed:
            body["seed"] = prompt.seed
        return {**body, **self.extra_body}


def read_reply(body: bytes, stop: tuple[str, ...] = ()) -> Reply:
    r"""The reply in a server's answer, of either kind.

    A refusal is the model's own answer and so the reply's text. What the server keeps apart as reasoning, and a leading
    ``<think>`` part, go into ``reasoning``.

    Args:
        body: the answer, JSON.
        stop: texts at which the reply is cut, whatever the server has done about them.

    Raises:
        MalformedReplyError: it is not JSON, has no choice, or a part of it has the wrong type.

    >>> answer = {"choices": [{"message": {"content": "<think>Easy.</think>Finish[yes]\nObservation 1: no"}}]}
    >>> read_reply(json.dumps(answer).encode(), stop=("\nObservation",))
    Reply(text='Finish[yes]', prompt_tokens=0, completion_tokens=0, reasoning='Easy.')
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedReplyError(f"an answer that is not JSON: {one_line(body[:_SAID], 60)}") from None
    answer = _of(answer, dict, "the answer")
    if "choices" not in answer and "error" in answer:  # gateways report the failure of a model behind them like this
        raise MalformedReplyError(f"an error in place of a reply: {one_line(answer['error'], _SAID)}")
    choices = _of(answer.get("choices"), list, "choices")
    if not choices:
        raise MalformedReplyError("an answer without a choice")
    choice = _of(choices[0], dict, "the choice")
    if "message" in choice:
        noted, text = _message(_of(choice["message"], dict, "the message"))
    else:
        noted, text = [], _of(choice.get("text"), str, "the text")
    text, thought = split_reasoning(_valid(text))
    usage = _of(answer.get("usage") or {}, dict, "usage")
    return Reply(
        cut_at(text, stop),
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        "\n".join(part for part in (*map(_valid, noted), thought) if part),
    )


def _message(message: dict[str, Any]) -> tuple[list[str], str]:
    """The reasoning that stands in fields of its own, and the text."""
    fields = [message.get("reasoning_content"), message.get("reasoning")]
    noted = list(dict.fromkeys(field.strip() for field in fields if isinstance(field, str)))  # some servers send both
    content = message.get("content")
    if isinstance(content, list):  # a list of parts: text, and some servers' thinking
        content = "".join(_of(_of(part, dict, "a part").get("text") or "", str, "a part's text") for part in content)
    if not content and message.get("refusal"):
        content = message["refusal"]
    return noted, _of(content or "" if content is None else content, str, "the content")


def _valid(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can name and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _of(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise MalformedReplyError(f"an answer of the wrong types ({name} is {one_line(value, 40)})")
    return value


def _count(usage: Mapping[str, Any], name: str) -> int:
    count = usage.get(name)
    if count is None:
        return 0
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise MalformedReplyError(f"an answer of the wrong types ({name} is {one_line(count, 40)})")
    return count


def failed_status(status: int, headers: Mapping[str, str], body: bytes, request: Request, key_env: str) -> Failure:
    """What an answer with an HTTP status of 400 and more means.

    Args:
        status: of the answer.
        headers: of the answer; names in lower case, or a mapping that does not mind.
        body: of the answer.
        request: what was asked with.
        key_env: the environment variable that holds the key, for the message.
    """
    error = _error_object(body)
    message, code, kind = error.get("message") or error.get("detail"), error.get("code"), error.get("type")
    said = " ".join((message if isinstance(message, str) else body.decode(errors="replace")).split())
    said = f"{status}: {said if len(said) <= _SAID else said[: _SAID - 3] + '...'}"
    if status == 429:
        if code in _QUOTA or kind in _QUOTA:
            return Failure(said, final=ActorError(f"the account's quota is used up ({said}). Raise it and resume."))
        return Failure(said, after=retry_after(headers))
    if code == "context_length_exceeded" or kind == "exceed_context_size_error" or _CONTEXT.search(said):
        return Failure(
            said, final=PromptTooLongError(f"the prompt does not fit into the context of {request.model!r} ({said})")
        )
    if status in (408, 409) or status >= 500:
        return Failure(said, after=retry_after(headers))
    remedy = _remedy(status, error.get("param"), said, request, key_env)
    return Failure(said, final=ActorError(f"the server refuses the request ({said}). {remedy}"))


def _remedy(status: int, param: object, said: str, request: Request, key_env: str) -> str:
    if status == 401:
        return f"Put a valid key into the environment variable {key_env}."
    if status == 403:
        return f"The key in {key_env} may not use the model {request.model!r}; ask for access or name another one."
    if status == 404:
        return f"Check that it serves {request.model!r}, and that base_url ends as it must (often in /v1)."
    named = _NAMED.search(said)
    for option in (param, named and named.group(1)):
        if isinstance(option, str) and option in _OPTIONS:
            return f"Give the actor {_OPTIONS[option]}."
    return f"Check the model {request.model!r}, shape={request.shape!r} and extra_body."


def _error_object(body: bytes) -> Mapping[str, Any]:
    """The part of an error's body that says something; servers differ in where they put it."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error", answer)
    return error if isinstance(error, dict) else {"message": error}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers ask to wait, given as seconds or as a date; None when they say nothing usable.

    >>> retry_after({"retry-after": "1.5"}), retry_after({"retry-after": "soon"})
    (1.5, None)
    """
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * scale
        except ValueError:
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    try:
        return max(parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
