"""What the environments forgive in an action: marks around it, and the case of the names of actions.

What an action says, the text between its brackets, is left as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from retro_gym.actors.brackets import closing_bracket

__all__ = ["argument_end", "bare", "bracketed"]

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))  # all that Unicode has
_MARKS = _SPACES + "\"'`*“”‘’"
_BRACKETED = re.compile(r"(\w+)\[.+\]")


def bare(action: str) -> str:
    """An action without what is often put around one: white space, quotes, asterisks, a prompt's ``>``, a full stop.

    No action of any environment begins or ends with one of these.

    >>> bare("> go to desk 1."), bare("`Search[Mr. T.]`.")
    ('go to desk 1', 'Search[Mr. T.]')
    """
    return action.lstrip(f"{_MARKS}>").rstrip(f"{_MARKS}.")


def bracketed(action: str, names: Iterable[str]) -> tuple[str, str]:
    """Name and argument of an action such as ``Search[title]``; two empty texts when it is none of those names.

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
    """Where the argument ends that begins at ``start``: at the bracket that closes it, else at the last one.

    Below ``start`` where there is none.
    """
    end = closing_bracket(action, start)
    return action.rfind("]") if end is None else end
