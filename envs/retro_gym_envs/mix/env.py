"""Mix-v0: the tasks of several environments in one, for a reflector that learns from all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from retro_gym.actors import Actor, make_actor
from retro_gym.adapting import as_task_env
from retro_gym.answers import checked_reset, checked_step
from retro_gym.errors import ConfigError, EpisodeError, did_you_mean, one_line
from retro_gym.prompts import TaskPrompt
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv, least_parallel
from retro_gym.teacher import Teacher
from retro_gym_envs.mix.actor import MixActor
from retro_gym_envs.mix.task_ids import MixedIds, interleaved, parted
from retro_gym_envs.mix.teacher import MixTeacher, head_of

__all__ = ["DEFAULT_ENVS", "MixEnv"]

DEFAULT_ENVS = ("HotpotQA-v0", "ALFWorld-v0", "WebShop-v0", "InterCodeSQL-v0")


class MixEnv(TaskEnv):
    """Several task environments in one: "rewards across multiple environments and tasks" (Retroformer).

    ## Description
    Every episode is a task of one of the environments, with that environment's rules and rewards. The first observation
    names it: ``Environment: HotpotQA-v0``. The actor's prompt holds that environment's instruction and examples.

    ## Observation
    The observation of the task's environment; the first one is preceded by a line that names the environment.

    ## Action
    The action of the task's environment.

    ## Rewards
    The reward of the task's environment; ``info["success"]`` likewise.

    ## Starting state
    The task ``options["task_id"]``, such as ``"HotpotQA-v0:test-17"``, or one drawn from split train with
    ``np_random``. ``info`` is that of the task's environment; ``env`` is added and holds the environment's id.

    ## Episode end
    As in the task's environment, with that environment's ``max_turns``.

    ## Arguments
    - ``envs``: ids of task environments, or a mapping from ids to weights (``{"HotpotQA-v0": 2, "WebShop-v0": 1}``); a
      weight is proportional to the environment's share of the tasks. Equal weights by default. The shares are kept and
      no task is used twice in a split, so an environment with few tasks limits the number of tasks from the others.
    - ``env_kwargs``: arguments of individual environments (``{"WebShop-v0": {"tasks": …}}``).
    - ``world_seed``: the seed of all built-in worlds.

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
        self.any_thread = all(env.any_thread for env in self.envs.values())
        self.max_parallel = least_parallel(self.envs.values())
        self.observation_space = UnicodeText(
            max(env.observation_space.max_length for env in self.envs.values())  # type: ignore[attr-defined]
            + max(len(head_of(name)) for name in self.envs)
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
        self._name, inner = parted(task_id, self.envs)
        env = self.envs[self._name]
        observation, info = checked_reset(env, env.reset(seed=seed, options={**(options or {}), "task_id": inner}))
        self._started = True
        return head_of(self._name) + observation, self._info(info, inner)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Passes the action to the environment of the current task.

        Raises:
            EpisodeError: before the first ``reset``; that environment's errors are passed on.
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

    # -- the prompt and the turn limit of the current task's environment ---------------------------------------------

    @property
    def prompt(self) -> TaskPrompt:  # type: ignore[override]
        """The prompt of the current task's environment."""
        return self.envs[self._name].prompt

    @property
    def max_turns(self) -> int:
        """The turn limit of the current task's environment; setting it sets it for all environments."""
        return self.envs[self._name].max_turns

    @max_turns.setter
    def max_turns(self, turns: int) -> None:
        for env in self.envs.values():
            env.max_turns = turns

    # -- the contract ------------------------------------------------------------------------------------------------

    def task_ids(self, split: str) -> Sequence[str]:
        """Returns the environments' tasks, interleaved in proportion to their weights.

        Raises:
            UnknownTaskError: one of the environments has no such split.
        """
        inner = {name: env.task_ids(split) for name, env in self.envs.items()}
        order = interleaved(tuple(map(len, inner.values())), tuple(self._weights.values()))
        return MixedIds(inner, order)

    def scripted_actor(self, *, temperature: float | None = None, thoughts: bool = False) -> Actor:
        """Returns an actor that passes every prompt to the scripted actor of the environment it comes from.

        Args:
            temperature: that of all environments' actors; by default each has its own default.
            thoughts: whether the actors say what they choose by chance.
        """
        given: dict[str, Any] = {"temperature": temperature, "thoughts": thoughts or None}
        options = {name: value for name, value in given.items() if value is not None}
        return MixActor({env.prompt.instruction: make_actor("scripted", env, **options) for env in self.envs.values()})

    @property
    def teacher(self) -> Teacher:
        """The teachers of the environments, each for its own tasks."""
        return MixTeacher(self.envs)

    def _info(self, info: dict[str, Any], inner: str) -> dict[str, Any]:
        return {**info, "task_id": f"{self._name}:{inner}", "env": self._name}


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
