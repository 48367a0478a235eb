"""Parses tasks and observations for the scripted actor and the noisy teacher.

Built-in and real games use the same wording.
"""

from __future__ import annotations

import dataclasses
import re

__all__ = ["NAME", "Goal", "contents", "listed_places", "names_in", "read_goal", "room_of"]

NAME = r"[a-z]+ \d+"
"""The pattern of a numbered name, such as ``mug 2``."""

_ROOM = re.compile(r"Looking quickly around you, you see (.*)")
_SEEN = re.compile(rf"(?:On the|The) ({NAME})(?:, you see| is open\. In it, you see) ([^.]*)\.")
_NOTED = re.compile(rf"({NAME}) (?:in|on) the ({NAME})")
_LIST = re.compile(r"list on the wall says: (.*)")


def names_in(text: str) -> list[str]:
    """Returns the numbered names in a text, in order.

    >>> names_in("On the desk 1, you see a pen 2, and a mug 1.")
    ['desk 1', 'pen 2', 'mug 1']
    """
    return re.findall(rf"\b{NAME}\b", text)


def room_of(description: str) -> list[str]:
    """Returns the receptacles that a room's description lists, in order."""
    found = _ROOM.search(description)
    return names_in(found[1]) if found else []


def contents(observation: str) -> tuple[str, list[str]] | None:
    """Returns a receptacle and its visible contents; None if the observation shows none.

    >>> contents("You open the cabinet 2. The cabinet 2 is open. In it, you see a mug 1, and a cup 3.")
    ('cabinet 2', ['mug 1', 'cup 3'])
    """
    found = _SEEN.search(observation)
    return (found[1], names_in(found[2])) if found else None


def listed_places(text: str) -> list[tuple[str, str]]:
    """Returns the objects and places on the list on the wall.

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
    """Whether the task states the treatment by a verb (``clean some mug and …``), which actors do not overlook."""


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
    """Parses the goal of a task; None if the wording is unknown.

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
