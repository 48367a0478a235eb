"""Pools of processes that end with the process that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection, get_context, parent_process

__all__ = ["process_pool"]


def process_pool(processes: int, begin: Callable[[], None] | None = None) -> ProcessPoolExecutor:
    """Returns a pool of new processes; each calls ``begin`` first, which must be picklable.

    A script that uses it must guard its beginning with ``if __name__ == "__main__":``, since each process imports it.
    """
    context = get_context("spawn")  # a fork of a process with threads may hang
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(begin,))


def _begin(begin: Callable[[], None] | None) -> None:
    _end_with_parent()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """Ends this process when its parent is killed; it would wait for orders for ever."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
