"""From what a model writes to its reasoning, a thought and an action."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["cut_at", "parse_reply", "split_reasoning"]

_ACTION_LINE = re.compile(r"^[ \t]*Action[ \t]*\d*[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_LEADING_REASONING = re.compile(r"\s*<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)
_THOUGHT_LABEL = re.compile(r"^[ \t]*Thought[ \t]*\d*[ \t]*:[ \t]*", re.MULTILINE)


def parse_reply(text: str) -> tuple[str, str]:
    r"""Splits a ReAct reply into thought and action.

    The action is the first line that is labelled so; without a label the whole reply is the action.

    >>> parse_reply("Thought 2: I know it.\nAction 2: Finish[1934]")
    ('I know it.', 'Finish[1934]')
    >>> parse_reply("Finish[1934]")
    ('', 'Finish[1934]')
    """
    found = _ACTION_LINE.search(text)
    if found is None:
        return "", _THOUGHT_LABEL.sub("", text).strip()
    thought = _THOUGHT_LABEL.sub("", text[: found.start()])
    return " ".join(thought.split()), found.group(1)


def cut_at(text: str, stop: Sequence[str]) -> str:
    """The text up to where the first of the stop texts begins.

    >>> cut_at("Finish[yes] and so on", ("so", " and"))
    'Finish[yes]'
    """
    found = [at for end in stop if end and (at := text.find(end)) >= 0]
    return text[: min(found)] if found else text


def split_reasoning(text: str) -> tuple[str, str]:
    r"""Splits the output of a reasoning model into its answer and the reasoning before it.

    Reasoning is what ``<think>`` tags enclose at the head of the output. Where the closing tag is missing the model ran
    out of tokens while it was thinking: all is reasoning. Where the opening one is missing it stood in the prompt.

    Returns:
        Text and reasoning. Without tags the text is returned as it is.

    >>> split_reasoning("<think>\nVelmora, then.\n</think>\n\nAction 1: Search[Velmora]")
    ('Action 1: Search[Velmora]', 'Velmora, then.')
    >>> split_reasoning("<think>Let me see")
    ('', 'Let me see')
    >>> split_reasoning("Velmora, then.</think>Action 1: Search[Velmora]")
    ('Action 1: Search[Velmora]', 'Velmora, then.')
    >>> split_reasoning("Action 1: Search[Velmora]")
    ('Action 1: Search[Velmora]', '')
    """
    thoughts = []
    while found := _LEADING_REASONING.match(text):
        thoughts.append(found.group(1).strip())
        text = text[found.end() :]
    before, closing, after = text.partition("</think>")
    if closing and "<think>" not in before:
        thoughts.append(before.strip())
        text = after.lstrip()
    return text, "\n".join(thought for thought in thoughts if thought)
