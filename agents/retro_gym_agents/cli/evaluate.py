"""The command ``retro-gym evaluate``."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Annotated

import tyro

from retro_gym.errors import ActorError, ConfigError, MissingExtraError
from retro_gym_agents.cli.options import (
    Flag,
    Number,
    OptionalFile,
    OptionalNumber,
    PolicyOptions,
    Text,
    Words,
    new_records,
)
from retro_gym_agents.cli.output import print_error, stdout
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.evaluation.plots import draw_success
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.policies import BaselinePolicy
from retro_gym_agents.runs.log import shown_progress

__all__ = ["Evaluate"]

_DEFAULT = ("none", "tiny", "oracle")  # the policies that are evaluated by default


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(PolicyOptions):
    """Measure success by trial of one or several policies on the same tasks, and its difference to a plain retry."""

    reflector: Annotated[
        Words, tyro.conf.arg(metavar="NAME", help_behavior_hint=f"(default: {' '.join(_DEFAULT)})")
    ] = ()
    """One or several of: none, vague, outcome, copy, task_only, actions, shotgun, lookup, shuffled, noisy, told,
    oracle, rule, tiny, the folder of a run or a model, a GGUF file, a hub name, 'openai:MODEL' (a prompted model
    behind a server), 'replay:FILE' (its tape), 'hf:MODEL' (a prompted model in this process), 'best_of:FOLDER' (of
    several samples the one that a reward model prefers), 'lessons:RECORDS' (what helped on similar training tasks),
    'python:MODULE:NAME' (a function from observations to reflections, or a policy).
    none, a plain retry, is added in front if it is missing: the first figure is the difference to it."""
    split: Text = "test"
    """Split of the tasks: train, validation or test."""
    num_tasks: OptionalNumber = None
    """Number of tasks, drawn with the seed; all by default."""
    seeds: Number = 1
    """Number of evaluation seeds: every task is played with each of SEED, SEED + 1, …"""
    trials: Number = 3
    """Maximum number of reflections per task, each followed by a new trial."""
    json: OptionalFile = None
    """Write the results to FILE; the same seed gives the same bytes. FILE.trials.jsonl gets each trial as it ends."""
    resume: Flag = False
    """Resume from FILE.trials.jsonl of --json; episodes that were lost to actor errors are played again."""
    png: OptionalFile = None
    """Write a plot of success by trial to FILE."""
    records: OptionalFile = None
    """Write every trial and reflection to FILE (JSONL), which must be new or empty unless --resume is given."""
    max_error_rate: Annotated[float, tyro.conf.arg(metavar="X")] = 0.05
    """Give no success rate if more than this share of episodes was lost to actor errors."""

    def run(self) -> int:
        """Evaluates the policies; returns the exit code."""
        kwargs = self.arguments()
        policies = self.policies(self.reflector, _DEFAULT)
        if self.trials > 0 and NONE not in [policy.name for policy in policies]:
            policies = [BaselinePolicy(NONE), *policies]
        if self.resume and self.json is None:
            raise ConfigError("--resume needs --json FILE: it resumes from FILE.trials.jsonl. Give --json FILE.")
        result, picture = (None if path is None else check_output(path) for path in (self.json, self.png))
        if result is not None and result == picture:
            raise ConfigError(f"--json and --png both name {self.json}. Give two different files.")
        if picture is not None and importlib.util.find_spec("matplotlib") is None:
            raise MissingExtraError("matplotlib", "report")
        if self.records is not None:
            records = check_output(self.records)
            kwargs["records"] = records if self.resume else new_records(records, "Give another path.")
        config = EvaluationConfig(
            self.env_id, self.split, self.num_tasks, self.trials, self.seed, self.seeds, kwargs, self.max_error_rate
        )
        journal = None if result is None else result.with_name(f"{result.name}.trials.jsonl")
        try:
            with shown_progress() as progress:
                evaluations = evaluate_all(config, policies, progress=progress, journal=journal, resume=self.resume)
        except (ActorError, KeyboardInterrupt) as error:
            if journal is None:
                error.add_note("No trial was saved; with --json FILE each trial is saved as it ends.")
            raise
        refusals = [one.refusal for one in evaluations if one.refusal is not None]
        if result is not None:
            write_json(evaluations, result)
        if picture is not None and len(refusals) < len(evaluations):
            draw_success(evaluations, picture)
        print_tables(evaluations, stdout())
        for refusal in refusals:
            print_error(refusal if result is None else f"{refusal} --resume plays the lost episodes again.")
        return 1 if refusals else 0
