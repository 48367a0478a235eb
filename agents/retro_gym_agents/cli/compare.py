"""The command ``retro-gym compare``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich import box
from rich.table import Table

from retro_gym.errors import ConfigError
from retro_gym_agents.cli.options import Words, words_of
from retro_gym_agents.cli.output import print_lines, stdout
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.evaluation.results import replace_json
from retro_gym_agents.evaluation.stored import Comparison, compare_files, load_result

__all__ = ["Compare"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compare:
    """Compare policies of two results, paired by task and seed; refuses results on different panels."""

    one: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="A.json")]
    """The first policy's result: 'retro-gym evaluate ENV_ID --json A.json'."""
    other: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="B.json")]
    """The second policy's, which is subtracted. It may be the same file."""
    policies: Annotated[Words, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: the only one of each)")] = ()
    """The names of both policies, if a file holds several that are no baselines."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write difference, ci95, won, lost and p by trial to FILE."""

    def run(self) -> int:
        """Prints the comparison; returns the exit code."""
        names = words_of("--policies", self.policies)
        if len(names) not in (0, 2):
            raise ConfigError(f"--policies names {len(names)} policies; give two, the first file's and the second's.")
        target = None if self.json is None else check_output(self.json)
        found = compare_files(load_result(self.one), load_result(self.other), (names[0], names[1]) if names else None)
        stdout().print(_table(found))
        if found.left_out:
            print_lines(f"{found.left_out} episodes are left out, in which an actor failed.")
        if found.unlike:
            print_lines(
                f"{found.unlike} of {found.episodes} first trials differ, before any reflection: the actor does not "
                "repeat itself, and the difference holds its luck too."
            )
        if target is not None:
            replace_json(found.to_json(), target)
        return 0


def _table(found: Comparison) -> Table:
    title = f"{found.one} − {found.other}, {found.episodes} episodes: points"
    table = Table("trial", "difference", "95 % interval", "won", "lost", "p", title=title, box=box.SIMPLE_HEAD)
    for trial, each in enumerate(found.differences):
        low, high = (f"{100 * bound:+.1f}" for bound in each.ci)
        table.add_row(
            *(str(trial), f"{100 * each.mean:+.1f}", f"{low} to {high}", str(each.won), str(each.lost)),
            f"{each.p_value:.2g}",
        )
    return table
