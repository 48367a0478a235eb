"""Concurrent calls to OpenAI-compatible servers: an event loop in a thread, several endpoints, retries."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from retro_gym.actors.base import Reply
from retro_gym.actors.budget import Budget
from retro_gym.actors.openai.endpoint import Endpoint
from retro_gym.actors.openai.errors import failed_status
from retro_gym.actors.openai.replies import read_reply
from retro_gym.actors.openai.wire import Failure, Request
from retro_gym.actors.secrets import hidden
from retro_gym.errors import ActorError, MissingExtraError
from retro_gym.prompts import Prompt

if TYPE_CHECKING:
    import tenacity

__all__ = ["Connection", "Limits"]

_AVOIDED = 5.0  # seconds for which an endpoint is not used after a failed connection
_DOUBLINGS = 4  # of the wait between attempts


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits on the duration and the number of concurrent calls. Times are in seconds."""

    timeout: float
    """For one attempt."""
    patience: float
    """For one call, all attempts included."""
    retry_wait: float
    """Before the second attempt; doubled before each further one."""
    max_in_flight: int
    """Further calls are queued."""


class Connection:
    """The event loop, thread and HTTP clients of an actor. Must be closed; cannot be copied or used after a fork.

    Args:
        request: the parameters that all requests share.
        limits: limits of time and of calls in flight.
        urls: base URLs of the endpoints; None is the OpenAI API.
        key: sent as bearer token; None where the endpoints need none.
        key_env: environment variable that holds the key, for messages.
        budget: reserved from before every request.

    Raises:
        MissingExtraError: openai, aiohttp or tenacity is not installed.
    """

    def __init__(
        self,
        request: Request,
        limits: Limits,
        urls: Sequence[str | None],
        key: str | None,
        key_env: str,
        budget: Budget,
    ) -> None:
        try:
            import aiohttp
            import httpx2
            import openai  # noqa: F401 - for the endpoints
            import tenacity
        except ImportError as error:
            raise MissingExtraError(error.name or "openai", "openai") from error
        self._aiohttp, self._httpx2, self._tenacity = aiohttp, httpx2, tenacity
        self._request, self._limits, self._budget = request, limits, budget
        self._key_env = key_env
        self._unreachable = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        trusted = httpx2.create_ssl_context()  # shared by all endpoints: creating one takes tens of milliseconds
        self._endpoints = [Endpoint(url, request.path, key, trusted, limits.max_in_flight) for url in urls]
        self._secrets = [secret for endpoint in self._endpoints for secret in endpoint.secrets]
        self._asked: deque[tuple[Prompt, Future[Reply | ActorError]]] = deque()
        self._woken = False
        self._room = asyncio.Semaphore(limits.max_in_flight)
        self._jitter = random.Random()  # a generator of its own, so that the global one that users seed is not advanced
        self._last_answer = 0.0
        self._dead = False  # whether a call has used up its patience while no other call succeeded
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="openai actor", daemon=True)
        self._thread.start()

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Sends one prompt and returns at once."""
        future: Future[Reply | ActorError] = Future()
        self._asked.append((prompt, future))
        if not self._woken:  # one wake-up for all prompts queued before the loop runs: each costs a thread switch
            self._woken = True
            self._loop.call_soon_threadsafe(self._begin)
        return future

    def close(self) -> None:
        """Cancels the calls in flight and closes all connections. Can be called repeatedly and from any thread."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:  # garbage collection may run in any thread
            self._thread.join()

    def _run(self) -> None:
        loop = self._loop
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._shut())
            loop.close()

    async def _shut(self) -> None:
        self._begin()
        await asyncio.sleep(0)  # starts the tasks that were just submitted, so that cancelling them yields a result
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in self._endpoints:
            await endpoint.close()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    # -- one call, in the loop's thread ----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Starts all queued calls. The flag is cleared first, so that no prompt queued meanwhile is missed."""
        self._woken = False
        while self._asked:
            prompt, future = self._asked.popleft()
            task = self._loop.create_task(self._answer(prompt))
            task.add_done_callback(functools.partial(_hand_over, future))
            future.add_done_callback(functools.partial(self._give_up, task))

    def _give_up(self, task: asyncio.Task[Reply | ActorError], future: Future[Reply | ActorError]) -> None:
        """Cancels the task of a future that was cancelled; may run in any thread."""
        if future.cancelled() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(task.cancel)

    async def _answer(self, prompt: Prompt) -> Reply | ActorError:
        try:
            async with self._room:
                single = self._dead
                return await self._call(_Call(self._request.body(prompt), prompt.stop, self._loop.time(), single))
        except asyncio.CancelledError:
            if not self._closing:
                raise
            return ActorError("the actor was closed while this call was under way.")

    async def _call(self, call: _Call) -> Reply | ActorError:
        try:
            try:
                return await self._attempt(call)  # nearly all calls end here; setting up tenacity takes 0.1 ms
            except _AttemptError as error:
                call.first = error
            return await self._retried(call)
        except _AttemptError as error:
            failure = call.failure or error.failure
        except ActorError as error:
            return error.with_traceback(None)  # the frames would keep the request alive
        return self._given_up(call, failure)

    async def _retried(self, call: _Call) -> Reply:
        """Makes further attempts; the failure of the first one is replayed to tenacity."""
        # One object per call, since tenacity stores the state of an attempt in it.
        retrying = self._tenacity.AsyncRetrying(
            retry=self._tenacity.retry_if_exception_type(_AttemptError),
            wait=self._wait,
            stop=self._enough,
            sleep=asyncio.sleep,
            reraise=True,
        )
        reply: Reply = await retrying(self._attempt, call)
        return reply

    async def _attempt(self, call: _Call) -> Reply:
        if call.first is not None:
            error, call.first = call.first, None
            raise error
        call.attempts += 1
        endpoint = self._choose()
        bare = self._request.without_stop(call.body)
        result = await self._ask(endpoint, call, bare if bare and not endpoint.takes_stop else call.body)
        if isinstance(result, Failure) and result.silenced and bare and endpoint.takes_stop and not call.alike:
            # The stop texts may have ended the reasoning, visible or not: some servers apply them to it as well.
            result = await self._ask(endpoint, call, bare)
            if isinstance(result, Reply):
                endpoint.takes_stop = False
        if isinstance(result, Reply):
            self._last_answer, self._dead = self._loop.time(), False
            return result
        call.alike = call.alike + 1 if result.final is not None else 0
        if result.final is not None and call.alike >= result.final_after:
            self._last_answer, self._dead = self._loop.time(), False
            raise result.final
        result = dataclasses.replace(result, said=f"{endpoint.shown}: {result.said}")
        if call.failure is None or not result.hurried:
            call.failure = result
        raise _AttemptError(result)

    async def _ask(self, endpoint: Endpoint, call: _Call, body: dict[str, Any]) -> Reply | Failure:
        """Sends one request, within the budget."""
        left = call.started + self._limits.patience - self._loop.time()
        self._budget.reserve()
        try:
            result = await self._send(endpoint, body, call.stop, max(min(self._limits.timeout, left), 0.001))
        except BaseException:
            self._budget.settle()
            raise
        if isinstance(result, Failure) and result.unreachable:
            self._budget.release()
        else:
            self._budget.settle(result.prompt_tokens, result.completion_tokens)
        return result

    async def _send(
        self, endpoint: Endpoint, body: dict[str, Any], stop: tuple[str, ...], seconds: float
    ) -> Reply | Failure:
        """Sends one request. Returns failures as values, so that no exception carries the request's headers."""
        endpoint.in_flight += 1
        endpoint.served += 1
        try:
            async with asyncio.timeout(seconds):
                response = await endpoint.post(body)
        except TimeoutError:
            return Failure(f"no reply within {seconds:.3g} s", hurried=seconds < self._limits.timeout)
        except (self._httpx2.InvalidURL, self._httpx2.UnsupportedProtocol) as error:
            said = self._clean(str(error))
            return Failure(said, final=ActorError(f"{endpoint.shown} cannot be asked: {said}. Correct base_url."))
        except (self._httpx2.HTTPError, self._aiohttp.ClientError, OSError) as error:
            causes = list(_causes(error))
            said = self._clean(str(causes[-1])) or type(causes[-1]).__name__
            if not any(isinstance(cause, self._unreachable) for cause in causes):
                return Failure(f"connection lost: {said}")
            endpoint.down_until = self._loop.time() + _AVOIDED
            return Failure(f"no connection: {said}", unreachable=True)
        finally:
            endpoint.in_flight -= 1
        endpoint.down_until = 0.0
        headers, content, key = response.headers, response.content, self._key_env
        if response.is_success:
            return read_reply(content, self._request, stop, headers=headers, key_env=key, clean=self._clean)
        return failed_status(response.status_code, headers, content, self._request, key, self._clean)

    def _choose(self) -> Endpoint:
        """Returns the endpoint with the fewest calls in flight; one that is down is probed by one call at times."""
        now = self._loop.time()
        for endpoint in self._endpoints:
            if 0 < endpoint.down_until <= now:
                endpoint.down_until = now + _AVOIDED
                return endpoint
        up = [endpoint for endpoint in self._endpoints if not endpoint.down_until]
        if not up:
            return min(self._endpoints, key=lambda endpoint: endpoint.down_until)
        return min(up, key=lambda endpoint: (endpoint.in_flight, endpoint.served))

    # -- retries ---------------------------------------------------------------------------------------------------

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Returns the back-off in seconds: exponential with jitter, and at least what the server asks for."""
        error = state.outcome.exception() if state.outcome else None
        failure = error.failure if isinstance(error, _AttemptError) else Failure("")
        call: _Call = state.args[0]
        if call.single or (failure.unreachable and any(not endpoint.down_until for endpoint in self._endpoints)):
            return 0.0  # the next endpoint is tried at once
        growth = 1 << min(state.attempt_number - 1, _DOUBLINGS)
        wait = self._limits.retry_wait * growth * self._jitter.uniform(0.5, 1.0)
        return wait if failure.after is None else max(wait, failure.after)

    def _enough(self, state: tenacity.RetryCallState) -> bool:
        """Whether to stop retrying: only one attempt per endpoint is allowed, or too little time would be left."""
        call: _Call = state.args[0]
        if call.single and call.attempts >= len(self._endpoints):
            return True
        needed = min(self._limits.timeout, self._limits.patience / 10)
        return self._loop.time() + state.upcoming_sleep + needed > call.started + self._limits.patience

    def _given_up(self, call: _Call, failure: Failure) -> ActorError:
        if not call.single and self._last_answer < call.started:
            self._dead = True
        tried = f"{call.attempts} attempt{'s' if call.attempts > 1 else ''} within {self._limits.patience:.4g} s"
        if call.single:
            tried = "one attempt at each (no retries until a call succeeds, since an earlier one used up its patience)"
        if failure.after is not None and failure.after > self._limits.patience:
            remedy = f"The server asks to wait {failure.after:.4g} s: raise patience beyond that, or resume later."
        elif failure.unreachable:
            remedy = "Start the server, or correct base_url; patience is how long a call waits for it."
        else:
            remedy = "Check the server's log; raise timeout or patience, or lower max_in_flight, if it is overloaded."
        urls = ", ".join(endpoint.shown for endpoint in self._endpoints)
        return ActorError(f"no reply from {urls} in {tried}. The last one: {failure.said}. {remedy}")

    def _clean(self, said: str) -> str:
        """Returns a server's text with the key and the login masked, in case it repeats them."""
        return hidden(said, self._secrets)


def _hand_over(future: Future[Reply | ActorError], task: asyncio.Task[Reply | ActorError]) -> None:
    if task.cancelled():
        future.cancel()
    if not future.set_running_or_notify_cancel():
        return
    error = task.exception()
    if error is None:
        future.set_result(task.result())
    else:
        future.set_exception(error)


@dataclasses.dataclass(eq=False)
class _Call:
    """The state of one call, until it is answered or given up."""

    body: dict[str, Any]
    stop: tuple[str, ...]
    started: float
    single: bool
    """Whether only one attempt per endpoint is made."""
    attempts: int = 0
    alike: int = 0
    """Consecutive attempts that gave an unusable reply."""
    failure: Failure | None = None
    """The last failure that says something about the server."""
    first: _AttemptError | None = None
    """The failure of the first attempt, until it has been replayed to tenacity."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and its chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


class _AttemptError(Exception):
    """An attempt failed; a retry may succeed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.said)
        self.failure = failure
