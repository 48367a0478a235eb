"""Tolerant parsing of actions: ignores marks around an action and the case of its name.

The argument between the brackets is left as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from retro_gym.actors.brackets import closing_bracket

__all__ = ["argument_end", "bare", "bracketed"]

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))  # all of Unicode's
_MARKS = _SPACES + "\"'`*“”‘’"
_BRACKETED = re.compile(r"(\w+)\[.+\]")


def bare(action: str) -> str:
    """Strips what actors often put around an action: white space, quotes, asterisks, a prompt's ``>``, a full stop.

    No action of any environment begins or ends with one of these characters.

    >>> bare("> go to desk 1."), bare("`Search[Mr. T.]`.")
    ('go to desk 1', 'Search[Mr. T.]')
    """
    return action.lstrip(f"{_MARKS}>").rstrip(f"{_MARKS}.")


def bracketed(action: str, names: Iterable[str]) -> tuple[str, str]:
    """Name and argument of an action such as ``Search[title]``; two empty strings if its name is not in ``names``.

    >>> bracketed("search[The The].", ("Search", "Finish"))
    ('Search', 'The The')
    >>> bracketed("Finish[Sarn] as stated in [1]", ("Search", "Finish"))
    ('Finish', 'Sarn')
    """
    said = bare(action)
    found = _BRACKETED.fullmatch(said)
    name = next((name for name in names if found and name.lower() == found[1].lower()), "")
    argument = said[len(name) + 1 : argument_end(said, len(name) + 1)] if name else ""
    return (name, argument) if argument else ("", "")


def argument_end(action: str, start: int) -> int:
    """Index where the argument that begins at ``start`` ends: at its closing bracket, else at the last bracket.

    Below ``start`` if there is no bracket.
    """
    end = closing_bracket(action, start)
    return action.rfind("]") if end is None else end
