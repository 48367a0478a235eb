"""The command ``retro-gym view``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.view import load_panels, write_page

__all__ = ["View"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """Write a page to look at trials and reflections with: one HTML file that opens in any browser."""

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")]
    """Results of 'evaluate --json', files of records, or folders of runs. What was measured on the same tasks with the
    same seeds is set beside each other. The trials of a result are read from FILE.trials.jsonl beside it; give its file
    of records too, and the page shows the actor's prompts."""
    output: Annotated[Path, tyro.conf.arg(metavar="FILE.html")]
    """The file to write."""

    def run(self) -> int:
        """Writes the page; returns the exit code."""
        target = check_output(self.output)
        panels = load_panels(self.runs)
        size = write_page(panels, target).stat().st_size
        for panel in panels:
            about = f"{len(panel.failures):,} tasks, {panel.num_trials:,} trials"
            print_lines(f"{', '.join(panel.files)}: {about}, policies {', '.join(panel.policies)}.")
            for note in panel.notes:
                print_lines(f"Note: {note}")
        print_lines(f"Page: {target} ({size / 1e6:.1f} MB)")
        return 0
