"""The scripted actor of ALFWorld: reads only the prompt's text and makes the mistakes of real actors.

It begins each trial at the first two receptacles that the room lists, and takes no notice of what is to be seen from
there. After that it decides by habit and chance where to look for the object, which tool to use, and where to bring the
object. A failed attempt unsettles it for some turns, so that a trial rarely has room for a second one. It follows what
reflections name for a decision (see :mod:`~retro_gym_envs.alfworld.advice`). Too much advice only costs it turns.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence

from retro_gym_envs.alfworld.advice import Advice, read_reflections, tool_kind
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP
from retro_gym_envs.alfworld.observations import (
    NOTHING_HAPPENS,
    Goal,
    contents,
    kind_of,
    preposition,
    read_goal,
    room_of,
)
from retro_gym_envs.alfworld.remarks import Sight, sights_in
from retro_gym_envs.choices import Choices
from retro_gym_envs.scripted_actor import ScriptedTextActor, as_turn, behind_examples, notes_in, turns_in

__all__ = ["ScriptedAlfworldActor"]

_PASSED = 2  # receptacles at which it begins
_UNSETTLED = 4  # turns lost after a failed attempt
_PUZZLED = 2  # turns lost by unclear advice
_SURE = 20.0  # score of what a reflection wants
_UNLIKELY = -6.0  # score of looking for an object in a tool or a target

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
        trial = _read_prompt(text)
        if trial is None:
            turns = len(turns_in(behind_examples(text)))
            return as_turn(turns + 1, "I do not understand the task.", "look")
        thought, action = _Decision(trial, self.choices(seed, trial.turns), self.thoughts).next_turn()
        return as_turn(trial.turns + 1, thought, action)


@dataclasses.dataclass
class _Trial:
    """What the actor knows of its trial."""

    goal: Goal
    room: list[str]
    advice: Advice
    turns: int = 0
    place: str = ""
    held: str = ""
    seen: dict[str, str] = dataclasses.field(default_factory=dict)
    """The place where each object was last seen."""
    glimpsed: dict[str, Sight] = dataclasses.field(default_factory=dict)
    """What was seen from afar, by its name; objects among it come to mind only when a reflection names them."""
    visited: set[str] = dataclasses.field(default_factory=set)
    """Receptacles whose contents were seen."""
    closed: set[str] = dataclasses.field(default_factory=set)
    failed: set[str] = dataclasses.field(default_factory=set)
    """Commands that did not have their effect."""
    treated: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    brought: dict[str, str] = dataclasses.field(default_factory=dict)
    """Objects that were moved, and the receptacles they were moved to."""
    lit: bool = False
    unsettled: int = 0
    """Turns until it has got over the last failed attempt."""

    @property
    def sought(self) -> str:
        """The kind of object that it looks for; empty if none."""
        if not self.held:
            return self.goal.thing
        return LAMP if self.goal.treatment == "light" else ""

    def note(self, action: str, observation: str) -> None:
        """Updates what is known by a turn."""
        self.turns += 1
        self.unsettled = max(0, self.unsettled - 1)
        if observation == NOTHING_HAPPENS:
            self.failed.add(action)
        elif not observation.startswith("You "):
            self.failed.add(action)
            self.unsettled = _UNSETTLED
        if found := _ARRIVED.match(observation):
            self.place = found[1]
            if f"The {self.place} is closed." in observation:
                self.closed.add(self.place)
            else:
                self.closed.discard(self.place)
                self.visited.add(self.place)
        if shown := contents(observation):
            self.seen.update(dict.fromkeys(shown[1], shown[0]))
            in_vain = self.sought and self.sought not in map(kind_of, shown[1])
            if in_vain and shown[0] not in self.room[:_PASSED]:
                self.unsettled = _UNSETTLED
        for sights in sights_in(observation):
            self.glimpsed.update({sight.name: sight for sight in sights})
        if found := _TAKEN.match(observation):
            self.held = found[1]
            self.seen.pop(self.held, None)
            self.glimpsed.pop(self.held, None)
            self.brought.pop(self.held, None)
        if found := _MOVED.match(observation):
            self.held = ""
            self.brought[found[1]] = self.seen[found[1]] = found[2]
        if found := _TREATED.match(observation):
            self.treated.add((found[1], found[2]))
        self.lit = self.lit or observation.startswith("You turn on the ")


def _read_prompt(text: str) -> _Trial | None:
    """Returns what a prompt says; None if its task is not understood."""
    own = behind_examples(text)
    tasks = list(_TASK.finditer(own))
    goal = read_goal(tasks[-1][0]) if tasks else None
    if goal is None:
        return None
    start = max(own.rfind(_ROOM, 0, tasks[-1].start()), 0)
    room = room_of(own[start : tasks[-1].start()])
    trial = _Trial(goal, room, read_reflections(notes_in(own[:start]), goal, room))
    for action, observation in turns_in(own[tasks[-1].end() :]):
        trial.note(action, observation)
    return trial


@dataclasses.dataclass
class _Decision:
    """What the actor does next."""

    trial: _Trial
    choices: Choices
    thoughts: bool = False

    def next_turn(self) -> tuple[str, str]:
        """Returns thought and action."""
        trial, goal = self.trial, self.trial.goal
        if trial.advice.confused and trial.turns < _PUZZLED:
            return self._pause("That is confusing advice." if not trial.turns else "")
        if trial.unsettled:
            return self._pause("What now?" if trial.unsettled == _UNSETTLED else "")
        if trial.held:
            return self._light() if goal.treatment == "light" else self._treat_and_bring()
        brought = [thing for thing in trial.brought if kind_of(thing) == goal.thing]
        if trial.lit or len(brought) >= (2 if goal.treatment == "two" else 1):
            return self._pause("That should be it.")
        for thing, place in self._known(goal.thing):
            if thing not in brought and f"take {thing} from {place}" not in trial.failed:
                return self._at(place) or ("", f"take {thing} from {place}")
        return self._explore(trial.advice.searched)

    def _light(self) -> tuple[str, str]:
        """Looks at the object under a lamp."""
        if self.trial.lit:
            return self._pause("That should be it.")
        for lamp, place in self._known(LAMP):
            if f"use {lamp}" not in self.trial.failed:
                return self._at(place) or ("", f"use {lamp}")
        return self._explore(self.trial.advice.lit)

    def _treat_and_bring(self) -> tuple[str, str]:
        """Cleans, heats or cools the object if it has to, then brings it to the target."""
        trial, goal, held = self.trial, self.trial.goal, self.trial.held
        if goal.treatment in APPLIANCES and (goal.treatment, held) not in trial.treated:
            tools = [name for name in trial.room if kind_of(name) == tool_kind(goal)]
            tools = [name for name in tools if f"{goal.treatment} {held} with {name}" not in trial.failed]
            if tool := self._choose("tool", tools):
                return self._at(tool, aloud=True) or ("", f"{goal.treatment} {held} with {tool}")
        used = [place for thing, place in trial.brought.items() if kind_of(thing) == goal.thing]
        targets = used or [name for name in trial.room if kind_of(name) == goal.target]
        targets = [name for name in targets if not self._refuses(name)]
        if target := self._choose("target", targets):
            return self._at(target, aloud=True) or (
                "",
                f"open {target}" if target in trial.closed else f"move {held} to {target}",
            )
        return self._pause("There is no place for it.")

    def _refuses(self, target: str) -> bool:
        """Returns whether a receptacle does not open, or does not take the object."""
        trial = self.trial
        shut = target in trial.closed and f"open {target}" in trial.failed
        return shut or f"move {trial.held} to {target}" in trial.failed

    def _known(self, kind: str) -> list[tuple[str, str]]:
        """Returns the objects of a kind that come to mind, and their places; first those that a reflection wants."""
        trial = self.trial
        named = {
            one.name: one.place for one in trial.glimpsed.values() if one.place and one.name in trial.advice.wanted
        }
        known = [(thing, place) for thing, place in {**named, **trial.seen}.items() if kind_of(thing) == kind]
        known = [each for each in known if each[0] not in trial.advice.shunned]
        return sorted(known, key=lambda each: (each[0] not in trial.advice.wanted, each[1] != trial.place))

    def _at(self, place: str, *, aloud: bool = False) -> tuple[str, str] | None:
        """Returns the turn that leads to a place; None if the actor is there.

        ``go to`` fails if the actor is there under another name: in real games a drawer may be at its desk.
        """
        there = place == self.trial.place or f"go to {place}" in self.trial.failed
        return None if there else (self._intent(place) if aloud else "", f"go to {place}")

    def _choose(self, name: str, options: Sequence[str]) -> str:
        """Returns one of the options; an empty string if there are none."""
        advice = self.trial.advice
        scores = {o: _SURE * ((o in advice.wanted) - (o in advice.shunned)) for o in options}
        return self.choices.pick(name, scores) if scores else ""

    def _explore(self, advised: Collection[str]) -> tuple[str, str]:
        """Visits the next receptacle: those of the advice first, then the first two of the room, then by chance."""
        trial, goal = self.trial, self.trial.goal
        if trial.place in trial.closed and f"open {trial.place}" not in trial.failed:
            return "", f"open {trial.place}"
        left = [name for name in trial.room if name not in trial.visited | trial.closed]
        left = [name for name in left if f"go to {name}" not in trial.failed]
        scores = {name: _UNLIKELY * (kind_of(name) in (tool_kind(goal), goal.target)) for name in left}
        for name in left:
            scores[name] -= _SURE * (name in trial.advice.shunned)
        first = [name for name in advised if name in left] or [name for name in trial.room[:_PASSED] if name in left]
        place = first[0] if first else self.choices.pick("where", scores) if scores else ""
        if not place:
            return self._pause("I have looked everywhere.")
        if not trial.turns:
            return f"I look for a {trial.sought}.", f"go to {place}"
        return "" if place in trial.room[:_PASSED] else self._intent(place), f"go to {place}"

    def _intent(self, place: str) -> str:
        """Returns the thought of what the actor has chosen to try at a place; empty if it has no such thoughts."""
        if not self.thoughts:
            return ""
        seen = self.trial.glimpsed
        there = [one for one in seen.values() if one.place == place and kind_of(one.name) == self.trial.sought]
        state, name, where = there[0] if there else seen.get(place, Sight("", place, ""))
        told = f"{state} {name}".strip() + (f" {preposition(where)} the {where}" if where else "")
        return f"I try the {told}."

    def _pause(self, thought: str) -> tuple[str, str]:
        return thought, "inventory" if self.trial.turns % 2 else "look"
