"""A thread for each blocking task environment, so that other trials need not wait for it.

All calls of one instance run in the same thread, since some libraries (browsers, databases) require that.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from retro_gym.errors import RetroGymError

if TYPE_CHECKING:
    from retro_gym.task_env import TaskEnv

__all__ = ["close_envs", "give_up", "hangs", "run_in_thread"]

_T = TypeVar("_T")
_CLOSING = 10.0  # seconds that closing may take, so that an environment that hangs does not delay the end of a run
_HINT = (
    "The environment was called in a thread of its own, since blocking is True. If it can only be called in the thread "
    "that made it, set blocking = False on it, or give retro_gym.wrap(make, blocking=False)."
)


class _EnvThread:
    """The thread of one instance."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self.given_up: Future[Any] | None = None
        """A call that timed out."""
        # A daemon, so that a call that never returns does not prevent the program from exiting.
        threading.Thread(target=_serve, args=(self.calls,), name="task environment", daemon=True).start()


_threads: dict[tuple[int, int], _EnvThread] = {}
"""Keyed by process and identity of the instance, since a forked process inherits no threads."""


def run_in_thread(env: TaskEnv, call: Callable[[], _T]) -> Future[_T]:
    """Runs a call of a task environment in that instance's thread, after all earlier calls.

    Args:
        env: the instance; its thread ends when it is garbage-collected.
        call: the call to run.

    Returns:
        A future with the result or the exception of the call.
    """
    key = os.getpid(), id(env)
    thread = _threads.get(key)
    if thread is None:
        thread = _threads[key] = _EnvThread()
        weakref.finalize(env, _end, key)
    future: Future[_T] = Future()
    thread.calls.put((call, future))
    return future


def give_up(env: TaskEnv, future: Future[Any]) -> None:
    """Cancels a call, or marks it as abandoned if it is already running."""
    if not future.cancel() and not hangs(env):
        _threads[os.getpid(), id(env)].given_up = future


def hangs(env: TaskEnv) -> bool:
    """Whether an abandoned call is still running, so that the instance cannot be used."""
    thread = _threads.get((os.getpid(), id(env)))
    return thread is not None and thread.given_up is not None and not thread.given_up.done()


def close_envs(envs: Iterable[TaskEnv]) -> None:
    """Closes task environments, each in its thread if it has one. Does not wait for those that hang.

    Raises:
        Exception: the first exception that closing raised; all others have been closed.
    """
    closing = []
    errors: list[BaseException] = []
    for env in envs:
        if (os.getpid(), id(env)) in _threads:
            future = run_in_thread(env, env.close)
            closing += [] if hangs(env) else [future]
            continue
        try:
            env.close()
        except Exception as error:
            errors.append(error)
    done, _ = wait(closing, timeout=_CLOSING)
    errors += [raised for future in done if (raised := future.exception()) is not None]
    if errors:
        raise errors[0]


def _serve(calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]) -> None:
    while (job := calls.get()) is not None:
        call, future = job
        if future.set_running_or_notify_cancel():
            try:
                result = call()
            except BaseException as error:
                if not isinstance(error, RetroGymError):
                    error.add_note(_HINT)
                future.set_exception(error)
            else:
                future.set_result(result)
        del job, call, future  # these references would keep the instance alive while the thread waits


def _end(key: tuple[int, int]) -> None:
    thread = _threads.pop(key, None)
    if thread is not None and key[0] == os.getpid():
        thread.calls.put(None)
