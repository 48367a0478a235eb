"""The scripted actor of ALFWorld: reads only the prompt's text and makes the mistakes of real actors.

Without advice it visits the receptacles in the order in which the room lists them, and often runs out of turns. It
ignores the list on the wall. It understands what a task expresses by a verb (``clean some mug and put it in …``), but
overlooks what a task expresses by an adjective (``put a clean mug in …``): then it does not clean, heat or cool, brings
one object instead of two, or examines an object without switching on the lamp. If a reflection names the task's object,
and where to look or what to do with it, the actor follows it exactly; the last such reflection counts. A vague
reflection has no effect, and a wrong one makes the actor fail.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from retro_gym_envs.alfworld.advice import Advice, read_reflection
from retro_gym_envs.alfworld.household import NOTHING_HAPPENS, kind_of
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP
from retro_gym_envs.alfworld.observations import Goal, contents, read_goal, room_of
from retro_gym_envs.scripted_actor import ScriptedTextActor, as_turn, behind_examples, notes_in, turns_in

__all__ = ["ScriptedAlfworldActor"]

_TASK = re.compile(r"^Your task is to: .*$", re.MULTILINE)
_ROOM = "You are in the middle of a room."
_ARRIVED = re.compile(r"You (?:arrive at|open the) ([a-z]+ \d+)\.")
_TAKEN = re.compile(r"You pick up the (.+) from the (.+)\.")
_MOVED = re.compile(r"You move the (.+) to the (.+)\.")
_TREATED = re.compile(r"You (clean|heat|cool) the (.+) using the ")


class ScriptedAlfworldActor(ScriptedTextActor):
    """The same prompt text and the same trial seed give the same reply."""

    def say(self, text: str, seed: int) -> str:
        """Returns an action, sometimes with a thought."""
        view = _read_prompt(text)
        thought, action = _decide(view) if view.goal else ("I do not understand the task.", "look")
        return as_turn(view.turns + 1, thought, action)


@dataclasses.dataclass
class _View:
    """What the actor has parsed from its prompt."""

    goal: Goal | None
    room: list[str]
    advice: Advice
    turns: int = 0
    place: str = ""
    held: str = ""
    seen: dict[str, str] = dataclasses.field(default_factory=dict)
    """The place where each object was last seen."""
    visited: set[str] = dataclasses.field(default_factory=set)
    """Receptacles whose contents were seen."""
    closed: set[str] = dataclasses.field(default_factory=set)
    failed: set[str] = dataclasses.field(default_factory=set)
    """Commands that were answered by ``Nothing happens.``"""
    treated: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    brought: dict[str, str] = dataclasses.field(default_factory=dict)
    """Objects that were moved, and the receptacles they were moved to."""
    lit: bool = False
    examined: bool = False
    idle: bool = False

    def reaches(self, place: str) -> bool:
        """Whether the actor is at the place, or ``go to`` failed: it fails if the actor is there under another name."""
        return place == self.place or f"go to {place}" in self.failed

    def note(self, action: str, observation: str) -> None:
        """Updates the view with a turn."""
        self.turns += 1
        self.idle = action == "look"
        if observation == NOTHING_HAPPENS:
            self.failed.add(action)
        if found := _ARRIVED.match(observation):
            self.place = found[1]
            if f"The {self.place} is closed." in observation:
                self.closed.add(self.place)
            else:
                self.closed.discard(self.place)
                self.visited.add(self.place)
        if shown := contents(observation):
            self.seen.update(dict.fromkeys(shown[1], shown[0]))
        if found := _TAKEN.match(observation):
            self.held = found[1]
            self.seen.pop(self.held, None)
            self.brought.pop(self.held, None)
        if found := _MOVED.match(observation):
            self.held = ""
            self.brought[found[1]] = self.seen[found[1]] = found[2]
        if found := _TREATED.match(observation):
            self.treated.add((found[1], found[2]))
        self.lit = self.lit or observation.startswith("You turn on the ")
        self.examined = self.examined or (action == f"examine {self.held}" and observation != NOTHING_HAPPENS)


def _read_prompt(text: str) -> _View:
    own = behind_examples(text)
    tasks = list(_TASK.finditer(own))
    if not tasks:
        return _View(None, [], Advice(), turns=len(turns_in(own)))
    start = own.rfind(_ROOM, 0, tasks[-1].start())
    goal, room = read_goal(tasks[-1][0]), room_of(own[max(start, 0) : tasks[-1].start()])
    advice = Advice()
    if goal is not None:
        for note in notes_in(own[: max(start, 0)]):
            advice = read_reflection(note, goal.thing, room) or advice
    view = _View(goal, room, advice)
    for action, observation in turns_in(own[tasks[-1].end() :]):
        view.note(action, observation)
    return view


def _decide(view: _View) -> tuple[str, str]:
    """Returns thought and action for the next turn."""
    goal = view.goal
    assert goal is not None
    wanted = view.advice.treatment or (goal.treatment if goal.plain else "")
    if view.held:
        return _with_thing(view, goal, wanted)
    brought = [thing for thing in view.brought if kind_of(thing) == goal.thing]
    if view.lit or len(brought) >= (2 if wanted == "two" else 1):
        return _idle(view)
    for thing, place in view.seen.items():
        if kind_of(thing) == goal.thing and thing not in brought and f"take {thing} from {place}" not in view.failed:
            if view.reaches(place):
                return f"Here is the {thing}.", f"take {thing} from {place}"
            return "", f"go to {place}"
    return _explore(view, goal.thing)


def _with_thing(view: _View, goal: Goal, wanted: str) -> tuple[str, str]:
    """Returns thought and action while the actor holds an object."""
    if wanted == "light":
        return _under_the_lamp(view, goal)
    if goal.treatment == "light":  # the actor has overlooked the lamp
        return _idle(view) if view.examined else ("Now I look at it.", f"examine {view.held}")
    if wanted in APPLIANCES and (wanted, view.held) not in view.treated:
        tool = _first(view.room, APPLIANCES[wanted])
        command = f"{wanted} {view.held} with {tool}"
        if tool and command not in view.failed:
            return "", command if view.reaches(tool) else f"go to {tool}"
    taken = [place for thing, place in view.brought.items() if kind_of(thing) == goal.thing]
    target = taken[0] if taken else _target(view, goal)
    if not target:
        return _idle(view)
    if not view.reaches(target):
        return "", f"go to {target}"
    opening = f"open {target}"
    if target in view.closed and opening not in view.failed:
        return "", opening
    return "", f"move {view.held} to {target}"


def _target(view: _View, goal: Goal) -> str:
    """Returns the first receptacle of the right kind that has not refused the object."""
    names = [name for name in view.room if f"move {view.held} to {name}" not in view.failed]
    return _first(names, goal.target)


def _under_the_lamp(view: _View, goal: Goal) -> tuple[str, str]:
    kind = goal.target if goal.treatment == "light" else LAMP
    for thing, place in view.seen.items():
        if kind_of(thing) == kind:
            if view.lit:
                return _idle(view)
            return ("", f"use {thing}") if view.reaches(place) else ("", f"go to {place}")
    return _explore(view, kind)


def _explore(view: _View, thing: str) -> tuple[str, str]:
    """Visits the next receptacle not yet searched: those of the advice first, then in the room's order."""
    opening = f"open {view.place}"
    if view.place in view.closed and view.place not in view.visited and opening not in view.failed:
        return "", opening
    for place in dict.fromkeys([*view.advice.places, *view.room]):
        if place not in view.visited | view.closed and f"go to {place}" not in view.failed:
            return f"I look for a {thing}." if not view.turns else "", f"go to {place}"
    return _idle(view)


def _idle(view: _View) -> tuple[str, str]:
    return "" if view.idle else "That should be it.", "look"


def _first(names: Sequence[str], kind: str) -> str:
    """Returns the name of a kind with the lowest number; an empty string if there is none."""
    found = [name for name in names if kind_of(name) == kind]
    return min(found, key=lambda name: int(name.rpartition(" ")[2]), default="")
