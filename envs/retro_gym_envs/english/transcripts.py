"""Removes what a reflection copies from the record of a trial: it says what happened, not what to do."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

__all__ = ["without_transcripts"]

_LABEL = re.compile(r"\b(?:action|observation|thought|act|obs) ?\d{1,3} ?[:>]", re.IGNORECASE)
_HEADING = re.compile(
    r"\W*(?:(?:action|observation|thought|act|obs) ?\d{1,3} ?[:>]|observation ?:|return ?: ?-?\d|question ?:"
    r"|instruction ?:|your task is to ?:|task ?:)",
    re.IGNORECASE,
)
_LATER_TURN = re.compile(r"(?:thought|action) ?(?!1 ?:)\d{1,3} ?:", re.IGNORECASE)
_COMMAND = re.compile(r"\w+\[[^\]\n]*\]")
_ONLY_COMMANDS = re.compile(r"[\W\d]*(?:\w+\[[^\]\n]*\](?:[\s,;>-]|\bthen\b)*)+\W*")
_SEPARATOR = "[SEP]"


@lru_cache(maxsize=1_024)
def without_transcripts(text: str) -> str:
    r"""Returns a text without numbered actions, thoughts and observations, and without logs of bare commands.

    A single command, or commands under a heading that ends with a colon, are advice.

    >>> without_transcripts("Action 1: go to desk 1\nObservation 1: You see nothing.\nI should try the bed 1.")
    'I should try the bed 1.'
    """
    lines = text.split("\n")
    if len(_COMMAND.findall(text)) > 1:
        bare = [bool(line.strip()) and _ONLY_COMMANDS.fullmatch(line) is not None for line in lines]
        lines = [line for index, line in enumerate(lines) if not (bare[index] and _is_log(lines, bare, index))]
    lines = _without_cut_observations(lines)
    played = any(line.startswith("You ") for line in lines)  # a game's lines after commands at a prompt
    return "\n".join(line for line in lines if not _is_copied(line) and not (played and line.startswith(">")))


def _without_cut_observations(lines: list[str]) -> list[str]:
    """Drops what stands right before a later turn: the end of an observation whose beginning was cut off."""
    labelled = sum(_HEADING.match(line) is not None for line in lines)
    return [
        line
        for line, after in itertools.zip_longest(lines, lines[1:], fillvalue="")
        if labelled < 2 or _HEADING.match(line) or not _LATER_TURN.match(after)
    ]


def _is_log(lines: list[str], bare: list[bool], index: int) -> bool:
    first = index
    while first > 0 and bare[first - 1]:
        first -= 1
    announced = first > 0 and lines[first - 1].rstrip().endswith(":")
    several = len(_COMMAND.findall(lines[index])) > 1 or any(
        bare[max(0, index - 1) : index] + bare[index + 1 : index + 2]
    )
    return several and not announced


def _is_copied(line: str) -> bool:
    return _HEADING.match(line) is not None or _SEPARATOR in line or len(_LABEL.findall(line)) > 1
