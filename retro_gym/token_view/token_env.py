"""RetroEnv with tokens as actions: one token per step, or one whole reflection per step."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from retro_gym.env import RetroEnv
from retro_gym.errors import ActionError, ConfigError, EpisodeError, one_line
from retro_gym.token_view.infos import InfoMode, check_info_mode, told
from retro_gym.token_view.naming import TokenizerSpec, find_tokenizer
from retro_gym.token_view.tokens import Codec, PaddingSide, TokenObservation, TokenView, Writing

__all__ = ["ReflectionEnv", "TokenEnv"]


class _TokenWrapper(gym.Wrapper[Any, Any, str, str], gym.utils.RecordConstructorArgs, ABC):
    """The common base of the two views: the prompt, the spaces, copies that share the tokenizer."""

    def __init__(
        self,
        env: gym.Env[str, str],
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
        options: dict[str, Any] = {
            "max_prompt_tokens": max_prompt_tokens,
            "max_new_tokens": max_new_tokens,
            "padding_side": padding_side,
            "observation": observation,
            "vocab_size": vocab_size,
            "end_ids": None if end_ids is None else tuple(end_ids),
        }
        # The tokenizer is never modified here, so it need not be copied. A name stays one, so that the spec is JSON.
        gym.utils.RecordConstructorArgs.__init__(
            self, tokenizer=tokenizer, info=info, **options, _disable_deepcopy=True
        )
        _check_viewed(env)
        check_info_mode(info)
        gym.Wrapper.__init__(self, env)
        retro = env.unwrapped
        assert isinstance(retro, RetroEnv)
        self.tokenizer = find_tokenizer(tokenizer)
        self.codec = Codec(self.tokenizer, **options)
        self._room, self.action_space = self._spaces()
        self.observation_space = self.codec.space(self._room)
        self.info_mode: InfoMode = info
        self._retro = retro
        self._writing: Writing | None = None

    @abstractmethod
    def _spaces(self) -> tuple[int, spaces.Space[Any]]:
        """Returns how many written tokens an observation can show, and the action space."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self.tokenizer)] = self.tokenizer
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[TokenObservation, dict[str, Any]]:
        """Starts an episode; its first failure is the prompt. Arguments and errors are those of ``RetroEnv.reset``.

        Raises:
            ConfigError: the prompt does not fit even when shortened.
        """
        self._writing = None
        observation, info = self.env.reset(seed=seed, options=options)
        return self._show(observation, info, reflection="", tokens=0)

    def _finish(self, tokens: Sequence[int]) -> tuple[TokenObservation, float, bool, bool, dict[str, Any]]:
        """Passes the reflection to the text environment and shows the next observation."""
        text = self.codec.decode(tokens)
        observation, reward, terminated, truncated, info = self.env.step(text)
        shown, info = self._show(observation, info, reflection=text, tokens=len(tokens))
        if terminated or truncated:
            self._writing = None
        return shown, float(reward), terminated, truncated, info

    def _show(
        self, observation: str, info: dict[str, Any], *, reflection: str, tokens: int
    ) -> tuple[TokenObservation, dict[str, Any]]:
        prompt, cut = self.codec.fit(self._retro, observation)
        self._writing = Writing(self.codec, prompt, self._room)
        about = {"reflection": reflection, "reflection_tokens": tokens, "prompt_cut": cut, "prompt_tokens": len(prompt)}
        return self._writing.observation(), told({**info, **about}, self.info_mode)

    def _running(self) -> Writing:
        if self._writing is None:
            raise EpisodeError("no episode is running. Call reset() to start one.")
        return self._writing


class TokenEnv(_TokenWrapper):
    """A token-level view of :class:`~retro_gym.RetroEnv`: one token per step, for any agent that chooses tokens.

    ## Description
    The episodes are those of RetroEnv: same task, same seed and same tokens give the same return in both views.

    ## Observation space
    The prompt (the failed trajectory, tokenised as for the reflector) and the tokens written so far, in
    ``max_prompt_tokens + max_new_tokens - 1`` columns; the last token of a reflection is never shown, since a new
    prompt follows it. ``"dict"``: ``ids``, and a ``mask`` that is 1 for tokens and 0 for padding. ``"ids"``: the ids
    alone, with −1 as padding. With padding on the left the prompt is right-aligned in the first ``max_prompt_tokens``
    columns, and written token t is in column ``max_prompt_tokens + t``. With padding on the right the prompt starts in
    column 0 and the written tokens follow it directly. In both cases the tokens are contiguous.

    A prompt that is too long is rendered again in fewer characters: first the longest observations are replaced by
    ``[...]``, then the oldest turns (see :func:`retro_gym.prompts.render_observation`). ``info["prompt_cut"]`` is then
    True.

    ## Action space
    ``Discrete(vocab_size)``: the next token. An end token, or token number ``max_new_tokens``, ends the reflection.

    ## Rewards
    The reward of the text environment on the token that ends the reflection; 0.0 on every other token.

    ## Starting state
    That of the text environment, as a prompt.

    ## Episode end
    As in the text environment, on the token that ends a reflection. After an actor error the step is ``truncated``,
    ``info["actor_error"]`` says why, and the reward is meaningless: drop the sample. A step that is ``truncated``
    without it is the work of a ``TimeLimit``, in the middle of a reflection or at its end, and its reward counts.

    With ``max_reflections`` above 1 an episode continues with the next failure, so that a learner that sums the rewards
    of an episode credits a reflection with later trials too. The papers do not; ``max_reflections=1`` avoids it.

    ## Info
    ``"full"``: at a reset and at the end of a reflection the text environment's ``info``, ``reflection`` (its text,
    empty at a reset), ``reflection_tokens`` (their number, the last one included), ``prompt_cut`` and
    ``prompt_tokens``; in between empty. ``"numbers"``: at every call the same keys, with whole numbers, floats and
    booleans (:data:`~retro_gym.token_view.infos.NUMBERS`), for loops that store infos in arrays: those of them that
    are numbers, and ``actor_failed``, which is True where there would be an ``actor_error``. Between two tokens all
    are 0 or False. ``"none"``: always empty; a loop that meets actor errors must not use it, since they cannot be told
    from time limits.

    ## Arguments
    Those below.

    ## Version history
    * v0: first release

    Args:
        env: a RetroEnv, wrapped or not.
        tokenizer: a tokenizer of transformers, or one with its interface
            (:class:`~retro_gym.token_view.tokens.Tokenizer`); or the name of the reflector that it belongs to:
            ``"tiny"``, a folder, or a name on the Hugging Face hub. With a name ``spec.to_json()`` works.
        max_prompt_tokens: longer prompts are shortened.
        max_new_tokens: maximum length of a reflection, the end token included.
        padding_side: ``"left"`` or ``"right"``.
        observation: ``"dict"`` or ``"ids"``.
        vocab_size: the model's vocabulary size, if larger than the tokenizer's; the additional ids decode to nothing.
        end_ids: the end tokens, each of which ends a reflection; by default the tokenizer's end token.
        info: ``"full"``, ``"numbers"`` or ``"none"``, see above.

    Raises:
        ConfigError: an argument is invalid.
    """

    def _spaces(self) -> tuple[int, spaces.Space[Any]]:
        return self.codec.max_new_tokens - 1, spaces.Discrete(self.codec.actions)

    def step(
        self, action: int | np.integer[Any] | NDArray[Any]
    ) -> tuple[TokenObservation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Appends one token; after the last token of a reflection plays the next trial.

        Raises:
            ActionError: the action is not an id of the vocabulary.
            EpisodeError: no episode is running.
        """
        writing = self._running()
        token = self.codec.checked(action)
        if token in self.codec.ends or len(writing.tokens) + 1 == self.codec.max_new_tokens:
            return self._finish([*writing.tokens, token])
        writing.add(token)
        return writing.observation(), 0.0, False, False, told({}, self.info_mode)


class ReflectionEnv(_TokenWrapper):
    """A view of :class:`~retro_gym.RetroEnv` in which one action is one whole reflection, as tokens.

    In contrast to :class:`TokenEnv` a step is a whole trial, so that episodes have at most ``max_reflections`` steps.
    Observations hold the prompt only, in ``max_prompt_tokens`` columns.

    ## Action space
    ``MultiDiscrete([vocab_size] * max_new_tokens)``: tokens after the first end token are ignored.

    Everything else, arguments included, is as in :class:`TokenEnv`.

    Raises:
        ConfigError: an argument is invalid.
    """

    def _spaces(self) -> tuple[int, spaces.Space[Any]]:
        return 0, spaces.MultiDiscrete([self.codec.actions] * self.codec.max_new_tokens)

    def step(
        self, action: Sequence[int] | NDArray[Any]
    ) -> tuple[TokenObservation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Writes a whole reflection and plays the next trial.

        Raises:
            ActionError: the action is not ``max_new_tokens`` ids of the vocabulary.
            EpisodeError: no episode is running.
        """
        self._running()
        if np.shape(action) != (self.codec.max_new_tokens,):
            raise ActionError(f"an action is {self.codec.max_new_tokens} token ids; received {one_line(action)}.")
        tokens: list[int] = []
        for each in action:
            tokens.append(self.codec.checked(each))
            if tokens[-1] in self.codec.ends:
                break
        return self._finish(tokens)


def _check_viewed(env: gym.Env[Any, Any]) -> None:
    """Checks that an environment is a RetroEnv, in wrappers or not, that has no token view yet.

    Raises:
        ConfigError: it is another one.
    """
    if isinstance(env, gym.vector.VectorEnv):
        raise ConfigError(f"a token view of one environment; {one_line(env)} has several. Use TokenVectorEnv.")
    retro = getattr(env, "unwrapped", env)
    if not isinstance(retro, RetroEnv):
        raise ConfigError(f"a token view is a view of a RetroEnv; received {one_line(retro)}.")
    while isinstance(env, gym.Wrapper):
        if isinstance(env, _TokenWrapper):
            raise ConfigError(f"{one_line(env)} is a token view already.")
        env = env.env
