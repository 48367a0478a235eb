"""TokenVectorEnv as a Stable-Baselines3 ``VecEnv``: all trials that follow a step are played in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorWrapper
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

    A ``DummyVecEnv`` of n ``TokenEnv`` plays trials sequentially. Here the n episodes share an actor, which gets all
    trials of a step at once: full batches for a local model, concurrent calls for a server. The same seeds give the
    same episodes.

    ``get_attr``, ``set_attr`` and ``env_method`` act on the n text environments.

    Args:
        env: the vector environment; it is closed with this one.

    Raises:
        ConfigError: the environment has another type, or an autoreset mode other than SameStep.
    """

    def __init__(self, env: TokenVectorEnv) -> None:
        if isinstance(env, VectorWrapper) and isinstance(env.unwrapped, TokenVectorEnv):
            raise ConfigError(
                f"the TokenVectorEnv is wrapped in {type(env).__name__} of Gymnasium. Use the wrappers of "
                "Stable-Baselines3 around TokenVecEnv instead: VecMonitor(TokenVecEnv(env))."
            )
        if not isinstance(env, TokenVectorEnv):
            raise ConfigError(f"TokenVecEnv wraps a TokenVectorEnv; received {one_line(env)}. Wrap it in one first.")
        if env.info_mode == "none":
            raise ConfigError(
                "info is 'none', so the last observations of episodes are missing; Stable-Baselines3 needs them. Make "
                "the TokenVectorEnv with info='full' or 'numbers'."
            )
        self.env = env
        self._inner: RetroVectorEnv = env.env
        if self._inner.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"the autoreset mode is {self._inner.autoreset_mode.value}; Stable-Baselines3 needs SameStep. Leave "
                "autoreset_mode at make_vec's default."
            )
        self._actions: NDArray[np.int64] | None = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        """Resets all episodes, with the seeds and options set by ``seed`` and ``set_options``.

        Raises:
            ConfigError: there are options other than ``task_id``, or only some episodes have one.
            ActorError: the actor cannot be reached.
        """
        observation, infos = self.env.reset(seed=self._seeds, options=self._reset_options_of_all())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = self._each(infos)
        return observation

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Stores the next token of each episode; :meth:`step_wait` makes the step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Returns observations, rewards (float32), dones and infos.

        At the end of an episode its info holds ``terminal_observation``, and ``TimeLimit.truncated`` is True if the
        actor failed: then Stable-Baselines3 bootstraps from the value function instead of using the reward.

        Raises:
            EpisodeError: :meth:`step_async` was not called.
            ActorError: the actor could not be reached to start new episodes; the step that ended the old ones had
                returned normally.
        """
        if self._actions is None:
            raise EpisodeError("no step is pending. Call step_async(actions) first, or step(actions).")
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
            elif dones[i]:  # the actor cannot be reached, so no new episode has started
                infos[i]["terminal_observation"] = _row(observation, i)
            infos[i]["TimeLimit.truncated"] = bool(truncations[i] and not terminations[i])
        return observation, rewards.astype(np.float32), dones, infos

    def close(self) -> None:
        """Closes the environments."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Returns an attribute of each text environment."""
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
        """Returns False for each text environment: none is wrapped."""
        return [False for _ in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> Iterable[RetroEnv]:
        return [self._inner.envs[i] for i in self._get_indices(indices)]

    def _reset_options_of_all(self) -> dict[str, Any] | None:
        if not any(self._options):
            return None
        if any(set(options) != {"task_id"} for options in self._options):
            raise ConfigError(f"options are {one_line(self._options)}; give every episode a task_id, or no options.")
        return {"task_ids": [options["task_id"] for options in self._options]}

    def _each(self, batched: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Splits Gymnasium's batched infos into one dict per episode."""
        return [_info_of(batched, i) for i in range(self.num_envs)]


def _info_of(batched: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Returns the infos of episode i; the mask ``_name`` says which episodes have a ``name``."""
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
