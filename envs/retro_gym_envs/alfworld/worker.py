"""The process that runs real games: reads requests as lines of JSON, and answers each with one line.

It is started as a script by :mod:`.engine` and imports nothing else from the package. TextWorld and its planner are
loaded only here, so that a game that hangs or crashes its process does not affect the caller.
"""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

__all__ = ["main", "names"]

_MAX_GAMES = 64  # held at once; the least recently used one is closed first
_MAX_MEMORY = 8 << 30  # bytes of address space: only the game that needs more fails


def names(ids: list[str]) -> dict[str, str]:
    """Returns readable names of a game's objects, numbered like ALFWorld's own demangler without shuffling.

    >>> names(["mug_bar__plus_01", "mug_bar__minus_02", "sink_bar__plus_01_bar_sinkbasin"])["mug_bar__minus_02"]
    'mug 2'
    """
    groups: dict[str, list[str]] = {}
    for each in sorted(ids):
        name, bar, _ = each.partition("_bar_")
        groups.setdefault(f"{name}{'basin' if bar and 'basin' in each else ''}", []).append(each)
    readable = {}
    for name, members in groups.items():
        for position, each in enumerate(members):
            number = len(members) - position
            readable[each] = f"{name} {number}" if "_bar_" in each else f"{name} "
    return readable


class _Game:
    """A running game of TextWorld."""

    def __init__(self, path: str) -> None:
        import textworld
        from textworld.envs.pddl import pddl

        # policy_commands is never requested: it would run the planner at every step.
        env = pddl.PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True))
        with open(path, encoding="utf-8") as file:
            env.load(json.load(file))
        readable = names([info.id for info in env._entity_infos.values()])
        for info in env._entity_infos.values():
            info.name = readable[info.id]
        env._logic.grammar.derive = _remembering(env._logic.grammar.derive)
        # load() has already translated the problem; reset() would repeat this, which takes seconds.
        fresh, made = env._pddl_state, pddl.pddl_logic.PddlState
        pddl.pddl_logic.PddlState = lambda *_: fresh
        try:
            self._state = env.reset()
        finally:
            pddl.pddl_logic.PddlState = made
        self._env = env

    def act(self, command: str) -> None:
        self._state, _, _ = self._env.step(command)

    def close(self) -> None:
        """Unloads the planner library, of which TextWorld otherwise keeps one copy per game for ever."""
        import fast_downward

        fast_downward.close_lib(self._env.downward_lib)

    def view(self) -> dict[str, Any]:
        state = self._state
        return {
            "observation": str(state.feedback),
            "won": bool(state["won"]),
            "admissible": list(state["admissible_commands"]),
        }


def _remembering(derive: Callable[[str, Any], str]) -> Callable[[str, Any], str]:
    """Caches the expansion of commands: command names never change within a game; observations (``#…#``) do."""
    known: dict[Any, str] = {}

    def remembered(start: str, context: Any) -> str:
        if start.startswith("#"):
            return derive(start, context)
        key = (start, tuple((placeholder.name, value.name) for placeholder, value in context["mapping"].items()))
        if key not in known:
            known[key] = derive(start, context)
        return known[key]

    return remembered


def _answer(request: dict[str, Any], games: OrderedDict[int, _Game]) -> dict[str, Any]:
    number = request["game"]
    match request["do"]:
        case "open":
            while len(games) >= _MAX_GAMES:
                games.popitem(last=False)[1].close()
            games[number] = _Game(request["path"])
        case "close":
            if number in games:
                games.pop(number).close()
            return {}
        case _:
            if number not in games:
                return {"lost": True}
            games.move_to_end(number)
            games[number].act(request["command"])
    return dict(games[number].view())


def main() -> None:
    """Answers requests until the input ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the planner prints to stdout
        try:
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
        except (ImportError, ValueError, OSError):
            pass  # not available on this system
        games: OrderedDict[int, _Game] = OrderedDict()
        for line in sys.stdin:
            try:
                answer = _answer(json.loads(line), games)
            except (Exception, SystemExit) as error:  # the planner's translator exits on invalid input
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    os._exit(0)  # after the planner, a normal exit may crash


if __name__ == "__main__":
    main()
