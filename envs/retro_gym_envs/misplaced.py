"""Takes out sentences in which a name and the adjective that is said of it stand in no order of English."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from retro_gym_envs.english.naming import find_mentions

__all__ = ["misplaced_with"]


def misplaced_with(adjectives: Iterable[str]) -> Callable[[str, tuple[str, ...]], str]:
    """Returns a function of a reflection and the known names that takes out such sentences.

    Args:
        adjectives: words, or several words, that are never nouns.

    >>> taken_out = misplaced_with(["vegan"])
    >>> taken_out("Open vegan the B1. Open B1, the vegan one.", ("B1",))
    ' . Open B1, the vegan one.'
    """
    such = rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, adjectives), key=len, reverse=True))})"
    the_such = re.compile(rf"[\"'`]? the {such}(?= *(?:[.;!?\n]|$| and ))")
    such_the = re.compile(rf"{such} the [\"'`]?$")

    def without(note: str, names: tuple[str, ...]) -> str:
        text = note.lower()
        if " the " not in text or len(text) != len(note):  # lower case is longer for a few letters
            return note
        kept = len(note)  # what follows is decided already
        for start, end, _ in reversed(find_mentions(names, text)):
            if end > kept:
                continue
            if the_such.match(text, end) or such_the.search(text[max(start - _LONGEST, 0) : start]):
                kept = max(text.rfind(mark, 0, start) for mark in _ENDS) + 1
                ends = _END.search(text, end)
                note = f"{note[:kept]} {note[ends.start() if ends else len(note) :]}"
                text = note.lower()
        return note

    return without


_ENDS = ".;!?\n"
_END = re.compile(r"[.;!?\n]")
_LONGEST = 40  # letters of an adjective with what stands around it
