"""The command ``retro-gym collect``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import tyro

from retro_gym.errors import ConfigError
from retro_gym.records import read_records
from retro_gym_agents.cli.options import File, Flag, Number, PolicyOptions, Text, Words, new_records
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.runs.log import shown_progress

__all__ = ["Collect"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collect(PolicyOptions):
    """Play episodes and write their records: a bank of failures, or offline data."""

    output: File
    """The records file (JSONL)."""
    reflector: Annotated[Words, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: tiny)")] = ()
    """The policy that writes the reflections: one of the names that 'evaluate' takes."""
    num_episodes: Number = 100
    """Number of episodes. No task repeats until all tasks of the split were played."""
    split: Text = "train"
    """Split of the tasks: train, validation or test."""
    max_reflections: Number = 3
    """Maximum number of reflections per episode."""
    repeats: Number = 1
    """Episodes on each task, one after the other."""
    num_samples: Number = 1
    """Reflections on each failure. With several, each is tried, and the episode goes on with the first of them."""
    append: Flag = False
    """Append to an existing records file. The same seed adds the same episodes again."""

    def run(self) -> int:
        """Collects records; returns the exit code."""
        policy, *others = self.policies(self.reflector, ("tiny",))
        if others:
            names = ", ".join(one.name for one in (policy, *others))
            raise ConfigError(f"--reflector names {names}; collect takes one policy. Give one name.")
        output = check_output(self.output) if self.append else new_records(self.output, "Add to it with --append.")
        if self.append and output.exists():
            next(read_records(output), None)  # raises if the file is not a records file
        config = CollectConfig(
            self.env_id,
            output,
            self.num_episodes,
            self.split,
            self.max_reflections,
            repeats=self.repeats,
            num_samples=self.num_samples,
            seed=self.seed,
            env_kwargs=self.arguments(),
        )
        with shown_progress() as progress:
            got = collect(config, policy, progress=progress)
        share = f" ({got.helped / got.reflections:.1%})" if got.reflections else ""
        print_lines(
            f"{got.episodes} episodes of {self.env_id}, split {self.split}: {got.unaided} solved without a reflection, "
            f"{got.errors} ended by an actor error.\n"
            f"{got.reflections} reflections, of which {got.helped} solved their task{share}.\n"
            f"Actor: {got.actor_calls:,} replies, {got.prompt_tokens:,} prompt tokens, "
            f"{got.completion_tokens:,} completion tokens.\nRecords: {self.output}"
        )
        return 0
