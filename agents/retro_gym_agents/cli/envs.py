"""The command ``retro-gym envs``."""

from __future__ import annotations

import dataclasses

import gymnasium as gym
from rich import box
from rich.table import Table

from retro_gym.adapting import as_task_env
from retro_gym.errors import RetroGymError, UnknownTaskError
from retro_gym_agents.cli.output import print_lines, stdout
from retro_gym_agents.play.envs import retro_ids

__all__ = ["Envs"]

_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the registered environments and the sizes of their splits."""

    def run(self) -> int:
        """Prints the table; returns the exit code."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        for header in ("id", "task environment", *_SPLITS, "description", "data"):
            right, whole = header in _SPLITS, header == "id"  # no line break within an id, so that it can be copied
            table.add_column(header, justify="right" if right else "left", overflow="fold", no_wrap=whole)
        for env_id in retro_ids():
            table.add_row(env_id, *_described(str(gym.spec(env_id).kwargs["task_env"])))
        stdout().print(table)
        print_lines("The columns train, validation and test give the number of built-in tasks.")
        return 0


def _described(task_env_id: str) -> list[str]:
    """Returns the table row of a task environment: id, sizes of its splits, summary, data."""
    try:
        env = as_task_env(task_env_id)
    except RetroGymError as error:
        return [task_env_id, *["-"] * len(_SPLITS), str(error), "-"]
    sizes = []
    for split in _SPLITS:
        try:
            sizes.append(f"{len(env.task_ids(split)):,}")
        except UnknownTaskError:
            sizes.append("-")
    first_line = next(iter((type(env).__doc__ or "").strip().splitlines()), "")
    env.close()
    return [task_env_id, *sizes, first_line, env.data]
