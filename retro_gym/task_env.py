"""The interface of task environments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from retro_gym.errors import ConfigError, UnknownTaskError, one_line
from retro_gym.prompts import TaskPrompt
from retro_gym.teacher import NoTeacher, Teacher

if TYPE_CHECKING:
    from retro_gym.actors import Actor

__all__ = ["TaskEnv", "checked_task_id", "least_parallel"]


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
        return self if isinstance(self, Teacher) else NoTeacher(type(self).__name__)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [name for name in _TEACHERS if hasattr(cls, name)]
        if own and not issubclass(cls, Teacher):  # the interface of retro_gym 0.1: these would never be called
            bases = ", ".join(base.__name__ for base in cls.__bases__)
            raise ConfigError(
                f"{cls.__name__} defines {', '.join(own)}, which belongs to its teacher. Write "
                f"'class {cls.__name__}({bases}, Teacher)', or move it to a retro_gym.Teacher that 'teacher' returns."
            )


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
