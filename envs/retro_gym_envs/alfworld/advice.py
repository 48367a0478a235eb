"""Parses a reflection into advice for the scripted actor: where to look, and how to treat the task's object."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from retro_gym_envs.alfworld.observations import NAME, names_in

__all__ = ["Advice", "read_reflection"]


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; fields are empty where it says nothing."""

    places: tuple[str, ...] = ()
    """Where to look first, in order."""
    treatment: str = ""
    """As in :class:`~retro_gym_envs.alfworld.observations.Goal`."""

    def __bool__(self) -> bool:
        return bool(self.places or self.treatment)


_CUES = {
    "clean": r"\b(?:clean|wash|rinse)\b",
    "heat": r"\b(?:heat|warm|microwave it)\b",
    "cool": r"\b(?:cool|chill)\b",
    "light": r"\b(?:lamp|light|desklamp|floorlamp)\b",
    "two": r"\b(?:both|two|second|other one|another)\b",
}
_DESTINATION = re.compile(rf"\b(?:put|place|move|bring|carry)\b[^.,;]*? (?:in|on|to|into|onto|at)(?: the)? {NAME}")


def read_reflection(text: str, thing: str, room: Iterable[str]) -> Advice:
    """Extracts what can be acted on in this task.

    A vague reflection ("be more careful") gives empty advice. So does a reflection that does not name the task's
    object: it was written for another task.

    Args:
        text: the reflection.
        thing: the kind of object that the task is about.
        room: the receptacles in the room.

    >>> read_reflection("Look for the mug 1 in the drawer 2, then heat it.", "mug", ["drawer 1", "drawer 2"])
    Advice(places=('drawer 2',), treatment='heat')
    >>> bool(read_reflection("Look for the pen 1 in the drawer 2.", "mug", ["drawer 2"]))
    False
    """
    lowered = text.lower()
    if not re.search(rf"\b{re.escape(thing)}s?\b", lowered):
        return Advice()
    known = set(room)
    where = _DESTINATION.sub(" ", lowered)
    places = dict.fromkeys(name for name in names_in(where) if name in known)
    return Advice(tuple(places), _treatment(lowered))


def _treatment(text: str) -> str:
    """Returns the treatment that is named first."""
    found = [(match.start(), name) for name, cue in _CUES.items() if (match := re.search(cue, text))]
    return min(found)[1] if found else ""
