"""Real games, played in a process of their own: a game that hangs or crashes does not take the run along.

There is one such process for each process that plays, whatever the number of environments: they take turns anyway. When
it is lost, every game that it held starts again in a new one and is brought to where it was by its commands.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from retro_gym.errors import MissingExtraError, TaskEnvError, one_line

__all__ = ["Engine", "EngineGame", "engine", "worker_command"]


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

    def open(self, path: str, time_limit: float) -> tuple[tuple[int, int], dict[str, Any]]:
        """Starts a game.

        Args:
            path: of its file.
            time_limit: seconds that it may take.

        Returns:
            What identifies the game from here on, and its first view.

        Raises:
            TaskEnvError: it cannot be started.
        """
        number = next(self._numbers)
        answer = self._ask({"do": "open", "game": number, "path": path}, time_limit, "starting the game")
        return (self.starts, number), answer

    def act(self, game: tuple[int, int], command: str, time_limit: float) -> dict[str, Any] | None:
        """Carries out a command; None when the game is lost and must be started again.

        Raises:
            TaskEnvError: the command took too long, or the process with it.
        """
        start, number = game
        if start != self.starts or self._process is None:
            return None
        answer = self._ask({"do": "act", "game": number, "command": command}, time_limit, f"the command {command!r}")
        return None if "lost" in answer else answer

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

    def _ask(self, request: dict[str, Any], time_limit: float, doing: str) -> dict[str, Any]:
        with self._lock:
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
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise TaskEnvError(f"{doing} was answered by something else than JSON: {one_line(line)}") from None
        if "error" in answer:
            raise TaskEnvError(f"{doing} gave an error: {answer['error']}")
        return answer

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


_engines: dict[int, Engine] = {}  # by process id: a forked process must leave that of its parent alone


def engine() -> Engine:
    """This process's engine. A forked process gets one of its own."""
    pid = os.getpid()
    if pid not in _engines:
        _engines[pid] = Engine()
        atexit.register(_stop, pid)
    return _engines[pid]


def _stop(pid: int) -> None:
    if pid == os.getpid():
        _engines[pid].stop()


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
        self._number: tuple[int, int] | None
        self._number, view = engine().open(path, time_limit)
        self.first = _without_banner(str(view["observation"]))
        self._see(view)

    def act(self, command: str) -> str:
        """Carries out a command.

        Raises:
            TaskEnvError: the game cannot go on.
        """
        view = engine().act(self._number, command, self._time_limit) if self._number else None
        if view is None:
            self._number, _ = engine().open(self._path, self._time_limit)
            for earlier in self._commands:
                engine().act(self._number, earlier, self._time_limit)
            view = engine().act(self._number, command, self._time_limit)
            assert view is not None, "a game was lost although it was just opened"
        self._commands.append(command)
        self._see(view)
        return str(view["observation"]).strip()

    def _see(self, view: dict[str, Any]) -> None:
        self.won = bool(view["won"])
        self._admissible = [str(command) for command in view["admissible"]]

    @property
    def admissible(self) -> list[str]:
        """Every command that something comes of, sorted; a fresh list."""
        return list(self._admissible)

    def close(self) -> None:
        """Forgets the running game; a command would begin it anew."""
        if self._number:
            engine().close(self._number)
            self._number = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_number": None}


def _without_banner(text: str) -> str:
    """The room and the task, one line each."""
    blocks = [block.strip() for block in text.strip().split("\n\n")]
    return "\n".join(block for block in blocks if block and not block.startswith("-="))
