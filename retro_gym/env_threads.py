"""A thread for each task environment that may have to wait, so that nobody else waits for it.

Every call of one instance runs in the same thread, since some libraries (browsers, databases) insist on that.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from retro_gym.task_env import TaskEnv

__all__ = ["close_env", "run_in_thread"]

_T = TypeVar("_T")
_CLOSING = 10.0  # seconds that closing may take: what hangs cannot be closed, and must not hold up the end of a run
_Calls = queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]

_threads: dict[tuple[int, int], _Calls] = {}
"""What the thread of an instance is to do, by process and identity: a forked process has none of the threads."""


def run_in_thread(env: TaskEnv, call: Callable[[], _T]) -> Future[_T]:
    """Makes a call of a task environment in the thread of that instance, behind the calls made before.

    Args:
        env: whose thread it is; it ends with the instance.
        call: what is called there.

    Returns:
        Gives what the call returns, or raises what it raises.
    """
    key = os.getpid(), id(env)
    calls = _threads.get(key)
    if calls is None:
        calls = _threads[key] = queue.SimpleQueue()
        weakref.finalize(env, _end, key)
        # A daemon, so that a call that never comes back does not keep the program from ending.
        threading.Thread(target=_serve, args=(calls,), name="task environment", daemon=True).start()
    future: Future[_T] = Future()
    calls.put((call, future))
    return future


def close_env(env: TaskEnv) -> None:
    """Closes a task environment, in its thread where it has one; one that hangs there is left to itself."""
    if (os.getpid(), id(env)) not in _threads:
        env.close()
        return
    future = run_in_thread(env, env.close)
    try:
        future.result(timeout=_CLOSING)
    except TimeoutError:
        if future.done():  # the environment's own error
            raise
        future.cancel()


def _serve(calls: _Calls) -> None:
    while (job := calls.get()) is not None:
        call, future = job
        if future.set_running_or_notify_cancel():
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
        del job, call, future  # which would keep the instance alive while the thread waits


def _end(key: tuple[int, int]) -> None:
    calls = _threads.pop(key, None)
    if calls is not None and key[0] == os.getpid():
        calls.put(None)
