"""Output of the commands of ``retro-gym``: results on standard output, errors on standard error."""

from __future__ import annotations

import io
import os
import sys
from typing import NoReturn

from rich.console import Console

__all__ = ["leave_quietly", "open_streams", "print_error", "print_lines", "stdout"]

WIDTH = 140  # columns of output to a file or a pipe, which has no width of its own

_BROKEN_PIPE = 141  # a shell's exit code for a program that SIGPIPE ended


class _Stdout(Console):
    """Standard output that exits without a traceback when the reader of the pipe has closed it."""

    def on_broken_pipe(self) -> None:
        leave_quietly()


def leave_quietly() -> NoReturn:
    """Ends the program after the reader of its output has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python still flushes its buffer at exit
    raise SystemExit(_BROKEN_PIPE)


def open_streams() -> None:
    """Makes standard output and error safe to write to when closed, or when their encoding lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the rest of the process
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # Windows' code pages have no minus sign and no beta


def stdout() -> Console:
    """Returns a console for standard output, wide when not a terminal, so that tables in files keep their width."""
    return _Stdout(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)


def print_lines(text: str) -> None:
    """Prints text unchanged: no markup, no colours, no line breaks added."""
    stdout().print(text, highlight=False, markup=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Prints an error on standard error, in one line."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
