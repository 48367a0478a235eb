"""Remarks of the built-in world: what is to be seen from a place, and which of several things of a kind works.

``From here you see a dry sinkbasin 2, and a running sinkbasin 1.`` Real games have no such sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, OPENABLE
from retro_gym_envs.alfworld.observations import NAME, preposition

__all__ = ["WORDS", "Sight", "States", "refusal", "remark", "sights_in", "states_of"]


class Sight(NamedTuple):
    """Something that is seen from afar."""

    state: str
    """An adjective that says whether it works; empty if nothing is said of it."""
    name: str
    place: str
    """Where an object is; empty for a receptacle."""


class States(NamedTuple):
    """What may be said of a kind of thing."""

    good: tuple[str, ...]
    bad: tuple[str, ...]
    refusal: str
    """What a game answers if one is used that does not work."""


def _states(good: str, bad: str, refusal: str) -> States:
    return States(tuple(good.split()), tuple(bad.split()), refusal)


WORDS = {
    "object": _states("loose movable", "stuck glued chained nailed bolted riveted", "The {} cannot be moved."),
    LAMP: _states("working usable", "unplugged bulbless broken fused shattered burst", "The {} stays dark."),
    APPLIANCES["clean"]: _states(
        "running flowing", "dry clogged tapless leaking cracked rusty", "The {} gives no water."
    ),
    APPLIANCES["heat"]: _states(
        "humming glowing", "dark doorless burnt melted scorched sooty", "The {} does not start."
    ),
    APPLIANCES["cool"]: _states("icy frosty", "warm mouldy defrosted lukewarm humid tepid", "The {} does not cool."),
    "closed": _states("unlocked roomy", "locked jammed sealed barred taped wedged", "The {} does not open."),
    "flat": _states("steady level", "wobbly wet tilted slippery sloping greasy", "Nothing stays on the {}."),
}
"""By kind of tool; ``object`` for what is taken, ``closed`` and ``flat`` for the receptacles that objects go to."""


def states_of(kind: str, *, taken: bool) -> States:
    """Returns what may be said of a kind.

    Args:
        kind: the kind of object or receptacle.
        taken: whether it is an object to be taken.
    """
    if taken:
        return WORDS["object"]
    return WORDS.get(kind) or WORDS["closed" if kind in OPENABLE else "flat"]


def refusal(name: str, *, taken: bool) -> str:
    """Returns the answer to a command that uses something that does not work.

    >>> refusal("sinkbasin 2", taken=False)
    'The sinkbasin 2 gives no water.'
    """
    return states_of(name.rpartition(" ")[0], taken=taken).refusal.format(name)


def remark(sights: Sequence[Sight]) -> str:
    """Writes the sentence on what is seen from a place.

    >>> remark([Sight("icy", "fridge 2", ""), Sight("", "mug 1", "shelf 3")])
    'From here you see an icy fridge 2, and a mug 1 on the shelf 3.'
    """
    told = []
    for state, name, place in sights:
        named = f"{state} {name}".strip()
        where = f" {preposition(place)} the {place}" if place else ""
        told.append(f"{'an' if state[:1] in tuple('aeiou') and state else 'a'} {named}{where}")
    return f"From here you see {', '.join(told[:-1])}, and {told[-1]}."


_REMARK = re.compile(r"From here you see ([^.]*)\.")
_SIGHT = re.compile(rf"\ban? (?:([a-z]+) )?({NAME})(?: (?:in|on) the ({NAME}))?")


def sights_in(text: str) -> list[list[Sight]]:
    """Returns what each remark in a text shows.

    >>> sights_in("From here you see an icy fridge 2, and a mug 1 on the shelf 3.")
    [[Sight(state='icy', name='fridge 2', place=''), Sight(state='', name='mug 1', place='shelf 3')]]
    """
    return [[Sight(*found) for found in _SIGHT.findall(each)] for each in _REMARK.findall(text)]
