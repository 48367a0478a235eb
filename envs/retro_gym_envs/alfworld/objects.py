"""The contents of the built-in world: kinds of rooms, of receptacles, and of objects with their usual places.

The names are those of ALFWorld, so that actors see the same language in built-in and real games.
"""

from __future__ import annotations

import dataclasses

__all__ = ["APPLIANCES", "LAMP", "OPENABLE", "RECEPTACLES", "ROOMS", "TARGETS", "THINGS", "Thing"]

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "microwave", "safe"})
"""Receptacles that are closed at the beginning."""

ROOMS: dict[str, dict[str, tuple[int, int]]] = {
    "kitchen": {
        "cabinet": (1, 3),
        "coffeemachine": (0, 1),
        "countertop": (1, 2),
        "diningtable": (0, 1),
        "drawer": (0, 3),
        "fridge": (1, 1),
        "garbagecan": (0, 1),
        "microwave": (1, 1),
        "shelf": (0, 2),
        "sinkbasin": (1, 1),
        "stoveburner": (0, 2),
        "toaster": (0, 1),
    },
    "bathroom": {
        "bathtubbasin": (0, 1),
        "cabinet": (1, 3),
        "cart": (0, 1),
        "countertop": (1, 1),
        "drawer": (0, 3),
        "garbagecan": (0, 1),
        "handtowelholder": (0, 1),
        "shelf": (0, 3),
        "sinkbasin": (1, 2),
        "toilet": (1, 1),
        "towelholder": (0, 1),
    },
    "bedroom": {
        "armchair": (0, 1),
        "bed": (1, 1),
        "desk": (1, 2),
        "drawer": (1, 4),
        "dresser": (0, 1),
        "garbagecan": (0, 1),
        "safe": (0, 1),
        "shelf": (0, 3),
        "sidetable": (0, 2),
    },
    "livingroom": {
        "armchair": (0, 2),
        "cabinet": (0, 2),
        "coffeetable": (0, 2),
        "diningtable": (0, 1),
        "drawer": (0, 3),
        "dresser": (0, 1),
        "garbagecan": (0, 1),
        "shelf": (0, 3),
        "sidetable": (1, 2),
        "sofa": (1, 1),
        "tvstand": (0, 1),
    },
}
"""Kinds of rooms, and the minimum and maximum number of receptacles of each kind in them."""

RECEPTACLES: tuple[str, ...] = tuple(sorted({kind for room in ROOMS.values() for kind in room}))
"""All kinds of receptacles."""

APPLIANCES = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
"""The receptacle that each treatment requires."""

TARGETS = frozenset(RECEPTACLES) - {"coffeemachine", "handtowelholder", "stoveburner", "toaster", "towelholder"}
"""Kinds of receptacles that can be the target of a task."""

LAMP = "desklamp"


@dataclasses.dataclass(frozen=True)
class Thing:
    """A kind of object."""

    name: str
    rooms: frozenset[str]
    """Kinds of rooms in which it occurs."""
    homes: tuple[str, ...]
    """Kinds of receptacles in or on which it is kept."""
    uses: frozenset[str]
    """Possible treatments: ``clean``, ``heat``, ``cool``, and ``light`` if it can be examined under a lamp."""


# name: rooms (their first letters: k, b for bath, s for sleeping, l for living); homes; uses
_TABLE = """
apple: k; countertop diningtable fridge garbagecan sinkbasin; clean heat cool
bread: k; countertop diningtable fridge; heat cool
egg: k; countertop fridge garbagecan sinkbasin; clean heat cool
lettuce: k; countertop diningtable fridge garbagecan; clean cool
potato: k; countertop fridge garbagecan sinkbasin; clean heat cool
tomato: k; countertop diningtable fridge sinkbasin; clean heat cool
bowl: kl; cabinet coffeetable countertop diningtable shelf sidetable; clean cool light
cup: k; cabinet countertop diningtable microwave shelf sinkbasin; clean heat cool
mug: ks; cabinet coffeemachine countertop desk drawer shelf sinkbasin; clean heat cool light
plate: kl; cabinet coffeetable countertop diningtable shelf; clean heat cool
butterknife: k; countertop diningtable drawer sinkbasin; clean
fork: k; countertop diningtable drawer sinkbasin; clean
knife: k; countertop drawer sinkbasin; clean
ladle: k; countertop drawer stoveburner; clean
spatula: k; countertop drawer shelf; clean
spoon: k; countertop diningtable drawer sinkbasin; clean
pan: k; cabinet countertop sinkbasin stoveburner; clean cool
pot: k; cabinet countertop shelf stoveburner; clean cool
kettle: k; cabinet countertop stoveburner; clean
dishsponge: kb; countertop drawer sinkbasin bathtubbasin; clean
glassbottle: k; cabinet countertop garbagecan shelf;
winebottle: k; cabinet countertop diningtable shelf; cool
peppershaker: k; cabinet countertop drawer shelf;
saltshaker: k; cabinet countertop diningtable drawer;
candle: bl; cabinet coffeetable countertop drawer shelf toilet;
cloth: b; bathtubbasin cabinet cart countertop drawer sinkbasin; clean
handtowel: b; handtowelholder towelholder;
soapbar: b; bathtubbasin cabinet countertop garbagecan sinkbasin toilet; clean
soapbottle: b; cabinet cart countertop drawer shelf toilet;
spraybottle: b; cabinet cart countertop garbagecan shelf toilet;
tissuebox: bl; cart coffeetable countertop drawer dresser shelf sidetable;
toiletpaper: b; cabinet drawer shelf toilet;
alarmclock: s; desk dresser shelf sidetable; light
basketball: s; armchair bed;
book: sl; bed coffeetable desk drawer shelf sidetable sofa; light
cd: s; desk drawer garbagecan safe shelf; light
cellphone: s; bed desk drawer dresser sidetable; light
creditcard: sl; armchair coffeetable desk drawer dresser shelf sidetable;
keychain: sl; armchair coffeetable drawer dresser safe shelf sidetable;
laptop: sl; bed coffeetable desk diningtable sofa; light
newspaper: l; armchair coffeetable drawer garbagecan sidetable sofa; light
pen: s; desk drawer garbagecan shelf sidetable; light
pencil: s; desk drawer garbagecan shelf sidetable; light
pillow: sl; armchair bed sofa; light
remotecontrol: l; armchair coffeetable drawer sofa tvstand; light
statue: l; cabinet coffeetable dresser shelf sidetable tvstand; light
vase: l; cabinet coffeetable diningtable dresser shelf sidetable; light
watch: sl; coffeetable desk drawer dresser safe shelf sidetable; light
wateringcan: l; diningtable dresser shelf sidetable;
box: sl; armchair bed coffeetable diningtable dresser sofa; light
"""
_ROOM_LETTERS = {"k": "kitchen", "b": "bathroom", "s": "bedroom", "l": "livingroom"}


def _read(row: str) -> Thing:
    name, _, rest = row.partition(": ")
    rooms, homes, uses = rest.split(";")
    return Thing(name, frozenset(map(_ROOM_LETTERS.__getitem__, rooms)), tuple(homes.split()), frozenset(uses.split()))


THINGS: dict[str, Thing] = {thing.name: thing for thing in map(_read, _TABLE.strip().splitlines())}
"""All kinds of objects except the lamp."""
