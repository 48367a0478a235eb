"""The command ``retro-gym merge``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from retro_gym_agents.cli.options import Text
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import import_with_extra

__all__ = ["Merge"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Merge:
    """Merge an adapter into its base model: a folder that transformers, vLLM and others load without peft."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a run or of an adapter, or an adapter's name on the hub."""
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder to write."""
    device: Text = "cpu"
    """Device that computes it: cpu, cuda, cuda:1."""

    def run(self) -> int:
        """Writes the model; returns the exit code."""
        share = import_with_extra("retro_gym_agents.share")
        folder = share.merge(self.source, self.output, device=self.device)
        print_lines(f"Merged model: {folder}")
        return 0
