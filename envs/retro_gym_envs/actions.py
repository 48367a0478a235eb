"""What the environments forgive in an action: marks around it, and the case of the names of actions.

What an action says, the text between its brackets, is left as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["bare", "bracketed"]

_SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))  # all that Unicode has
_MARKS = _SPACES + "\"'`*“”‘’"
_BRACKETED = re.compile(r"(\w+)\[(.+)\]")


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
    """
    found = _BRACKETED.fullmatch(bare(action))
    name = next((name for name in names if found and name.lower() == found[1].lower()), "")
    return (name, found[2]) if found and name else ("", "")
