"""Reads reflections for the scripted actor: what to fetch from where, which tool to use, where to bring the object."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, THINGS
from retro_gym_envs.alfworld.observations import Goal, kind_of
from retro_gym_envs.alfworld.phrases import ABOUT, plain_advice
from retro_gym_envs.english.naming import mentioned
from retro_gym_envs.english.stance import read_clauses
from retro_gym_envs.english.wishes import is_confusing, read_wishes

__all__ = ["Advice", "read_reflections", "tool_kind"]

_NUMBERS = range(1, 16)  # of objects that a reflection may name

_SEARCHED = (
    r"\b(?:from|out of|(?:look|search|find|found)\w*\b.* (?:in|on|inside|into|at)|(?:is|was|lies|lay) (?:in|on)) "
    "(?:the )?"
)
"""What stands before a receptacle in which to look for an object, rather than to use it or to bring an object to it."""


@dataclasses.dataclass(frozen=True)
class Advice:
    """What reflections want of the things in a task."""

    wanted: frozenset[str] = frozenset()
    """Objects, tools and targets to use."""
    shunned: frozenset[str] = frozenset()
    """Whatever is not to be used, and where not to look."""
    searched: tuple[str, ...] = ()
    """Where to look for the task's object."""
    lit: tuple[str, ...] = ()
    """Where to look for the lamp."""
    confused: bool = False
    """Whether the last reflection said too much or contradicted itself; that is left out."""


def tool_kind(goal: Goal) -> str:
    """Returns the kind of tool that a task needs; empty if none."""
    return LAMP if goal.treatment == "light" else APPLIANCES.get(goal.treatment, "")


def read_reflections(notes: Iterable[str], goal: Goal, room: Sequence[str]) -> Advice:
    """Reads what reflections want. Of several that speak of one decision the last one counts.

    Args:
        notes: the reflections, oldest first.
        goal: the goal of the task.
        room: the receptacles in the room.

    >>> goal = Goal("mug", "shelf", "clean")
    >>> read_reflections(["Take the mug from the cart 2, not the cart 1."], goal, ["cart 1", "cart 2"])
    Advice(wanted=frozenset(), shunned=frozenset({'cart 1'}), searched=('cart 2',), lit=(), confused=False)
    """
    total = Advice()
    for note in notes:
        new = _read(note, goal, tuple(room))
        spoken_of = {kind_of(name) for name in new.wanted}
        total = Advice(
            new.wanted | {name for name in total.wanted if kind_of(name) not in spoken_of},
            new.shunned | (total.shunned - new.wanted - set(new.searched)),
            new.searched or total.searched,
            new.lit or total.lit,
            new.confused,
        )
    return total


@lru_cache(maxsize=1_024)
def _read(note: str, goal: Goal, room: tuple[str, ...]) -> Advice:
    """Reads one reflection."""
    text = plain_advice(note, room)
    kinds = {kind_of(name) for name in room}
    objects = [kind for kind in dict.fromkeys((goal.thing, LAMP, *THINGS)) if kind in text and kind not in kinds]
    names = [*room, *(f"{kind} {i}" for kind in objects for i in _NUMBERS)]
    wishes = read_wishes(text, names, about=ABOUT)
    searched, lit = _places(text, goal, names, [name for name in wishes.wanted if name in room])
    decisions: dict[str, list[str]] = {"thing": [], "tool": [], "target": [], "place": []}
    for name in (*wishes.wanted, *wishes.shunned, *wishes.contradicted):
        decisions[_decision(name, goal, kinds, {*searched, *lit})].append(name)
    asked = {decision: wishes.asked(named) for decision, named in decisions.items()}
    searched, lit = list(wishes.asked(searched)), list(wishes.asked(lit))
    asked["place"] = tuple(dict.fromkeys((*searched, *lit)))
    unclear = {
        decision
        for decision, named in decisions.items()
        if is_confusing(asked[decision], named) or not set(named).isdisjoint(wishes.contradicted)
    }
    if unclear & {"thing", "place"}:  # what to fetch, and from where, are one decision
        unclear |= {"thing", "place"}
    used = {goal.thing, tool_kind(goal), *kinds}
    clear = {name for decision, named in decisions.items() if decision not in unclear for name in named}
    clear = {name for name in clear if kind_of(name) in used}
    return Advice(
        frozenset(clear.intersection(asked["thing"] + asked["tool"] + asked["target"])),
        frozenset(clear.intersection(wishes.shunned)),
        tuple(name for name in searched if name in clear),
        tuple(name for name in lit if name in clear),
        bool(unclear),
    )


def _places(text: str, goal: Goal, names: Sequence[str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the wanted receptacles in which to look for the task's object, and in which to look for the lamp."""
    searched: list[str] = []
    lit: list[str] = []
    for clause in read_clauses(text, tuple(names)):
        for name in mentioned(wanted, clause.text):
            is_candidate = kind_of(name) in (tool_kind(goal), goal.target)
            if is_candidate and not re.search(rf"{_SEARCHED}{name}\b", clause.text):
                continue
            about_lamp = goal.treatment == "light" and re.search(r"\b(?:desk)?lamp", clause.text)
            if about_lamp:
                lit.append(name)
            if not about_lamp or re.search(rf"\b{goal.thing}\b", clause.text):
                searched.append(name)
    return list(dict.fromkeys(searched)), list(dict.fromkeys(lit))


def _decision(name: str, goal: Goal, kinds: set[str], places: set[str]) -> str:
    """Returns the decision that a name is a candidate for; an object of any kind may be meant for the one to fetch."""
    kind = kind_of(name)
    if name in places:
        return "place"
    if kind in (tool_kind(goal), goal.target):
        return "tool" if kind == tool_kind(goal) else "target"
    return "place" if kind in kinds else "thing"
