"""Calls in flight to OpenAI-compatible servers: an event loop in a thread, several endpoints, retries with patience."""

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

_AVOIDED = 5.0  # seconds for which an endpoint that could not be connected to is left alone
_DOUBLINGS = 4  # of the wait between attempts


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long calls may take, and how many are in flight. Times are in seconds."""

    timeout: float
    """For one attempt."""
    patience: float
    """For one call in all, from its first attempt on."""
    retry_wait: float
    """Before the second attempt; twice as long before each further one."""
    max_in_flight: int
    """Further calls wait for their turn."""


class Connection:
    """What an actor opens at its first call. Must be closed; no copy and no forked process can use it.

    Args:
        request: the parameters that all requests have in common.
        limits: of time and of calls in flight.
        urls: of the endpoints; None is OpenAI's own.
        key: sent as bearer token; None where the endpoints need none.
        key_env: where the key came from, for messages.
        budget: asked before every request.

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
        trusted = httpx2.create_ssl_context()  # one for all, since it takes tens of milliseconds to make
        self._endpoints = [Endpoint(url, request.path, key, trusted, limits.max_in_flight) for url in urls]
        self._secrets = [secret for endpoint in self._endpoints for secret in endpoint.secrets]
        self._asked: deque[tuple[Prompt, Future[Reply | ActorError]]] = deque()
        self._woken = False
        self._room = asyncio.Semaphore(limits.max_in_flight)
        self._jitter = random.Random()  # its own: what users seed stays as they left it
        self._last_answer = 0.0
        self._dead = False  # whether a call has waited its whole patience while nobody's call got through
        self._closing = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="openai actor", daemon=True)
        self._thread.start()

    def submit(self, prompt: Prompt) -> Future[Reply | ActorError]:
        """Sends one prompt and returns at once."""
        future: Future[Reply | ActorError] = Future()
        self._asked.append((prompt, future))
        if not self._woken:  # one wake-up for all that is asked before the loop looks: each costs both threads a switch
            self._woken = True
            self._loop.call_soon_threadsafe(self._begin)
        return future

    def close(self) -> None:
        """Gives up what is in flight and closes everything. May be called again, and from any thread."""
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
        await asyncio.sleep(0)  # what has just been submitted begins, and can say how it ended
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
        """Starts what was asked. The flag falls first, so that nothing asked meanwhile is left behind."""
        self._woken = False
        while self._asked:
            prompt, future = self._asked.popleft()
            task = self._loop.create_task(self._answer(prompt))
            task.add_done_callback(functools.partial(_hand_over, future))
            future.add_done_callback(functools.partial(self._give_up, task))

    def _give_up(self, task: asyncio.Task[Reply | ActorError], future: Future[Reply | ActorError]) -> None:
        """Ends the work for a future that was cancelled, from whatever thread."""
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
                return await self._attempt(call)  # nearly all calls end here; getting ready to try again takes 0.1 ms
            except _AttemptError as error:
                call.first = error
            return await self._retried(call)
        except _AttemptError as error:
            failure = call.failure or error.failure
        except ActorError as error:
            return error.with_traceback(None)  # frames would keep all that was sent alive
        return self._given_up(call, failure)

    async def _retried(self, call: _Call) -> Reply:
        """Further attempts, as if the first one was made here."""
        # One object for each call: tenacity keeps the state of an attempt in it.
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
            # The stop texts may have ended the reasoning, seen or not: some servers apply them to it as well.
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
        """One request, within the budget."""
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
        """One request. What went wrong comes back as a value, so that no exception carries the request's headers."""
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
        """The endpoint with the least in flight; those that are down are tried one call at a time, now and then."""
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
        """Seconds before the next attempt: exponential with jitter, and at least what the server asks for."""
        error = state.outcome.exception() if state.outcome else None
        failure = error.failure if isinstance(error, _AttemptError) else Failure("")
        call: _Call = state.args[0]
        if call.single or (failure.unreachable and any(not endpoint.down_until for endpoint in self._endpoints)):
            return 0.0  # on to the next endpoint
        growth = 1 << min(state.attempt_number - 1, _DOUBLINGS)
        wait = self._limits.retry_wait * growth * self._jitter.uniform(0.5, 1.0)
        return wait if failure.after is None else max(wait, failure.after)

    def _enough(self, state: tenacity.RetryCallState) -> bool:
        """Whether there is no further attempt: one for each endpoint was allowed, or too little time would be left."""
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
            tried = "one attempt at each (no second one until a call gets through: earlier ones waited in vain)"
        if failure.after is not None and failure.after > self._limits.patience:
            remedy = f"The server asks to wait {failure.after:.4g} s: raise patience beyond that, or come back later."
        elif failure.unreachable:
            remedy = "Start the server, or correct base_url; patience is how long a call waits for it."
        else:
            remedy = "Look into the server's log; raise timeout or patience, or lower max_in_flight, if it is busy."
        urls = ", ".join(endpoint.shown for endpoint in self._endpoints)
        return ActorError(f"no reply from {urls} in {tried}. The last one: {failure.said}. {remedy}")

    def _clean(self, said: str) -> str:
        """A server's text without the key and the login, should it repeat them."""
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
    """One prompt, until it is answered or given up."""

    body: dict[str, Any]
    stop: tuple[str, ...]
    started: float
    single: bool
    """Whether there is only one attempt at each endpoint."""
    attempts: int = 0
    alike: int = 0
    """Attempts in a row that gave a reply of no use."""
    failure: Failure | None = None
    """The last one that says something about the server."""
    first: _AttemptError | None = None
    """How the first attempt failed, until that is told to what tries again."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on to the first one."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


class _AttemptError(Exception):
    """An attempt failed, and another one may succeed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.said)
        self.failure = failure
