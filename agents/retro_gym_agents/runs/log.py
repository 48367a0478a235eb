"""Progress and metrics of a run: a progress bar or lines on standard error, and ``metrics.jsonl``."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["RunLog", "print_status", "shown_progress"]

_INTERVAL = 30.0  # seconds between two lines when standard error is not a terminal
_QUIET = 1.0  # seconds from the start without a line: a stage that ends sooner prints none

_SHOWN = {
    "reward": "reward {:.3f}",
    "success": "success {:.1%}",
    "validation_success": "validation {:.1%}",
    "first_success": "first trial {:.1%}",
    "last_success": "last trial {:.1%}",
    "nll": "{:.3f} nats per token",
    "planner_nll": "planner {:.3f} nats per token",
    "reflector_nll": "reflector {:.3f} nats per token",
    "validation_nll": "validation {:.3f}",
    "accuracy": "accuracy {:.1%}",
    "validation_accuracy": "validation {:.1%}",
    "kl": "KL {:.3f}",
    "tokens_per_second": "{:,.0f} tokens/s",
    "actor_errors": "{:.0f} actor errors",
}
"""The metrics shown beside the bar, with their formats."""


def print_status(text: str) -> None:
    """Prints a status line on standard error; standard output is kept for results."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def shown_progress(*, interval: float = _INTERVAL) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a transient progress bar on standard error, or lines where that is not a terminal.

    A line is printed at the start and the end of each stage, and every ``interval`` seconds in between, even without
    progress. Nothing is printed within the first second.

    Args:
        interval: seconds between two lines.

    Yields:
        A callback that takes the stage's name, the number of items done, and their total.
    """
    if not sys.stderr.isatty():
        with _Lines(interval) as lines:
            yield lines.show
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)


class _Lines:
    """Prints the progress of a stage: at its start, at its end, and from a background thread in between."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._quiet = min(_QUIET, interval)
        self._start = time.monotonic()
        self._now: tuple[str, int, int] | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> _Lines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def show(self, stage: str, done: int, total: int) -> None:
        """Records the stage's progress, and prints it at the start and the end of a stage."""
        with self._lock:
            is_new = self._now is None or self._now[0] != stage
            self._now = stage, done, total
            if (is_new or done == total) and time.monotonic() - self._start >= self._quiet:
                self._print()

    def _repeat(self) -> None:
        wait = self._quiet
        while not self._over.wait(wait):
            wait = self._interval
            with self._lock:
                self._print()

    def _print(self) -> None:
        if self._now is not None:
            stage, done, total = self._now
            minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
            print_status(f"{stage}: {done} of {total}, {minutes}:{seconds:02} min")


class RunLog:
    """Writes a run's metrics to ``metrics.jsonl`` and to standard error.

    Args:
        folder: the run's folder; gets ``metrics.jsonl``.
        updates: total number of updates.
        metrics: the rows so far, when a run is resumed; later rows in the file are dropped.
        every: updates between two lines when standard error is not a terminal; a line also follows after 30 seconds.
    """

    def __init__(self, folder: Path, updates: int, metrics: Sequence[Mapping[str, float]], *, every: int) -> None:
        self._updates, self._every = updates, every
        self._file = (folder / "metrics.jsonl").open("w", encoding="utf-8")
        done = 0
        for row in metrics:
            self._write(row)
            done = int(row["update"])
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
        self._said = time.monotonic()
        self._bar.start()

    def add(self, row: Mapping[str, float]) -> None:
        """Logs the metrics of one update, which must be finite: JSON has no other numbers."""
        self._write(row)
        update = int(row["update"])
        self._shown.update(row)  # keeps the last validation on display until the next one
        if not row.get("actor_errors"):
            self._shown.pop("actor_errors", None)
        text = ", ".join(form.format(self._shown[name]) for name, form in _SHOWN.items() if name in self._shown)
        self._bar.update(self._task, completed=update, description=text)
        is_due = update % self._every == 0 or time.monotonic() - self._said >= _INTERVAL
        if self._bar.disable and (is_due or update == self._updates):
            self._said = time.monotonic()
            print_status(f"update {update}/{self._updates}: {text}")

    def close(self) -> None:
        """Stops the bar and closes the file."""
        self._bar.stop()
        self._file.close()

    def _write(self, row: Mapping[str, float]) -> None:
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
