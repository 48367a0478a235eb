"""Parses tasks and observations for the scripted actor and the teacher.

Built-in and real games use the same wording.
"""

from __future__ import annotations

import dataclasses
import re

from retro_gym_envs.alfworld.objects import OPENABLE

__all__ = [
    "NAME",
    "NOTHING_HAPPENS",
    "Goal",
    "contents",
    "kind_of",
    "names_in",
    "preposition",
    "read_goal",
    "room_of",
]

NAME = r"[a-z]+ \d+"
"""The pattern of a numbered name, such as ``mug 2``."""

NOTHING_HAPPENS = "Nothing happens."
"""The answer to an impossible command."""

_ROOM = re.compile(r"Looking quickly around you, you see (.*)")
_SEEN = re.compile(rf"(?:On the|The) ({NAME})(?:, you see| is open\. In it, you see) ([^.]*)\.")


def kind_of(name: str) -> str:
    """Returns the kind of a numbered object or receptacle.

    >>> kind_of("mug 2")
    'mug'
    """
    return name.rpartition(" ")[0]


def preposition(place: str) -> str:
    """Returns ``in`` or ``on``.

    >>> preposition("drawer 2"), preposition("bed 1")
    ('in', 'on')
    """
    return "in" if kind_of(place) in OPENABLE else "on"


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


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a task asks for."""

    thing: str
    target: str
    treatment: str
    """``clean``, ``heat``, ``cool``, ``light`` (look at it under the lamp), ``two`` (bring two), or empty."""


_STATES = {"clean": "clean", "hot": "heat", "cool": "cool", "two": "two"}
_THING, _TARGET = r"(?P<thing>\w+)", r"(?P<target>\w+)"
# The first three lines are the wordings of real games; the built-in world also has others.
_GOALS = (
    (re.compile(rf"(?:examine the|look at) {_THING} (?:with|under) the {_TARGET}"), "light"),
    (re.compile(rf"find two {_THING} and put them (?:in|on) {_TARGET}"), "two"),
    (re.compile(rf"(?P<verb>clean|heat|cool) some {_THING} and put it (?:in|on) {_TARGET}"), ""),
    (re.compile(rf"(?:hold|inspect) (?:a|one) {_THING} (?:in|by) the light of (?:a|one) {_TARGET}"), "light"),
    (
        re.compile(
            r"(?:put|bring|leave) (?:an? |some |one )?(?:(?P<state>clean|hot|cool|two) )?"
            rf"{_THING} (?:in|on|to|at) (?:an? |one )?{_TARGET}"
        ),
        "",
    ),
)


def read_goal(task: str) -> Goal | None:
    """Parses the goal of a task; None if the wording is unknown.

    >>> read_goal("Your task is to: put a hot mug in cabinet.")
    Goal(thing='mug', target='cabinet', treatment='heat')
    """
    for pattern, treatment in _GOALS:
        if found := pattern.search(task):
            parts = found.groupdict()
            wanted = parts.get("verb") or _STATES.get(parts.get("state") or "", "")
            return Goal(found["thing"], found["target"], treatment or wanted)
    return None
