"""Mix-v0: the tasks of several environments in one, for a reflector that learns from all of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, overload

import numpy as np

from retro_gym.actors import Actor
from retro_gym.answers import checked_reset, checked_step
from retro_gym.errors import ConfigError, EpisodeError, UnknownTaskError, did_you_mean, one_line
from retro_gym.prompts import TaskPrompt
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import ReflectionCheck, TaskEnv, as_task_env
from retro_gym.trajectory import Trajectory
from retro_gym_envs.mix.actor import MixActor

__all__ = ["DEFAULT_ENVS", "MixEnv"]

DEFAULT_ENVS = ("HotpotQA-v0", "ALFWorld-v0", "WebShop-v0", "InterCodeSQL-v0")
_HEAD = "Environment: {name}\n"


class MixEnv(TaskEnv):
    """Several task environments in one: "rewards across multiple environments and tasks" (Retroformer).

    ## Description
    Every episode is a task of one of the environments, played by its rules and paid by its rewards. What is told first
    says which one: ``Environment: HotpotQA-v0``. The actor's prompt holds that environment's instruction and examples.

    ## Observation
    That of the environment whose task it is, with a line in front of the first one that names it.

    ## Action
    That of the environment whose task it is.

    ## Rewards
    Those of the environment whose task it is. ``info["success"]`` too.

    ## Starting state
    The task ``options["task_id"]``, such as ``"HotpotQA-v0:test-17"``, or one of split train, drawn by ``np_random``.
    ``info`` is the environment's own, with ``env``, its id, beside it.

    ## Episode end
    As in the environment whose task it is, by its own ``max_turns``.

    ## Arguments
    - ``envs``: ids of task environments, or a weight for each (``{"HotpotQA-v0": 2, "WebShop-v0": 1}``): the share of
      the tasks that are its. All alike by default. An environment with few tasks limits how many of the others are
      used: the shares are kept, and no task stands in a split twice.
    - ``env_kwargs``: arguments of single environments (``{"WebShop-v0": {"tasks": …}}``).
    - ``world_seed``: of all built-in worlds.

    ## Version history
    * v0: first release
    """

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 1}  # noqa: RUF012 - Gymnasium's own form
    data = "that of its environments"

    def __init__(
        self,
        *,
        envs: Sequence[str] | Mapping[str, float] = DEFAULT_ENVS,
        env_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
        world_seed: int | None = None,
    ) -> None:
        self._weights = _checked_weights(envs)
        given = dict(env_kwargs or {})
        for name in given:
            if name not in self._weights:
                hint = did_you_mean(name, self._weights)
                raise ConfigError(f"env_kwargs names {name!r}, which is not among envs.{hint}")
        seeded = {} if world_seed is None else {"world_seed": world_seed}
        self.envs = {name: as_task_env(name, **{**seeded, **given.get(name, {})}) for name in self._weights}
        self.blocking = any(env.blocking for env in self.envs.values())
        self.observation_space = UnicodeText(
            max(env.observation_space.max_length for env in self.envs.values())  # type: ignore[attr-defined]
            + max(len(_HEAD.format(name=name)) for name in self.envs)
        )
        self.action_space = UnicodeText(
            max(env.action_space.max_length for env in self.envs.values())  # type: ignore[attr-defined]
        )
        self._name = next(iter(self.envs))
        self._started = False

    # -- the episode ---------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Starts a task of one of the environments.

        Args:
            seed: of the draw of tasks from here on, and of the task's own randomness.
            options: ``{"task_id": …}`` starts that task.

        Raises:
            UnknownTaskError: no such task.
        """
        super().reset(seed=seed)
        task_id = (options or {}).get("task_id")
        if task_id is None:
            task_ids = self.task_ids("train")
            task_id = task_ids[int(self.np_random.integers(len(task_ids)))]
        self._name, inner = self._split(task_id)
        env = self.envs[self._name]
        observation, info = checked_reset(env, env.reset(seed=seed, options={**(options or {}), "task_id": inner}))
        self._started = True
        return _HEAD.format(name=self._name) + observation, self._info(info, inner)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Passes the action on to the environment whose task it is.

        Raises:
            EpisodeError: before the first ``reset``; and what that environment raises.
        """
        if not self._started:
            raise EpisodeError("no episode was started yet. Call reset() first.")
        env = self.envs[self._name]
        observation, reward, terminated, truncated, info = checked_step(env, env.step(action))
        return observation, reward, terminated, truncated, self._info(info, info.get("task_id", ""))

    def close(self) -> None:
        """Closes all environments."""
        for env in self.envs.values():
            env.close()

    # -- what an actor is told: it follows the task ------------------------------------------------------------------

    @property
    def prompt(self) -> TaskPrompt:  # type: ignore[override]
        """That of the environment whose task is played."""
        return self.envs[self._name].prompt

    @property
    def max_turns(self) -> int:
        """Of the environment whose task is played; setting it sets it for all."""
        return self.envs[self._name].max_turns

    @max_turns.setter
    def max_turns(self, turns: int) -> None:
        for env in self.envs.values():
            env.max_turns = turns

    # -- the contract ------------------------------------------------------------------------------------------------

    def task_ids(self, split: str) -> Sequence[str]:
        """The environments' tasks, interleaved by their weights from the first one on.

        Raises:
            UnknownTaskError: one of the environments has no such split.
        """
        inner = {name: env.task_ids(split) for name, env in self.envs.items()}
        order = _interleaved(tuple(map(len, inner.values())), tuple(self._weights.values()))
        return _MixedIds(inner, order)

    def task_group(self, task_id: str) -> str:
        """The environment's id."""
        return self._split(task_id)[0]

    def scripted_actor(self) -> Actor:
        """An actor that hands every prompt to the scripted actor of the environment whose instruction it holds."""
        return MixActor({env.prompt.instruction: env.scripted_actor() for env in self.envs.values()})

    def oracle_reflection(self, task_id: str) -> str:
        """The environment's own."""
        name, inner = self._split(task_id)
        return self.envs[name].oracle_reflection(inner)

    def noisy_reflection(self, trajectory: Trajectory, rng: np.random.Generator) -> str:
        """The environment's own."""
        name, own = self._own(trajectory)
        return self.envs[name].noisy_reflection(own, rng)

    def check_reflection(self, reflection: str, trajectory: Trajectory) -> ReflectionCheck:
        """The environment's own."""
        name, own = self._own(trajectory)
        return self.envs[name].check_reflection(reflection, own)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _split(self, task_id: object) -> tuple[str, str]:
        """The environment's id, and its own id of the task."""
        name, _, inner = task_id.partition(":") if isinstance(task_id, str) else ("", "", "")
        if name not in self.envs or not inner:
            raise UnknownTaskError(
                f"task {one_line(task_id)} does not have the form 'ENV:TASK' with one of {', '.join(self.envs)}."
            )
        return name, inner

    def _own(self, trajectory: Trajectory) -> tuple[str, Trajectory]:
        """The trajectory as the environment itself would have given it."""
        name, inner = self._split(trajectory.task_id)
        task = trajectory.task.removeprefix(_HEAD.format(name=name))
        return name, dataclasses.replace(trajectory, task_id=inner, task=task)

    def _info(self, info: dict[str, Any], inner: str) -> dict[str, Any]:
        return {**info, "task_id": f"{self._name}:{inner}", "env": self._name}


class _MixedIds(Sequence[str]):
    """The ids of a split. They are put together when they are asked for: there are tens of thousands, and one is drawn.

    Args:
        inner: the ids of each environment, by its own.
        order: which environment's task, and which of its tasks, stands at each place.
    """

    def __init__(self, inner: Mapping[str, Sequence[str]], order: Sequence[tuple[int, int]]) -> None:
        self._names = tuple(inner)
        self._inner = tuple(inner.values())
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._id(*place) for place in self._order[index]]
        return self._id(*self._order[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as of a list, whose place it takes

    def _id(self, which: int, index: int) -> str:
        return f"{self._names[which]}:{self._inner[which][index]}"


def _checked_weights(envs: object) -> dict[str, float]:
    if isinstance(envs, Mapping):
        weights = dict(envs)
    elif isinstance(envs, Sequence) and not isinstance(envs, str):
        weights = dict.fromkeys(envs, 1.0)
    else:
        raise ConfigError(f"envs is {one_line(envs)}; give ids of task environments, or a weight for each.")
    if not weights:
        raise ConfigError("envs is empty; give at least one id of a task environment.")
    for name, weight in weights.items():
        if not isinstance(name, str):
            raise ConfigError(f"envs holds {one_line(name)}; ids of task environments are text.")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ConfigError(f"the weight of {name!r} is {one_line(weight)}; it must be a number above 0.")
    return {name: float(weight) for name, weight in weights.items()}


@cache
def _interleaved(sizes: tuple[int, ...], weights: tuple[float, ...]) -> list[tuple[int, int]]:
    """Which environment's task, and which of its tasks, stands at each place.

    The next place goes to whoever has the least of what its weight asks for; the first one that is used up ends it.

    >>> _interleaved((2, 9), (1.0, 2.0))
    [(1, 0), (0, 0), (1, 1), (1, 2), (0, 1), (1, 3), (1, 4)]
    """
    counts = [0] * len(sizes)
    order: list[tuple[int, int]] = []
    while True:
        which = min(range(len(sizes)), key=lambda i: ((counts[i] + 0.5) / weights[i], i))
        if counts[which] == sizes[which]:
            return order
        order.append((which, counts[which]))
        counts[which] += 1
