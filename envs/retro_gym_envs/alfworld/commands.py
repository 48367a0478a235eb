"""Normalises an actor's commands to the form that games understand."""

from __future__ import annotations

import re

from retro_gym_envs.actions import bare

__all__ = ["THOUGHT", "normalize"]

_MAX_COMMAND = 200  # characters; the longest command of the public games has about 70
_PUT = re.compile(r"(?:put|place|move) (.+?) (?:in/on|in|on|into|onto|to) (?:the )?(.+)")
_PLAIN_ARTICLE = re.compile(r"(?<= )the (?=[a-z]+ \d)")

THOUGHT = "think:"
"""The prefix of a thought. With the published prompts, actors send thoughts to the game as well."""


def normalize(action: str, limit: int | None = _MAX_COMMAND) -> str:
    """Returns the command in normal form; of other text, only case, spacing and surrounding marks are normalised.

    Args:
        action: the text.
        limit: maximum length in characters; what exceeds it is left out.

    The published prompts use an older grammar: ``put X in/on Y``. Current games expect ``move X to Y``.

    >>> normalize(" put mug 1 in/on  the cabinet 2.")
    'move mug 1 to cabinet 2'
    >>> normalize("> Go to cabinet 2")
    'go to cabinet 2'
    """
    command = " ".join(bare(action)[:limit].split()).lower()
    command = _PLAIN_ARTICLE.sub("", command)
    put = _PUT.fullmatch(command)
    return f"move {put[1]} to {put[2]}" if put else command
