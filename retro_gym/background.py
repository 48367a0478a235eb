"""Jobs that go on in a thread of their own while the caller does something else, such as sampling reflections."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from retro_gym.actors import Actor, ConcurrentActor
from retro_gym.scheduling import Ended, Job, JobPool
from retro_gym.task_env import TaskEnv, least_parallel

__all__ = ["BackgroundPool", "open_pool"]

_K = TypeVar("_K")
_T = TypeVar("_T")


def open_pool(actor: Actor, task_envs: Sequence[TaskEnv]) -> JobPool[_K, _T] | BackgroundPool[_K, _T]:
    """Returns a pool for jobs with an actor.

    With an actor that can have many calls in flight, and task environments that may be called in another thread, jobs
    go on in a thread of their own. Otherwise they go on while the caller waits for one: an actor that replies in
    batches may share its weights with what the caller does meanwhile.

    Args:
        actor: the actor of all jobs.
        task_envs: their task environments, which may limit how many jobs are in progress at once.
    """
    at_once = least_parallel(task_envs)
    apart = isinstance(actor, ConcurrentActor) and all(env.blocking or env.any_thread for env in task_envs)
    return BackgroundPool(at_once=at_once) if apart else JobPool(at_once=at_once)


class BackgroundPool(Generic[_K, _T]):
    """A :class:`~retro_gym.scheduling.JobPool` in a thread of its own.

    While a job is in it, its plan, its task environment and its statistics belong to that thread.

    Args:
        at_once: see :func:`~retro_gym.scheduling.run_jobs`.
    """

    def __init__(self, *, at_once: int | None = None) -> None:
        self._pool: JobPool[_K, _T] = JobPool(at_once=at_once)
        self._added: queue.SimpleQueue[tuple[_K, Job[_T]] | None] = queue.SimpleQueue()  # None: close
        self._ended: queue.SimpleQueue[Ended[_K, _T] | BaseException] = queue.SimpleQueue()
        self._under_way = 0
        # The thread knows nothing of this object, so that it ends when this is dropped without being closed.
        queues = self._pool, self._added, self._ended
        self._thread = threading.Thread(target=_serve, args=queues, name="jobs", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, _end, self._pool, self._added)

    def __len__(self) -> int:
        """Number of jobs whose results are still to come."""
        return self._under_way

    def add(self, key: _K, job: Job[_T]) -> None:
        """Adds a job, whose result comes with a key."""
        self._under_way += 1
        self._added.put((key, job))
        self._pool.wake()

    def wait(self) -> Ended[_K, _T]:
        """Returns the job that has ended first; waits for one if none has.

        Raises:
            LookupError: there is no job.
        """
        if not self._under_way:
            raise LookupError("there is no job in progress, so none can end.")
        return self._settled(self._ended.get())

    def take(self) -> Ended[_K, _T] | None:
        """Returns the job that has ended first, if any has."""
        try:
            return self._settled(self._ended.get_nowait())
        except queue.Empty:
            return None

    def close(self) -> None:
        """Cancels the calls in flight and ends the thread; the jobs do not end."""
        self._end()
        self._thread.join()

    def _settled(self, ended: Ended[_K, _T] | BaseException) -> Ended[_K, _T]:
        if isinstance(ended, BaseException):
            self._ended.put(ended)  # no job will ever end
            raise ended
        self._under_way -= 1
        return ended


_Added: TypeAlias = "queue.SimpleQueue[tuple[Any, Job[Any]] | None]"


def _end(pool: JobPool[Any, Any], added: _Added) -> None:
    added.put(None)
    pool.wake()


def _serve(pool: JobPool[Any, Any], added: _Added, ended: queue.SimpleQueue[Any]) -> None:
    """Adds to a pool what comes in, and hands on what ends, until None comes in."""
    try:
        while True:
            for item in _additions(pool, added):
                if item is None:
                    return
                pool.add(*item)
                del item  # it holds the plan, and so the caller's objects
            pool.go_on()
            while (one := pool.take()) is not None:
                ended.put(one)
    except BaseException as error:
        ended.put(error)
    finally:
        pool.close()


def _additions(pool: JobPool[Any, Any], added: _Added) -> Iterator[tuple[Any, Job[Any]] | None]:
    """Yields what was added; waits for it if there is nothing else to do."""
    if not len(pool):
        yield added.get()
    while not added.empty():
        yield added.get()
