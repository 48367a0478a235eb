"""A local OpenAI-compatible server that hosts any actor and simulates the latency and the faults of a real one.

In a test::

    with ServerThread(ScriptedActor(["Finish[yes]"]), latency=0.2) as server:
        actor = OpenAIActor("any", base_url=server.base_url)

As a process of its own, which prints its URL when it is ready, and exits when its standard input (if any) ends::

    python -m retro_gym.testing.server --env HotpotQA-v0 --latency 0.2 --fault-share 0.3

It serves ``/v1/chat/completions``, ``/v1/completions``, ``/v1/models``, and ``/counts`` (its statistics), and listens
on the loopback interface only.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from time import time
from types import TracebackType
from typing import Any

from retro_gym.actors import Actor, Reply, reply_all
from retro_gym.adapting import as_task_env
from retro_gym.errors import (
    ActorError,
    ConfigError,
    CutReplyError,
    DataError,
    PromptTooLongError,
    RetroGymError,
    one_line,
)
from retro_gym.testing.ending import end_by_signal, has_input, wait_for_the_end
from retro_gym.testing.faults import PASSING_FAULTS, Fault, Faults, Latency, failed_body
from retro_gym.testing.hosting import (
    ReasoningStyle,
    context_error,
    error_body,
    hosted_prompt,
    parameter_error,
    reply_body,
)

__all__ = ["ServerConfig", "ServerThread", "main", "serve"]

_HOST = "127.0.0.1"
_LAST_PORT = 65_535
_LONGEST_STOP = 5.0  # seconds
_WHO = "the test server"
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 411: "Length Required"}
_PROGRAM = "python -m retro_gym.testing.server"
_COMPLETIONS = ("/v1/chat/completions", "/v1/completions")


class ServerThread:
    """The server in a thread of this process.

    The actor is called in that thread, sequentially for each request.

    Args:
        actor: the actor that replies.
        latency: seconds, or a distribution.
        faults: the faults that are injected; none by default.
        reasoning: where the reasoning of replies goes.
        api_key: the key that requests must carry; none by default.
        rejects: request parameters that the server reports as unsupported, such as ``"stop"``.
        context_words: context window in words; longer prompts are refused.
        model: the model's name in requests; None accepts any name.
        port: the port; 0 takes a free one.
    """

    def __init__(
        self,
        actor: Actor,
        *,
        latency: float | Latency = 0.0,
        faults: Faults | None = None,
        reasoning: ReasoningStyle = "none",
        api_key: str | None = None,
        rejects: Sequence[str] = (),
        context_words: int | None = None,
        model: str | None = None,
        port: int = 0,
    ) -> None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= _LAST_PORT:
            raise ConfigError(f"port is {one_line(port)}; it is a whole number from 0 to {_LAST_PORT}.")
        self.actor = actor
        self.latency = latency if isinstance(latency, Latency) else Latency(latency)
        self.faults = faults or Faults()
        self.reasoning: ReasoningStyle = reasoning
        self.rejects = tuple(rejects)
        self.context_words = context_words
        self.model = model
        self.port = port
        self.counts: Counter[str] = Counter()
        """Requests, replies, faults by name, and ``peak``: the maximum number of concurrent requests."""
        self._api_key = api_key
        self._latencies = random.Random(self.latency.seed)
        self._draws = random.Random(self.faults.seed)
        self._waiting = 0
        self._connections: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The base URL for clients; known after :meth:`start`."""
        return f"http://{_HOST}:{self.port}/v1"

    def start(self) -> ServerThread:
        """Starts to listen.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.new_event_loop()
        try:
            server = loop.run_until_complete(loop.create_server(lambda: _Connection(self), _HOST, self.port))
        except BaseException:
            loop.close()
            raise
        self.port = server.sockets[0].getsockname()[1]
        self._loop = loop
        self._thread = threading.Thread(target=self._serve, args=(loop, server), name="test server", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Closes all connections and stops listening. Idempotent.

        An actor that does not return within some seconds is abandoned: its thread ends with the process.
        """
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_LONGEST_STOP)
            self._loop = self._thread = None

    def __enter__(self) -> ServerThread:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, loop: asyncio.AbstractEventLoop, server: asyncio.Server) -> None:
        try:
            loop.run_forever()
        finally:
            loop.run_until_complete(self._shut(server))
            loop.close()

    async def _shut(self, server: asyncio.Server) -> None:
        server.close()
        accepting = asyncio.all_tasks() - {asyncio.current_task()}
        if accepting:
            await asyncio.wait(accepting)
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # lets the transports process that they are closed
        self._connections.clear()
        self._waiting = 0

    # -- request handling, in the server's thread ------------------------------------------------------------------

    def _handle(self, connection: _Connection, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Answers one request, immediately or after the latency."""
        path = path.partition("?")[0]
        if path == "/counts":
            connection.send(200, dict(self.counts))
        elif self._api_key is not None and headers.get("authorization") != f"Bearer {self._api_key}":
            said = f"Incorrect API key provided: {headers.get('authorization', 'none')}."
            connection.send(401, error_body(said, "invalid_request_error", "invalid_api_key"))
        elif path == "/v1/models":
            connection.send(200, {"object": "list", "data": [{"id": self.model or "test", "object": "model"}]})
        elif method == "POST" and path in _COMPLETIONS:
            self._receive(connection, body, chat=path == _COMPLETIONS[0])
        else:
            connection.send(404, error_body(f"There is no {method} {path}.", "invalid_request_error"))

    def _receive(self, connection: _Connection, body: bytes, *, chat: bool) -> None:
        fault = self.faults.draw(self.counts["requests"], self._draws)
        self.counts["requests"] += 1
        self._waiting += 1
        self.counts["peak"] = max(self.counts["peak"], self._waiting)
        due = asyncio.get_running_loop().time() + self.latency.draw(self._latencies)
        status, answer = self._completion(body, chat=chat)  # its duration is part of the latency
        asyncio.get_running_loop().call_at(due, self._answer, connection, status, answer, fault)

    def _answer(self, connection: _Connection, status: int, answer: dict[str, Any], fault: Fault | None) -> None:
        self._waiting -= 1
        if status != 200:
            fault = None
        self.counts[fault.value if fault else "replies" if status == 200 else str(status)] += 1
        if fault is None:
            connection.send(status, answer)
        else:
            self._fail(connection, fault, answer)

    def _completion(self, body: bytes, *, chat: bool) -> tuple[int, dict[str, Any]]:
        try:
            request = json.loads(body)
            if not isinstance(request, dict):
                raise DataError("it is not an object.")
            return self._reply(request, chat=chat)
        except (ValueError, RecursionError, DataError) as error:
            return 400, error_body(f"This request cannot be read: {error}", "invalid_request_error")

    def _reply(self, request: Mapping[str, Any], *, chat: bool) -> tuple[int, dict[str, Any]]:
        refused = next((name for name in self.rejects if request.get(name) is not None), None)
        if refused is not None:
            return 400, parameter_error(refused)
        model = request.get("model")
        if self.model not in (None, model):
            return 404, error_body(f"The model `{model}` does not exist.", "NotFoundError", "model_not_found")
        prompt = hosted_prompt(request)
        words = len(prompt.text.split())
        if self.context_words is not None and words > self.context_words:
            asked = request.get("max_tokens")
            asked = asked if isinstance(asked, int) else 512
            return 400, context_error(words, self.context_words, vllm=words % 2 == 0, asked=asked)
        (reply,) = reply_all(self.actor, [prompt])
        if isinstance(reply, PromptTooLongError):
            return 400, context_error(words, words - 1, vllm=False)
        if isinstance(reply, CutReplyError):
            reply = Reply("", cut=True)
        if isinstance(reply, ActorError):
            return 500, error_body(str(reply), "server_error")
        return 200, reply_body(reply, model=str(model), chat=chat, style=self.reasoning, stop=prompt.stop)

    def _fail(self, connection: _Connection, fault: Fault, answer: dict[str, Any]) -> None:
        if fault in (Fault.RATE_LIMIT, Fault.RATE_LIMIT_BARE):
            after = self.faults.retry_after
            value = formatdate(time() + after, usegmt=True) if self.faults.retry_after_date else f"{after:g}"
            headers = {"Retry-After": value} if fault is Fault.RATE_LIMIT else {}
            connection.send(429, error_body("Rate limit reached.", "requests", "rate_limit_exceeded"), headers)
        elif fault in (Fault.SERVER_ERROR, Fault.UNAVAILABLE):
            connection.send(500 if fault is Fault.SERVER_ERROR else 503, error_body("Try again.", "server_error"))
        elif fault is Fault.SLOW_BODY:
            connection.send(200, answer, pause=self.faults.slow_seconds)
        elif fault is Fault.CUT:
            connection.send(200, answer, cut=True)
        elif fault is Fault.INVALID_JSON:
            connection.send(200, answer, broken=True)
        elif fault is Fault.CONTEXT_LENGTH:
            connection.send(400, context_error(9000, 8192, vllm=self._draws.random() < 0.5))
        else:
            connection.send(200, failed_body(answer, fault, self._draws.random()))


class _Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered sequentially, without a task or a thread for each."""

    def __init__(self, server: ServerThread) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server._connections.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next_request()

    def _next_request(self) -> None:
        head, ended, rest = self._buffer.partition(b"\r\n\r\n")
        if self._transport is None or self._busy or not ended:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, path, *_ = [*lines[0].split(" "), "", ""]
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            self.send(411, error_body("A Content-Length header is required.", "invalid_request_error"))
            self._transport.close()
        elif len(rest) >= int(length):
            self._busy = True
            self._buffer = rest[int(length) :]
            self._server._handle(self, method, path, headers, rest[: int(length)])

    def send(
        self,
        status: int,
        answer: dict[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        pause: float = 0.0,
        cut: bool = False,
        broken: bool = False,
    ) -> None:
        """Sends an answer; pauses before its body (seconds), truncates it (cut) or sends half of the JSON (broken)."""
        if self._transport is None or self._transport.is_closing():
            return
        body = json.dumps(answer).encode()
        if broken:
            body = body[: len(body) // 2]
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in (headers or {}).items())]
        head = "\r\n".join([*lines, "", ""]).encode()
        if cut:
            self._transport.write(head + body[: len(body) // 2])
            self._transport.close()
        elif pause:
            self._transport.write(head)
            asyncio.get_running_loop().call_later(pause, self._finish, body)
        else:
            self._finish(head + body)

    def _finish(self, rest: bytes) -> None:
        if self._transport is not None:
            self._busy = False
            self._transport.write(rest)
            self._next_request()


@dataclasses.dataclass(frozen=True)
class ServerConfig:
    """A local OpenAI-compatible server that hosts a scripted actor. It exits when its standard input (if any) ends."""

    env: str
    """Task environment whose scripted actor is hosted."""
    latency: float = 0.0
    """Seconds until an answer; the median if p99 is given."""
    p99: float | None = None
    """99th percentile of the latency in seconds; the latency is then log-normal."""
    fault_share: float = 0.0
    """Share of the answers with a fault."""
    faults: tuple[Fault, ...] = PASSING_FAULTS
    """The faults, all equally likely."""
    reasoning: ReasoningStyle = "none"
    """Where the reasoning of replies goes."""
    api_key_env: str | None = None
    """Environment variable with the key that requests must carry."""
    port: int = 0
    """The port; 0 takes a free one."""
    seed: int = 0
    """Seed of latencies and faults."""


def serve(config: ServerConfig) -> None:
    """Serves until SIGTERM, SIGINT or the end of standard input, if that is open; reports which on standard error."""
    of_input, api_key = has_input(), None
    if config.api_key_env is not None:
        api_key = os.environ.get(config.api_key_env)
        if not api_key:
            raise ConfigError(f"the environment variable {config.api_key_env} is not set; it holds the key.")
    env = as_task_env(config.env)
    server = ServerThread(
        env.scripted_actor(),
        latency=Latency(config.latency, config.p99, config.seed),
        faults=Faults.mixed(config.fault_share, config.faults, seed=config.seed),
        reasoning=config.reasoning,
        api_key=api_key,
        port=config.port,
    )
    with server:
        end_by_signal(_WHO)
        print(server.base_url, flush=True)
        wait_for_the_end(_WHO, of_input=of_input)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; ``--help`` shows its options."""
    import tyro

    config = tyro.cli(ServerConfig, prog=_PROGRAM, args=arguments)
    try:
        serve(config)
    except (RetroGymError, OSError) as error:  # an invalid setting, or a port that is taken
        raise SystemExit(f"{_PROGRAM}: {error}") from error


if __name__ == "__main__":
    main()
