"""Ends a server process at the end of its standard input, or by a signal."""

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
    """Whether standard input is open and can end: a pipe, a socket or a terminal. Must be called before serving.

    The standard input of a process that was started without one (by nohup, as a service, in a container) is closed from
    the start, or a device such as ``/dev/null``, whose end is meaningless.
    """
    try:
        number = sys.stdin.fileno()
        mode, terminal = os.fstat(number).st_mode, os.isatty(number)
        if not (terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) or _in_background(number):
            return False
        return not select.select([number], [], [], 0)[0] or bool(os.read(number, _CHUNK))
    except (AttributeError, OSError, ValueError):  # stdin is None, closed or unreadable
        return False


def end_by_signal(who: str) -> None:
    """Makes SIGTERM and SIGINT end the process with a message and exit status 0. Must be called in the main thread.

    Args:
        who: name of the process, for the message.
    """

    def end(number: int, _: object) -> None:
        _say(f"{who} ends: {signal.Signals(number).name}")
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def wait_for_the_end(who: str, *, of_input: bool) -> None:
    """Returns at the end of standard input, with a message; if there is none, waits for a signal.

    Args:
        who: name of the process, for the message.
        of_input: the result of :func:`has_input`.
    """
    if of_input:
        number = sys.stdin.fileno()
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # a read by a background job then fails instead of stopping it
        try:
            while os.read(number, _CHUNK):
                pass
        except OSError:  # the terminal is gone, or another job is in the foreground
            of_input = not _in_background(number)
    if of_input:
        _say(f"{who} ends: its standard input has ended")
    else:
        _say(f"{who} has no standard input: SIGTERM or SIGINT ends it")
        threading.Event().wait()


def _in_background(number: int) -> bool:
    """Whether a file is the terminal of this process and another job is in the foreground."""
    try:
        return os.tcgetpgrp(number) != os.getpgrp()
    except OSError:  # no terminal, or not ours
        return False


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
