"""Other spellings of the things in a household, and how the game writes them."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

__all__ = ["as_the_game_writes"]

_SYNONYMS = {
    "fridge": ("refrigerator", "fridge freezer"),
    "microwave": ("microwave oven",),
    "sinkbasin": ("sink",),
    "countertop": ("counter", "worktop"),
    "garbagecan": ("bin", "trash can", "trashcan", "dustbin"),
    "stoveburner": ("stove", "burner"),
    "desklamp": ("lamp", "table lamp"),
    "bathtubbasin": ("bathtub",),
    "remotecontrol": ("remote",),
    "cellphone": ("phone", "mobile phone"),
    "sofa": ("couch",),
    "tvstand": ("television stand",),
}
"""What people call a kind of thing."""
_COMPOUND = re.compile(
    "(.+)(basin|table|top|can|stand|machine|burner|holder|chair|box|roll|bar|bottle|towel|sponge|shaker|knife|control"
    "|phone|card|chain|clock|paper|ball|lamp)"
)
"""The name of a kind whose last word people may write apart."""
_SIGN = r"(?:(?:no|nr|num)\b\.? ?|numbers? |# ?)?"
_NUMBER = rf"[ _-]?{_SIGN}(?P<open>[(\[{{] ?)?{_SIGN}(?P<number>\d{{1,3}})(?![\w-])(?(open) ?[)\]}}])"


def as_the_game_writes(text: str, kinds: Collection[str]) -> str:
    """Returns a text in lower case in which things of some kinds are named as the game names them.

    >>> as_the_game_writes("use the sink basin #2, not the refrigerator (1)", ("sinkbasin", "fridge"))
    'use the sinkbasin 2, not the fridge 1'
    """
    for pattern, kind in _patterns(frozenset(kinds)):
        text = pattern.sub(rf"{kind} \g<number>", text)
    return text


@lru_cache(maxsize=256)
def _patterns(kinds: frozenset[str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    found = []
    for kind in sorted(kinds):
        ways = [kind, *(way for way in _SYNONYMS.get(kind, ()) if way not in kinds)]
        compound = _COMPOUND.fullmatch(kind)
        ways += [f"{compound[1]}[ _-]{compound[2]}"] if compound else []
        found.append((re.compile(rf"\b(?:{'|'.join(ways)}){_NUMBER}"), kind))
    return tuple(found)
