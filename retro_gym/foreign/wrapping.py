"""What users call to bring an environment of their own: ``wrap`` and ``register``."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from retro_gym.errors import ConfigError, one_line
from retro_gym.foreign.hooks import Act
from retro_gym.foreign.maker import is_environment
from retro_gym.foreign.tasks import GivenTasks
from retro_gym.foreign.text_task import TextTask, by_value
from retro_gym.prompts import TaskPrompt
from retro_gym.registration import RETRO_IDS, TASK_IDS, register_retro, retro_id_of
from retro_gym.teacher import Teacher

__all__ = ["Recipe", "register", "wrap"]


def wrap(
    make: Callable[..., Any] | str,
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
) -> TextTask:
    """Makes a task environment of a text environment of any package.

    Its ``reset`` may return an observation or an observation and an info; its ``step`` four values (with ``done``) or
    five. Each instance that trials need side by side calls ``make`` for an environment of its own, when its first task
    starts. Around each call, ``random``, ``numpy.random`` and ``torch`` have states of this instance, seeded by the
    task; the rest of the process keeps its own. An exception of the environment voids the trial.

    The functions below get as many of the arguments that are named here as they require.

    Args:
        make: a function or a class that makes the environment, or the id of a Gymnasium environment. In place of an
            environment it may return a question and a function that scores an answer (and a dict as info): a task of a
            single turn.
        observe: ``(observation, info, env)``, returns the observation as text. By default the observation must be text;
            ``info["prefix"]`` and ``info["suffix"]`` are joined to it.
        act: ``(text, info, env)``, returns the action that a text stands for, or raises a ``ValueError`` or a
            ``LookupError`` if it is none, which costs a turn; or a mapping from texts to actions. By default the action
            is the text. The info is that of the last observation.
        success: ``(info, env)``, returns whether the task is solved, or None if that is not known; or a key of the
            info, whose absence means that it is not. By default the first of ``success``, ``is_success``, ``won`` and
            ``tasksuccess`` that the info has.
        solved_at: the return from which a trial counts as solved, if the environment does not report success. Sums that
            miss it by rounding only count.
        gold: ``(info, env)`` after a reset, returns the task's solution as a list of actions or as an answer, or None;
            or a key of the info. The policies ``oracle`` and ``told`` state it.
        teacher: a teacher of your own in place of ``gold``.
        prompt: the actor's instruction; a general one by default.
        max_turns: maximum number of turns of a trial.
        tasks: for each split a list or range of tasks, or a mapping from ids to them. A task is a seed, for ``reset``
            and for ``make`` if it has an argument of this name; a text, for ``make``; or a mapping of named arguments:
            those that ``make`` has are for it, others for ``reset``, or for its ``options``. By default the seeds
            0 … 9,999 are ``train``, 10,000 … 10,499 ``validation`` and 10,500 … 10,999 ``test``.
        fresh: whether each trial gets a new environment, for those that carry something from one task to the next.
        blocking: whether each instance is called in a thread of its own, see :attr:`TaskEnv.blocking`: for environments
            that wait for servers. Their global random generators cannot be kept apart. False by default.

    Raises:
        ConfigError: an argument is invalid, a task is in two splits, or ``make`` does not take a task's arguments.

    >>> import random
    >>> class Coin:
    ...     def reset(self, seed):
    ...         return "Heads or tails?"
    ...     def step(self, action):
    ...         side = random.choice(["heads", "tails"])
    ...         return f"It is {side}.", float(action == side), True, {}
    >>> tasks = wrap(Coin), wrap(Coin)
    >>> [task.reset(options={"task_id": "seed-3"})[0] for task in tasks]
    ['Heads or tails?', 'Heads or tails?']
    >>> random.seed(0)
    >>> tasks[0].step("heads") == tasks[1].step("heads")  # though both draw from Python's own generator
    True
    """
    return TextTask(
        make,
        observe=observe,
        act=act,
        success=success,
        solved_at=solved_at,
        gold=gold,
        teacher=teacher,
        prompt=prompt,
        max_turns=max_turns,
        tasks=tasks,
        fresh=fresh,
        blocking=blocking,
    )


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A factory and its options: the entry point of an id that :func:`register` has made."""

    make: Callable[..., Any] | str
    options: Mapping[str, Any]

    def __call__(self, **options: Any) -> TextTask:
        """Wraps the factory; ``options`` take precedence."""
        return wrap(self.make, **{**self.options, **options})

    def __deepcopy__(self, memo: dict[int, object]) -> Recipe:
        return self  # Gymnasium copies specs, and a teacher may be large

    def __reduce__(self) -> tuple[Callable[[bytes, bytes], Recipe], tuple[bytes, bytes]]:
        return _loaded, (by_value(self.make), by_value(dict(self.options)))


def register(env_id: str, make: Callable[..., Any] | str, **options: Any) -> str:
    """Registers a text environment of any package for ``gym.make``, ``gym.make_vec`` and the command line.

    Two ids are registered: that of the task environment, such as ``"Chess-v0"``, and ``"RetroChess-v0"``. Where the
    module that calls this was not imported, name it in the id: ``"my_games:RetroChess-v0"``.

    Args:
        env_id: one of the two ids.
        make: see :func:`wrap`.
        options: see :func:`wrap`.

    Returns:
        The id with ``Retro``.

    Raises:
        ConfigError: the id is taken, or :func:`wrap` refuses the arguments.
    """
    namespace, slash, name = str(env_id).rpartition("/")
    task_id = f"{namespace}{slash}{name.removeprefix('Retro')}"
    retro_id = retro_id_of(task_id)
    if is_environment(make):
        raise ConfigError(f"make is {one_line(make)}; each use of an id makes an environment, so give what makes one.")
    wrap(make, **options)  # to refuse now what cannot be used later
    for taken in (task_id, retro_id):
        known = gym.registry.get(taken)
        own = known is not None and isinstance(gym.registry[task_id].entry_point, Recipe)
        if taken in (*TASK_IDS, *RETRO_IDS) or (known is not None and not own):
            raise ConfigError(f"the id {taken!r} is taken by {known and known.entry_point}. Choose another one.")
    gym.registry.pop(task_id, None)  # the same module may be imported under two names
    gym.registry.pop(retro_id, None)
    gym.register(id=task_id, entry_point=Recipe(make, options))
    register_retro(retro_id, task_id)
    return retro_id


def _loaded(make: bytes, options: bytes) -> Recipe:
    return Recipe(pickle.loads(make), pickle.loads(options))
