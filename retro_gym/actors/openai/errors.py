"""Classifies the errors of OpenAI-compatible servers, whose wording and JSON structure differ."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from retro_gym.actors.openai.wire import Failure, Request, read_json
from retro_gym.errors import ActorError, PromptTooLongError

__all__ = ["SAID", "failed_answer", "failed_status", "one_of", "retry_after"]

SAID = 300
"""Maximum number of characters of a server's message in an error."""

_WINDOW = r"context[ _-]?(?:length|size|window|limit)"
# Collected from the sources and the public reports of OpenAI, Azure, vLLM, SGLang, llama.cpp, Ollama, LM Studio,
# text-generation-inference, TabbyAPI, Mistral, Anthropic, Bedrock, Gemini, xAI, Groq, Together, OpenRouter, Kimi,
# DashScope, MiniMax, z.ai, Cohere, LiteLLM.
_CONTEXT = re.compile(
    rf"(?:maximum|max|model'?s|model|supported|available|allowed|configured)[ _](?:\w+ )?{_WINDOW}"
    rf"|{_WINDOW}\W+(?:(?:of|has|been|is|was|only|[\d,]+|tokens)\W+){{0,4}}(?:exce|overflow|full|only|greater|larger)"
    rf"|{_WINDOW} (?:is |of )+only|{_WINDOW}[ _]?exceeded|context (?:the )?overflow"
    r"|(?:exceed\w*|(?:long|great|larg)er than|overflow\w*|beyond|reached|fit\w*)\W+(?:\w+\W+){0,4}?"
    rf"(?:{_WINDOW}|context\b(?!\W+(?:deadline|cancel))|n_ctx)"
    r"|exceed_context|context_(?:length_)?exceeded|model_context_window|string_above_max_length|\bn_keep\b"
    r"|(?:prompt|token|input)\w*\W.*\bn_ctx\b|\bn_ctx\b.*(?:prompt|token|input)"
    r"|max\w*[ _](?:\w+ )?(?:prompt|input|model|sequence|total)[ _]length"
    r"|(?:prompts?|inputs?|messages?|sequence|conversation|text)\W+"
    r"(?:(?:is|are|was|has|length|size|tokens?|total)\W+){0,2}too (?:long|large|big)\b|prompt_too_long"
    r"|too many (?:input |prompt )?tokens|request[ _](?:entity )?(?:is )?too[ _]large|payload too large"
    r"|(?:prompt|inputs?|messages?)\W+(?:\w+\W+){0,2}?(?:length|tokens?|count|size)\b[^.]{0,60}?"
    r"(?:exceed|(?:long|great|larg)er than|more than|must be (?:<|less|at most|small|below|under)|must have less)"
    r"|inputs?\W+must have less|(?:request|prompt|input|messages?) exceed\w*\W+(?:\w+\W+){0,3}?token"
    r"|range of input length|reduce (?:the (?:length|size|number) of )?(?:the |your )?(?:messages?|prompt|input)\b"
    r"|expected (?:a string with )?max(?:imum )?length|max_tokens must be at least 1, got -|max_tokens \(-\d"
    r"|(?:prompt|inputs?|messages?) (?:exceeds?|(?:is |are )?(?:long|great|larg)er than)\W+(?:the )?(?:max|limit)"
    r"|exceeds? max\w*[ _](?:message|input|prompt|context)[ _]tokens|n_past\b.*\bn_ctx|max_total_token_num"
    r"|(?:prompt|input)\W+(?:\w+\W+){0,4}?too long\b|(?:prompt|输入|上下文|长度)[^.。\n]{0,20}?(?:超长|超过|超出)",
    re.IGNORECASE,
)
# Rate limits, whose messages may call a prompt too large as well.
_RATE = re.compile(
    r"rate[ _-]?limit|too many requests|throttl|per[ _-](?:second|minute|hour|day)|\bTPM\b|please wait", re.I
)
_REPLY_LIMIT = re.compile(r"max_(?:\w+_)?tokens|(?:completion|output) tokens", re.IGNORECASE)
_PROMPT = re.compile(
    r"prompt|input|messages?\b|context\b(?! length)|conversation|requested \d|got -|\(-\d", re.IGNORECASE
)
# The lengths of context and prompt, if the server gives them.
_LONGEST = re.compile(
    r"(?:context length|context size|context window|must be <=)\D{0,20}?(\d[\d,]{0,14})", re.IGNORECASE
)
_LENGTH = re.compile(
    r"(\d[\d,]{0,14}) "
    r"(?:`?inputs?`?|(?:tokens )?(?:in|from) the (?:input )?(?:messages|prompt|input)|in your prompt)\b",
    re.I,
)

_NO_CREDIT = re.compile(
    r"insufficient[ _](?:balance|credits?|funds|quota)|(?:out of|no|not enough|more|available) credits?\b"
    r"|credit[ _](?:balance|limit)|(?:key|spend(?:ing)?)[ _]limit[ _](?:exceeded|reached)|arrear"
    r"|payment[ _]required|billing[ _](?:hard|not)|exceeded_current_quota|account is not active|余额不足",
    re.IGNORECASE,
)
_WRONG_KEY = re.compile(
    r"(?:invalid|incorrect|wrong|bad|no)[ _](?:x-)?api[ _-]?key|api[ _-]?key (?:is )?(?:not valid|invalid|expired)",
    re.I,
)
_FILTERED = re.compile(
    r"content[ _-]?(?:filter|management[ _]policy|policy)|responsible ?ai ?policy|data[ _]?inspection[ _]?failed"
    r"|moderation|flagged|safety (?:system|filter)|sensitive (?:content|words?)",
    re.IGNORECASE,
)
_CREDIT_REMEDY = "Top it up, or raise its limit, and resume; some servers need less credit for a smaller max_tokens."
_WRAPPED = 2  # levels of lists and "error" fields that may enclose an error
_DEEPEST = 20  # nesting levels of an error's JSON that are read
_PASSING = (408, 409, 425, 429)
_OPTIONS = {
    "stop": "send_stop=False (replies are still cut at the stop texts)",
    "temperature": "temperature=None",
    "seed": "send_seed=False",
    "max_tokens": 'max_tokens_field="max_completion_tokens"',
    "max_completion_tokens": 'max_tokens_field="max_tokens", or max_tokens=None',
}
_NAMED = re.compile(r"['\"`](stop|temperature|seed|max_tokens|max_completion_tokens)['\"`]")
_TOO_MANY = re.compile(
    r"too (?:large|high|big|many)|at most|maximum|exceed|greater|range|<=|>|less than", re.IGNORECASE
)
# HTTP status of an error that has a name but no number; the first match applies.
_STATUS_BY_NAME = (
    (429, re.compile(r"rate[ _-]?limit|too[ _]many[ _]requests|overloaded|throttl|resource[ _]exhausted", re.I)),
    (402, _NO_CREDIT),
    (401, re.compile(r"authenticat|unauthori[sz]ed|(?:invalid|incorrect)[ _]api[ _]?key", re.I)),
    (403, re.compile(r"permission|forbidden|moderation", re.I)),
    (404, re.compile(r"not[ _]?found|does not exist", re.I)),
    (400, re.compile(r"invalid|bad[ _]?request|validation|unsupported|content[ _]filter", re.I)),
)


def failed_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request: Request,
    key_env: str,
    clean: Callable[[str], str] = str,
) -> Failure:
    """Returns the failure that an answer with an HTTP status of 400 or more stands for.

    Args:
        status: HTTP status of the answer.
        headers: its headers; names in lower case, or a case-insensitive mapping.
        body: its body.
        request: the request's parameters.
        key_env: the environment variable that holds the key, for the message.
        clean: masks secrets in what is shown. The error is classified before that.
    """
    text = body.decode(errors="replace")
    try:
        answer = read_json(body)
    except (ValueError, RecursionError):
        answer = text
    told = _Told(status, retry_after(headers), _error_in(answer), text)
    return _failure(told, request, key_env, clean)


def failed_answer(
    error: object, request: Request, key_env: str, headers: Mapping[str, str], clean: Callable[[str], str] = str
) -> Failure:
    """Returns the failure that an error with status 200 stands for; gateways report upstream failures in this way.

    It is treated as the HTTP status that its code or type names. Without either it counts as transient.

    Args:
        error: the error, or the answer without a reply.
        request: the request's parameters.
        key_env: the environment variable that holds the key, for the message.
        headers: headers of the answer.
        clean: masks secrets in what is shown.
    """
    found = _error_in(error)
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    told = _Told(_status_of(found), retry_after(headers), found, text)
    return _failure(told, request, key_env, clean)


def one_of(*values: object) -> str:
    """Returns the first value that is a non-blank text, or an empty text."""
    return next((value for value in values if isinstance(value, str) and value.strip()), "")


@dataclasses.dataclass(frozen=True)
class _Told:
    """What a server said about a failure."""

    status: int | None
    """None where neither HTTP nor the error names one: the failure counts as transient."""
    after: float | None
    error: Mapping[str, Any]
    body: str

    @property
    def words(self) -> str:
        """All texts in the error, without the names of JSON fields."""
        return ". ".join(_values(self.error)) or self.body

    @property
    def names(self) -> str:
        """The error's code and type."""
        return f"{self.error.get('code')} {self.error.get('type')}"


def _failure(told: _Told, request: Request, key_env: str, clean: Callable[[str], str]) -> Failure:
    status, said = told.status, _shown(told, clean)
    if status in (400, 422) and _WRONG_KEY.search(f"{told.names} {told.words}"):
        status, told = 401, dataclasses.replace(told, status=401)
    # The message of a transient 429 may mention billing as well; only its code is reliable.
    credit = told.names if status == 429 else told.words if status in (None, 400, 401, 403) else ""
    if status == 402 or _NO_CREDIT.search(credit):
        return Failure(said, final=ActorError(f"the account has no quota or credit left ({said}). {_CREDIT_REMEDY}"))
    if status is None or status in (400, 413, 417, 422) or status >= 500:
        too_long = _too_long(told, said, request)
        if too_long is not None:
            return Failure(said, final=too_long)
    if status is None or status in _PASSING or status >= 500:
        return Failure(said, after=told.after)
    remedy = _remedy(told, request, key_env)
    return Failure(said, final=ActorError(f"the server refuses the request ({said}). {remedy}"))


def _too_long(told: _Told, said: str, request: Request) -> ActorError | None:
    """Returns the error of a prompt that exceeds the context window, if that is what the server reports."""
    words = told.words
    if _RATE.search(words) or not (told.status == 413 or _CONTEXT.search(words)):
        return None
    if _REPLY_LIMIT.search(words) and not _PROMPT.search(words):
        return None
    longest, length = (_number(found.search(words)) for found in (_LONGEST, _LENGTH))
    if longest and length and request.max_tokens and request.max_tokens >= longest > length:
        return ActorError(
            f"{request.limit} leaves no room for any prompt in the context of {request.model!r} ({said}). "
            "Give the actor a smaller max_tokens, or serve the model with a longer context."
        )
    return PromptTooLongError(
        f"the prompt does not fit into the context of {request.model!r} beside a reply of {request.limit} ({said}). "
        "A smaller max_tokens leaves it more room, as does a longer context of the server."
    )


def _number(found: re.Match[str] | None) -> int:
    return int(found[1].replace(",", "")) if found else 0


def _shown(told: _Told, clean: Callable[[str], str]) -> str:
    """Returns what the server said on one line, with secrets masked before it is shortened."""
    error = told.error
    metadata = error.get("metadata")
    upstream = one_of(metadata.get("raw")) if isinstance(metadata, dict) else ""  # OpenRouter's provider's
    message = one_of(error.get("message"), error.get("detail"), error.get("msg"))
    said = " ".join(clean(f"{message} {upstream}" if message else told.body).split())
    said = said if len(said) <= SAID else said[: SAID - 3] + "..."
    return f"an error in place of a reply: {said}" if told.status is None else f"{told.status}: {said}"


def _remedy(told: _Told, request: Request, key_env: str) -> str:
    if told.status == 401:
        return f"Put a valid key into the environment variable {key_env}."
    if told.status in (400, 403, 422) and _FILTERED.search(f"{told.names} {told.words}"):
        return "The same prompt will be refused again: check the task, or use another model."
    if told.status == 403:
        return f"The key in {key_env} may not use the model {request.model!r}; ask for access or name another one."
    if told.status == 404:
        return f"Check that it serves {request.model!r}, and that base_url has the right path (often /v1)."
    words, param = told.words, told.error.get("param")
    if _REPLY_LIMIT.search(words) and _TOO_MANY.search(words):
        return f"Give the actor a smaller max_tokens; {request.limit} was sent."
    named = _NAMED.search(words)
    for option in (param, named and named.group(1)):
        if isinstance(option, str) and option in _OPTIONS:
            return f"Give the actor {_OPTIONS[option]}."
    return f"Check the model {request.model!r}, shape={request.shape!r} and extra_body."


def _error_in(answer: object) -> Mapping[str, Any]:
    """Returns the error object in an answer; servers nest it in different ways."""
    for _ in range(_WRAPPED):
        if isinstance(answer, dict):
            answer = answer.get("error") or answer.get("errors") or answer
        if isinstance(answer, list) and answer:
            answer = answer[0]
    return answer if isinstance(answer, dict) else {"message": answer}


def _values(value: object, depth: int = 0) -> Iterator[str]:
    """Yields the texts in an error, also those in JSON that is nested in a text."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "param":  # names a field of our own request
                yield from _values(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _values(each, depth + 1)
    elif isinstance(value, str):
        try:
            inner = read_json(value) if value.lstrip()[:1] in ("{", "[") else None
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict | list):
            yield from _values(inner, depth + 1)
        else:
            yield value


def _status_of(error: Mapping[str, Any]) -> int | None:
    """Returns the HTTP status that an error's code or name stands for."""
    for name in ("code", "status", "status_code", "http_code"):
        given = str(error.get(name, ""))
        if re.fullmatch(r"[45]\d\d", given):
            return int(given)
    names = " ".join(str(error[name]) for name in ("code", "type", "status") if isinstance(error.get(name), str))
    return next((status for status, named in _STATUS_BY_NAME if named.search(names)), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds to wait from the headers, given as seconds or as a date; None if there are none.

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
