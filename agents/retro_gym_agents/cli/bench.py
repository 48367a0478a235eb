"""The command ``retro-gym bench``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from retro_gym.checks import check_whole
from retro_gym.errors import ConfigError
from retro_gym_agents.cli.options import Flag, Number, Words, words_of
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import import_with_extra

__all__ = ["Bench"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """Compare many arms, trained and untrained, on many environments with several seeds, at the same cost."""

    config: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CONFIG.yaml")]
    """What is compared: see docs/benchmark.md."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder of all runs and results; the tables are in DIR/results.md and DIR/results.json."""
    quick: Flag = False
    """Use the shorter settings that the file names under 'quick'."""
    resume: Flag = False
    """Go on in DIR. What is complete is not repeated; arms and actors may have been added."""
    processes: Number = 1
    """Runs at the same time, each with one thread. The results do not depend on it."""
    report_only: Flag = False
    """Run nothing; write the report of what there is."""
    submission: Annotated[Words, tyro.conf.arg(metavar="NAME=FILE", help_behavior_hint="")] = ()
    """Results of 'retro-gym evaluate --json' on the benchmark's panels, and the names of their rows in this report."""

    def run(self) -> int:
        """Runs the benchmark; returns the exit code."""
        check_whole(1, processes=self.processes)
        bench = import_with_extra("retro_gym_agents.bench")
        config = bench.load_config(self.config, quick=self.quick)
        submissions = _submissions(words_of("--submission", self.submission))
        if not self.report_only:
            bench.run_bench(config, self.output, resume=self.resume, processes=self.processes)
        print_lines(bench.write_report(config, self.output, submissions))
        return 0


def _submissions(words: Sequence[str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path):
            raise ConfigError(f"--submission {word!r}: give NAME=FILE.")
        if name in files:
            raise ConfigError(f"--submission {word!r}: {files[name]} has this name already. Give each its own.")
        files[name] = Path(path)
    return files
