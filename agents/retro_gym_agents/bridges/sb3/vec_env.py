"""TokenVectorEnv as a vector environment of Stable-Baselines3: trials that follow one step are played side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError, EpisodeError, MissingExtraError, one_line
from retro_gym.token_view.token_vector import TokenVectorEnv
from retro_gym.vector import RetroVectorEnv

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
except ImportError as error:
    raise MissingExtraError("stable_baselines3", "sb3") from error

__all__ = ["TokenVecEnv"]


class TokenVecEnv(VecEnv):
    """A :class:`~retro_gym.TokenVectorEnv` for Stable-Baselines3.

    ``DummyVecEnv`` of n ``TokenEnv`` plays one trial after the other; here the n episodes share an actor, which gets
    all trials of a step at once: full batches for a local model, calls in flight together for a server. The episodes
    are the same, with the same seeds.

    ``get_attr``, ``set_attr`` and ``env_method`` reach the n text environments.

    Args:
        env: the vector environment; it is closed with this one.

    Raises:
        ConfigError: another environment, or one that does not reset in the step in which an episode ends.
    """

    def __init__(self, env: TokenVectorEnv) -> None:
        if not isinstance(env, TokenVectorEnv):
            raise ConfigError(f"TokenVecEnv is made of a TokenVectorEnv; received {one_line(env)}.")
        self.env = env
        self._inner: RetroVectorEnv = env.env
        if self._inner.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"the autoreset mode is {self._inner.autoreset_mode.value}; Stable-Baselines3 expects SameStep, which "
                "is make_vec's own."
            )
        self._actions: NDArray[np.int64] | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Resets all episodes, with the seeds and options that were set for it.

        Raises:
            ConfigError: options other than a ``task_id``, or one for some of the episodes only.
            ActorError: the actor cannot be reached.
        """
        observation, infos = self.env.reset(seed=self._seeds, options=self._reset_options_of_all())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = self._each(infos)
        return observation

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Takes the next token of each episode; :meth:`step_wait` plays."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Observations, rewards (float32), whether episodes are over, and their infos.

        At the end of an episode its info holds ``terminal_observation``, and ``TimeLimit.truncated`` where the actor
        failed: then Stable-Baselines3 puts the expected value in the place of the reward.

        Raises:
            EpisodeError: no tokens were given to :meth:`step_async`.
            ActorError: the actor could not be reached when ended episodes were to start anew; the step before, which
                ended them, had returned whole.
        """
        if self._actions is None:
            raise EpisodeError("there is nothing to wait for. Call step_async(actions) first, or step(actions).")
        actions, self._actions = self._actions, None
        observation, rewards, terminations, truncations, batched = self.env.step(actions)
        dones = terminations | truncations
        infos = self._each(batched)
        for i in range(self.num_envs):
            if dones[i] and "final_obs" in infos[i]:
                start = infos[i]
                terminal, infos[i] = start.pop("final_obs"), start.pop("final_info")
                infos[i]["terminal_observation"] = terminal
                self.reset_infos[i] = start
            elif dones[i]:  # the actor cannot be reached, so no episode has followed
                infos[i]["terminal_observation"] = _row(observation, i)
            infos[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
        return observation, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Closes the environments."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of each text environment."""
        return [getattr(env, attr_name) for env in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of each text environment."""
        for env in self._chosen(indices):
            setattr(env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Calls a method of each text environment."""
        return [getattr(env, method_name)(*args, **kwargs) for env in self._chosen(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No text environment is wrapped."""
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> Iterable[RetroEnv]:
        return [self._inner.envs[i] for i in self._get_indices(indices)]

    def _reset_options_of_all(self) -> dict[str, Any] | None:
        if not any(self._options):
            return None
        if any(set(options) != {"task_id"} for options in self._options):
            raise ConfigError(f"options are {one_line(self._options)}; give each episode a task_id, or none an option.")
        return {"task_ids": [options["task_id"] for options in self._options]}

    def _each(self, batched: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Gymnasium's infos of all as one for each."""
        return [_info_of(batched, i) for i in range(self.num_envs)]


def _info_of(batched: Mapping[str, Any], i: int) -> dict[str, Any]:
    """What batched infos say of episode i: under ``_name`` they say for whom there is a ``name``."""
    info: dict[str, Any] = {}
    for name, values in batched.items():
        if f"_{name}" not in batched or not batched[f"_{name}"][i]:
            continue
        if isinstance(values, Mapping):
            info[name] = _info_of(values, i)
        else:
            info[name] = values[i].item() if isinstance(values[i], np.generic) else values[i]
    return info


def _row(observation: Any, i: int) -> Any:
    if isinstance(observation, Mapping):
        return {name: values[i] for name, values in observation.items()}
    return observation[i]
