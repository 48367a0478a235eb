"""Signals that end a run: schedulers and closing terminals send them."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["exit_on_signals"]


@contextlib.contextmanager
def exit_on_signals() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP, which schedulers and closing terminals send, into ``SystemExit``.

    A signal that has a handler already keeps it.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()
    free = [number for number in known if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in free:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in free:
            signal.signal(number, signal.SIG_DFL)
