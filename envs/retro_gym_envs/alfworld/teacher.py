"""The teacher of ALFWorld: knows the solutions, and writes noisy reflections that are often wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from retro_gym.teacher import ReflectionCheck
from retro_gym.trajectory import Trajectory
from retro_gym_envs.alfworld.advice import tool_kind
from retro_gym_envs.alfworld.cause import names_cause
from retro_gym_envs.alfworld.commands import normalize
from retro_gym_envs.alfworld.games import GameFile
from retro_gym_envs.alfworld.household import Household, Need
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, OPENABLE
from retro_gym_envs.alfworld.observations import NAME, Goal, kind_of, read_goal
from retro_gym_envs.alfworld.remarks import sights_in
from retro_gym_envs.alfworld.rule import advise, look_first, needs_in, rule_reflection, seen_in, task_in
from retro_gym_envs.alfworld.world import TASK_TYPES
from retro_gym_envs.draws import pick
from retro_gym_envs.teaching import TaskTeacher, check_forms

__all__ = ["AlfworldTeacher"]

_GROUPS = dict(zip(TASK_TYPES, ("put", "examine", "clean", "heat", "cool", "puttwo"), strict=True))

# The noisy teacher understands with the first probability, and follows habit with the second.
_UNDERSTOOD = 0.2
_HASTY = 0.4

_SEEN = rf"(?:[a-z]+ )?{NAME}"  # a name, perhaps with the adjective of its state
_PART = (
    rf"(?:take the (?P<thing_>{_SEEN}) from the (?P<place_>{NAME})|(?:clean|heat|cool) it with the (?P<tool_>{_SEEN})"
    rf"|use the (?P<lamp_>{_SEEN}) (?:in|on) the (?P<lit_>{NAME})|put it (?:in|on) the (?P<target_>{_SEEN}))"
)
_WELL_FORMED = (
    *(
        re.compile(", then ".join(_PART.replace("_>", f"{i}>") for i in range(parts)) + r"\.", re.IGNORECASE)
        for parts in (1, 2, 3)
    ),
    re.compile(rf"Look (?:in|on) the (?P<place>{NAME}) first\."),
)


class AlfworldTeacher(TaskTeacher[Household | GameFile]):
    """Knows where the objects of a task are, and what works."""

    def task_group(self, task_id: str) -> str:
        """Returns the task type as named in the published experiments: put, examine, clean, heat, cool or puttwo."""
        return _GROUPS[self.task(task_id).type]

    def failure_cause(self, task_id: str) -> str:
        """Returns the causes of failure of a built-in task, such as ``hidden`` or ``stuck+target``."""
        task = self.task(task_id)
        return "+".join(need.cause for need in task.needs) if isinstance(task, Household) else ""

    def oracle_reflection(self, task_id: str) -> str:
        """Returns the best reflection on a task that does not list its solution.

        For a built-in task it names what the actor overlooks; for a real game, the objects with their places and the
        tool, according to the game's own walkthrough.
        """
        task = self.task(task_id)
        goal = read_goal(task.goal)
        needs = task.needs if isinstance(task, Household) else _walked(task.walkthrough)
        return advise(needs, goal.treatment if goal else "")

    def told_reflection(self, task_id: str) -> str:
        """Returns a reflection that lists all commands of a solution."""
        return f"Do this: {', '.join(self._solution(task_id))}."

    def rule_reflection(self, observation: str) -> str:
        """Returns what fixed rules derive from the observation of a failure."""
        return rule_reflection(observation)

    def leaks(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection contains all commands of a solution."""
        said = normalize(reflection, limit=None)
        return all(command in said for command in self._solution(task_id))

    def names_cause(self, reflection: str, task_id: str) -> bool:
        """Returns whether a reflection tells the objects, tools and receptacles that work; see :mod:`cause`.

        The list of all commands, ``told_reflection``, tells them in most tasks.
        """
        task = self.task(task_id)
        return isinstance(task, Household) and names_cause(reflection, task)

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """Returns a well-formed reflection that uses only what the trajectory shows, and is correct only sometimes.

        With probability 0.2 it names what the actor overlooked (not in real games). With probability 0.4 it names the
        first receptacle of the target's kind, or the first object that was seen. Otherwise it names something at
        random.
        """
        text = trajectory.render()
        task = task_in(text)
        if task is None or not task[1]:  # nothing that could be named
            return look_first("room 1")
        goal, room = task
        luck = rng.random()
        if luck < _UNDERSTOOD and (needs := needs_in(text, goal)):
            return advise(needs, goal.treatment)
        options = _options(text, goal, room)
        need = options[-1][0] if luck < _UNDERSTOOD + _HASTY else pick(pick(options, rng), rng)
        return look_first(need.place) if need.cause == "place" else advise([need], goal.treatment)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """Checks that a reflection has one of the teacher's forms, and names only what the trajectory shows."""
        return check_forms(_WELL_FORMED, reflection, trajectory)

    def _solution(self, task_id: str) -> Sequence[str]:
        task = self.task(task_id)
        return tuple(_solve(task)) if isinstance(task, Household) else task.walkthrough


def _solve(task: Household) -> Iterator[str]:
    """Returns commands that solve a built-in task."""
    places = {thing: place for place, things in task.contents for thing in things}

    def working(kind: str) -> str:
        return next(n for n in (*places, *task.receptacles) if kind_of(n) == kind and n not in task.refusing)

    things = [thing for thing in places if kind_of(thing) == task.thing and thing not in task.refusing]
    for number, thing in enumerate(things[: task.count]):
        yield from (f"go to {places[thing]}", f"take {thing} from {places[thing]}")
        if task.target == LAMP:
            lamp = working(LAMP)
            yield from ([] if places[lamp] == places[thing] else [f"go to {places[lamp]}"])
            yield f"use {lamp}"
            continue
        if task.treatment:
            tool = working(APPLIANCES[task.treatment])
            yield from (f"go to {tool}", f"{task.treatment} {thing} with {tool}")
        target = working(task.target)
        yield f"go to {target}"
        if not number and task.target in OPENABLE:
            yield f"open {target}"
        yield f"move {thing} to {target}"


def _walked(commands: Sequence[str]) -> list[Need]:
    """Returns the objects and tools of a walkthrough, with their places."""
    needs: list[Need] = []
    place = ""
    for command in commands:
        if command.startswith("go to "):
            place = command.removeprefix("go to ")
        elif found := re.fullmatch(r"take (.+) from (.+)", command):
            needs.append(Need("hidden", found[1], found[2]))
        elif found := re.fullmatch(r"(?:clean|heat|cool) .+ with (.+)", command):
            needs.append(Need("tool", found[1]))
        elif command.startswith("use "):
            needs.append(Need("tool", command.removeprefix("use "), place))
    return sorted(needs, key=lambda need: need.cause == "tool")  # a lamp may be lit before the object is taken


def _options(text: str, goal: Goal, room: Sequence[str]) -> list[list[Need]]:
    """Returns what a reflection may name: for each decision its candidates, not empty."""
    sights = [sight for each in sights_in(text) for sight in each]
    states = {sight.name: sight.state for sight in sights}
    seen = list(dict.fromkeys([*seen_in(text), *((sight.name, sight.place) for sight in sights if sight.place)]))

    def need(cause: str, name: str, place: str = "") -> Need:
        return Need(cause, name, place, states.get(name, ""))

    tools = [need("tool", name, place) for name, place in seen if kind_of(name) == LAMP == tool_kind(goal)]
    tools += [need("tool", name) for name in room if kind_of(name) == tool_kind(goal)]
    targets = [need("target", name) for name in room if kind_of(name) == goal.target]
    things = [need("stuck", name, place) for name, place in seen if kind_of(name) != LAMP]
    places = [Need("place", "", name) for name in room]
    real = [] if sights else [places]
    return [options for options in (*real, tools, things, targets) if options] or [places]
