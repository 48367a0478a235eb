"""The reply in the answer of an OpenAI-compatible server, or why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from retro_gym.actors.base import Reply, as_count, unless_cut
from retro_gym.actors.openai_errors import SAID, failed_answer, one_of
from retro_gym.actors.openai_wire import Failure, Request, valid_text
from retro_gym.actors.parsing import cut_at, parse_reply, split_reasoning
from retro_gym.errors import ActorError, PromptTooLongError, one_line

__all__ = ["read_reply"]

_FEW = 3  # attempts for a reply that says nothing: one may be an accident, three are what the model has to say

# Why a reply ended, in the words of several servers, in small letters with underscores.
_LIMIT = re.compile(
    r"length|(?:max|model)_(?:\w+_)?(?:tokens?|length)|(?:stopped_)?limit|token_limit|incomplete|truncated"
)
_CONTEXT_FULL = re.compile(r"(?:model_)?context_(?:window|length)_exceeded|context_(?:length|limit|window)")
_BLOCKED = re.compile(
    r"\w*content_?filter\w*|\w*safety|recitation|refus(?:al|ed)|\w*block(?:ed|list)\w*|prohibited_content|spii|sensitive"
    r"|\w*moderat\w+|\w*guardrail\w*"
)
_FAILED = re.compile(
    r"\w*error\w*|failed|failure|abort(?:ed)?|cancel(?:l?ed)?|timeout|insufficient_system_resource|unavailable"
)
_TOOLS = re.compile(r"\w*(?:tool|function)_(?:use|calls?)")
_WHY = ("finish_reason", "native_finish_reason", "stop_reason", "stop_type", "done_reason")
_ENVELOPE = ("choices", "created", "error", "id", "model", "object", "system_fingerprint", "usage")
_USAGE = (("prompt", "input"), ("completion", "output"))
_REASONING = ("reasoning_content", "reasoning", "thinking", "thought")


class _MalformedError(ValueError):
    """An answer that is no reply; the message says how."""


def read_reply(
    body: bytes,
    request: Request,
    stop: tuple[str, ...] = (),
    *,
    headers: Mapping[str, str] | None = None,
    key_env: str = "OPENAI_API_KEY",
    clean: Callable[[str], str] = str,
) -> Reply | Failure:
    r"""The reply in a server's answer, of either kind.

    What the server keeps apart as reasoning, and what tags such as ``<think>`` enclose, go into ``reasoning``. A reply
    that was cut at a stop text is whole, however it would have ended.

    Args:
        body: the answer, JSON.
        request: what was asked with.
        stop: texts at which the reply is cut, whatever the server has done about them.
        headers: of the answer.
        key_env: the environment variable that holds the key, for messages.
        clean: takes secrets out of what is shown.

    >>> request = Request("any", "chat", 0.0, 64, "max_tokens", True, True, {})
    >>> answer = {"choices": [{"message": {"content": "<think>Easy.</think>Finish[yes]\nObservation 1: no"}}]}
    >>> read_reply(json.dumps(answer).encode(), request, stop=("\nObservation",))
    Reply(text='Finish[yes]', prompt_tokens=0, completion_tokens=0, reasoning='Easy.', cut=False)
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Failure(clean(f"an answer that is not JSON: {one_line(body[:SAID], 60)}"))
    try:
        choice = _choice(answer)
        error = _error_of(answer, choice)
        if error is not None:
            return failed_answer(error, request, key_env, headers or {}, clean)
        said = _Said(answer, choice)
    except _MalformedError as error:
        return Failure(clean(str(error)))
    reply = said.reply(stop)
    return said.failure(reply, request, clean) or reply


def _choice(answer: object) -> dict[str, Any]:
    """The first choice; empty where there is none."""
    choices = _of(answer, dict, "the answer").get("choices")
    if not choices:
        return {}
    choice: dict[str, Any] = _of(_of(choices, list, "choices")[0], dict, "the choice")
    return choice


def _error_of(answer: dict[str, Any], choice: dict[str, Any]) -> object:
    """What an answer says of an error, at its top or in its choice; None where it says nothing."""
    for error in (answer.get("error"), choice.get("error")):
        if error and not (isinstance(error, dict) and not any(error.values())):
            return error
    if not choice:
        told = {name: value for name, value in answer.items() if name not in _ENVELOPE and value}
        return told or "an answer without a choice"
    if _FAILED.fullmatch(_word(choice.get("finish_reason"))):
        return {"message": f"the reply ended with finish_reason {one_line(choice['finish_reason'])}"}
    return None


class _Said:
    """What one choice holds.

    Raises:
        _MalformedError: a part of it has the wrong type.
    """

    def __init__(self, answer: dict[str, Any], choice: dict[str, Any]) -> None:
        if "message" in choice:
            message = _of(choice["message"], dict, "the message")
            noted, self.content = _message(message)
        else:
            message, noted = choice, []
            self.content = _of(choice.get("text"), str, "the text")
        self.refusal = _refusal(message)
        self.tools = message.get("tool_calls") or message.get("function_call")
        self.why = {_word(part.get(name)) for part in (answer, choice) for name in _WHY}
        if answer.get("stopped_limit") is True or choice.get("stopped_limit") is True:
            self.why.add("limit")
        text, thought = split_reasoning(valid_text(self.content))
        self.text = text
        self.reasoning = "\n".join(part for part in (*map(valid_text, noted), thought) if part)
        usage = answer.get("usage")
        self.usage = usage if isinstance(usage, dict) else {}

    def ended(self, ways: re.Pattern[str]) -> bool:
        """Whether it ended in one of some ways."""
        return any(map(ways.fullmatch, self.why))

    def reply(self, stop: tuple[str, ...]) -> Reply:
        """The reply, of whatever use it is."""
        text = cut_at(self.text, stop)
        whole = len(text) < len(self.text)
        tokens = [
            as_count(self.usage.get(f"{one}_tokens") or self.usage.get(f"{other}_tokens")) for one, other in _USAGE
        ]
        cut = not whole and (self.ended(_LIMIT) or self.ended(_CONTEXT_FULL))
        return Reply(text, tokens[0], tokens[1], self.reasoning, cut)

    def failure(self, reply: Reply, request: Request, clean: Callable[[str], str]) -> Failure | None:
        """Why the reply cannot be used, where it cannot."""
        ways = ", ".join(sorted(filter(None, self.why))) or "none"
        error: ActorError | None = None
        attempts, silenced = 1, False
        if self.refusal or self.ended(_BLOCKED):
            said = one_line(clean(self.refusal or reply.text), SAID)
            error = ActorError(
                f"the model or its server refused to answer ({said}; finish_reason: {ways}). "
                "Asked the same, it will do so again: look into the task, or take another model."
            )
        elif reply.cut and isinstance(kept := unless_cut(reply, request.limit), ActorError):
            error = kept
            if not self.text.strip() and self.ended(_CONTEXT_FULL):
                error = PromptTooLongError(f"the prompt leaves no room in the context of {request.model!r} ({ways}).")
        elif (self.tools or self.ended(_TOOLS)) and not parse_reply(reply.text)[1]:
            error = ActorError(
                f"the reply is a call of tools ({one_line(clean(str(self.tools)), SAID)}), not a text. Switch the "
                'server\'s parser of tool calls off, or give the actor extra_body={"tool_choice": "none"}.'
            )
        elif not self.text.strip():
            attempts, silenced = _FEW, bool(reply.reasoning)
            beside = f" beside {len(reply.reasoning)} characters of reasoning" if silenced else ""
            error = ActorError(
                f"{_FEW} replies had no text{beside} (finish_reason: {ways}, {reply.completion_tokens} tokens). Look "
                "into the model's chat template and the server's parser of reasoning, or try another shape."
            )
        if error is None:
            return None
        return Failure(
            str(error),
            final=error,
            final_after=attempts,
            silenced=silenced,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )


def _message(message: dict[str, Any]) -> tuple[list[str], str]:
    """The reasoning that stands in fields of its own, and the text."""
    noted = [message.get(name) for name in _REASONING]
    content = message.get("content")
    if isinstance(content, list):  # parts: text, and some servers' thinking
        parts = [_of(part, dict, "a part") for part in content]
        thinking = [part for part in parts if _word(part.get("type")) in _REASONING]
        noted += [part.get("text") or _joined(part.get("thinking")) for part in thinking]
        texts = [_of(part.get("text") or "", str, "a part's text") for part in parts if part not in thinking]
        content = "".join(texts)
    if not any(noted):
        noted = [_joined(message.get("reasoning_details"))]
    thoughts = [field.strip() for field in noted if isinstance(field, str)]
    return list(dict.fromkeys(thoughts)), _of("" if content is None else content, str, "the content")  # some send both


def _joined(parts: object) -> str:
    """The texts of some parts, or the text that is no list."""
    if isinstance(parts, list):
        return "".join(one_of(part.get("text"), part.get("summary")) for part in parts if isinstance(part, dict))
    return one_of(parts)


def _refusal(message: dict[str, Any]) -> str:
    """What the model said in place of an answer, in a field or a part of its own."""
    parts = message.get("content")
    found = [message.get("refusal")]
    found += [part.get("refusal") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return next((refusal if isinstance(refusal, str) else one_line(refusal) for refusal in found if refusal), "")


def _word(value: object) -> str:
    """A name as servers write it (``MAX_TOKENS``, ``FinishReason.SAFETY``, ``content-filter``), in one way."""
    if not isinstance(value, str):
        return ""
    plain = re.sub(r"[^a-z]+", "_", value.rpartition(".")[2].lower()).strip("_")
    return plain.removeprefix("finish_reason_")


def _of(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise _MalformedError(f"an answer of the wrong types ({name} is {one_line(value, 40)})")
    return value
