"""A text environment of another package as a task environment."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from numbers import Real
from typing import Any

from retro_gym.checks import check_type, check_whole
from retro_gym.errors import ConfigError, EpisodeError, RetroGymError, TaskEnvError, one_line
from retro_gym.foreign.beginnings import Beginnings, digest_of, warn_of_equal
from retro_gym.foreign.engine import Engine
from retro_gym.foreign.gold import GoldTeacher, as_gold
from retro_gym.foreign.hooks import Act, Hooks
from retro_gym.foreign.maker import Maker, is_environment
from retro_gym.foreign.own_random import OwnRandom
from retro_gym.foreign.tasks import Arguments, GivenTasks, Tasks
from retro_gym.prompts import TaskPrompt
from retro_gym.seeding import derive_seed
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv
from retro_gym.teacher import NoTeacher, Teacher

__all__ = ["TextTask", "by_value"]

_GENERAL = TaskPrompt("Play the game below. Reply with 'Thought: …' and then 'Action: …' on a line of its own.")
_LONGEST = 1_000_000  # characters; environments of others say nothing of their own limits


class _Known:
    """What an environment and its copies have learned together."""

    def __init__(self) -> None:
        self.made = False
        """Whether the factory has ever made an environment."""
        self.beginnings = Beginnings()
        self.gold: dict[str, tuple[str, ...] | None] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> _Known:
        return self

    def __reduce__(self) -> tuple[type[_Known], tuple[()]]:
        return _Known, ()


class TextTask(TaskEnv):
    """A text environment of another package as a task environment; made by :func:`retro_gym.wrap`.

    See there for the arguments. An environment itself may be given in place of a factory; then its copies are deep
    copies, and ``blocking``, ``any_thread`` and ``max_parallel`` are taken from it if it has them.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    blocking = False  # one call after the other, so that global generators can be kept apart
    hooks: Hooks
    tasks: Tasks
    _maker: Maker | None
    _known: _Known
    _random: OwnRandom
    _fresh: bool
    _given_teacher: Teacher | None
    _solved: bool

    def __init__(
        self,
        make: Any,
        *,
        observe: Callable[..., Any] | None = None,
        act: Act = None,
        success: Callable[..., Any] | str | None = None,
        solved_at: float = 1.0,
        gold: Callable[..., Any] | str | None = None,
        teacher: Teacher | None = None,
        prompt: TaskPrompt | str | None = None,
        max_turns: int = 30,
        tasks: GivenTasks | None = None,
        fresh: bool = False,
        blocking: bool | None = None,
    ) -> None:
        check_type("prompt", prompt, TaskPrompt, str)
        check_type("teacher", teacher, Teacher)
        check_whole(1, max_turns=max_turns)
        if isinstance(solved_at, bool) or not isinstance(solved_at, Real) or math.isnan(solved_at):
            raise ConfigError(f"solved_at is {one_line(solved_at)}; it is the return of a solved trial, a number.")
        if gold is not None and teacher is not None:
            raise ConfigError("gold and teacher are both given; a teacher says all that gold would, so leave gold out.")
        self.hooks = Hooks.of(observe=observe, act=act, success=success, gold=gold, solved_at=float(solved_at))
        self.tasks = Tasks(tasks) if tasks is not None else _seeds()
        self.prompt = prompt if isinstance(prompt, TaskPrompt) else TaskPrompt(prompt) if prompt else _GENERAL
        self.max_turns = max_turns
        self.observation_space = UnicodeText(_LONGEST)
        self.action_space = UnicodeText(_LONGEST)
        self._fresh = fresh
        self._given_teacher = teacher
        self._random = OwnRandom()
        self._known = _Known()
        self._engine: Engine | None = None
        self._made_of: object = None
        self._solved = False
        self._maker = None if is_environment(make) else Maker.of(make)
        if self._maker is None:
            self._engine = Engine(make, self.hooks)
            self._take_settings(getattr(make, "unwrapped", make))
            if fresh:
                raise ConfigError("fresh=True needs a function that makes the environment, not the environment itself.")
        else:
            for split in self.tasks.splits:
                self._maker.check(self.tasks.arguments(self.tasks.ids(split)[0]))
        self.blocking = self.blocking if blocking is None else blocking

    @property
    def env(self) -> Any:
        """The environment in use; None before the first task of a factory."""
        return None if self._engine is None else self._engine.env

    @property
    def solved_at(self) -> float:
        """The return of a solved trial, where the environment does not report success itself."""
        return self.hooks.solved_at

    @property
    def solved(self) -> bool:
        """Whether the task was solved at the last step."""
        return self._solved

    @property
    def last_info(self) -> dict[str, Any]:
        """The info that the environment returned last, from ``reset`` or ``step``."""
        return {} if self._engine is None else dict(self._engine.info)

    def task_ids(self, split: str) -> Sequence[str]:
        """Returns the ids of a split's tasks."""
        return self.tasks.ids(split)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts the task of ``options["task_id"]``; ``seed`` is used only if no task is given.

        The info is that of the environment, with ``task_id`` and ``success``.

        Raises:
            TaskEnvError: the environment raises an exception; the next task starts in a new one.
            ConfigError: its answer cannot be used, or the first call of the factory fails.
            UnknownTaskError: there is no such task.
        """
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        arguments = self.tasks.arguments(self.tasks.drawn(self.np_random) if task_id is None else task_id)
        observation, info = self._begin(arguments)
        return observation, {**info, "task_id": arguments.task_id, "success": False}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes an action; ``info["success"]`` says whether the task is solved.

        Raises:
            TaskEnvError: the environment raises an exception; the next task starts in a new one.
            ConfigError: its answer cannot be used.
            EpisodeError: no task was started in this instance.
        """
        if self._engine is None:
            raise EpisodeError(
                "no task was started in this instance, or its environment has failed. Call reset() first."
            )
        with self._apart(), self._dropping():
            answer = self._engine.step(action)
        self._solved = bool(answer[4]["success"])
        return answer

    def close(self) -> None:
        """Closes the environment. A task that is started later gets a new one."""
        engine = self._engine
        if self._maker is not None:
            self._engine = None
        if engine is not None:
            with self._apart():
                engine.close()

    @property
    def teacher(self) -> Teacher:
        """The teacher that was given, or this object or the environment if it is one, or one that knows gold paths."""
        game = getattr(self.env, "unwrapped", self.env)
        for found in (self._given_teacher, self, game, getattr(game, "teacher", None)):
            if isinstance(found, Teacher):
                return found
        if self.hooks.gold is not None:
            return GoldTeacher(self._gold_of)
        return NoTeacher(self.name)

    @property
    def name(self) -> str:
        """The name of the environment's class, or of what makes it, for messages."""
        if self._maker is None:
            return type(getattr(self.env, "unwrapped", self.env)).__name__
        return self._maker.name

    def warn_of_equal_tasks(self, num: int = 8) -> None:
        """Starts some tasks of each split, and warns if two splits seem to have tasks in common.

        Args:
            num: how many of each.
        """
        digests: dict[str, list[str]] = {}
        with contextlib.closing(copy.deepcopy(self)) as own:
            for split in self.tasks.splits:
                for task_id in self.tasks.ids(split)[:num]:
                    observation, _ = own.reset(options={"task_id": task_id})
                    digests.setdefault(split, []).append(digest_of(observation, own.env))
        warn_of_equal(digests)

    # -- copies ------------------------------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any]) -> TextTask:
        """Returns a copy: of a factory, one that will make an environment of its own; else with a deep copy of it."""
        for shared in (self.hooks, self.tasks, self._maker, self._known, self._given_teacher, self.prompt):
            memo[id(shared)] = shared
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        state = self._state()
        try:
            vars(twin).update(copy.deepcopy(state, memo))
        except RetroGymError:
            raise
        except Exception as error:  # parts of an environment of others may raise anything
            raise ConfigError(
                f"{self.name} cannot be copied ({type(error).__name__}: {one_line(str(error), 200)}), which concurrent "
                "trials need. Give a function that makes one, and every copy makes its own: retro_gym.wrap(make)."
            ) from error
        return twin

    def __getstate__(self) -> dict[str, Any]:
        state = self._state()
        by_name = {name: state.pop(name) for name in ("hooks", "tasks", "_maker", "_given_teacher")}
        return {**state, "_by_value": by_value(by_name)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        vars(self).update(pickle.loads(state.pop("_by_value")), **state)

    def _state(self) -> dict[str, Any]:
        """Returns what a copy has in common with this instance: all but an environment that it can make itself."""
        own = {} if self._maker is None else {"_engine": None, "_made_of": None, "_random": OwnRandom()}
        return {**vars(self), **own}

    # -- the environment -----------------------------------------------------------------------------------------------

    def _begin(self, arguments: Arguments) -> tuple[str, dict[str, Any]]:
        engine = self._ready(arguments)
        rest = arguments if self._maker is None else self._maker.rest(arguments)
        self._solved = False
        with self._apart(derive_seed("task", arguments.task_id)), self._dropping():
            observation, info = engine.reset(rest)
            if self.hooks.gold is not None and arguments.task_id not in self._known.gold:
                self._known.gold[arguments.task_id] = as_gold(engine.gold())
        self._known.beginnings.note(arguments.task_id, observation, engine.env)
        return observation, info

    def _ready(self, arguments: Arguments) -> Engine:
        """Returns the environment in which a task is to start."""
        if self._maker is None:
            assert self._engine is not None
            return self._engine
        own = self._maker.own(arguments)
        if self._engine is not None and not self._fresh and own == self._made_of:
            return self._engine
        self._drop()
        try:
            with self._apart(derive_seed("make")):
                self._engine = Engine(self._maker(arguments), self.hooks)
        except RetroGymError:
            raise
        except (Exception, SystemExit) as error:  # an environment of others may raise anything, or even exit
            kind = TaskEnvError if self._known.made else ConfigError  # at first it is the factory that is wrong
            said = f"{type(error).__name__} ({one_line(str(error), 200)})"
            raise kind(f"{self.name} cannot make an environment for task {arguments.task_id!r}: {said}.") from error
        self._known.made, self._made_of = True, own
        return self._engine

    def _apart(self, seed: int | None = None) -> AbstractContextManager[None]:
        """Keeps global random generators apart, unless calls run in threads, where that is impossible."""
        return contextlib.nullcontext() if self.blocking or self.any_thread else self._random.active(seed)

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        """Drops an environment that fails, since its state is unknown then."""
        try:
            yield
        except TaskEnvError:
            self._drop()
            raise

    def _drop(self) -> None:
        """Closes the environment, whatever happens, so that the next task gets a new one."""
        if self._maker is not None and self._engine is not None:
            engine, self._engine = self._engine, None
            with contextlib.suppress(Exception, SystemExit), self._apart():
                engine.close()

    def _gold_of(self, task_id: str) -> tuple[str, ...] | None:
        """Returns the gold path of a task; starts it in a copy if it was never started."""
        if task_id not in self._known.gold:
            with contextlib.closing(copy.deepcopy(self)) as own:
                own.reset(options={"task_id": task_id})
        return self._known.gold[task_id]

    def _take_settings(self, game: object) -> None:
        self.blocking = bool(getattr(game, "blocking", False))
        self.any_thread = bool(getattr(game, "any_thread", False))
        self.max_parallel = getattr(game, "max_parallel", None)


def by_value(thing: object) -> bytes:
    """Pickles functions that have no importable name, such as lambdas, by their code."""
    import cloudpickle  # Gymnasium needs it too

    return bytes(cloudpickle.dumps(thing))


@functools.lru_cache
def _seeds() -> Tasks:
    return Tasks()
