"""ALFWorld's own games: whether their walkthroughs win here, the scripted actor's success, and the speed.

::

    python benchmarks/alfworld_games.py ../shared/data/alfworld walkthroughs
    python benchmarks/alfworld_games.py ../shared/data/alfworld scripted --split valid_seen
    python benchmarks/alfworld_games.py ../shared/data/alfworld speed --processes 1 2

Needs the extra ``[alfworld]``.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from retro_gym import RetroEnv
from retro_gym_envs.alfworld import ALFWorldEnv
from retro_gym_envs.alfworld.games import GameFile


def walkthroughs(games: str) -> None:
    """Plays every game's own solution, with ``move`` commands translated to the older grammar."""
    env = ALFWorldEnv(games=games)
    start, won, played = time.perf_counter(), 0, 0
    for split in ("train", "valid_seen"):
        for task_id in env.task_ids(split):
            _, info = env.reset(options={"task_id": task_id})
            game = env.task(task_id)
            assert isinstance(game, GameFile)
            for command in game.walkthrough:
                if command.startswith("move "):
                    command = command.replace("move ", "put ", 1).replace(" to ", " in/on ", 1)
                *_, info = env.step(command)
            played += 1
            won += info["success"]
            if not info["success"]:
                print(f"not won: {task_id}")
    print(f"{won} of {played} walkthroughs win ({time.perf_counter() - start:.0f} s)")


def scripted(games: str, split: str) -> None:
    """Prints the scripted actor's success at trial 0, and at trial 1 with the oracle's reflection."""
    env = RetroEnv("ALFWorld-v0", games=games, split=split)
    rows: Counter[tuple[str, str]] = Counter()
    start = time.perf_counter()
    for task_id in env.task_env.task_ids(split):
        group = env.task_env.teacher.task_group(task_id)
        _, info = env.reset(seed=0, options={"task_id": task_id})
        unaided = aided = info["success"]
        if not unaided:
            *_, info = env.step(env.task_env.teacher.oracle_reflection(task_id))
            aided = info["success"]
            if not aided:
                print(f"not solved: {task_id}")
        for name in (group, "all"):
            rows[name, "games"] += 1
            rows[name, "none"] += unaided
            rows[name, "oracle"] += aided
    for name in sorted({name for name, _ in rows}):
        count = rows[name, "games"]
        shares = [f"{what} {rows[name, what] / count:6.1%}" for what in ("none", "oracle")]
        print(f"{name:32} {count:4}", *shares, sep="  ")
    print(f"{time.perf_counter() - start:.0f} s")


def _timed(games: str, share: int, shares: int) -> tuple[int, float, int, float]:
    """Returns the number of resets, their seconds, the number of steps and their seconds for one process's games."""
    env = ALFWorldEnv(games=games)
    resets = steps = 0
    reset_time = step_time = 0.0
    for task_id in env.task_ids("valid_seen")[share : 40 * shares : shares]:
        start = time.perf_counter()
        _, info = env.reset(options={"task_id": task_id})
        reset_time += time.perf_counter() - start
        start = time.perf_counter()
        for number in range(20):
            commands = info["admissible_commands"]
            *_, done, _, info = env.step(commands[number * 7 % len(commands)])
            steps += 1
            if done:
                break
        step_time += time.perf_counter() - start
        resets += 1
    env.close()
    return resets, reset_time, steps, step_time


def speed(games: str, processes: list[int]) -> None:
    """Prints resets and steps per second; each process has a worker process with the games."""
    for count in processes:
        with ProcessPoolExecutor(count) as pool:
            done = list(pool.map(_timed, [games] * count, range(count), [count] * count))
        resets = sum(resets / seconds for resets, seconds, _, _ in done)
        steps = sum(steps / seconds for _, _, steps, seconds in done)
        print(f"{count} processes: {resets:.2f} resets and {steps:.1f} steps per second")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games")
    parser.add_argument("what", choices=["walkthroughs", "scripted", "speed"])
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    if arguments.what == "walkthroughs":
        walkthroughs(arguments.games)
    elif arguments.what == "scripted":
        scripted(arguments.games, arguments.split)
    else:
        speed(arguments.games, arguments.processes)
