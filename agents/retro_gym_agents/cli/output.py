"""Where the commands of ``retro-gym`` write: results to standard output, errors to standard error."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console

__all__ = ["open_streams", "print_error", "print_lines", "stdout"]

WIDTH = 140  # columns, where the output goes to a file and has no width of its own

_BROKEN_PIPE = 141  # as a shell says of a program that SIGPIPE has ended


class _Stdout(Console):
    """Standard output that ends the program quietly when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has to go somewhere
        raise SystemExit(_BROKEN_PIPE)


def open_streams() -> None:
    """Makes standard output and error safe to write to: closed ones go nowhere, and no character is an error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the rest of the process
        elif isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # Windows' code pages hold no minus sign and no beta


def stdout() -> Console:
    """Standard output; wide where it is no terminal, so that no table is squeezed in a file."""
    return _Stdout(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)


def print_lines(text: str) -> None:
    """Prints lines as they are: no markup, no colours, no breaks."""
    stdout().print(text, highlight=False, markup=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Prints an error on standard error, in one line."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
