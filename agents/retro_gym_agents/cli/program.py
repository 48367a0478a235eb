"""The command ``retro-gym`` and its subcommands.

Exit codes: 0 success · 1 the evaluation lost too many tasks to give a success rate · 2 an error, printed as the last
line on stderr · 130 stopped by Ctrl-C · 141 the reader of the output closed the pipe.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Annotated, Union

import tyro

import retro_gym  # noqa: F401 - registers the ids
from retro_gym.errors import RetroGymError
from retro_gym_agents.cli.bench import Bench
from retro_gym_agents.cli.collect import Collect
from retro_gym_agents.cli.compare import Compare
from retro_gym_agents.cli.envs import Envs
from retro_gym_agents.cli.evaluate import Evaluate
from retro_gym_agents.cli.export import Export
from retro_gym_agents.cli.imitate import Imitate
from retro_gym_agents.cli.merge import Merge
from retro_gym_agents.cli.options import Flag, check_repeats
from retro_gym_agents.cli.output import leave_quietly, open_streams, print_error
from retro_gym_agents.cli.pipelines import RetroAct, Retroformer
from retro_gym_agents.cli.push import Push
from retro_gym_agents.cli.reward_model import RewardModel
from retro_gym_agents.cli.train import Train, print_settings
from retro_gym_agents.cli.view import View

__all__ = ["main"]

_DESCRIPTION = (
    "Reflection writing as a Gymnasium environment: train a reflector, and measure how much its reflections help."
)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: the arguments after the program's name; ``sys.argv[1:]`` by default.

    Returns:
        The exit code, see the module's docstring. Help and wrong usage raise ``SystemExit`` (0 and 2).
    """
    open_streams()
    try:
        code = _run(list(sys.argv[1:] if args is None else args))
        sys.stdout.flush()
    except BrokenPipeError:  # of help and version; tables see to it themselves
        leave_quietly()
    return code


def _run(words: Sequence[str]) -> int:
    if words[:1] == ["--version"]:
        print(f"retro-gym {importlib.metadata.version('retro-gym')}")
        return 0
    try:
        command = tyro.cli(
            _Program, prog="retro-gym", description=_DESCRIPTION, args=words, config=(tyro.conf.FlagCreatePairsOff,)
        ).command
    except SystemExit as stop:
        if stop.code == 0 and words[:1] == ["train"]:  # train --help
            print_settings()
        raise
    try:
        check_repeats(words, command)
        return command.run()
    except (RetroGymError, OSError) as error:
        print_error(_told(str(error), error))
        return 2
    except KeyboardInterrupt as error:
        print_error(_told("stopped by Ctrl-C.", error))
        return 130


@dataclasses.dataclass(frozen=True)
class _Program:
    command: Annotated[
        Union[  # noqa: UP007 - tyro reads annotated members of a Union
            Annotated[Train, tyro.conf.subcommand("train")],
            Annotated[Imitate, tyro.conf.subcommand("imitate")],
            Annotated[RewardModel, tyro.conf.subcommand("reward-model")],
            Annotated[Retroformer, tyro.conf.subcommand("retroformer")],
            Annotated[RetroAct, tyro.conf.subcommand("retroact")],
            Annotated[Evaluate, tyro.conf.subcommand("evaluate")],
            Annotated[Compare, tyro.conf.subcommand("compare")],
            Annotated[View, tyro.conf.subcommand("view")],
            Annotated[Bench, tyro.conf.subcommand("bench")],
            Annotated[Collect, tyro.conf.subcommand("collect")],
            Annotated[Export, tyro.conf.subcommand("export")],
            Annotated[Merge, tyro.conf.subcommand("merge")],
            Annotated[Push, tyro.conf.subcommand("push")],
            Annotated[Envs, tyro.conf.subcommand("envs")],
        ],
        tyro.conf.arg(name=""),
    ]
    version: Flag = False
    """Print the version and exit."""


def _told(message: str, error: BaseException) -> str:
    """Returns the message followed by the error's notes."""
    return " ".join([message, *getattr(error, "__notes__", ())])
