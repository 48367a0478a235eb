"""TokenVectorEnv: a token-level view of many episodes, whose trials run concurrently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, cast

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array
from numpy.typing import NDArray

from retro_gym.errors import ActionError, ConfigError, EpisodeError, one_line
from retro_gym.scheduling import Plan
from retro_gym.token_view.infos import NUMBERS, InfoMode, batched_numbers, check_info_mode, told
from retro_gym.token_view.naming import TokenizerSpec, find_tokenizer
from retro_gym.token_view.tokens import Codec, PaddingSide, TokenObservation, TokenView, Writing
from retro_gym.vector import RetroVectorEnv, run_plans

__all__ = ["TokenVectorEnv"]

_Step: TypeAlias = tuple[TokenObservation, float, bool, bool, dict[str, Any]]


class TokenVectorEnv(VectorEnv[TokenObservation, NDArray[np.int64], NDArray[Any]]):
    """A vector of n :class:`~retro_gym.TokenEnv`, one token per step and episode.

    After reflections that end in the same step, the trials run concurrently, as in :class:`RetroVectorEnv`: a local
    model gets full batches, a server many concurrent calls. Every episode is the same as in a single environment.

    ``TokenVectorEnv(gym.make_vec("RetroHotpotQA-v0", num_envs=64), tokenizer)`` makes one. Its autoreset mode is that
    of the wrapped vector environment: ``SAME_STEP``, the default, or ``DISABLED``. Wrappers such as
    ``RecordEpisodeStatistics`` go around the token view, since it plays the episodes without those below it.

    With ``info="numbers"`` every reset and step has the same keys with arrays of n numbers; where an episode has ended,
    ``final_obs`` and ``final_info`` are added, as in Gymnasium. With ``info="none"`` infos are empty, without
    ``final_obs`` too; a loop that bootstraps from it needs another mode, or autoreset ``DISABLED``.

    Args:
        env: the vector environment that ``gym.make_vec`` makes; it is closed with this one.
        tokenizer: a tokenizer of transformers, or one with its interface, or its name.
        max_prompt_tokens: longer prompts are shortened.
        max_new_tokens: maximum length of a reflection, the end token included.
        padding_side: ``"left"`` or ``"right"``.
        observation: ``"dict"`` or ``"ids"``.
        vocab_size: the model's vocabulary size, if larger than the tokenizer's.
        end_ids: the end tokens, each of which ends a reflection.
        info: ``"full"``, ``"numbers"`` or ``"none"``, see :class:`~retro_gym.TokenEnv`.

    Raises:
        ConfigError: an argument is invalid.
    """

    env: RetroVectorEnv

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        tokenizer: TokenizerSpec,
        *,
        max_prompt_tokens: int = 512,
        max_new_tokens: int = 48,
        padding_side: PaddingSide = "left",
        observation: TokenView = "dict",
        vocab_size: int | None = None,
        end_ids: Sequence[int] | None = None,
        info: InfoMode = "full",
    ) -> None:
        self.closed = True  # until it is made; Gymnasium before 1.3 closes what could not be made
        self.env = _viewed(env)
        check_info_mode(info)
        found = find_tokenizer(tokenizer)
        ends = None if end_ids is None else tuple(end_ids)
        self.codec = Codec(found, max_prompt_tokens, max_new_tokens, padding_side, observation, vocab_size, ends)
        self.info_mode: InfoMode = info
        self.num_envs = env.num_envs
        self.spec = env.spec
        self.metadata = env.metadata
        self.autoreset_mode = self.env.autoreset_mode
        self.render_mode = env.render_mode
        self.single_observation_space = self.codec.space(max_new_tokens - 1)
        self.single_action_space = spaces.Discrete(self.codec.actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._writings: list[Writing | None] = [None] * self.num_envs
        self._shown: list[Any] = [None] * self.num_envs  # observations, after the first reset
        self.closed = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TokenObservation, dict[str, Any]]:
        """Resets the episodes; arguments and errors are those of ``RetroVectorEnv.reset``."""
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        observations, infos = self.env.reset(seed=seed, options=options)
        starts = {i: self._start(i, observation) for i, observation in enumerate(observations) if mask[i]}
        if self.info_mode != "full":
            return self._batched(), self._told({i: {**_numbers(infos, i), **start} for i, start in starts.items()})
        for i, start in starts.items():
            infos = self._add_info(infos, start, i)
        return self._batched(), infos

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[TokenObservation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Appends one token to each episode's reflection.

        Raises:
            ActionError: the number of actions is not n, or one is not an id of the vocabulary.
            EpisodeError: an episode has ended and was not reset (autoreset ``DISABLED``).
            ActorError: the actor failed in the automatic reset of ended episodes; it is raised by the step after the
                one that ended them, whose results were returned in full.
        """
        if np.shape(actions) != (self.num_envs,):
            raise ActionError(f"{one_line(actions)}: one token id for each of {self.num_envs} environments.")
        self.env.check_reset(range(self.num_envs))
        tokens = [self.codec.checked(action) for action in actions]
        ended: dict[int, list[int]] = {}
        for i, token in enumerate(tokens):
            written = self._running(i).tokens
            if token in self.codec.ends or len(written) + 1 == self.codec.max_new_tokens:
                ended[i] = [*written, token]
        plans = [self._trial(i, written) for i, written in ended.items()]
        results = dict(zip(ended, run_plans([self.env.envs[i] for i in ended], plans), strict=True))
        rewards = np.zeros(self.num_envs)
        terminations, truncations = np.zeros((2, self.num_envs), dtype=np.bool_)
        infos: dict[int, dict[str, Any]] = {}
        finals: dict[int, dict[str, Any]] = {}
        for i, token in enumerate(tokens):
            if i not in ended:
                self._running(i).add(token)
                self._shown[i] = self._running(i).observation()
                continue
            (shown, rewards[i], terminations[i], truncations[i], infos[i]), start = results[i]
            if start is not None:
                finals[i], infos[i] = {"final_obs": shown, "final_info": told(infos[i], self.info_mode)}, start
            elif terminations[i] or truncations[i]:
                self._writings[i] = None
        return self._batched(), rewards, terminations, truncations, self._told(infos, finals)

    def render(self) -> tuple[Any, ...] | None:
        """Returns what each environment renders, in mode ``"ansi"``."""
        return self.env.render()

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the wrapped environment."""
        self.env.close()

    def _trial(self, i: int, tokens: Sequence[int]) -> Plan[tuple[_Step, dict[str, Any] | None]]:
        """Plays the trial after a reflection; returns the step, and the ``info`` of an automatic reset or None."""
        env, text = self.env.envs[i], self.codec.decode(tokens)
        observation, reward, terminated, truncated, info = yield from env.plan_step(text)
        info = {**info, **self._start(i, observation, text, len(tokens))}  # before a reset, as a cut needs the failure
        step = (self._shown[i], reward, terminated, truncated, info)
        start = (yield from self.env.plan_autoreset(i)) if terminated or truncated else None
        if start is None:
            return step, None
        observation, info = start
        return step, {**info, **self._start(i, observation)}

    def _start(self, i: int, observation: str, reflection: str = "", tokens: int = 0) -> dict[str, Any]:
        """Sets episode i's new prompt; returns its entries in ``info``."""
        prompt, cut = self.codec.fit(self.env.envs[i], observation)
        writing = self._writings[i] = Writing(self.codec, prompt, self.codec.max_new_tokens - 1)
        self._shown[i] = writing.observation()
        return {"reflection": reflection, "reflection_tokens": tokens, "prompt_cut": cut, "prompt_tokens": len(prompt)}

    def _told(
        self, infos: Mapping[int, Mapping[str, Any]], finals: Mapping[int, dict[str, Any]] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Batches what there is to tell of some episodes, and of those that have ended."""
        batched: dict[str, Any] = {}
        if self.info_mode == "none":
            return batched
        if self.info_mode == "numbers":
            batched = batched_numbers([told(infos.get(i, {}), "numbers") for i in range(self.num_envs)])
        for i, info in infos.items():
            batched = self._add_info(batched, finals.get(i, {}), i)
            if self.info_mode == "full":
                batched = self._add_info(batched, dict(info), i)
        return batched

    def _running(self, i: int) -> Writing:
        writing = self._writings[i]
        if writing is None:
            raise EpisodeError(f"episode {i} is not running. Call reset() to start it.")
        return writing

    def _batched(self) -> TokenObservation:
        space = self.single_observation_space
        empty: Any = create_empty_array(space, self.num_envs)
        return cast(TokenObservation, concatenate(space, self._shown, empty))


def _viewed(env: VectorEnv[Any, Any, Any]) -> RetroVectorEnv:
    """Returns the environment if it can be viewed.

    Raises:
        ConfigError: it is another one, or in wrappers.
    """
    if isinstance(env, RetroVectorEnv):
        return env
    if isinstance(env, VectorWrapper) and isinstance(env.unwrapped, RetroVectorEnv):
        name = type(env).__name__
        raise ConfigError(
            f"the RetroVectorEnv is wrapped in {name}, which a token view would pass by: it plays trials itself. Put "
            f"the wrapper around the view: {name}(TokenVectorEnv(envs, tokenizer))."
        )
    if isinstance(env, VectorEnv):
        raise ConfigError(
            f"TokenVectorEnv is a view of a RetroVectorEnv; received {one_line(env)}. Leave the vectorization_mode of "
            "gym.make_vec at its default, or give other vector environments TokenEnvs: "
            "gym.make_vec(id, n, 'sync', wrappers=[lambda env: TokenEnv(env, tokenizer)])."
        )
    raise ConfigError(
        f"TokenVectorEnv is a view of a RetroVectorEnv, which gym.make_vec(id, num_envs=n) makes; received "
        f"{one_line(env)}. A single environment has the view TokenEnv."
    )


def _numbers(infos: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Returns the numbers of episode i in batched infos."""
    return {name: infos[name][i] for name in NUMBERS if name in infos and infos[f"_{name}"][i]}
