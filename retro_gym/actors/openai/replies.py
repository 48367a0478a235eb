"""Parses the answer of an OpenAI-compatible server into a reply or a failure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from retro_gym.actors.base import Reply, as_count, unless_cut
from retro_gym.actors.openai.endings import Ending, Way, endings, plain_name
from retro_gym.actors.openai.errors import SAID, failed_answer, one_of
from retro_gym.actors.openai.wire import Failure, Request, read_json
from retro_gym.actors.parsing import cut_at, has_whole_action, split_reasoning
from retro_gym.errors import ActorError, PromptTooLongError, one_line
from retro_gym.prompts import valid_text

__all__ = ["read_reply"]

_FEW = 3  # attempts for an empty reply: one may be an accident, three are the model's behaviour

_ENVELOPE = ("choices", "created", "error", "id", "model", "object", "system_fingerprint", "usage")
_USAGE = (("prompt", "input"), ("completion", "output"))
# Normalised names of fields and part types that hold reasoning; the details repeat the content of another field.
_REASONING = re.compile(r"(?:\w+_)?(?:reason(?:ing)?|think(?:ing)?|thoughts?)(?:_(?:content|text|summary|process))?")
_DETAILS = "reasoning_details"
_INNER = ("text", "content", "thinking", "reasoning", "thought", "summary")
_DEEPEST = 20  # nesting levels of such fields that are read
_NULLS = ("", "none", "null")  # some servers write these for no text and no refusal
_FINE = (*_NULLS, "ok", "success", "no error", 0, 200, "0", "200")  # and these for no error


class _MalformedError(ValueError):
    """An answer of the wrong structure; the message says what is wrong."""


def read_reply(
    body: bytes,
    request: Request,
    stop: tuple[str, ...] = (),
    *,
    headers: Mapping[str, str] | None = None,
    key_env: str = "OPENAI_API_KEY",
    clean: Callable[[str], str] = str,
) -> Reply | Failure:
    r"""Returns the reply in a server's answer (chat or completion), or the failure that it stands for.

    Reasoning in fields of its own or within tags such as ``<think>`` goes into ``reasoning``. A reply that was cut at a
    stop text counts as complete, whatever its finish reason.

    Args:
        body: the answer, JSON.
        request: the request's parameters.
        stop: texts at which the reply is cut, whether or not the server applied them.
        headers: headers of the answer.
        key_env: the environment variable that holds the key, for messages.
        clean: masks secrets in what is shown.

    >>> request = Request("any", "chat", 0.0, 64, "max_tokens", True, True, {})
    >>> answer = {"choices": [{"message": {"content": "<think>Easy.</think>Finish[yes]\nObservation 1: no"}}]}
    >>> import json
    >>> read_reply(json.dumps(answer).encode(), request, stop=("\nObservation",))
    Reply(text='Finish[yes]', prompt_tokens=0, completion_tokens=0, reasoning='Easy.', cut=False, generation=None)
    """
    try:
        answer = read_json(body)
    except (ValueError, RecursionError):
        return Failure(clean(f"an answer that is not JSON: {one_line(body[:SAID], 60)}"))
    if isinstance(answer, list) and answer and isinstance(answer[0], dict) and answer[0].get("error"):
        answer = answer[0]  # Gemini's format
    try:
        choice = _choice(answer)
        told = endings(answer, choice, choice.get("message"))
        ended = tuple(each for each in told if each.value not in stop)
        error = _error_of(answer, choice, ended)
        if error is not None:
            return failed_answer(error, request, key_env, headers or {}, clean)
        said = _Said(answer, choice, ended, stopped=len(ended) < len(told))
    except _MalformedError as error:
        return Failure(clean(str(error)))
    reply = said.reply(request, stop)
    return said.failure(reply, request, clean) or reply


def _choice(answer: object) -> dict[str, Any]:
    """Returns the first choice; empty if there is none."""
    choices = _of(answer, dict, "the answer").get("choices")
    if not choices:
        return {}
    choice: dict[str, Any] = _of(_of(choices, list, "choices")[0], dict, "the choice")
    return choice


def _error_of(answer: dict[str, Any], choice: dict[str, Any], ended: tuple[Ending, ...]) -> object:
    """Returns the error in an answer: at its top level, in its choice or message, or as finish reason; else None."""
    message = choice.get("message")
    for part in (answer, choice, message if isinstance(message, dict) else {}):
        error = part.get("error")
        if not _is_nothing(error):
            return error
    failed = next((each for each in ended if each.way is Way.FAILED), None)
    if failed and choice:
        return {"message": f"the reply ended with {failed.field} {one_line(failed.value)}"}
    if not choice and not any(each.way is Way.BLOCKED for each in ended):
        told = {name: value for name, value in answer.items() if name not in _ENVELOPE and value}
        return told or "an answer without a choice"
    return None


def _is_nothing(error: object) -> bool:
    """Whether the value of an error field says that there is no error."""
    told = error.values() if isinstance(error, dict) else (error,)
    return all(not each or (_bare(each) if isinstance(each, str) else each) in _FINE for each in told)


def _bare(text: str) -> str:
    return text.strip().rstrip(".").lower()


class _Said:
    """The contents of one choice.

    Raises:
        _MalformedError: a part of it has the wrong type.
    """

    def __init__(
        self, answer: dict[str, Any], choice: dict[str, Any], ended: tuple[Ending, ...], *, stopped: bool
    ) -> None:
        self.ended = ended
        self.stopped = stopped
        """Whether the server reports that a stop text ended it."""
        message, noted = choice.get("message"), list[str]()
        if message is None:  # a blocked or truncated reply may lack it
            message, text = choice, choice.get("text")
            self.content = _of("" if text is None and self.why else text, str, "the text")
        else:
            noted, self.content = _message(_of(message, dict, "the message"))
        self.refusal = _refusal(message)
        self.tools = message.get("tool_calls") or message.get("function_call")
        text, thought = split_reasoning(valid_text(self.content))
        self.text = "" if _bare(text) in _NULLS else text
        self.reasoning = "\n".join(part for part in (*map(valid_text, noted), thought) if part)
        usage = answer.get("usage")
        self.usage = usage if isinstance(usage, dict) else {}

    @property
    def why(self) -> set[Way]:
        """The kinds of abnormal ending; empty for a normal one."""
        return {each.way for each in self.ended if each.way is not None}

    def reply(self, request: Request, stop: tuple[str, ...]) -> Reply:
        """Returns the reply, usable or not."""
        text = cut_at(self.text, stop)
        tokens = [
            as_count(self.usage.get(f"{one}_tokens") or self.usage.get(f"{other}_tokens")) for one, other in _USAGE
        ]
        cut = not self.why.isdisjoint((Way.LIMIT, Way.CONTEXT_FULL))
        if not cut and request.most_tokens and tokens[1] >= request.most_tokens:  # some servers still report "stop"
            cut = not has_whole_action(f"{text}\n")
        return Reply(text, tokens[0], tokens[1], self.reasoning, cut and len(text) == len(self.text))

    def failure(self, reply: Reply, request: Request, clean: Callable[[str], str]) -> Failure | None:
        """Returns why the reply cannot be used; None if it can."""
        ways = ", ".join(sorted({each.word for each in self.ended} - {""})) or "none"
        error: ActorError | None = None
        attempts, silenced = 1, False
        if self.refusal or Way.BLOCKED in self.why:
            said = one_line(clean(self.refusal or reply.text), SAID)
            error = ActorError(
                f"the model or its server refused to answer ({said}; finish_reason: {ways}). "
                "The same prompt will be refused again: check the task, or use another model."
            )
        elif reply.cut and isinstance(kept := unless_cut(reply, request.limit), ActorError):
            error = kept
            if not self.text.strip() and Way.CONTEXT_FULL in self.why:
                error = PromptTooLongError(f"the prompt leaves no room in the context of {request.model!r} ({ways}).")
        elif (self.tools or Way.TOOLS in self.why) and not has_whole_action(f"{reply.text}\n"):
            error = ActorError(
                f"the reply is a tool call ({one_line(clean(str(self.tools)), SAID)}), not a text. Switch off the "
                'server\'s tool-call parser, or give the actor extra_body={"tool_choice": "none"}.'
            )
        elif not _is_visible(reply.text):
            attempts, silenced = _FEW, True
            beside = f" beside {len(reply.reasoning)} characters of reasoning" if reply.reasoning else ""
            error = ActorError(
                f"{_FEW} replies had no text{beside} (finish_reason: {ways}, {reply.completion_tokens} tokens). Check "
                "the model's chat template and the server's reasoning parser, or try another shape."
            )
        elif request.sends_own_stop and self.stopped and not has_whole_action(f"{reply.text}\n"):
            attempts, silenced = _FEW, True
            error = ActorError(
                f"{_FEW} replies were ended by a stop text before they held an action (the last one begins "
                f"{one_line(clean(reply.text), 60)}). Give the actor send_stop=False."
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


def _is_visible(text: str) -> bool:
    """Whether a text holds more than invisible characters (such as a byte order mark) and empty markup."""
    return any(char not in "`~*_" and unicodedata.category(char)[0] not in "CZ" for char in text)


def _message(message: dict[str, Any]) -> tuple[list[str], str]:
    """Returns the reasoning from fields of its own, and the text."""
    noted = [_inner(value) for name, value in message.items() if _is_of_reasoning(name)]
    content = message.get("content")
    if isinstance(content, list):  # parts: text, and with some servers reasoning
        parts = [_of(part, dict, "a part") for part in content]
        thinking = [part for part in parts if _is_reasoning(part)]
        noted += map(_inner, thinking)
        content = "".join(_of(part.get("text") or "", str, "a part's text") for part in parts if part not in thinking)
    if not any(noted):
        noted = [_inner(message.get(_DETAILS))]
    thoughts = [text.strip() for text in noted]
    return list(dict.fromkeys(thoughts)), _of("" if content is None else content, str, "the content")  # some send both


@lru_cache(maxsize=1_024)
def _is_of_reasoning(name: str) -> bool:
    return _REASONING.fullmatch(plain_name(name)) is not None


def _is_reasoning(part: dict[str, Any]) -> bool:
    kind = part.get("type")
    named = isinstance(kind, str) and _REASONING.fullmatch(plain_name(kind.replace(".", "_")))
    return bool(named) or part.get("thought") is True


def _inner(value: object, depth: int = 0) -> str:
    """Returns the text of a value, of its parts, or of a nested value."""
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "".join(_inner(part, depth + 1) for part in value)
    if isinstance(value, dict):
        return one_of(*(_inner(value.get(name), depth + 1) for name in _INNER))
    return value if isinstance(value, str) else ""


def _refusal(message: dict[str, Any]) -> str:
    """Returns the model's refusal, which has a field or a part of its own."""
    parts = message.get("content")
    found = [message.get("refusal")]
    found += [part.get("refusal") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    refusals = [refusal if isinstance(refusal, str) else one_line(refusal) for refusal in found if refusal]
    return next((refusal for refusal in refusals if _bare(refusal) not in _NULLS), "")


def _of(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise _MalformedError(f"an answer of the wrong types ({name} is {one_line(value, 40)})")
    return value
