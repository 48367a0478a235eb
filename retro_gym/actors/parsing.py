"""From what a model writes to a thought and an action."""

from __future__ import annotations

import re

__all__ = ["parse_reply", "split_thinking"]

_ACTION_LINE = re.compile(r"^[ \t]*Action[ \t]*\d*[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_LEADING_THINKING = re.compile(r"\s*<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)
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


def split_thinking(text: str) -> tuple[str, str]:
    r"""Splits what a reasoning model writes into its reasoning and its answer.

    The reasoning stands in front, between ``<think>`` and ``</think>``. Without the closing tag the model never came
    to an answer; without the opening one, the prompt had opened it already.

    >>> split_thinking("<think>\nA town, then.\n</think>\n\nAction 1: Finish[Velmora]")
    ('A town, then.', 'Action 1: Finish[Velmora]')
    >>> split_thinking("A town, then.\n</think>Action 1: Finish[Velmora]")
    ('A town, then.', 'Action 1: Finish[Velmora]')
    >>> split_thinking("<think>Where is it?")
    ('Where is it?', '')
    >>> split_thinking("Action 1: Finish[Velmora]")
    ('', 'Action 1: Finish[Velmora]')
    """
    thoughts = []
    while found := _LEADING_THINKING.match(text):
        thoughts.append(found.group(1).strip())
        text = text[found.end() :]
    before, closing, after = text.partition("</think>")
    if closing and "<think>" not in before:
        thoughts.append(before.strip())
        text = after.lstrip()
    return "\n".join(thought for thought in thoughts if thought), text
