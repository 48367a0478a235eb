"""The interface of task environments, and an adapter for other text environments."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from retro_gym.answers import checked_reset, checked_step
from retro_gym.errors import ConfigError, UnknownTaskError, did_you_mean, one_line
from retro_gym.prompts import TaskPrompt
from retro_gym.teacher import NoTeacher, Teacher

if TYPE_CHECKING:
    from retro_gym.actors import Actor

__all__ = ["TaskEnv", "TextTask", "as_task_env", "checked_task_id", "least_parallel"]


_TEACHERS = (
    "task_group",
    "failure_cause",
    "oracle_reflection",
    "told_reflection",
    "rule_reflection",
    "noisy_reflection",
    "check_reflection",
    "leaks",
)


class TaskEnv(gym.Env[str, str]):
    """Base class of task environments: Gymnasium environments with text observations and actions, and a task prompt.

    A subclass must define ``prompt``, ``task_ids``, ``reset`` and ``step``; everything else has defaults.
    ``reset(options={"task_id": …})`` starts a given task; ``info["success"]`` says at every step whether it is
    solved. Instances are deep-copied to play several trials in parallel: keep large immutable data in an object that
    copies share.
    """

    # Set these in ALL subclasses
    prompt: TaskPrompt
    """Instruction, worked examples and action grammar for the actor."""

    # Set these in SOME subclasses
    max_turns: int = 10
    """Maximum number of turns of a trial."""
    data: str = "none needed"
    """Short description of the required data, for listings: what works without data, and which paths can be given."""
    blocking: bool = True
    """Whether ``reset`` and ``step`` may block: on a server, a process, a slow computation. Each instance is then
    called in its own thread, so that parallel trials do not wait for each other. Set it to False for environments that
    answer within a millisecond or can only be called in the thread that created them."""
    any_thread: bool = False
    """Whether an environment that is not blocking may be called in another thread than the one that made it. Then its
    trials go on while a learner samples and learns, see :func:`retro_gym.background.open_pool`."""
    max_parallel: int | None = None
    """Largest number of episodes in progress at once in a process, for environments that hold something scarce, such as
    running games; None for no limit. Further episodes wait until one has ended its trials."""

    @abstractmethod
    def task_ids(self, split: str) -> Sequence[str]:
        """Returns the ids of a split's tasks, in a fixed order.

        Raises:
            UnknownTaskError: the environment has no such split.
        """
        raise NotImplementedError(f"{type(self).__name__} must define task_ids(split).")  # gym.Env is no ABC

    def scripted_actor(self) -> Actor:
        """Returns an actor that plays this environment without a language model.

        A subclass may add keyword arguments, such as ``temperature``, which ``actor_kwargs`` can then set.
        """
        raise ConfigError(f"{type(self).__name__} brings no scripted actor. Give RetroEnv another one: actor=….")

    @property
    def teacher(self) -> Teacher:
        """The teacher: the environment itself if it is also a :class:`Teacher`, otherwise a :class:`NoTeacher`."""
        return _teacher_in(self) or NoTeacher(type(self).__name__)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [name for name in _TEACHERS if hasattr(cls, name)]
        if own and not issubclass(cls, Teacher):  # the interface of retro_gym 0.1: these would never be called
            bases = ", ".join(base.__name__ for base in cls.__bases__)
            raise ConfigError(
                f"{cls.__name__} defines {', '.join(own)}, which belongs to its teacher. Write "
                f"'class {cls.__name__}({bases}, Teacher)', or move it to a retro_gym.Teacher that 'teacher' returns."
            )


class TextTask(TaskEnv):
    """Adapts a text environment, such as a GEM or TextArena game, to the interface of task environments.

    A task is determined by its seed (``"seed-7"``); success is a return of at least ``success_threshold``. Split
    ``train`` has the seeds 0…9999, ``validation`` 10000…10499, ``test`` 10500…10999.

    Args:
        env: an environment whose observations and actions are ``str``.
        success_threshold: the return at which a trial counts as solved.
        prompt: the actor's instruction; a general one by default.
        max_turns: maximum number of turns of a trial.
        blocking: see :attr:`TaskEnv.blocking`; by default the environment's own attribute of this name, or True
            without one.
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    _splits = {  # noqa: RUF012 - constant
        "train": range(10_000),
        "validation": range(10_000, 10_500),
        "test": range(10_500, 11_000),
    }

    def __init__(
        self,
        env: gym.Env[str, str],
        *,
        success_threshold: float = 1.0,
        prompt: TaskPrompt | None = None,
        max_turns: int = 30,
        blocking: bool | None = None,
    ) -> None:
        for name in ("observation_space", "action_space"):
            space = getattr(env, name, None)
            if not isinstance(space, gym.spaces.Text):
                raise ConfigError(f"{name} is {one_line(space)}; RetroEnv plays environments of text (spaces.Text).")
        self.env = env
        self.observation_space = env.observation_space
        self.action_space = env.action_space
        self.success_threshold = success_threshold
        self.prompt = prompt or TaskPrompt(
            "Play the game below. Reply with 'Thought: …' and then 'Action: …' on a line of its own."
        )
        self.max_turns = max_turns
        self.blocking = bool(getattr(env.unwrapped, "blocking", True)) if blocking is None else blocking
        self.any_thread = bool(getattr(env.unwrapped, "any_thread", False))
        self.max_parallel = getattr(env.unwrapped, "max_parallel", None)
        self._return = 0.0

    def task_ids(self, split: str) -> Sequence[str]:
        """Returns one id for each seed of the split."""
        if split not in self._splits:
            raise UnknownTaskError(f"split {split!r} is not one of {list(self._splits)}.")
        return _seed_ids(self._splits[split])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts the game given by ``options["task_id"]``; ``seed`` is used only if no task is given."""
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        if task_id is None:
            task_id = f"seed-{self.np_random.integers(len(self._splits['train']))}"
        prefix, _, number = str(task_id).partition("-")
        if prefix != "seed" or not number.isdecimal():
            raise UnknownTaskError(f"task {task_id!r} does not have the form 'seed-N'.")
        self._return = 0.0
        observation, info = checked_reset(self.env, self.env.reset(seed=int(number)))
        return observation, {**info, "task_id": task_id, "success": False}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Forwards the action and adds ``info["success"]``."""
        observation, reward, terminated, truncated, info = checked_step(self.env, self.env.step(action))
        self._return += reward
        return observation, reward, terminated, truncated, {**info, "success": self.solved}

    @property
    def solved(self) -> bool:
        """Whether the return has reached the threshold."""
        return self._return >= self.success_threshold

    @property
    def teacher(self) -> Teacher:
        """This adapter, the game or the game's attribute ``teacher``: the first of them that is a :class:`Teacher`."""
        game = self.env.unwrapped
        own = getattr(game, "teacher", None)
        return _teacher_in(self) or _teacher_in(game) or _teacher_in(own) or NoTeacher(type(game).__name__)

    def close(self) -> None:
        """Closes the game."""
        self.env.close()


def _teacher_in(found: object) -> Teacher | None:
    return found if isinstance(found, Teacher) else None


@lru_cache
def _seed_ids(seeds: range) -> tuple[str, ...]:
    """Returns the ids; cached, because they are needed at every reset."""
    return tuple(f"seed-{seed}" for seed in seeds)


def least_parallel(envs: Iterable[TaskEnv]) -> int | None:
    """Returns the largest number of episodes in progress at once that all of these environments allow."""
    return min((env.max_parallel for env in envs if env.max_parallel is not None), default=None)


def checked_task_id(task_id: object) -> str:
    """Returns the task id if it is text.

    Raises:
        UnknownTaskError: it is not.
    """
    if not isinstance(task_id, str):
        raise UnknownTaskError(f"task_id is {one_line(task_id)}; task ids are text.")
    return task_id


def as_task_env(task_env: str | gym.Env[Any, Any], *, success_threshold: float | None = None, **kwargs: Any) -> TaskEnv:
    """Returns the task environment of an id or an instance; other text environments are adapted.

    Args:
        task_env: a registered id, a :class:`TaskEnv`, or any text environment.
        success_threshold: return of a solved trial, for environments that do not report ``info["success"]``.
        kwargs: arguments of the environment's constructor; only with an id.

    Raises:
        ConfigError: the id is unknown, the constructor refuses the arguments, or it is no text environment.
    """
    if isinstance(task_env, str):
        env = _made(task_env, kwargs)
    elif not isinstance(task_env, gym.Env):
        raise ConfigError(f"task_env is {one_line(task_env)}; give an environment or the id of one.")
    elif kwargs:
        raise ConfigError(
            f"{', '.join(sorted(kwargs))}: unknown to RetroEnv. Arguments of the task environment "
            "can be passed on only when it is given by its id; here it is an instance already."
        )
    else:
        env = task_env
    if isinstance(env.unwrapped, TaskEnv):
        _check_wrappers(env, env.unwrapped)
        if success_threshold is not None:
            raise ConfigError(f"{type(env.unwrapped).__name__} reports success itself; leave success_threshold out.")
        if not isinstance(env.unwrapped.teacher, Teacher):
            raise ConfigError(
                f"{type(env.unwrapped).__name__}.teacher is {one_line(env.unwrapped.teacher)}; an instance of "
                "retro_gym.Teacher is required. Leave it out for an environment without a teacher."
            )
        return env.unwrapped
    return TextTask(env, success_threshold=1.0 if success_threshold is None else success_threshold)


def _check_wrappers(env: gym.Env[Any, Any], inner: TaskEnv) -> None:
    """Refuses wrappers, because only the task environment itself is played.

    A ``TimeLimit``, which ``gym.register`` may add, is converted to the turn limit.
    """
    while env is not inner:
        if isinstance(env, TimeLimit):
            inner.max_turns = min(inner.max_turns, env._max_episode_steps)
        elif not isinstance(env, OrderEnforcing | PassiveEnvChecker):
            raise ConfigError(
                f"{type(inner).__name__} is wrapped in {type(env).__name__}, but a TaskEnv is played without wrappers. "
                "Change it in a subclass, or wrap an environment that is no TaskEnv."
            )
        assert isinstance(env, gym.Wrapper)
        env = env.env


def _made(env_id: str, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    """Calls ``gym.make`` and converts its errors."""
    if env_id not in gym.registry and ":" not in env_id:
        raise ConfigError(
            f"task environment {env_id!r} is not registered.{did_you_mean(env_id, gym.registry)} "
            "Import the package that registers it first."
        )
    try:
        return gym.make(env_id, disable_env_checker=True, **kwargs)
    except (gym.error.Error, ModuleNotFoundError) as error:
        raise ConfigError(f"task environment {env_id!r} cannot be made: {error}.") from error
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None or unknown.group(1) not in kwargs:
            raise
        raise ConfigError(
            f"argument {unknown.group(1)!r} is known neither to RetroEnv nor to the task environment {env_id!r}."
        ) from error
