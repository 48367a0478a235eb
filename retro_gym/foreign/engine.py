"""Calls of a foreign environment, whatever form its answers have."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium as gym

from retro_gym.answers import as_number, as_truth, checked_reset, checked_step, name_of
from retro_gym.errors import ConfigError, RetroGymError, TaskEnvError, one_line
from retro_gym.foreign.hooks import Hook, Hooks, NoActionError
from retro_gym.foreign.maker import names_of
from retro_gym.foreign.tasks import Arguments
from retro_gym.task_env import TaskEnv

__all__ = ["OWN_SUCCESS", "Engine"]

OWN_SUCCESS = ("success", "is_success", "won", "tasksuccess")
"""Keys of ``info`` by which environments report success."""

_TOLERANCE = 1e-6  # relative; far below the rewards of any game, and above the rounding errors of 32-bit sums


class Engine:
    """A foreign environment behind the answers of a task environment.

    ``reset`` may return an observation, alone or with an info; ``step`` four values (``done``) or five, or a score
    alone, which ends the trial. Exceptions become a :class:`TaskEnvError`, which voids the trial.

    Args:
        env: has ``reset`` and ``step``.
        hooks: translate its actions and observations.

    Raises:
        ConfigError: its spaces are not of text, and no hook translates.
    """

    def __init__(self, env: Any, hooks: Hooks) -> None:
        self.env = env
        self.hooks = hooks
        self.info: dict[str, Any] = {}
        """What the environment returned last as info."""
        self._observed = ""
        self._total = 0.0
        if isinstance(getattr(env, "unwrapped", env), TaskEnv):
            raise ConfigError(f"{name_of(env)} is a TaskEnv already; give it to RetroEnv as it is.")
        for name, hook in (("observation_space", hooks.observe), ("action_space", hooks.act)):
            space = getattr(env, name, None)
            if hook is None and isinstance(space, gym.Space) and not isinstance(space, gym.spaces.Text):
                argument = "observe" if name == "observation_space" else "act"
                raise ConfigError(
                    f"{name} of {name_of(env)} is {one_line(space)}; RetroEnv plays environments of text "
                    f"(spaces.Text). Translate: retro_gym.wrap(make, {argument}=…)."
                )

    def reset(self, arguments: Arguments) -> tuple[str, dict[str, Any]]:
        """Starts a task; returns the first observation as text, and the environment's info.

        Raises:
            TaskEnvError: the environment raises an exception.
            ConfigError: its answer has another form, or it does not take these arguments.
        """
        self._total = 0.0
        with _raising(self.env, "reset"):
            answer = _not_async(self.env, "reset", _reset(self.env, arguments))
        if not isinstance(answer, tuple):
            answer = answer, {}
        observation, info = answer if len(answer) == 2 else checked_reset(self.env, answer)
        self.info = info = _as_dict(info)
        observation, info = checked_reset(self.env, (self._text(observation, info), info))
        self._observed = str(observation)
        return self._observed, info

    def step(self, text: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Takes an action; ``info["success"]`` says whether the task is solved.

        A text that is no action changes nothing: the observation says so, and the reward is 0.

        Raises:
            TaskEnvError: the environment raises an exception, or returns a reward that is not finite.
            ConfigError: its answer has another form.
        """
        try:
            action = self.hooks.action(text, self.info, self.env)
        except NoActionError as error:
            return str(error), 0.0, False, False, {**self.info, "success": False}
        with _raising(self.env, "step"):
            answer = _not_async(self.env, "step", self.env.step(action))
        observation, reward, terminated, truncated, info = _five(self.env, answer)
        self.info = info = _as_dict(info)
        seen = self._text(observation, info)
        own = None if self.hooks.success is not None or not isinstance(info, dict) else info.get("success")
        plain = {**info, "success": False if own is None else own} if isinstance(info, dict) else info
        answer = checked_step(self.env, (seen, reward, terminated, truncated, plain))
        self._total += answer[1]
        return str(answer[0]), *answer[1:4], {**info, "success": self._solved(info)}

    def gold(self) -> Any:
        """Returns the solution of the task that was just started; None if it is not known."""
        gold = self.hooks.gold
        return gold(self.info, self.env) if isinstance(gold, Hook) else self.info.get(gold or "")

    def close(self) -> None:
        """Closes the environment if it can be closed."""
        close = getattr(self.env, "close", None)
        if callable(close):
            close()

    def _text(self, raw: Any, info: dict[str, Any]) -> Any:
        """Returns an observation as text: by the hook, or with the info's prefix and suffix joined to it."""
        if not isinstance(info, dict):
            return raw  # the check that follows says so
        if self.hooks.observe is not None:
            return self.hooks.observe(raw, info, self.env)
        if not isinstance(raw, str):
            return raw
        around = info.get("prefix"), raw, info.get("suffix")
        return "\n".join(part.strip("\n") for part in around if isinstance(part, str) and part.strip("\n"))

    def _solved(self, info: Mapping[str, Any]) -> bool:
        """Returns what the environment says of success; if it says nothing, whether the return is large enough."""
        success = self.hooks.success
        if isinstance(success, Hook):
            name, said = "success", success(info, self.env)
        elif isinstance(success, str):
            name, said = f"info[{success!r}]", info.get(success, False)
        else:
            key = next((key for key in OWN_SUCCESS if info.get(key) is not None), None)
            name, said = f"info[{key!r}]", None if key is None else info[key]
        if said is None:
            least = self.hooks.solved_at
            return self._total >= least - _TOLERANCE * max(1.0, abs(least))
        try:
            return as_truth(said)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{name_of(self.env)}: {name} is {one_line(said)}; a boolean is required. Say how success is read: "
                "retro_gym.wrap(make, success=lambda info: …)."
            ) from error


@contextlib.contextmanager
def _raising(env: object, what: str) -> Iterator[None]:
    """Converts exceptions of a foreign environment."""
    try:
        yield
    except RetroGymError:
        raise
    except (Exception, SystemExit) as error:  # an environment of others may raise anything, or even exit
        raise TaskEnvError(
            f"{name_of(env)}: {what} raised {type(error).__name__} ({one_line(str(error), 200)}). If an action of the "
            "actor is the cause, check it first: retro_gym.wrap(make, act=…)."
        ) from error


def _reset(env: Any, arguments: Arguments) -> Any:
    """Calls ``reset`` with what it takes of a task's arguments; a seed may also be given by a method ``seed``."""
    names, others = names_of(env.reset)
    given = {name: value for name, value in arguments.named.items() if others or name in names}
    left = {name: value for name, value in arguments.named.items() if name not in given}
    if left and "options" in names:
        given["options"] = left
    elif left:
        raise ConfigError(
            f"task {arguments.task_id!r} gives {', '.join(left)}, which neither make nor {name_of(env)}.reset takes."
        )
    if arguments.seed is None:
        return env.reset(**given)
    if "seed" in names:
        return env.reset(**given, seed=arguments.seed)
    if others:
        try:
            return env.reset(**given, seed=arguments.seed)
        except TypeError as error:  # a wrapper that takes everything, around an environment that takes no seed
            if "'seed'" not in str(error):
                raise
    elif callable(getattr(env, "seed", None)):
        env.seed(arguments.seed)
    return env.reset(**given)


def _not_async(env: object, what: str, answer: Any) -> Any:
    """Returns an answer that is not still to be awaited."""
    if inspect.iscoroutine(answer):
        answer.close()  # avoids Python's warning that it was never awaited
        raise ConfigError(
            f"{name_of(env)}.{what} is async; it must return its result. Give a class of your own around it that calls "
            "asyncio.Runner().run in reset and step."
        )
    return answer


def _five(env: object, answer: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Returns an answer of ``step`` as five values."""
    if isinstance(answer, tuple) and len(answer) == 5:
        return answer
    if isinstance(answer, tuple) and len(answer) == 4:
        observation, reward, done, info = answer
        cut = isinstance(info, Mapping) and info.get("TimeLimit.truncated", False)
        return observation, reward, done, cut, info
    try:
        score = as_number(answer)
    except (TypeError, ValueError, RuntimeError, ArithmeticError):
        checked_step(env, answer)  # raises
        raise
    return f"Score: {score:g}", score, True, False, {}


def _as_dict(info: Any) -> Any:
    """Returns a mapping of any class as a new dict, and anything else as it is."""
    return dict(info) if isinstance(info, Mapping) else info
