"""The command ``retro-gym push``."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import tyro

from retro_gym.errors import ConfigError
from retro_gym_agents.cli.options import Flag, OptionalFile
from retro_gym_agents.cli.output import print_lines
from retro_gym_agents.cli.settings import import_with_extra

__all__ = ["Push"]

_Given: TypeAlias = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Push:
    """Upload a run's adapter, or files of records as a data set, to the Hugging Face hub, with a card filled from them.

    The account is that of 'hf auth login', or of the token in HF_TOKEN. Keys, addresses and absolute paths are left
    out. With an adapter of the tiny model, a copy of that is uploaded beside it, so that peft alone can load it.
    """

    sources: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN NAME", help_behavior_hint="")]
    """The folder of a run or of an adapter, or one or several files of records; then OWNER/NAME on the hub."""
    private: Flag = False
    """Make a new repository private; one that is there and public is refused."""
    revision: _Given = None
    """The branch to push to, created if it is not there; main by default."""
    message: Annotated[str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint="")] = None
    """The commit's message."""
    merged: Flag = False
    """Push the model with the adapter merged into it, which transformers loads without peft."""
    base: _Given = None
    """The base model's name on the hub, if the run was trained from a folder."""
    evaluation: OptionalFile = None
    """A result of 'evaluate --json' for the card; RUN/evaluation.json by default, if it is there."""
    dry_run: Flag = False
    """Show what would be pushed, and push nothing."""

    def run(self) -> int:
        """Pushes; returns the exit code."""
        if len(self.sources) < 2:
            raise ConfigError(
                f"push was given {' '.join(self.sources) or 'nothing'}. Give what to push, then its name on the hub: "
                "retro-gym push RUN OWNER/NAME."
            )
        *paths, name = self.sources
        share = import_with_extra("retro_gym_agents.share")
        with tempfile.TemporaryDirectory(prefix="retro-gym-") as scratch:
            prepared = self._prepared(share, paths, name, Path(scratch) / "files")
            if self.dry_run:
                files = "\n".join(f"{prepared.size(file):>12,} bytes  {file}" for file in sorted(prepared.files))
                print_lines(f"{prepared.what.capitalize()} {name}, not pushed:\n{files}\n\n{prepared.card}")
                return 0
            print_lines(f"Pushed the {prepared.what}: {prepared.upload()}")
        if prepared.what == "adapter":
            print_lines(f"Load it: Reflector.load({name!r}), or --reflector {name}")
        return 0

    def _prepared(self, share: Any, paths: list[str], name: str, folder: Path) -> Any:
        shared = {
            "private": self.private or None,
            "revision": self.revision,
            "message": self.message,
        }
        if any(Path(path).is_file() for path in paths):
            self._check_no_model()
            return share.prepare_records(paths, name, folder, **shared)
        if len(paths) > 1:
            raise ConfigError(
                f"push takes one run, but was given {', '.join(paths)}. Push each under a name of its own."
            )
        (run,) = paths
        if not Path(run).is_dir():
            raise ConfigError(f"{run!r} is neither a folder nor a file. Give the folder of a run, or files of records.")
        own = {"merged": self.merged, "base": self.base, "evaluation": self.evaluation}
        return share.prepare_run(run, name, folder, **own, **shared)

    def _check_no_model(self) -> None:
        given = {"--merged": self.merged, "--base": self.base, "--evaluation": self.evaluation}
        for option, value in given.items():
            if value:
                raise ConfigError(f"{option} is for runs, but files of records are pushed. Leave it out.")
