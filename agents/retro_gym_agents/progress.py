"""What a run shows while it goes on: a bar, lines where there is no terminal, TensorBoard, and a file of metrics."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from retro_gym.errors import MissingExtraError

__all__ = ["RunLog", "say"]

_SHOWN = {
    "reward": "reward {:.3f}",
    "success": "success {:.1%}",
    "validation_success": "validation {:.1%}",
    "kl": "KL {:.3f}",
    "tokens_per_second": "{:,.0f} tokens/s",
    "actor_errors": "{:.0f} actor errors",
}
"""The metrics that stand beside the bar, and how."""


def say(text: str) -> None:
    """A line for the user, on standard error: standard output belongs to results."""
    print(text, file=sys.stderr, flush=True)


class RunLog:
    """Writes a run's metrics wherever they are looked at.

    Args:
        folder: of the run; gets ``metrics.jsonl`` and ``tb/``.
        updates: how many there will be.
        metrics: the rows so far, of a run that is resumed; what the files hold beyond them is dropped.
        every: updates between two lines where standard error is no terminal.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, updates: int, metrics: Sequence[Mapping[str, float]], *, every: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "train") from error
        self._updates, self._every = updates, every
        self._file = (folder / "metrics.jsonl").open("w", encoding="utf-8")
        done = 0
        for row in metrics:
            self._write(row)
            done = int(row["update"])
        self._board = SummaryWriter(str(folder / "tb"), purge_step=done + 1 if metrics else None)
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        console = Console(stderr=True)
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=updates, completed=done)
        self._shown: dict[str, float] = {}
        self._bar.start()

    def add(self, row: Mapping[str, float]) -> None:
        """Takes in one update's figures, which are finite: JSON knows no others."""
        self._write(row)
        update = int(row["update"])
        for name, value in row.items():
            if name != "update":
                self._board.add_scalar(name, value, update)
        self._shown.update(row)  # a validation stays in sight until the next one
        if not row.get("actor_errors"):
            self._shown.pop("actor_errors", None)
        text = ", ".join(form.format(self._shown[name]) for name, form in _SHOWN.items() if name in self._shown)
        self._bar.update(self._task, completed=update, description=text)
        if self._bar.disable and (update % self._every == 0 or update == self._updates):
            say(f"update {update}/{self._updates}: {text}")

    def close(self) -> None:
        """Ends the bar and closes the files."""
        self._bar.stop()
        self._board.close()
        self._file.close()

    def _write(self, row: Mapping[str, float]) -> None:
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
