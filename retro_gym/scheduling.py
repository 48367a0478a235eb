"""Concurrent trials: no trial ever waits for the turn of another one.

A *plan* is a generator that yields trials and resumes when all of them have been played: an episode's reset, step or
branch. Any number of plans run concurrently. The prompts of all their trials are pooled: an actor that replies in
batches gets the next full batch as soon as the last one is done; an actor that can have many calls in flight
(:class:`retro_gym.actors.ConcurrentActor`) is called at once, and a trial resumes as soon as its own call is answered.
A blocking task environment is called in a thread of its own, any other one directly. The order of the answers does not
affect the results, since plans and trials share no state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, cast

from retro_gym.actors import Actor, ConcurrentActor, Reply, reply_all, reply_of
from retro_gym.env_threads import give_up, run_in_thread
from retro_gym.errors import ActorError, CutReplyError
from retro_gym.prompts import Prompt
from retro_gym.trajectory import Trajectory
from retro_gym.trial import EnvCall, OverdueError, Trial

__all__ = ["ActorStats", "Ended", "Job", "JobPool", "Plan", "run_jobs", "run_trials"]

_GATHERING = 0.005  # seconds: short compared with a model's batch, and enough for environments that step together

_K = TypeVar("_K")
_T = TypeVar("_T")
Plan: TypeAlias = Generator[Sequence[Trial], list[Trajectory], _T]
"""Yields trials, receives their trajectories in the same order, and finally returns its result."""


@dataclasses.dataclass
class ActorStats:
    """The actor's cost so far. Not part of ``info``, which must be identical in all runs with one seed."""

    trials: int = 0
    calls: int = 0
    errors: int = 0
    cut: int = 0
    """Replies that were truncated at their token limit, including unusable ones."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Wall-clock time spent waiting for replies; the time of a batch is divided among its calls."""


@dataclasses.dataclass(frozen=True)
class Job(Generic[_T]):
    """A plan, the actor that plays its trials, and the statistics that its costs are added to."""

    plan: Plan[_T]
    actor: Actor
    stats: ActorStats


def run_trials(trials: Sequence[Trial], actor: Actor, stats: ActorStats) -> list[Trajectory]:
    """Plays trials concurrently to their ends.

    Returns:
        The trajectories, in the order of the trials.
    """

    def plan() -> Plan[list[Trajectory]]:
        return (yield trials)

    return run_jobs([Job(plan(), actor, stats)])[0]


def run_jobs(jobs: Sequence[Job[_T]], *, at_once: int | None = None) -> list[_T]:
    """Runs plans concurrently, each to its end.

    Args:
        jobs: the plans.
        at_once: largest number of jobs in progress; the others wait until one has ended. None for no limit.

    Returns:
        Their results, in the order of the jobs.

    Raises:
        Exception: any exception of a plan, a task environment or an actor except an ``ActorError`` of one call; calls
            that are in flight at that time are cancelled.
    """
    pool: JobPool[int, _T] = JobPool(at_once=at_once)
    try:
        for number, job in enumerate(jobs):
            pool.add(number, job)
        ended = [pool.wait() for _ in jobs]
        return [one.result() for one in sorted(ended, key=lambda one: one.key)]
    finally:
        pool.close()


class JobPool(Generic[_K, _T]):
    """Jobs in progress, to which others may be added at any time. They go on while :meth:`wait` waits for one to end.

    Args:
        at_once: see :func:`run_jobs`.
    """

    def __init__(self, *, at_once: int | None = None) -> None:
        self._desk = _Desk()
        self._free = math.inf if at_once is None else at_once
        self._waiting: deque[tuple[_K, Job[_T]]] = deque()
        self._running: dict[_Running[_T], _K] = {}
        self._ended: deque[Ended[_K, _T]] = deque()

    def __len__(self) -> int:
        """Number of jobs whose results are still to come."""
        return len(self._waiting) + len(self._running) + len(self._ended)

    def add(self, key: _K, job: Job[_T]) -> None:
        """Adds a job, whose result comes with a key; it starts at once, unless too many are in progress."""
        self._waiting.append((key, job))
        self._start()

    def wait(self) -> Ended[_K, _T]:
        """Returns the job that has ended first; waits for one if none has.

        Raises:
            LookupError: there is no job.
        """
        while (ended := self.take()) is None:
            if not len(self):
                raise LookupError("there is no job in progress, so none can end.")
            self.go_on()
        return ended

    def take(self) -> Ended[_K, _T] | None:
        """Returns the job that has ended first, if any has."""
        return self._ended.popleft() if self._ended else None

    def go_on(self) -> None:
        """Waits for the next answers and hands them to their jobs; returns at once if no call is under way."""
        for call, answer in self._desk.answers():
            call.job.receive(call, answer)
            self._settle(call.job)
        self._start()

    def wake(self) -> None:
        """Lets :meth:`go_on` return without an answer. May be called in another thread."""
        self._desk.wake()

    def close(self) -> None:
        """Cancels the calls in flight; their jobs do not end."""
        self._desk.close()

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._free:
            key, job = self._waiting.popleft()
            running = _Running(job, self._desk)
            self._running[running] = key
            running.begin()
            self._settle(running)

    def _settle(self, running: _Running[_T]) -> None:
        if running.ended and running in self._running:
            self._ended.append(Ended(self._running.pop(running), running.value, running.error))


@dataclasses.dataclass(frozen=True)
class Ended(Generic[_K, _T]):
    """A job that has ended."""

    key: _K
    value: _T | None
    error: Exception | None

    def result(self) -> _T:
        """Returns what the plan has returned.

        Raises:
            Exception: what has ended it instead.
        """
        if self.error is not None:
            raise self.error
        return cast(_T, self.value)


class _Running(Generic[_T]):
    """The state of a running job."""

    def __init__(self, job: Job[_T], desk: _Desk) -> None:
        self.stats = job.stats
        self.ended = False
        self.value: _T | None = None
        self.error: Exception | None = None
        self._plan, self._actor, self._desk = job.plan, job.actor, desk
        self._trials: Sequence[Trial] = ()
        self._played: dict[int, Trajectory] = {}

    def begin(self) -> None:
        """Starts the plan."""
        with self._noting_errors():
            self._go_on(None)

    def receive(self, call: _Call, answer: Any) -> None:
        """Handles the answer to one of its calls; for a task environment it may be an exception."""
        if self.ended:  # by an error in another one of its trials
            return
        with self._noting_errors():
            trial = self._trials[call.trial]
            if isinstance(call.request, Prompt):
                self._note(call, answer)
                self._advance(call.trial, partial(trial.send, answer))
            elif isinstance(answer, _Raised):
                self._advance(call.trial, partial(trial.throw, answer.error))
            else:
                self._advance(call.trial, partial(trial.send, answer))
            if len(self._played) == len(self._trials):
                self._go_on(self._in_order())

    @contextlib.contextmanager
    def _noting_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error, self.ended = error, True

    def _go_on(self, played: list[Trajectory] | None) -> None:
        """Sends trajectories to the plan (None starts it) and starts the trials that it yields next."""
        while True:
            try:
                self._trials = next(self._plan) if played is None else self._plan.send(played)
            except StopIteration as stop:
                self.value, self.ended = stop.value, True
                return
            self._played = {}
            self.stats.trials += len(self._trials)
            for index in range(len(self._trials)):
                self._advance(index, partial(next, self._trials[index]))
            if len(self._played) < len(self._trials):
                return
            played = self._in_order()

    def _note(self, call: _Call, reply: Reply | ActorError) -> None:
        self.stats.calls += 1
        self.stats.seconds += call.seconds
        if isinstance(reply, ActorError):
            self.stats.errors += 1
            self.stats.cut += isinstance(reply, CutReplyError)
        else:
            self.stats.cut += reply.cut
        self.stats.prompt_tokens += reply.prompt_tokens
        self.stats.completion_tokens += reply.completion_tokens

    def _advance(self, index: int, move: Callable[[], Prompt | EnvCall]) -> None:
        try:
            request = move()
        except StopIteration as stop:
            self._played[index] = stop.value
        else:
            self._desk.ask(self._actor, _Call(self, index, request))

    def _in_order(self) -> list[Trajectory]:
        return [self._played[index] for index in range(len(self._trials))]


@dataclasses.dataclass(eq=False)
class _Call:
    """One prompt for an actor, or one call of a task environment."""

    job: _Running[Any]
    trial: int
    request: Prompt | EnvCall
    seconds: float = 0.0
    """Time spent waiting for the reply; set when it arrives."""


@dataclasses.dataclass(frozen=True)
class _Raised:
    """An exception that a task environment raised in its thread."""

    error: BaseException


class _Desk:
    """Dispatches calls to actors and task environments, and yields the answers in the order of arrival."""

    def __init__(self) -> None:
        self._submits: dict[int, bool] = {}  # whether an actor is concurrent; cached because the check is slow
        self._waiting: dict[int, tuple[Actor, deque[_Call]]] = {}
        self._in_flight: dict[Future[Any], _Call] = {}
        self._limited: dict[Future[Any], float] = {}  # the deadlines of calls in flight, if they have one
        self._done: queue.SimpleQueue[Future[Any] | None] = queue.SimpleQueue()  # None: wake up

    def ask(self, actor: Actor, call: _Call) -> None:
        request = call.request
        if isinstance(request, EnvCall):
            future = run_in_thread(request.env, request.call)
            if request.deadline is not None:
                self._limited[future] = request.deadline
            self._send(future, call)
            return
        if id(actor) not in self._submits:
            self._submits[id(actor)] = isinstance(actor, ConcurrentActor)
        if self._submits[id(actor)]:
            self._send(cast(ConcurrentActor, actor).submit(request), call)
        else:
            self._waiting.setdefault(id(actor), (actor, deque()))[1].append(call)

    def answers(self) -> Iterator[tuple[_Call, Any]]:
        """Waits for the next answer, or for a batch of them; yields none if no call is waiting or in flight."""
        batch = next((waiting for waiting in self._waiting.values() if waiting[1]), None)
        if batch is None and not self._in_flight:
            return
        found = list(self._arrived(None if batch is None else self._gathering(*batch)))
        yield from found if found or batch is None else self._next_batch(*batch)

    def wake(self) -> None:
        """Ends the wait for an answer. May be called in another thread."""
        self._done.put(None)

    def _gathering(self, actor: Actor, waiting: Sequence[_Call]) -> float:
        """Returns the seconds for which a batch is held back, since running task environments may fill it."""
        full = len(waiting) >= (getattr(actor, "batch_size", None) or math.inf)
        coming = not full and any(isinstance(call.request, EnvCall) for call in self._in_flight.values())
        return _GATHERING if coming else 0.0

    def close(self) -> None:
        """Cancels the calls in flight."""
        for future in self._in_flight:
            future.cancel()

    def _send(self, future: Future[Any], call: _Call) -> None:
        self._in_flight[future] = call
        future.add_done_callback(self._done.put)

    def _arrived(self, patience: float | None) -> Iterator[tuple[_Call, Any]]:
        """Yields the next answer within ``patience`` seconds (None: no limit), or the calls that are overdue."""
        if not self._in_flight:
            return
        start = time.perf_counter()
        overdue = min(self._limited.values(), default=math.inf) - time.monotonic()
        wait = min(overdue, math.inf if patience is None else patience)
        try:
            future = self._done.get(timeout=None if wait == math.inf else max(0.0, wait))
        except queue.Empty:
            now = time.monotonic()
            for future in [one for one, deadline in self._limited.items() if deadline <= now]:
                del self._limited[future]
                call = self._in_flight.pop(future)
                give_up(cast(EnvCall, call.request).env, future)
                yield call, _Raised(OverdueError())
            return
        if future is None:
            return
        self._limited.pop(future, None)
        if future in self._in_flight:  # it was not given up before
            call = self._in_flight.pop(future)
            call.seconds = time.perf_counter() - start
            yield call, _outcome_of(future, call)

    def _next_batch(self, actor: Actor, waiting: deque[_Call]) -> Iterator[tuple[_Call, Reply | ActorError]]:
        size = getattr(actor, "batch_size", None) or len(waiting)
        calls = [waiting.popleft() for _ in range(min(size, len(waiting)))]
        start = time.perf_counter()
        replies = reply_all(actor, [cast(Prompt, call.request) for call in calls])
        seconds = (time.perf_counter() - start) / len(calls)
        for call, reply in zip(calls, replies, strict=True):
            call.seconds = seconds
            yield call, reply


def _outcome_of(future: Future[Any], call: _Call) -> Any:
    """Returns a reply or an ``ActorError``; or what a task environment returned or raised."""
    if isinstance(call.request, EnvCall):
        error = future.exception()
        return future.result() if error is None else _Raised(error)
    try:
        return reply_of(future.result())
    except ActorError as error:
        return error
