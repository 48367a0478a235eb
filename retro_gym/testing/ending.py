"""When a process that serves others ends: with its standard input, or by a signal."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading

__all__ = ["end_by_signal", "wait_for_the_end"]


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


def wait_for_the_end(who: str) -> None:
    """Returns at the end of standard input, and says so; without an input it waits for a signal.

    Only a pipe, a socket or a terminal that was open can end. A process that was started without an input (by nohup, as
    a service, in a container) has one that is closed from the beginning, or a device such as ``/dev/null``, which says
    nothing by its end.

    Args:
        who: what ends, for the message.
    """
    if _input_ended():
        _say(f"{who} ends: its standard input has ended")
    else:
        _say(f"{who} has no standard input to end with: SIGTERM or SIGINT ends it")
        threading.Event().wait()


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _input_ended() -> bool:
    """Waits for standard input to end; False at once where there is none that could."""
    try:
        number = sys.stdin.fileno()
        mode, terminal = os.fstat(number).st_mode, os.isatty(number)
        if not (terminal or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            return False
        if terminal:
            signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background, a read is to fail, not to stop us
        was_open = not select.select([number], [], [], 0)[0]
        while os.read(number, 65_536):
            was_open = True
        return was_open
    except (AttributeError, OSError, ValueError):  # it is None, closed, or cannot be read
        return False
