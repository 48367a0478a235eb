"""The built-in world's games: a household simulated in pure Python, with the wording of ALFWorld's games.

A :class:`Household` is a task: a room, the positions of objects, and the goal. A :class:`HouseholdGame` is one run of
it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, OPENABLE
from retro_gym_envs.alfworld.observations import NOTHING_HAPPENS, kind_of
from retro_gym_envs.alfworld.remarks import refusal
from retro_gym_envs.shared import Shared

__all__ = ["HELP", "TREATED", "Household", "HouseholdGame", "Need", "listed"]

HELP = (
    "You can: look, inventory, go to (receptacle), open (receptacle), close (receptacle), take (object) from "
    "(receptacle), move (object) to (receptacle), examine (something), use (object), clean (object) with (receptacle), "
    "heat (object) with (receptacle), cool (object) with (receptacle)."
)
TREATED = {"clean": "clean", "heat": "hot", "cool": "cool"}
"""The adjective that tasks use for the result of each treatment."""


def listed(names: Sequence[str]) -> str:
    """Formats a list of objects as games do.

    >>> listed(["mug 1", "pen 2"]), listed(["mug 1"]), listed([])
    ('a mug 1, and a pen 2', 'a mug 1', 'nothing')
    """
    if len(names) < 2:
        return f"a {names[0]}" if names else "nothing"
    return f"{', '.join(f'a {name}' for name in names[:-1])}, and a {names[-1]}"


class Need(NamedTuple):
    """What an actor must know to solve a task, and does not notice in its trial."""

    cause: str
    """Why it fails without: ``hidden``, ``stuck``, ``tool`` or ``target``."""
    name: str
    """The object to take, the tool to use, or the receptacle to bring the object to."""
    place: str = ""
    """Where the object or lamp is; empty for receptacles."""
    state: str = ""
    """The adjective that says in a trial whether it works; empty if nothing is said of it."""


@dataclasses.dataclass(frozen=True)
class Household(Shared):
    """A task of the built-in world. Compared by value; deep copies are shared."""

    task_id: str
    type: str
    """One of ALFWorld's six types of tasks."""
    goal: str
    """The task in words, such as ``put a clean mug in cabinet.``"""
    thing: str
    """The kind of object that the task is about."""
    target: str
    """The kind of receptacle to bring it to, or the lamp to look at it with."""
    treatment: str
    """``clean``, ``heat``, ``cool``, or empty."""
    count: int
    """Number of objects to bring."""
    contents: tuple[tuple[str, tuple[str, ...]], ...]
    """Every receptacle, in the order in which the room lists them, with its contents."""
    refusing: frozenset[str] = frozenset()
    """Objects and receptacles that do not work."""
    remarks: tuple[tuple[str, str], ...] = ()
    """Places, and sentences on what is to be seen from there."""
    needs: tuple[Need, ...] = ()

    def __hash__(self) -> int:
        return hash(self.task_id)

    @property
    def description(self) -> str:
        """The description of the room and the task at the beginning of the trial."""
        room = f"You are in the middle of a room. Looking quickly around you, you see {listed(self.receptacles)}."
        return f"{room}\nYour task is to: {self.goal}"

    @property
    def receptacles(self) -> tuple[str, ...]:
        """The receptacles in the order of the room."""
        return tuple(name for name, _ in self.contents)


class HouseholdGame:
    """One run of a household task.

    Args:
        household: the task; shared and never modified.
    """

    def __init__(self, household: Household) -> None:
        self._household = household
        self._contents = {name: list(things) for name, things in household.contents}
        self._opened: set[str] = set()
        self._clean: set[str] = set()
        self._heat: dict[str, str] = {}
        self._lit: set[str] = set()
        self._visited: set[str] = set()
        self._place = ""
        self._held = ""
        self.won = False

    @property
    def first(self) -> str:
        """Returns the first observation."""
        return self._household.description

    def act(self, command: str) -> str:
        """Executes a command in normal form; an impossible command changes nothing."""
        verb, _, rest = command.partition(" ")
        match verb:
            case "go":
                answer = self._go(rest.removeprefix("to "))
            case "take":
                answer = self._take(*_parted(rest, " from "))
            case "move":
                answer = self._move(*_parted(rest, " to "))
            case "open" | "close":
                answer = self._open_or_close(verb, rest)
            case "clean" | "heat" | "cool":
                answer = self._treat(verb, *_parted(rest, " with "))
            case "use":
                answer = self._use(rest)
            case "examine":
                answer = self._examine(rest)
            case _:
                answer = self._look_about(command)
        self.won = self._reached()
        return answer

    # -- commands --------------------------------------------------------------------------------------------------

    def _go(self, place: str) -> str:
        if place not in self._contents or place == self._place:
            return NOTHING_HAPPENS
        self._place = place
        remarks = [said for where, said in self._household.remarks if where == place and place not in self._visited]
        self._visited.add(place)
        return " ".join([f"You arrive at {place}. {self._seen(place)}", *remarks])

    def _take(self, thing: str, place: str) -> str:
        if self._held or place != self._place or thing not in self._within_reach() or kind_of(thing) == LAMP:
            return NOTHING_HAPPENS
        if thing in self._household.refusing:
            return refusal(thing, taken=True)
        self._contents[place].remove(thing)
        self._held = thing
        return f"You pick up the {thing} from the {place}."

    def _move(self, thing: str, place: str) -> str:
        if not thing or thing != self._held or place != self._place or not self._is_open(place):
            return NOTHING_HAPPENS
        if place in self._household.refusing:
            return refusal(place, taken=False)
        self._contents[place].append(thing)
        self._held = ""
        return f"You move the {thing} to the {place}."

    def _open_or_close(self, verb: str, place: str) -> str:
        if place != self._place or kind_of(place) not in OPENABLE or (place in self._opened) == (verb == "open"):
            return NOTHING_HAPPENS
        if verb == "close":
            self._opened.discard(place)
            return f"You close the {place}."
        if place in self._household.refusing:
            return refusal(place, taken=False)
        self._opened.add(place)
        return f"You open the {place}. {self._seen(place)}"

    def _treat(self, verb: str, thing: str, place: str) -> str:
        if not thing or thing != self._held or place != self._place or kind_of(place) != APPLIANCES[verb]:
            return NOTHING_HAPPENS
        if place in self._household.refusing:
            return refusal(place, taken=False)
        if verb == "clean":
            self._clean.add(thing)
        else:
            self._heat[thing] = TREATED[verb]
        return f"You {verb} the {thing} using the {place}."

    def _use(self, thing: str) -> str:
        if kind_of(thing) != LAMP or thing not in self._within_reach():
            return NOTHING_HAPPENS
        if thing in self._household.refusing:
            return refusal(thing, taken=False)
        self._lit.add(thing)
        return f"You turn on the {thing}."

    def _examine(self, name: str) -> str:
        if name and name == self._place:
            return self._seen(name)
        if name not in self._within_reach() and name != self._held:
            return NOTHING_HAPPENS
        if kind_of(name) == LAMP:
            return f"This {name} is {'on' if name in self._lit else 'off'}."
        heat = self._heat.get(name, "")
        if name in self._clean:
            return f"This is a {heat} and clean {name}." if heat else f"This is a clean {name}."
        if heat:
            return f"This is a {'cold' if heat == 'cool' else heat} {name}."
        return f"There's nothing special about {name}."

    def _look_about(self, command: str) -> str:
        if command == "look":
            if self._place:
                return f"You are facing the {self._place}. Next to it, you see nothing."
            return self._household.description.partition("\n")[0]
        if command == "inventory":
            return f"You are carrying: a {self._held}." if self._held else "You are not carrying anything."
        return HELP if command == "help" else NOTHING_HAPPENS

    # -- state -----------------------------------------------------------------------------------------------------

    def _seen(self, place: str) -> str:
        if kind_of(place) not in OPENABLE:
            return f"On the {place}, you see {listed(self._contents[place])}."
        if place not in self._opened:
            return f"The {place} is closed."
        return f"The {place} is open. In it, you see {listed(self._contents[place])}."

    def _is_open(self, place: str) -> bool:
        return kind_of(place) not in OPENABLE or place in self._opened

    def _within_reach(self) -> Sequence[str]:
        return self._contents[self._place] if self._place and self._is_open(self._place) else ()

    def _reached(self) -> bool:
        """Whether the task is solved now. Two objects must be in the same receptacle."""
        task = self._household
        if task.target == LAMP:
            lit = self._place and any(lamp in self._lit for lamp in self._contents[self._place])
            return bool(lit) and kind_of(self._held) == task.thing
        return any(
            sum(kind_of(thing) == task.thing and self._is_treated(thing) for thing in things) >= task.count
            for place, things in self._contents.items()
            if kind_of(place) == task.target
        )

    def _is_treated(self, thing: str) -> bool:
        match self._household.treatment:
            case "":
                return True
            case "clean":
                return thing in self._clean
            case treatment:
                return self._heat.get(thing) == TREATED[treatment]

    @property
    def admissible(self) -> list[str]:
        """Returns all commands that would not be answered by ``Nothing happens.``, sorted."""
        place, held = self._place, self._held
        commands = [f"go to {name}" for name in self._contents if name != place]
        commands += ["help", "inventory", "look"]
        if held:
            commands.append(f"examine {held}")
        if place:
            commands.append(f"examine {place}")
            kind = kind_of(place)
            if kind in OPENABLE:
                commands.append(f"{'close' if place in self._opened else 'open'} {place}")
            if held:
                commands += [f"{verb} {held} with {place}" for verb, tool in APPLIANCES.items() if tool == kind]
            if held and self._is_open(place):
                commands.append(f"move {held} to {place}")
            for thing in self._within_reach():
                commands.append(f"examine {thing}")
                if kind_of(thing) == LAMP:
                    commands.append(f"use {thing}")
                elif not held:
                    commands.append(f"take {thing} from {place}")
        return sorted(commands)


def _parted(text: str, word: str) -> tuple[str, str]:
    before, _, after = text.partition(word)
    return before, after
