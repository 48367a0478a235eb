"""The language of commands: what an actor may write, brought into the one form that games understand."""

from __future__ import annotations

import re

from retro_gym_envs.actions import bare

__all__ = ["THOUGHT", "normalize"]

_MAX_COMMAND = 200  # characters; the longest command of the public games has about 70
_PUT = re.compile(r"(?:put|place|move) (.+?) (?:in/on|in|on|into|onto|to) (?:the )?(.+)")
_PLAIN_ARTICLE = re.compile(r"(?<= )the (?=[a-z]+ \d)")

THOUGHT = "think:"
"""What begins a line that is no command but a thought: the published prompts send those to the game as well."""


def normalize(action: str) -> str:
    """The command that an action means; what is no command stays as it is, but for case, spacing and marks around it.

    The published prompts were written for an older grammar: ``put X in/on Y``. Games of today know ``move X to Y``.

    >>> normalize(" put mug 1 in/on  the cabinet 2.")
    'move mug 1 to cabinet 2'
    >>> normalize("> Go to cabinet 2")
    'go to cabinet 2'
    """
    command = " ".join(bare(action)[:_MAX_COMMAND].split()).lower()
    command = _PLAIN_ARTICLE.sub("", command)
    put = _PUT.fullmatch(command)
    return f"move {put[1]} to {put[2]}" if put else command
