"""The built-in world: an unlimited supply of ALFWorld-style tasks, solvable by construction.

Task i of a split is generated from (world seed, split, i) when it is first requested. Each has its own room. A room is
identified by the numbers of its receptacles of each kind; these differ between rooms of different splits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.alfworld.household import TREATED, Household, kind_of
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, RECEPTACLES, ROOMS, TARGETS, THINGS, Thing
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.task_sources import GeneratedTasks, split_of_number

__all__ = ["TASK_TYPES", "BuiltinTasks", "split_of_room"]

TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
"""ALFWorld's six types of tasks."""

_TREATMENT = {name: name.split("_")[1] for name in TASK_TYPES[2:5]}
_ROOMS_OF = {"": tuple(ROOMS), "clean": ("kitchen", "bathroom"), "heat": ("kitchen",), "cool": ("kitchen",)}
_LIT_ROOMS = ("bedroom", "livingroom")
_LAMP_PLACES = ("desk", "sidetable", "dresser", "coffeetable")
_FEWEST, _MOST = 9, 12  # number of receptacles in a room
_THINGS = (9, 13)  # objects besides those of the task: minimum and maximum
_CROWD = 3  # maximum of objects on a receptacle, so that observations stay short
_NOTED = 4  # objects on the list on the wall

# Wordings of the tasks. The scripted actor fully understands the first of each type. In the second it overlooks
# everything except bringing an object.
_GOALS = {
    "pick_and_place_simple": ("put a {thing} in {target}.", "put some {thing} on {target}."),
    "look_at_obj_in_light": ("examine the {thing} with the {target}.", "look at {thing} under the {target}."),
    "pick_two_obj_and_place": ("find two {thing} and put them in {target}.", "put two {thing} in {target}."),
    **{
        f"pick_{verb}_then_place_in_recep": (
            f"{verb} some {{thing}} and put it in {{target}}.",
            f"put a {state} {{thing}} in {{target}}.",
        )
        for verb, state in TREATED.items()
    },
}


def split_of_room(counts: Mapping[str, int]) -> str:
    """Returns the only split in which a room with these receptacles may occur.

    Args:
        counts: number of receptacles of each kind.
    """
    known_by = ",".join(f"{kind}:{counts[kind]}" for kind in sorted(counts) if counts[kind])
    return split_of_number(derive_seed("room", known_by))


class BuiltinTasks(GeneratedTasks[Household]):
    """The generated tasks of one world.

    Args:
        world_seed: the seed of the world; different seeds give different worlds.
        note: whether a list on the wall gives the places of some objects.

    >>> tasks = BuiltinTasks(0)
    >>> household = tasks.get("test-00003")
    >>> household == BuiltinTasks(0).get("test-00003"), household.type in TASK_TYPES
    (True, True)
    """

    def __init__(self, world_seed: int = 0, *, note: bool = True) -> None:
        super().__init__(world_seed)
        self.note = note

    def get(self, task_id: str) -> Household:
        """Returns the task with this id."""
        household = _generate(self.world_seed, self.task_split(task_id), task_id)
        return household if self.note else dataclasses.replace(household, note=())


@lru_cache(maxsize=4_096)
def _generate(world_seed: int, split: str, task_id: str) -> Household:
    return _Builder(split, np.random.default_rng(derive_seed(world_seed, "alfworld", task_id))).build(task_id)


class _Builder:
    """Builds one room and one task in it."""

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        self._split = split
        self._rng = rng

    def build(self, task_id: str) -> Household:
        type_ = pick(TASK_TYPES, self._rng)
        treatment = _TREATMENT.get(type_, "")
        while True:  # rarely repeats: a room may lack a place for the object, or a target
            room = pick(_LIT_ROOMS if type_ == "look_at_obj_in_light" else _ROOMS_OF[treatment], self._rng)
            receptacles = self._furnish(room)
            kinds = {kind_of(name) for name in receptacles}
            thing = self._pick_thing(room, "light" if type_ == "look_at_obj_in_light" else treatment, kinds)
            target = self._pick_target(type_, treatment, thing, kinds)
            homes = [name for name in receptacles if kind_of(name) in thing.homes and kind_of(name) != target]
            count = 2 if type_ == "pick_two_obj_and_place" else 1
            if target and len(homes) >= count:
                break
        contents: dict[str, list[str]] = {name: [] for name in receptacles}
        about = [f"{thing.name} {i + 1}" for i in range(count)]
        for name, home in zip(about, shuffled(homes, self._rng)[:count], strict=True):
            contents[home].append(name)
        if target == LAMP:
            about.append(f"{LAMP} 1")
            lit = [name for name in receptacles if kind_of(name) in _LAMP_PLACES]
            contents[pick(lit, self._rng)].append(about[-1])
        self._fill(room, contents, thing.name)
        for things in contents.values():
            self._rng.shuffle(things)
        return Household(
            task_id,
            type_,
            pick(_GOALS[type_], self._rng).format(thing=thing.name, target=target),
            thing.name,
            target,
            treatment,
            count,
            tuple((name, tuple(things)) for name, things in contents.items()),
            self._note(contents, about),
        )

    def _furnish(self, room: str) -> list[str]:
        """Draws the receptacles of a room of this split, in the order in which games list them."""
        while True:
            counts = {kind: int(self._rng.integers(low, high + 1)) for kind, (low, high) in ROOMS[room].items()}
            if _FEWEST <= sum(counts.values()) <= _MOST and split_of_room(counts) == self._split:
                return [f"{kind} {i}" for kind in RECEPTACLES for i in range(counts.get(kind, 0), 0, -1)]

    def _pick_thing(self, room: str, use: str, kinds: set[str]) -> Thing:
        things = [thing for thing in THINGS.values() if room in thing.rooms and (not use or use in thing.uses)]
        return pick([thing for thing in things if not kinds.isdisjoint(thing.homes)], self._rng)

    def _pick_target(self, type_: str, treatment: str, thing: Thing, kinds: set[str]) -> str:
        """Draws the kind of target; an empty string if the room has none."""
        if type_ == "look_at_obj_in_light":
            return LAMP if not kinds.isdisjoint(_LAMP_PLACES) else ""
        found = sorted((kinds & TARGETS) - {APPLIANCES.get(treatment, "")})
        return pick(found, self._rng) if found else ""

    def _fill(self, room: str, contents: dict[str, list[str]], taken: str) -> None:
        """Adds other objects at their usual places."""
        numbers: dict[str, int] = {}
        others = [thing for thing in THINGS.values() if room in thing.rooms and thing.name != taken]
        for _ in range(int(self._rng.integers(_THINGS[0], _THINGS[1] + 1))):
            thing = pick(others, self._rng)
            homes = [name for name in contents if kind_of(name) in thing.homes and len(contents[name]) < _CROWD]
            if homes:
                numbers[thing.name] = numbers.get(thing.name, 0) + 1
                contents[pick(homes, self._rng)].append(f"{thing.name} {numbers[thing.name]}")

    def _note(self, contents: Mapping[str, Sequence[str]], about: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Draws the list on the wall: the places of the task's objects and of some others."""
        places = {thing: place for place, things in contents.items() for thing in things}
        others = [thing for thing in sorted(places) if thing not in about]
        noted = [*about, *shuffled(others, self._rng)[: _NOTED - len(about)]]
        return tuple((thing, places[thing]) for thing in shuffled(noted, self._rng))
