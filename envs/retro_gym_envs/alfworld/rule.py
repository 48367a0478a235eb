"""Reads the observation of a failure: which of the things seen in passing would have helped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from retro_gym_envs.alfworld.advice import tool_kind
from retro_gym_envs.alfworld.household import Need
from retro_gym_envs.alfworld.objects import LAMP
from retro_gym_envs.alfworld.observations import Goal, contents, kind_of, preposition, read_goal, room_of
from retro_gym_envs.alfworld.remarks import WORDS, Sight, sights_in

__all__ = ["advise", "look_first", "needs_in", "rule_reflection", "seen_in", "task_in"]

_GOOD = {word for states in WORDS.values() for word in states.good}
_TASK = re.compile(r"^Your task is to: .*$", re.MULTILINE)


def advise(needs: Iterable[Need], treatment: str) -> str:
    """Writes a reflection that says what to take, which tool to use, and where to bring the object.

    >>> advise([Need("stuck", "mug 4", "cart 1", "loose"), Need("tool", "sinkbasin 3")], "clean")
    'Take the loose mug 4 from the cart 1, then clean it with the sinkbasin 3.'
    """
    parts = []
    for need in needs:
        named = f"the {need.state} {need.name}" if need.state else f"the {need.name}"
        if need.cause in ("hidden", "stuck"):
            parts.append(f"take {named} from the {need.place}")
        elif need.cause == "target":
            parts.append(f"put it {preposition(need.name)} {named}")
        elif need.place:
            parts.append(f"use {named} {preposition(need.place)} the {need.place}")
        else:
            parts.append(f"{treatment} it with {named}")
    text = ", then ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def look_first(place: str) -> str:
    """Writes a reflection that says where to look.

    >>> look_first("drawer 2")
    'Look in the drawer 2 first.'
    """
    return f"Look {preposition(place)} the {place} first."


def task_in(observation: str) -> tuple[Goal, Sequence[str]] | None:
    """Returns goal and receptacles of the task in an observation."""
    tasks = list(_TASK.finditer(observation))
    goal = read_goal(tasks[-1][0]) if tasks else None
    return None if goal is None else (goal, room_of(observation))


def needs_in(text: str, goal: Goal) -> list[Need]:
    """Returns what works among the things seen in passing, in the order of use."""
    needs = [_need(sight, goal) for sights in sights_in(text) for sight in sights if _helps(sight, goal)]
    return sorted(needs, key=lambda need: ("hidden", "stuck", "tool", "target").index(need.cause))


def _helps(sight: Sight, goal: Goal) -> bool:
    return sight.state in _GOOD or (not sight.state and kind_of(sight.name) == goal.thing)


def _need(sight: Sight, goal: Goal) -> Need:
    kind = kind_of(sight.name)
    if kind == tool_kind(goal):
        return Need("tool", sight.name, sight.place, sight.state)
    if kind == goal.target:
        return Need("target", sight.name, "", sight.state)
    return Need("stuck" if sight.state else "hidden", sight.name, sight.place, sight.state)


def seen_in(text: str) -> list[tuple[str, str]]:
    """Returns the objects in a trajectory with their places, in the order in which they are seen."""
    shown = [found for line in text.splitlines() if (found := contents(line))]
    return [(name, place) for place, names in shown for name in names]


def rule_reflection(observation: str) -> str:
    """Writes the reflection that follows from an observation by fixed rules.

    What works among the things seen in passing is named. Real games show nothing in passing: there the task's objects
    that were seen are named, or a receptacle that was not searched.
    """
    task = task_in(observation)
    if task is None:
        return ""
    goal, room = task
    needs = needs_in(observation, goal)
    if not needs:
        kinds = {goal.thing: "stuck", LAMP: "tool"} if goal.treatment == "light" else {goal.thing: "stuck"}
        seen = dict(seen_in(observation))
        needs = [Need(kinds[kind_of(name)], name, place) for name, place in seen.items() if kind_of(name) in kinds]
        needs = sorted(needs, key=lambda need: need.cause)[: 2 if goal.treatment in ("light", "two") else 1]
    if needs:
        return advise(needs, goal.treatment)
    visited = {shown[0] for line in observation.splitlines() if (shown := contents(line))}
    left = [name for name in room if name not in visited]
    return look_first(left[0]) if left else ""
