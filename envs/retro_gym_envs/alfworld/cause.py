"""Whether a reflection names the cause of failure of a built-in task, as the scripted actor would read it."""

from __future__ import annotations

from retro_gym_envs.alfworld.advice import read_reflections, tool_kind
from retro_gym_envs.alfworld.household import Household
from retro_gym_envs.alfworld.objects import LAMP
from retro_gym_envs.alfworld.observations import kind_of, read_goal
from retro_gym_envs.teaching import as_noted

__all__ = ["names_cause"]


def names_cause(reflection: str, task: Household) -> bool:
    """Returns whether a reflection tells all that the actor needs to know, and asks for nothing that does not work.

    An object or a lamp is told by its name or by its place.

    Args:
        reflection: the reflection.
        task: a task of the built-in world.
    """
    goal = read_goal(task.goal)
    assert goal is not None, "built-in goals are understood"
    advice = read_reflections(as_noted(reflection), goal, task.receptacles)
    places = dict.fromkeys(task.receptacles, "") | {thing: place for place, held in task.contents for thing in held}
    working = {
        name: place
        for name, place in places.items()
        if kind_of(name) in (task.thing, tool_kind(goal), task.target) and name not in task.refusing
    }
    where = {place for name, place in working.items() if kind_of(name) == task.thing}
    where_lit = {place for name, place in working.items() if kind_of(name) == LAMP}
    misled = advice.wanted - working.keys() or set(advice.searched) - where or set(advice.lit) - where_lit
    told = set(advice.wanted)
    if not advice.confused:  # "the lamp 1 or the lamp 2 on the shelf 3" tells no lamp
        told |= {
            need.name for need in task.needs if need.place in (advice.lit if need.cause == "tool" else advice.searched)
        }
    return not misled and all(need.name in told - advice.shunned for need in task.needs)
