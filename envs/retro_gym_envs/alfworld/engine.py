"""Runs real games in separate worker processes: a game that hangs or crashes does not end the training run.

Environments share a worker and wait for one another, since a command takes about 0.1 s. A worker whose command takes
seconds has stalled: environments that wait for it then use another worker, so a hanging game does not block other
games. A game whose worker was abandoned or lost is restarted in another worker, and its commands are replayed.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from retro_gym.errors import MissingExtraError, TaskEnvError, one_line

__all__ = ["CrashError", "Engine", "EngineGame", "engine", "worker_command"]

_STALLED = {"open": 20.0, "act": 5.0, "close": 5.0}  # seconds; on a busy machine starting a game takes several
_MAX_ENGINES = 4  # processes at once; when all have stalled, environments wait
_BEGINNINGS = 5  # how often a lost game is restarted for one command


def worker_command() -> list[str]:
    """Returns the command line of a worker process.

    Raises:
        MissingExtraError: TextWorld or its planner is not installed.
    """
    for library in ("textworld", "fast_downward"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "alfworld")
    return [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))]


class CrashError(TaskEnvError):
    """A worker process died during a request."""


class Engine:
    """A worker process, started at the first request and restarted whenever it was lost."""

    def __init__(self) -> None:
        self.starts = 0
        """Number of processes started so far; a game belongs to one of them."""
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._patience = math.inf
        """The ``time.monotonic()`` after which the current command has stalled."""

    @property
    def stalled(self) -> bool:
        """Whether the current command has taken so long that other environments should not wait for it."""
        return time.monotonic() > self._patience

    def open(self, path: str, time_limit: float) -> tuple[tuple[int, int], dict[str, Any]] | None:
        """Starts a game; None if the process stalls on another game in the meantime.

        Args:
            path: the game's file.
            time_limit: timeout in seconds.

        Returns:
            The game's identifier for later requests, and its first view.

        Raises:
            TaskEnvError: the game cannot be started.
        """
        number = next(self._numbers)
        last_resort = self.stalled
        request = {"do": "open", "game": number, "path": path}
        answer = self._ask(request, time_limit, "starting the game", patient=last_resort)
        return None if answer is None else ((self.starts, number), answer)

    def act(self, game: tuple[int, int], command: str, time_limit: float) -> dict[str, Any] | None:
        """Executes a command; None if the game is lost or its process has stalled, so that it must be restarted.

        Raises:
            TaskEnvError: the command timed out, or the process died during it.
        """
        start, number = game
        if start != self.starts or self._process is None:
            return None
        answer = self._ask({"do": "act", "game": number, "command": command}, time_limit, f"the command {command!r}")
        return None if answer is None or "lost" in answer else answer

    def close(self, game: tuple[int, int]) -> None:
        """Discards a game."""
        start, number = game
        if start == self.starts and self._process is not None:
            try:
                self._ask({"do": "close", "game": number}, 10.0, "closing the game")
            except TaskEnvError:
                return  # the process has ended, and its games with it

    def stop(self) -> None:
        """Ends the process; the next request starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _ask(
        self, request: dict[str, Any], time_limit: float, doing: str, *, patient: bool = False
    ) -> dict[str, Any] | None:
        """Returns the answer to a request; if not ``patient``, None once the process has stalled on another one."""
        while not self._lock.acquire(timeout=0.1):
            if self.stalled and not patient:
                return None
        self._patience = time.monotonic() + _STALLED[request["do"]]
        try:
            line = self._line(request, time_limit, doing)
        finally:
            self._patience = math.inf
            self._lock.release()
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise TaskEnvError(f"{doing} was answered by something else than JSON: {one_line(line)}") from None
        if "error" in answer:
            raise TaskEnvError(f"{doing} gave an error: {answer['error']}")
        return answer

    def _line(self, request: dict[str, Any], time_limit: float, doing: str) -> str:
        """Returns the line that the process answers with; ends a process that does not answer in time."""
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = self._answers.get(timeout=time_limit)
        except queue.Empty:
            self.stop()
            raise TaskEnvError(f"{doing} took longer than {time_limit:g} s. Its process was ended.") from None
        except OSError:
            line = None
        if line is None:
            status = process.wait()
            self.stop()
            raise CrashError(f"{doing} took its process down (exit status {status}).")
        return line

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        self._answers = queue.Queue()
        process = subprocess.Popen(
            worker_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        threading.Thread(target=_pass_on, args=(process, self._answers), daemon=True).start()
        self._process = process
        return process


def _pass_on(process: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
    """Reads a worker's lines in a thread, so that waiting can time out; None marks the end of the output."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            answers.put(line)
    except ValueError:
        pass  # the pipe was closed in the meantime
    answers.put(None)


_engines: dict[int, list[Engine]] = {}  # by process id: a forked process must not use its parent's engines
_choosing = threading.Lock()


def engine() -> Engine:
    """Returns this process's first engine that has not stalled. A forked process gets its own engines."""
    pid = os.getpid()
    with _choosing:
        if pid not in _engines:
            _engines[pid] = []
            atexit.register(_stop, pid)
        own = _engines[pid]
        ready = next((one for one in own if not one.stalled), None)
        if ready is None and len(own) < _MAX_ENGINES:
            own.append(Engine())
            ready = own[-1]
        return ready or own[0]


def _stop(pid: int) -> None:
    if pid == os.getpid():
        for one in _engines[pid]:
            one.stop()


class EngineGame:
    """One run of a real game. Copies and pickles restart the game and replay its commands.

    Args:
        path: the game's file.
        time_limit: timeout in seconds for each command, and for starting the game.

    Raises:
        TaskEnvError: the game cannot be started.
    """

    def __init__(self, path: str, time_limit: float) -> None:
        self._path = path
        self._time_limit = time_limit
        self._commands: list[str] = []
        self._running: tuple[Engine, tuple[int, int]] | None = None
        """The engine that runs the game, and the game's identifier there."""
        view = self._played(None)
        self.first = _without_banner(str(view["observation"]))
        self._see(view)

    def act(self, command: str) -> str:
        """Executes a command.

        Raises:
            TaskEnvError: the game cannot continue.
        """
        view = self._played(command)
        self._commands.append(command)
        self._see(view)
        return str(view["observation"]).strip()

    def _played(self, command: str | None) -> dict[str, Any]:
        """Returns the view after a command, or the first view; starts the game if it is not running."""
        for _ in range(_BEGINNINGS):
            view = self._begun() if self._running is None else None
            if self._running is not None and command is not None:
                view = self._acted(command)
            if view is not None:
                return view
            self._running = None
        raise TaskEnvError(f"the game {self._path} was lost {_BEGINNINGS} times in a row, alone or with its process.")

    def _begun(self) -> dict[str, Any] | None:
        """Restarts the game and replays its commands; None if it is lost meanwhile, and then it is not running."""
        chosen = engine()
        try:
            opened = chosen.open(self._path, self._time_limit)
        except CrashError:  # about once in a thousand starts the planner's library crashes on a game that is sound
            opened = chosen.open(self._path, self._time_limit)
        if opened is None:
            return None
        number, view = opened
        self._running = chosen, number
        for earlier in self._commands:
            if self._acted(earlier) is None:
                self._running = None
                return None
        return view

    def _acted(self, command: str) -> dict[str, Any] | None:
        assert self._running is not None
        chosen, number = self._running
        return chosen.act(number, command, self._time_limit)

    def _see(self, view: dict[str, Any]) -> None:
        self.won = bool(view["won"])
        self._admissible = [str(command) for command in view["admissible"]]

    @property
    def admissible(self) -> list[str]:
        """Returns a new sorted list of all commands that have an effect."""
        return list(self._admissible)

    def close(self) -> None:
        """Discards the running game; another command would restart it."""
        if self._running is not None:
            chosen, number = self._running
            chosen.close(number)
            self._running = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}


def _without_banner(text: str) -> str:
    """Returns the room and the task, one line each."""
    blocks = [block.strip() for block in text.strip().split("\n\n")]
    return "\n".join(block for block in blocks if block and not block.startswith("-="))
