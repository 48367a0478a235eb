"""Real games, played in a process of their own: a game that hangs or crashes does not take the run along.

Environments share such a process and take turns in it, since a command takes a tenth of a second. One that takes
seconds has stalled: whoever waits for a turn then goes to another process, so that a game that hangs holds up no other
one. A game whose process was left or lost starts again in another one and is brought to where it was by its commands.
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

__all__ = ["Engine", "EngineGame", "engine", "worker_command"]

_STALLED = {"open": 20.0, "act": 5.0, "close": 5.0}  # seconds; starting a game takes some on a busy machine
_MAX_ENGINES = 4  # processes at once; when all have stalled, turns are waited for
_BEGINNINGS = 5  # how often a game starts again for one command, when it is lost each time


def worker_command() -> list[str]:
    """What starts a worker process.

    Raises:
        MissingExtraError: TextWorld or its planner is not installed.
    """
    for library in ("textworld", "fast_downward"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "alfworld")
    return [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))]


class Engine:
    """A worker process, started at the first request and again whenever it was lost."""

    def __init__(self) -> None:
        self.starts = 0
        """How many processes there were; a game belongs to one of them."""
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._patience = math.inf
        """When the present command has taken too long, by ``time.monotonic()``."""

    @property
    def stalled(self) -> bool:
        """Whether the present command has taken so long that nobody should wait for it."""
        return time.monotonic() > self._patience

    def open(self, path: str, time_limit: float) -> tuple[tuple[int, int], dict[str, Any]] | None:
        """Starts a game; None when the process has stalled on another one meanwhile.

        Args:
            path: of its file.
            time_limit: seconds that it may take.

        Returns:
            What identifies the game from here on, and its first view.

        Raises:
            TaskEnvError: it cannot be started.
        """
        number = next(self._numbers)
        last_resort = self.stalled
        request = {"do": "open", "game": number, "path": path}
        answer = self._ask(request, time_limit, "starting the game", patient=last_resort)
        return None if answer is None else ((self.starts, number), answer)

    def act(self, game: tuple[int, int], command: str, time_limit: float) -> dict[str, Any] | None:
        """Carries out a command; None when the game is lost, or its process stalled, and it must be started again.

        Raises:
            TaskEnvError: the command took too long, or the process with it.
        """
        start, number = game
        if start != self.starts or self._process is None:
            return None
        answer = self._ask({"do": "act", "game": number, "command": command}, time_limit, f"the command {command!r}")
        return None if answer is None or "lost" in answer else answer

    def close(self, game: tuple[int, int]) -> None:
        """Forgets a game."""
        start, number = game
        if start == self.starts and self._process is not None:
            try:
                self._ask({"do": "close", "game": number}, 10.0, "closing the game")
            except TaskEnvError:
                return  # the process is gone, and the game with it

    def stop(self) -> None:
        """Ends the process; the next request starts another."""
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
        """The answer to a request; None when the process has stalled on another one, for all but the patient."""
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
        """The line that the process answers with; one that does not is ended."""
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
            raise TaskEnvError(f"{doing} took its process down (exit status {status}).")
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
    """Reads a worker's lines, so that waiting for one can have a limit; None says that there are no more."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            answers.put(line)
    except ValueError:
        pass  # the pipe was closed meanwhile
    answers.put(None)


_engines: dict[int, list[Engine]] = {}  # by process id: a forked process must leave those of its parent alone
_choosing = threading.Lock()


def engine() -> Engine:
    """The first of this process's engines that has not stalled. A forked process gets engines of its own."""
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
    """One playing of a real game. Copies and pickles begin anew and repeat the commands.

    Args:
        path: of the game's file.
        time_limit: seconds for each command, and for starting the game.

    Raises:
        TaskEnvError: the game cannot be started.
    """

    def __init__(self, path: str, time_limit: float) -> None:
        self._path = path
        self._time_limit = time_limit
        self._commands: list[str] = []
        self._running: tuple[Engine, tuple[int, int]] | None = None
        """Where the game is played and what it is called there."""
        view = self._played(None)
        self.first = _without_banner(str(view["observation"]))
        self._see(view)

    def act(self, command: str) -> str:
        """Carries out a command.

        Raises:
            TaskEnvError: the game cannot go on.
        """
        view = self._played(command)
        self._commands.append(command)
        self._see(view)
        return str(view["observation"]).strip()

    def _played(self, command: str | None) -> dict[str, Any]:
        """The view after a command, or the first one; the game is begun where it is not running."""
        for _ in range(_BEGINNINGS):
            view = self._begun() if self._running is None else None
            if self._running is not None and command is not None:
                view = self._acted(command)
            if view is not None:
                return view
            self._running = None
        raise TaskEnvError(f"the game {self._path} was lost {_BEGINNINGS} times in a row, with its process or by it.")

    def _begun(self) -> dict[str, Any] | None:
        """Starts the game anew and repeats its commands; None, and not running, when it is lost on the way."""
        chosen = engine()
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
        """Every command that something comes of, sorted; a fresh list."""
        return list(self._admissible)

    def close(self) -> None:
        """Forgets the running game; a command would begin it anew."""
        if self._running is not None:
            chosen, number = self._running
            chosen.close(number)
            self._running = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}


def _without_banner(text: str) -> str:
    """The room and the task, one line each."""
    blocks = [block.strip() for block in text.strip().split("\n\n")]
    return "\n".join(block for block in blocks if block and not block.startswith("-="))
