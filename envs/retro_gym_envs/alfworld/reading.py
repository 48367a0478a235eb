"""Reading the language of the games, as far as the scripted actor and the noisy teacher need it.

Everything here works on text alone: tasks, observations, reflections, of built-in and real games alike.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

__all__ = ["Advice", "Goal", "contents", "listed_places", "names_in", "read_goal", "read_reflection", "room_of"]

_NAME = r"[a-z]+ \d+"
_ROOM = re.compile(r"Looking quickly around you, you see (.*)")
_SEEN = re.compile(rf"(?:On the|The) ({_NAME})(?:, you see| is open\. In it, you see) ([^.]*)\.")
_NOTED = re.compile(rf"({_NAME}) (?:in|on) the ({_NAME})")
_LIST = re.compile(r"list on the wall says: (.*)")


def names_in(text: str) -> list[str]:
    """Numbered names, in order.

    >>> names_in("On the desk 1, you see a pen 2, and a mug 1.")
    ['desk 1', 'pen 2', 'mug 1']
    """
    return re.findall(rf"\b{_NAME}\b", text)


def room_of(description: str) -> list[str]:
    """The receptacles that a room lists, in its order."""
    found = _ROOM.search(description)
    return names_in(found[1]) if found else []


def contents(observation: str) -> tuple[str, list[str]] | None:
    """A receptacle and what is seen in or on it; None where an observation shows none.

    >>> contents("You open the cabinet 2. The cabinet 2 is open. In it, you see a mug 1, and a cup 3.")
    ('cabinet 2', ['mug 1', 'cup 3'])
    """
    found = _SEEN.search(observation)
    return (found[1], names_in(found[2])) if found else None


def listed_places(text: str) -> list[tuple[str, str]]:
    """Things and their places on the list on the wall.

    >>> listed_places("A list on the wall says: mug 1 in the cabinet 2, pen 1 on the desk 1.")
    [('mug 1', 'cabinet 2'), ('pen 1', 'desk 1')]
    """
    found = _LIST.search(text)
    return _NOTED.findall(found[1]) if found else []


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a task asks for."""

    thing: str
    target: str
    treatment: str
    """``clean``, ``heat``, ``cool``, ``light`` (look at it under the lamp), ``two`` (bring two), or empty."""
    plain: bool
    """Whether the task says this by a verb of its own (``clean some mug and …``), which nobody overlooks."""


_STATES = {"clean": "clean", "hot": "heat", "cool": "cool", "two": "two"}
_VERBS = {"clean": "clean", "heat": "heat", "cool": "cool"}
_GOALS = (
    (re.compile(r"examine the (?P<thing>\w+) with the (?P<target>\w+)"), "light"),
    (re.compile(r"look at (?P<thing>\w+) under the (?P<target>\w+)"), "light"),
    (re.compile(r"find two (?P<thing>\w+) and put them (?:in|on) (?P<target>\w+)"), "two"),
    (re.compile(r"(?P<verb>clean|heat|cool) some (?P<thing>\w+) and put it (?:in|on) (?P<target>\w+)"), ""),
    (re.compile(r"put (?:an? |some )?(?:(?P<state>clean|hot|cool|two) )?(?P<thing>\w+) (?:in|on) (?P<target>\w+)"), ""),
)


def read_goal(task: str) -> Goal | None:
    """What a task asks for; None when it is worded in none of the known ways.

    >>> read_goal("Your task is to: put a hot mug in cabinet.")
    Goal(thing='mug', target='cabinet', treatment='heat', plain=False)
    """
    for pattern, treatment in _GOALS:
        found = pattern.search(task)
        if found:
            parts = found.groupdict()
            state, verb = parts.get("state") or "", parts.get("verb") or ""
            plain = bool(verb) or found[0].startswith(("examine", "find"))
            return Goal(found["thing"], found["target"], treatment or _STATES.get(state) or _VERBS.get(verb, ""), plain)
    return None


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; empty parts where it says nothing."""

    places: tuple[str, ...] = ()
    """Where to look first, in this order."""
    treatment: str = ""
    """As in :class:`Goal`."""

    def __bool__(self) -> bool:
        return bool(self.places or self.treatment)


_CUES = {
    "clean": r"\b(?:clean|wash|rinse)\b",
    "heat": r"\b(?:heat|warm|microwave it)\b",
    "cool": r"\b(?:cool|chill)\b",
    "light": r"\b(?:lamp|light|desklamp|floorlamp)\b",
    "two": r"\b(?:both|two|second|other one|another)\b",
}
_DESTINATION = re.compile(rf"\b(?:put|place|move|bring|carry)\b[^.,;]*? (?:in|on|to|into|onto|at)(?: the)? {_NAME}")


def read_reflection(text: str, thing: str, room: Iterable[str]) -> Advice:
    """What a reflection says that can be acted on in this task.

    A vague one ("be more careful") names nothing and gives empty advice. So does one that does not name the thing
    that the task is about: it belongs to another task.

    Args:
        text: the reflection.
        thing: the kind of thing that the task is about.
        room: the receptacles that there are.

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
    """The treatment that is named first."""
    found = [(match.start(), name) for name, cue in _CUES.items() if (match := re.search(cue, text))]
    return min(found)[1] if found else ""
