"""The contents of the built-in world: kinds of rooms, of receptacles, and of objects.

The names are those of ALFWorld, so that actors see the same language in built-in and real games.
"""

from __future__ import annotations

import dataclasses

__all__ = ["APPLIANCES", "LAMP", "OPENABLE", "ROOMS", "THINGS", "Room", "Thing"]

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "microwave", "safe"})
"""Receptacles that are closed at the beginning."""

APPLIANCES = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}
"""The receptacle that each treatment requires."""

LAMP = "desklamp"


@dataclasses.dataclass(frozen=True)
class Room:
    """A kind of room."""

    places: tuple[str, ...]
    """Kinds of receptacles on which objects lie in plain view."""
    targets: tuple[str, ...]
    """Kinds of receptacles to which a task may want objects brought."""


ROOMS = {
    "kitchen": Room(
        ("cart", "coffeemachine", "countertop", "diningtable", "garbagecan", "shelf", "sidetable", "stoveburner"),
        ("cabinet", "countertop", "diningtable", "drawer", "shelf", "sidetable"),
    ),
    "bathroom": Room(
        ("bathtubbasin", "cart", "countertop", "garbagecan", "shelf", "sidetable", "toilet", "towelholder"),
        ("cabinet", "cart", "countertop", "drawer", "shelf", "sidetable"),
    ),
    "bedroom": Room(
        ("armchair", "bed", "desk", "dresser", "garbagecan", "ottoman", "shelf", "sidetable"),
        ("armchair", "desk", "drawer", "dresser", "safe", "shelf", "sidetable"),
    ),
    "livingroom": Room(
        ("armchair", "coffeetable", "diningtable", "dresser", "garbagecan", "shelf", "sidetable", "sofa", "tvstand"),
        ("armchair", "cabinet", "coffeetable", "drawer", "dresser", "shelf", "sidetable", "sofa"),
    ),
}
"""Kinds of rooms by name."""


@dataclasses.dataclass(frozen=True)
class Thing:
    """A kind of object."""

    name: str
    rooms: frozenset[str]
    """Kinds of rooms in which it occurs."""
    uses: frozenset[str]
    """Possible treatments: ``clean``, ``heat``, ``cool``, and ``light`` if it can be examined under a lamp."""


# name: rooms (their first letters: k, b for bath, s for sleeping, l for living); uses
_TABLE = """
apple: k; clean heat cool
bread: k; heat cool
egg: k; clean heat cool
lettuce: k; clean cool
potato: k; clean heat cool
tomato: k; clean heat cool
bowl: kl; clean cool light
cup: k; clean heat cool
mug: ks; clean heat cool light
plate: kl; clean heat cool
butterknife: k; clean
fork: k; clean
knife: k; clean
ladle: k; clean
spatula: k; clean
spoon: k; clean
pan: k; clean cool
pot: k; clean cool
kettle: k; clean
dishsponge: kb; clean
glassbottle: k;
winebottle: k; cool
peppershaker: k;
saltshaker: k;
candle: bl;
cloth: b; clean
handtowel: b;
soapbar: b; clean
soapbottle: b;
spraybottle: b;
tissuebox: bl;
toiletpaper: b;
alarmclock: s; light
basketball: s;
book: sl; light
cd: s; light
cellphone: s; light
creditcard: sl;
keychain: sl;
laptop: sl; light
newspaper: l; light
pen: s; light
pencil: s; light
pillow: sl; light
remotecontrol: l; light
statue: l; light
vase: l; light
watch: sl; light
wateringcan: l;
box: sl; light
"""
_ROOM_LETTERS = {"k": "kitchen", "b": "bathroom", "s": "bedroom", "l": "livingroom"}


def _read(row: str) -> Thing:
    name, _, rest = row.partition(": ")
    rooms, _, uses = rest.partition(";")
    return Thing(name, frozenset(map(_ROOM_LETTERS.__getitem__, rooms)), frozenset(uses.split()))


THINGS: dict[str, Thing] = {thing.name: thing for thing in map(_read, _TABLE.strip().splitlines())}
"""All kinds of objects except the lamp."""
