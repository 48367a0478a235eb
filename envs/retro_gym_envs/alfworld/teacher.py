"""The teacher of ALFWorld: an oracle that knows the solution, and noisy reflections that are often wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.alfworld.games import GameFile
from retro_gym_envs.alfworld.household import Household, kind_of, preposition
from retro_gym_envs.alfworld.objects import LAMP
from retro_gym_envs.alfworld.observations import contents, listed_places, read_goal, room_of
from retro_gym_envs.alfworld.world import TASK_TYPES
from retro_gym_envs.draws import pick
from retro_gym_envs.teaching import TaskTeacher, check_forms, guess

__all__ = ["AlfworldTeacher", "write_reflection"]

_GROUPS = dict(zip(TASK_TYPES, ("put", "examine", "clean", "heat", "cool", "puttwo"), strict=True))

_Found = tuple[str, str]
"""An object and its place."""

_ONE_FORMS = (
    "Look for the {first}, then {what}.",
    "Next time take the {first}, then {what}.",
)
_TWO_FORMS = (
    "Look for the {first} and for the {second}, then {what}.",
    "Next time take the {first} and the {second}, then {what}.",
)
_WHAT = {
    "": "put it away",
    "clean": "clean it",
    "heat": "heat it",
    "cool": "cool it",
    "light": "use the lamp",
    "two": "bring both",
}
_OF_TWO = ("light", "two")
_PLACED = r"(?P<{0}>[a-z]+(?: \d+)?) (?:in|on) the (?P<{0}_place>[a-z]+ \d+)"
_WELL_FORMED = tuple(
    re.compile(
        re.escape(form)
        .replace(r"\{first\}", _PLACED.format("first"))
        .replace(r"\{second\}", _PLACED.format("second"))
        .replace(r"\{what\}", f"(?:{'|'.join(_WHAT.values())})")
    )
    for form in (*_ONE_FORMS, *_TWO_FORMS)
)

# Probability that the teacher follows habit: the first object on the list, put away without treatment. It exceeds the
# probability of understanding the task, so the teacher's most likely reflection is usually wrong as well.
_HASTY = 0.4


def write_reflection(found: Sequence[_Found], treatment: str, form: int = 0) -> str:
    """Writes a reflection that names one or two objects with their places, and what to do with them.

    >>> write_reflection([("mug 1", "drawer 2")], "heat")
    'Look for the mug 1 in the drawer 2, then heat it.'
    """
    told = [f"{thing} {preposition(place)} the {place}" for thing, place in found]
    if len(told) == 1:
        return _ONE_FORMS[form].format(first=told[0], what=_WHAT[treatment])
    return _TWO_FORMS[form].format(first=told[0], second=told[1], what=_WHAT[treatment])


class AlfworldTeacher(TaskTeacher[Household | GameFile]):
    """Knows where the objects of a task are, and what to do with them."""

    def task_group(self, task_id: str) -> str:
        """Returns the task type as named in the published experiments: put, examine, clean, heat, cool or puttwo."""
        return _GROUPS[self.task(task_id).type]

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best possible reflection on a task: where its objects are, and what to do with them.

        For a real game it is derived from the game's own walkthrough.
        """
        task = self.task(task_id)
        goal = read_goal(task.goal)
        treatment = goal.treatment if goal else ""
        if isinstance(task, Household):
            places = [(thing, place) for place, things in task.contents for thing in things]
            kinds = (task.thing, task.target) if task.target == LAMP else (task.thing,)
            found = [each for kind in kinds for each in places if kind_of(each[0]) == kind]
        else:
            found = _walked(task.walkthrough)
        return write_reflection(found[:2], treatment) if found else f"Look for the {goal.thing if goal else 'thing'}."

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is correct only sometimes.

        The teacher reads the list on the wall, and names one of its objects with its place, and a treatment. Each of
        the two choices is made by understanding with probability 0.25, more often by habit (the first object on the
        list, no treatment), and at random otherwise. Real games have no list: there it names the task's object and a
        random receptacle.
        """
        goal = read_goal(trajectory.task)
        thing, treatment = (goal.thing, goal.treatment) if goal else ("", "")
        listed = listed_places(trajectory.task)
        what = guess(tuple(_WHAT), [treatment], rng, hasty=_HASTY)
        form = int(rng.integers(len(_ONE_FORMS)))
        if not listed:
            things = [thing or "thing"]
            if goal and what in _OF_TWO:
                things.append(goal.target if goal.treatment == "light" else thing)
            return write_reflection(_guessed(trajectory, things, rng), what, form)
        first = guess(listed, [entry for entry in listed if kind_of(entry[0]) == thing], rng, hasty=_HASTY)
        if what not in _OF_TWO:
            return write_reflection([first], what, form)
        others = [entry for entry in listed if entry != first]
        kind = LAMP if what == "light" else kind_of(first[0])
        like = [entry for entry in others if kind_of(entry[0]) == kind]
        return write_reflection([first, guess(others, like, rng, hasty=_HASTY)], what, form)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection has one of the teacher's forms, and names only what the trajectory shows."""
        return check_forms(_WELL_FORMED, reflection, trajectory)


def _walked(commands: Sequence[str]) -> list[_Found]:
    """Returns the objects and places of a walkthrough: objects in the order they are taken, then lamps."""
    taken: list[_Found] = []
    lamps: list[_Found] = []
    place = ""
    for command in commands:
        if command.startswith("go to "):
            place = command.removeprefix("go to ")
        elif found := re.fullmatch(r"take (.+) from (.+)", command):
            taken.append((found[1], found[2]))
        elif command.startswith("use "):
            lamps.append((command.removeprefix("use "), place))
    return taken + lamps


def _guessed(trajectory: Trajectory, things: Sequence[str], rng: np.random.Generator) -> list[_Found]:
    """Draws random places, preferably among those not searched yet."""
    room = room_of(trajectory.task) or ["room 1"]
    seen = {shown[0] for turn in trajectory.turns if (shown := contents(turn.observation))}
    places = [place for place in room if place not in seen] or room
    return [(thing, pick(places, rng)) for thing in things]
