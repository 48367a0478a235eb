"""The built-in world: an unlimited supply of ALFWorld-style tasks, solvable by construction.

Task i of a split is generated from (world seed, split, i) when it is first requested. Each has its own room. A room is
identified by the numbers of its receptacles of each kind; these, the wordings of the goals, and the pairs of object and
target differ between splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.alfworld.household import TREATED, Household, Need
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, ROOMS, THINGS
from retro_gym_envs.alfworld.observations import kind_of, preposition
from retro_gym_envs.alfworld.remarks import Sight, remark, states_of
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.task_sources import SPLITS, GeneratedTasks, split_of_number

__all__ = ["CAUSES", "TASK_TYPES", "BuiltinTasks", "split_of_pair", "split_of_room"]

TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
"""ALFWorld's six types of tasks."""

CAUSES = ("hidden", "stuck", "tool", "target")
"""Causes of failure: the object is out of the way; of several objects only one can be taken; of several tools, or of
several receptacles to bring it to, only one works."""

_TREATMENT = {name: name.split("_")[1] for name in TASK_TYPES[2:5]}
_ROOMS_OF = {
    "": tuple(ROOMS),
    "light": ("bedroom", "livingroom"),
    "clean": ("kitchen", "bathroom"),
    "heat": ("kitchen",),
    "cool": ("kitchen",),
}
_CHOICES = 5  # candidates for every decision of the actor, one of which is right
_PASSED = 2  # the first receptacles of a room, which the scripted actor visits in every trial
_NUMBERS = 9  # objects of a task are numbered from 1 to this, so that a number is hard to guess
_TWO_CAUSES = 0.2  # share of the tasks with two causes of failure

# The wordings of goals, by split. Those of split train are ALFWorld's.
_GOALS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "": ("put a {thing} {on} {target}.", "put some {thing} {on} {target}."),
        "light": ("examine the {thing} with the {target}.", "look at {thing} under the {target}."),
        "two": ("find two {thing} and put them {on} {target}.", "put two {thing} {on} {target}."),
        **dict.fromkeys(
            TREATED, ("{verb} some {thing} and put it {on} {target}.", "put a {state} {thing} {on} {target}.")
        ),
    },
    "validation": {
        "": ("bring one {thing} to a {target}.",),
        "light": ("hold a {thing} in the light of a {target}.",),
        "two": ("bring two {thing} to one {target}.",),
        **dict.fromkeys(TREATED, ("bring a {state} {thing} to a {target}.",)),
    },
    "test": {
        "": ("leave one {thing} at a {target}.",),
        "light": ("inspect one {thing} by the light of a {target}.",),
        "two": ("leave two {thing} at one {target}.",),
        **dict.fromkeys(TREATED, ("leave a {state} {thing} at a {target}.",)),
    },
}


def split_of_room(counts: Mapping[str, int]) -> str:
    """Returns the only split in which a room with these receptacles may occur.

    Args:
        counts: number of receptacles of each kind.
    """
    known_by = ",".join(f"{kind}:{counts[kind]}" for kind in sorted(counts) if counts[kind])
    return split_of_number(derive_seed("room", known_by))


def split_of_pair(thing: str, target: str) -> str:
    """Returns the only split in which tasks may ask for this object at this target."""
    return SPLITS[(0, 0, 0, 1, 2)[derive_seed("pair", thing, target) % 5]]


class BuiltinTasks(GeneratedTasks[Household]):
    """The generated tasks of one world.

    Args:
        world_seed: the seed of the world; different seeds give different worlds.

    >>> tasks = BuiltinTasks(0)
    >>> household = tasks.get("test-00003")
    >>> household == BuiltinTasks(0).get("test-00003"), household.type in TASK_TYPES
    (True, True)
    """

    def get(self, task_id: str) -> Household:
        """Returns the task with this id."""
        return _generate(self.world_seed, self.task_split(task_id), task_id)


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
        use = "light" if type_ == "look_at_obj_in_light" else treatment
        self._room, thing, target = self._subject(use)
        count = 2 if type_ == "pick_two_obj_and_place" else 1
        self._causes = self._draw_causes(use)
        kinds = [kind for kind in (APPLIANCES.get(treatment), target) if kind not in (None, LAMP)]
        candidates = [f"{kind} {i + 1}" for kind in kinds for i in range(_CHOICES)]
        places = self._furnish(tuple(map(str, kinds)))
        self._passed, self._others = places[:_PASSED], places[_PASSED:]
        self._contents: dict[str, list[str]] = {name: [] for name in places[:_PASSED]}
        self._contents |= {name: [] for name in shuffled([*self._others, *candidates], self._rng)}
        self._refusing: set[str] = set()
        self._remarks: list[tuple[str, str]] = []
        self._needs: list[Need] = []
        self._keep(thing, count)
        if use:
            self._provide(LAMP if use == "light" else APPLIANCES[use], "tool")
        if use != "light":
            self._provide(target, "target")
        self._fill(thing)
        for things in self._contents.values():
            self._rng.shuffle(things)
        wording = pick(_GOALS[self._split]["two" if count == 2 else use], self._rng)
        return Household(
            task_id,
            type_,
            wording.format(thing=thing, target=target, verb=use, state=TREATED.get(use), on=preposition(f"{target} 1")),
            thing,
            target,
            treatment,
            count,
            tuple((name, tuple(things)) for name, things in self._contents.items()),
            frozenset(self._refusing),
            tuple(self._remarks),
            tuple(self._needs),
        )

    def _subject(self, use: str) -> tuple[str, str, str]:
        """Draws the kind of room, the kind of object that the task is about, and the kind of its target."""
        while True:
            room = pick(_ROOMS_OF[use], self._rng)
            usable = [thing.name for thing in THINGS.values() if room in thing.rooms and (not use or use in thing.uses)]
            thing, target = pick(usable, self._rng), LAMP if use == "light" else pick(ROOMS[room].targets, self._rng)
            if split_of_pair(thing, target) == self._split:
                return room, thing, target

    def _draw_causes(self, use: str) -> set[str]:
        later = [*(["tool"] if use else []), *([] if use == "light" else ["target"])]
        if self._rng.random() < _TWO_CAUSES:
            return set(shuffled([pick(("hidden", "stuck"), self._rng), *later], self._rng)[:2])
        return {pick(("hidden", "stuck", *later), self._rng)}

    def _furnish(self, candidates: Sequence[str]) -> list[str]:
        """Draws the places of a room of this split that has some candidates of other kinds."""
        kinds = [kind for kind in ROOMS[self._room].places if kind not in candidates]
        while True:
            drawn = sorted(kinds[i] for i in self._rng.integers(len(kinds), size=_PASSED + _CHOICES))
            counts = {kind: drawn.count(kind) for kind in drawn}
            if split_of_room(counts | dict.fromkeys(candidates, _CHOICES)) == self._split:
                return list(shuffled([f"{kind} {i + 1}" for kind in counts for i in range(counts[kind])], self._rng))

    def _keep(self, thing: str, count: int) -> None:
        """Puts the task's objects at the second place passed, except one that is hidden or has stuck ones beside it."""
        numbers = [f"{thing} {i + 1}" for i in self._rng.permutation(_NUMBERS)]
        near = count - bool(self._causes & {"hidden", "stuck"})
        self._contents[self._passed[1]] += numbers[_CHOICES : _CHOICES + near]
        if "stuck" in self._causes:
            self._spread("stuck", numbers[:_CHOICES], pick(numbers[:_CHOICES], self._rng))
        if "hidden" in self._causes:
            kinds = shuffled(self._other_kinds(thing), self._rng)[: _CHOICES - 1]
            decoys = [f"{kind} {int(self._rng.integers(_NUMBERS)) + 1}" for kind in kinds]
            self._spread("hidden", [numbers[0], *decoys], numbers[0])

    def _provide(self, kind: str, cause: str) -> None:
        """Lets all tools or targets work, or only one of them."""
        names = [f"{kind} {i + 1}" for i in range(_CHOICES)]
        if cause not in self._causes:
            if kind == LAMP:
                self._contents[self._passed[0]].append(pick(names, self._rng))
        elif kind == LAMP:
            self._spread(cause, names, pick(names, self._rng))
        else:
            self._show(cause, dict.fromkeys(names, ""), pick(names, self._rng))

    def _spread(self, cause: str, names: Sequence[str], right: str) -> None:
        """Puts one object at each of the other places."""
        places = dict(zip(names, shuffled(self._others, self._rng), strict=True))
        for name, place in places.items():
            self._contents[place].append(name)
        self._show(cause, places, right)

    def _show(self, cause: str, places: Mapping[str, str], right: str) -> None:
        """Lets the candidates for a decision be seen from one of the places passed, with the one that works."""
        states = states_of(kind_of(right), taken=cause == "stuck")
        bad = iter(shuffled(states.bad, self._rng))  # a word that only one candidate has must not give it away
        told = {name: pick(states.good, self._rng) if name == right else next(bad) for name in places}
        sights = [
            Sight("" if cause == "hidden" else told[name], name, places[name])
            for name in shuffled(list(places), self._rng)
        ]
        if cause != "hidden":
            self._refusing.update(name for name in places if name != right)
        self._remarks.append((pick(self._passed, self._rng), remark(sights)))
        self._needs.append(Need(cause, right, places[right], "" if cause == "hidden" else told[right]))

    def _other_kinds(self, thing: str) -> list[str]:
        return [other.name for other in THINGS.values() if self._room in other.rooms and other.name != thing]

    def _fill(self, thing: str) -> None:
        """Adds an object of another kind to every place that has less than two."""
        taken = {name for things in self._contents.values() for name in things}
        for place in (*self._passed, *self._others):
            other = f"{pick(self._other_kinds(thing), self._rng)} {int(self._rng.integers(_NUMBERS)) + 1}"
            if len(self._contents[place]) < 2 and other not in taken:
                self._contents[place].append(other)
                taken.add(other)
