"""Converts the JSON of a request to a prompt, and a reply to the JSON of an answer, for the test server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from retro_gym.actors import Reply
from retro_gym.errors import DataError, one_line
from retro_gym.prompts import END_OF_EXAMPLES, REFLECTIONS_HEADER, Prompt, without_last_trial
from retro_gym.trajectory import Turn

__all__ = ["ReasoningStyle", "context_error", "error_body", "hosted_prompt", "parameter_error", "reply_body"]

ReasoningStyle = Literal["none", "reasoning_content", "reasoning", "think"]
"""Where a reply's reasoning goes: nowhere, into a field of the message, or in front of the text."""

_TURN = re.compile(
    r"^(?:Thought \d+: (?P<thought>.*)\n)?Action \d+: (?P<action>.*(?:\n(?!Thought \d|Action \d|Observation \d).*)*)"
    r"\nObservation \d+: (?P<seen>.*(?:\n(?!Thought \d|Action \d).*)*)",
    re.MULTILINE,
)


def hosted_prompt(request: Mapping[str, Any]) -> Prompt:
    r"""Reconstructs the prompt that a request was made from.

    Its ``text`` is exactly the request's text; messages are joined by line breaks. Its ``reflections`` and ``turns``
    are parsed from that text, as far as it has the form of the default template.

    Args:
        request: the JSON of a request to ``/v1/chat/completions`` or ``/v1/completions``.

    Raises:
        DataError: it has neither messages nor a prompt of the right type, or its stop texts are not texts.

    >>> messages = [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": "Action 1: Say[red]"},
    ...             {"role": "user", "content": "Observation 1: Wrong."}]
    >>> prompt = hosted_prompt({"messages": messages, "seed": 7})
    >>> prompt.text
    'Say it.\nAction 1: Say[red]\nObservation 1: Wrong.\n'
    >>> prompt.turns[0].action, prompt.seed
    ('Say[red]', 7)
    """
    text, seed, stop = request.get("prompt"), request.get("seed"), request.get("stop")
    if "messages" in request:
        text = "\n".join(_message_text(message) for message in _list_of_messages(request["messages"])) + "\n"
    if not isinstance(text, str):
        raise DataError(f"a request has 'messages' or a text as 'prompt'; received {one_line(text)}.")
    _, _, own = without_last_trial(text).rpartition(END_OF_EXAMPLES)
    _, header, noted = own.partition(REFLECTIONS_HEADER)
    notes, _, history = noted.partition("\n\n") if header else ("", "", own)
    turns = (Turn(each["thought"] or "", each["action"], each["seen"].rstrip("\n")) for each in _TURN.finditer(history))
    return Prompt(
        instruction=text,
        examples=(),
        reflections=tuple(line[2:] for line in notes.splitlines() if line.startswith("- ")),
        task="",
        turns=tuple(turns),
        seed=seed if isinstance(seed, int) else 0,
        stop=_stop_texts(stop),
        template="{instruction}",
    )


def _stop_texts(stop: object) -> tuple[str, ...]:
    given = [stop] if isinstance(stop, str) else [] if stop is None else stop
    if not isinstance(given, list) or not all(isinstance(end, str) for end in given):
        raise DataError(f"'stop' is {one_line(stop)}; it is a text or a list of texts.")
    return tuple(filter(None, given))


def _list_of_messages(messages: object) -> list[Mapping[str, Any]]:
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise DataError(f"'messages' is {one_line(messages)}; it is a list of at least one object.")
    return messages


def _message_text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):  # the multimodal form
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise DataError(f"the content of a message is {one_line(content)}; it is a text or a list of parts.")
    return content


def reply_body(reply: Reply, *, model: str, chat: bool, style: ReasoningStyle, stop: tuple[str, ...]) -> dict[str, Any]:
    """Returns the answer of an OpenAI-compatible server.

    Args:
        reply: the actor's reply.
        model: the model's name in the answer.
        chat: whether the request was to ``/v1/chat/completions``.
        style: where the reasoning goes; a placeholder is used if the actor gave none.
        stop: texts at which the reply ends.
    """
    text = reply.text
    for end in stop:
        text = text.partition(end)[0]
    reasoning = reply.reasoning or "Let me think about this."
    if style == "think":
        text = f"<think>\n{reasoning}\n</think>\n\n{text}"
    choice: dict[str, Any] = {"index": 0, "finish_reason": "length" if reply.cut else "stop", "logprobs": None}
    if chat:
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        if style in ("reasoning", "reasoning_content"):
            choice["message"][style] = reasoning
    else:
        choice["text"] = text
    return {
        "id": "chatcmpl-test" if chat else "cmpl-test",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        },
    }


def error_body(message: str, kind: str, code: str | int | None = None, param: str | None = None) -> dict[str, Any]:
    """Returns the body of an error in the form of OpenAI and vLLM."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def context_error(words: int, limit: int, *, vllm: bool, asked: int = 512) -> dict[str, Any]:
    """Returns the error for a prompt and reply that exceed the context window, in the form of vLLM or of OpenAI."""
    said = f"This model's maximum context length is {limit} tokens. However, "
    if vllm:
        said += f"you requested {words + asked} tokens ({words} in the messages, {asked} in the completion). "
        return error_body(said + "Please reduce the length of the messages or completion.", "BadRequestError", 400)
    said += f"your messages resulted in {words} tokens. Please reduce the length of the messages."
    return error_body(said, "invalid_request_error", "context_length_exceeded", "messages")


def parameter_error(name: str) -> dict[str, Any]:
    """Returns the error of OpenAI's reasoning models for an unsupported parameter."""
    hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    said = f"Unsupported parameter: {name!r} is not supported with this model.{hint}"
    return error_body(said, "invalid_request_error", "unsupported_parameter", name)
