"""The command ``retro-gym``: train, evaluate, collect, envs.

Exit codes: 0 done · 1 the evaluation refuses to give a success rate · 2 an error, as the last line on stderr · 130
stopped by Ctrl-C · 141 nobody reads the output any more.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Union

import gymnasium as gym
import tyro
from rich import box
from rich.table import Table

import retro_gym  # noqa: F401 - registers the ids
from retro_gym.errors import ActorError, ConfigError, MissingExtraError, RetroGymError, UnknownTaskError
from retro_gym.records import read_records
from retro_gym.task_env import as_task_env
from retro_gym_agents.cli.options import (
    EnvOptions,
    File,
    Flag,
    Number,
    OptionalFile,
    OptionalNumber,
    Text,
    Words,
    check_repeats,
    open_streams,
    say,
    stdout,
    words_of,
)
from retro_gym_agents.cli.train import Train, print_settings
from retro_gym_agents.evaluation.evaluate import EvaluationConfig, evaluate_all
from retro_gym_agents.evaluation.plots import draw_success
from retro_gym_agents.evaluation.tables import check_output, print_tables, write_json
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.episodes import retro_ids
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.runs.log import shown_progress

__all__ = ["Collect", "Envs", "Evaluate", "main"]

_DESCRIPTION = (
    "Reflection writing as a Gymnasium environment: train a reflector, and see what its reflections are worth."
)
_REFLECTORS = ("none", "tiny", "oracle")  # that are evaluated by default
_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(EnvOptions):
    """Measure success by trial, for one policy or several on the same tasks."""

    reflector: Annotated[
        Words, tyro.conf.arg(metavar="NAME", help_behavior_hint=f"(default: {' '.join(_REFLECTORS)})")
    ] = ()
    """none, vague, shuffled, noisy, oracle, tiny, the folder of a run or a model, or a hub name; one or several."""
    split: Text = "test"
    """Which tasks: train, validation or test."""
    num_tasks: OptionalNumber = None
    """How many tasks, drawn by the seed; all by default."""
    trials: Number = 3
    """Reflections, and trials after the first, that a task may take."""
    greedy: Flag = False
    """Take the likeliest token each time, instead of sampling reflections."""
    device: Text = "cpu"
    """Where the reflector runs: cpu, cuda, cuda:1."""
    json: OptionalFile = None
    """Write the result here; the same seed gives the same bytes. FILE.trials.jsonl takes each trial as it ends."""
    resume: Flag = False
    """Go on from FILE.trials.jsonl of --json; tasks that were lost to actor errors are tried again."""
    png: OptionalFile = None
    """Draw success by trial here."""
    records: OptionalFile = None
    """Write every trial and reflection here (JSONL); a new file."""
    max_error_rate: Annotated[float, tyro.conf.arg(metavar="X")] = 0.05
    """The share of tasks lost to actor errors above which no success rate is given."""

    def run(self) -> int:
        """Evaluates; returns the exit code."""
        kwargs = self.arguments()
        names = _reflectors(self.reflector) or _REFLECTORS
        policies = [make_policy(name, greedy=self.greedy, device=self.device) for name in names]
        if self.resume and self.json is None:
            raise ConfigError("--resume goes on from the trials beside a result. Name the result with --json FILE.")
        result, picture = (None if path is None else check_output(path) for path in (self.json, self.png))
        if result is not None and result == picture:
            raise ConfigError(f"--json and --png both name {self.json}; the picture would replace the result.")
        if picture is not None and importlib.util.find_spec("matplotlib") is None:
            raise MissingExtraError("matplotlib", "report")
        if self.records is not None:
            records = check_output(self.records)
            kwargs["records"] = records if self.resume else _new_records(records, "Give another path.")
        config = EvaluationConfig(
            self.env_id, self.split, self.num_tasks, self.trials, self.seed, kwargs, self.max_error_rate
        )
        journal = None if result is None else result.with_name(f"{result.name}.trials.jsonl")
        try:
            with shown_progress() as progress:
                evaluations = evaluate_all(config, policies, progress=progress, journal=journal, resume=self.resume)
        except (ActorError, KeyboardInterrupt) as error:
            if journal is None:
                error.add_note("Nothing is kept of this evaluation; with --json FILE each trial is, as it ends.")
            raise
        refusals = [one.refusal for one in evaluations if one.refusal is not None]
        if result is not None:
            write_json(evaluations, result)
        if picture is not None and len(refusals) < len(evaluations):
            draw_success(evaluations, picture)
        print_tables(evaluations, stdout())
        for refusal in refusals:
            _print_error(refusal if result is None else f"{refusal} --resume tries the lost tasks again.")
        return 1 if refusals else 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collect(EnvOptions):
    """Play episodes for their records: a bank of failures, or offline data."""

    output: File
    """The records file (JSONL)."""
    reflector: Annotated[Words, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: tiny)")] = ()
    """What writes the reflections, as in 'evaluate'; one."""
    num_episodes: Number = 100
    """Episodes; each takes another task until all were played."""
    split: Text = "train"
    """Which tasks: train, validation or test."""
    max_reflections: Number = 3
    """Reflections per episode."""
    greedy: Flag = False
    """Take the likeliest token each time, instead of sampling reflections."""
    device: Text = "cpu"
    """Where the reflector runs: cpu, cuda, cuda:1."""
    append: Flag = False
    """Add to a file that holds records already. The same seed adds the same episodes again."""

    def run(self) -> int:
        """Collects; returns the exit code."""
        names = _reflectors(self.reflector) or ("tiny",)
        if len(names) > 1:
            raise ConfigError(f"--reflector names {', '.join(names)}; the records of a run are of one. Leave one.")
        policy = make_policy(names[0], greedy=self.greedy, device=self.device)
        output = check_output(self.output) if self.append else _new_records(self.output, "Add to it with --append.")
        if self.append and output.exists():
            next(read_records(output), None)  # what is no records file is refused
        config = CollectConfig(
            self.env_id, output, self.num_episodes, self.split, self.max_reflections, self.seed, self.arguments()
        )
        with shown_progress() as progress:
            got = collect(config, policy, progress=progress)
        share = f" ({got.helped / got.reflections:.1%})" if got.reflections else ""
        say(
            f"{got.episodes} episodes of {self.env_id}, split {self.split}: {got.unaided} solved without a reflection, "
            f"{got.errors} ended by an actor error.\n"
            f"{got.reflections} reflections, of which {got.helped} solved their task{share}.\n"
            f"The actor replied {got.actor_calls:,} times, read {got.prompt_tokens:,} tokens and wrote "
            f"{got.completion_tokens:,}.\nRecords: {self.output}"
        )
        return 0


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the environments."""

    def run(self) -> int:
        """Lists; returns the exit code."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False)
        for header in ("id", "task environment", *_SPLITS, "what it is", "data"):
            right, whole = header in _SPLITS, header == "id"  # an id is there to be copied
            table.add_column(header, justify="right" if right else "left", overflow="fold", no_wrap=whole)
        for env_id in retro_ids():
            table.add_row(env_id, *_described(str(gym.spec(env_id).kwargs["task_env"])))
        stdout().print(table)
        say("Under train, validation and test: the number of built-in tasks.")
        return 0


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: what stands behind the program's name; taken from the process by default.

    Returns:
        The exit code, see the module's docstring. Help and wrong usage leave by ``SystemExit`` (0 and 2).
    """
    open_streams()
    words = list(sys.argv[1:] if args is None else args)
    if words[:1] == ["--version"]:
        print(f"retro-gym {importlib.metadata.version('retro-gym')}")
        return 0
    try:
        command = tyro.cli(
            _Program, prog="retro-gym", description=_DESCRIPTION, args=words, config=(tyro.conf.FlagCreatePairsOff,)
        ).command
    except SystemExit as stop:
        if stop.code == 0 and words[:1] == ["train"]:  # its help
            print_settings()
        raise
    try:
        check_repeats(words, command)
        return command.run()
    except (RetroGymError, OSError) as error:
        _print_error(_told(str(error), error))
        return 2
    except KeyboardInterrupt as error:
        _print_error(_told("stopped by Ctrl-C.", error))
        return 130


@dataclasses.dataclass(frozen=True)
class _Program:
    command: Annotated[
        Union[  # noqa: UP007 - tyro reads annotated members of a Union
            Annotated[Train, tyro.conf.subcommand("train")],
            Annotated[Evaluate, tyro.conf.subcommand("evaluate")],
            Annotated[Collect, tyro.conf.subcommand("collect")],
            Annotated[Envs, tyro.conf.subcommand("envs")],
        ],
        tyro.conf.arg(name=""),
    ]
    version: Flag = False
    """Say which release this is; nothing else."""


# -- inside ------------------------------------------------------------------------------------------------------------


def _print_error(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


def _told(message: str, error: BaseException) -> str:
    """A message with the notes that were added to the error on its way."""
    return " ".join([message, *getattr(error, "__notes__", ())])


def _reflectors(given: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The names behind --reflector; commas part them where they are no part of a folder's name."""
    words = words_of("--reflector", given)
    parts = [[word] if Path(word).exists() else [part.strip() for part in word.split(",")] for word in words]
    names = tuple(name for several in parts for name in several)
    if not all(names):
        raise ConfigError(f"--reflector {' '.join(words)!r}: a name is empty. Give names, such as: none oracle.")
    return names


def _new_records(path: Path, remedy: str) -> Path:
    """The path of a records file that holds nothing yet."""
    target = check_output(path)
    if target.exists() and target.stat().st_size:
        raise ConfigError(f"{path} holds records already; these would be mixed with them. {remedy}")
    return target


def _described(task_env_id: str) -> list[str]:
    """The table row of a task environment: its id, the sizes of its splits, what it is, which data it plays."""
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
