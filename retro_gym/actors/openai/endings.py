"""Reads the finish reason of a reply, whose field and spelling differ between OpenAI-compatible servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

__all__ = ["Ending", "Way", "endings", "plain_name"]

# Normalised names of fields with a finish reason: finish_reason, nativeFinishReason, stop_type, done_reason, OpenAI's
# finish_details and incomplete_details, the details of text-generation-inference, Gemini's promptFeedback.
_FIELD = re.compile(
    r"(?:\w+_)?(?:finish|stop|done|end|block)_?reason|stop_type|(?:\w+_)?details|prompt_feedback|status"
)
_PARTS = re.compile(r"(?:\w+_)?reason|type")
_FLAG = re.compile(r"(?:is_|was_)?truncated|stopped_limit")


class Way(Enum):
    """A kind of abnormal ending; the first whose pattern matches applies. The patterns cover many servers' words."""

    FAILED = (
        r"error|fail|abort|cancel|time_?(?:d_)?out|(?:time|rate)_limit|deadline|expired|overload|exception|interrupt"
        r"|preempt|insufficient|unavailable|disconnect|crash|(?:^|_)kill|shut_?down|evict"
    )
    BLOCKED = (
        r"content_?filter|safety|recitation|refus|block|prohibited|(?:^|_)spii|sensitive|moderat|guardrail|polic(?:y|ies)"
        r"|flagged"
    )
    TOOLS = r"(?:tool|function)_?(?:use|call)"
    CONTEXT_FULL = r"context_?(?:window|length|limit|size)"
    LIMIT = r"length|limit|(?:max|model)_?(?:\w+_)?token|incomplete|truncated|token_budget"


class Ending(NamedTuple):
    """The finish reason in one field."""

    field: str
    value: str
    word: str
    """The value, normalised by :func:`plain_name`."""

    @property
    def way(self) -> Way | None:
        """The kind of abnormal ending that the word names; None for a normal one."""
        return _way_of(self.word)


def endings(*parts: object) -> tuple[Ending, ...]:
    """Returns all finish reasons in the parts of an answer (itself, a choice, a message).

    >>> said = endings({"finishReason": "MaxTokens"}, {"finish_details": {"type": "stop"}})
    >>> [(each.word, each.way and each.way.name) for each in said]
    [('max_tokens', 'LIMIT'), ('stop', None)]
    """
    return tuple(each for part in parts if isinstance(part, dict) for each in _in(part))


def plain_name(value: object) -> str:
    """Returns a name (``MAX_TOKENS``, ``FinishReason.SAFETY``, ``contentFilter``) normalised to snake case.

    >>> plain_name("FinishReason.MaxTokens")
    'max_tokens'
    """
    return _spelled(value) if isinstance(value, str) else ""


@lru_cache(maxsize=1_024)  # the same names recur in all answers of a server
def _spelled(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2])
    return re.sub(r"[^a-z]+", "_", words.lower()).strip("_").removeprefix("finish_reason_")


@lru_cache(maxsize=1_024)
def _says(field: str) -> re.Pattern[str] | None:
    """Returns the pattern of finish-reason fields that a field name matches; None for other fields."""
    return next((kind for kind in (_FLAG, _FIELD) if kind.fullmatch(plain_name(field))), None)


@lru_cache(maxsize=1_024)
def _way_of(word: str) -> Way | None:
    return next((way for way in Way if re.search(way.value, word)), None)


def _in(part: Mapping[str, Any]) -> Iterator[Ending]:
    for field, value in part.items():
        says = _says(field)
        if value is True and says is _FLAG:
            yield Ending(field, "true", "truncated")
        elif says is _FIELD:
            told = value.items() if isinstance(value, dict) else ((None, value),)
            for inner, each in told:
                if isinstance(each, str) and (inner is None or _PARTS.fullmatch(plain_name(inner))):
                    yield Ending(field, each, plain_name(each))
