"""When a process that serves others ends: with its standard input, or by a signal."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading

__all__ = ["end_by_signal", "has_input", "wait_for_the_end"]

_CHUNK = 65_536  # bytes


def has_input() -> bool:
    """Whether standard input is open and can end: a pipe, a socket or a terminal. To be asked before others are served.

    A process that was started without an input (by nohup, as a service, in a container) has one that is closed from the
    beginning, or a device such as ``/dev/null``, whose end says nothing.
    """
    try:
        number = sys.stdin.fileno()
        mode, terminal = os.fstat(number).st_mode, os.isatty(number)
        if not (terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) or _in_background(number):
            return False
        return not select.select([number], [], [], 0)[0] or bool(os.read(number, _CHUNK))
    except (AttributeError, OSError, ValueError):  # it is None, closed, or cannot be read
        return False


def end_by_signal(who: str) -> None:
    """Lets SIGTERM and SIGINT end the process without an error, and say so. Must be called in the main thread.

    Args:
        who: what ends, for the message.
    """

    def end(number: int, _: object) -> None:
        _say(f"{who} ends: {signal.Signals(number).name}")
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def wait_for_the_end(who: str, *, of_input: bool) -> None:
    """Returns at the end of standard input, and says so; without one it waits for a signal.

    Args:
        who: what ends, for the message.
        of_input: what :func:`has_input` said.
    """
    if of_input:
        number = sys.stdin.fileno()
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in a terminal's background a read is to fail, not to stop us
        try:
            while os.read(number, _CHUNK):
                pass
        except OSError:  # the terminal is gone, or belongs to others now
            of_input = not _in_background(number)
    if of_input:
        _say(f"{who} ends: its standard input has ended")
    else:
        _say(f"{who} has no standard input to end with: SIGTERM or SIGINT ends it")
        threading.Event().wait()


def _in_background(number: int) -> bool:
    """Whether a file is the terminal of this process and another job is the one that reads from it."""
    try:
        return os.tcgetpgrp(number) != os.getpgrp()
    except OSError:  # no terminal, or not ours
        return False


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
