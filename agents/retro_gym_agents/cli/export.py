"""The command ``retro-gym export``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from retro_gym_agents.cli.options import Flag, OptionalFigure
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.data.export import ExportConfig, export

__all__ = ["Export"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write what was recorded in a form that other trainers read."""

    records: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")]
    """Files of records, or folders of runs."""
    output: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    """The file to write (JSON lines); for 'hf' and 'inspect' a folder."""
    format: Literal["sft", "preference", "trl", "hf", "inspect"]
    """'sft': prompt and completion. 'preference': prompt, chosen and rejected. 'trl': prompts for online RL, with the
    failures that they show. 'hf': a folder with a table for each kind of row, as a data set of Hugging Face. 'inspect':
    a folder of logs for 'inspect view', one for each run and policy."""
    role: Literal["reflector", "planner"] = "reflector"
    """Whose texts are exported as 'sft'."""
    chat: Flag = False
    """Prompts and completions as chat messages, for models with a chat template."""
    min_rating: OptionalFigure = None
    """For 'sft': least rating of a reflection (G' - G), or least return of a trial."""
    successful: Flag = False
    """For 'sft': only trials that solved their task, or reflections after which the next trial did."""

    def run(self) -> int:
        """Writes the export; returns the exit code."""
        fields = ("format", "role", "chat", "min_rating", "successful")
        config = ExportConfig(**{name: getattr(self, name) for name in fields})
        rows = export(self.records, self.output, config)
        what = "samples" if self.format == "inspect" else "rows"
        print_lines(f"{rows:,} {what}: {self.output}")
        return 0
