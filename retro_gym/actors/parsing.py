"""From what a model writes to a thought and an action."""

from __future__ import annotations

import re

__all__ = ["parse_reply"]

_ACTION_LINE = re.compile(r"^[ \t]*Action[ \t]*\d*[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
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
