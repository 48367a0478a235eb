"""Texts as tokens: how an observation becomes a prompt, how tokens become a reflection, and what an agent sees of both.

Everything here needs a tokenizer's interface only; no model, and no library beyond numpy.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from retro_gym.chat import render_chat
from retro_gym.env import RetroEnv
from retro_gym.errors import ActionError, ConfigError, did_you_mean, one_line
from retro_gym.prompts import Observation, shorten, valid_text

__all__ = [
    "CHAT_TEMPLATE_OPTIONS",
    "Codec",
    "PaddingSide",
    "TokenObservation",
    "TokenView",
    "Tokenizer",
    "Writing",
    "decode",
    "encode_prompt",
    "fit_text",
    "fitting_ids",
]

CHAT_TEMPLATE_OPTIONS = {"enable_thinking": False}
"""What prompts are rendered with, for templates that know it: a reflection is what comes after the thinking."""

PaddingSide = Literal["left", "right"]
TokenView = Literal["dict", "ids"]
TokenObservation: TypeAlias = NDArray[np.int64] | dict[str, NDArray[Any]]
"""Ids alone, or ``{"ids": …, "mask": …}``."""

NOTHING = -1
"""In an observation of ids alone: no token stands here. Every other number may be a token, the padding token too."""


class Tokenizer(Protocol):
    """What is asked of a tokenizer: the part of transformers' interface that turns texts into ids and back."""

    chat_template: Any
    """None where the model is not a chat model."""

    @property
    def bos_token_id(self) -> int | None:
        """The token that starts a text."""

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends one."""

    @property
    def pad_token_id(self) -> int | None:
        """The token that fills rows up."""

    def __len__(self) -> int:
        """How many ids have a text."""

    def __call__(self, text: str, **options: Any) -> Any:
        """A mapping with ``input_ids``."""

    def decode(self, token_ids: list[int], **options: Any) -> Any:
        """The text of ids."""

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """The text of messages."""


def encode_prompt(tokenizer: Tokenizer, observation: str) -> list[int]:
    """The ids of an observation as a prompt: by the chat template where there is one, else plainly behind BOS.

    Args:
        tokenizer: the reflector's.
        observation: as the environment gives it.

    Returns:
        Token ids; none for an empty text of a tokenizer without BOS.

    Raises:
        ConfigError: the chat template refuses the observation, or leaves it out.
    """
    ids: list[int]
    observation = valid_text(observation)
    if tokenizer.chat_template:
        text = render_chat(
            tokenizer,
            [{"role": "user", "content": observation}],
            model="the reflector",
            remedy="Give its tokenizer another chat_template; without one an observation is plain text.",
            options=CHAT_TEMPLATE_OPTIONS,
        )
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    else:
        ids = tokenizer(observation, verbose=False)["input_ids"]
        bos = tokenizer.bos_token_id
        if bos is not None and ids[:1] != [bos]:
            ids = [bos, *ids]
    return ids


def fit_text(encode: Callable[[str], Sequence[int]], text: str, limit: int) -> str:
    """The longest form of a text whose prompt has at most ``limit`` tokens; empty where there is none.

    An :class:`~retro_gym.prompts.Observation` is shortened by its own rule, any other text in its middle.

    Args:
        encode: what makes a prompt of a text.
        text: an observation, as a rule.
        limit: tokens.
    """
    if len(encode(text)) <= limit:
        return text
    best, fits, too_long = "", 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        form = text.within(middle) if isinstance(text, Observation) else shorten(text, middle)
        if len(encode(form)) > limit:
            too_long = middle
        else:
            fits, best = middle, form
    return best


def fitting_ids(encode: Callable[[str], list[int]], text: str, limit: int, room: str) -> list[int]:
    """The prompt of the longest form of a text that has at most ``limit`` tokens, see :func:`fit_text`.

    Args:
        encode: what makes a prompt of a text.
        text: an observation, as a rule.
        limit: tokens.
        room: why there are not more of them, for the message.

    Raises:
        ConfigError: not even its last word fits.
    """
    kept = fit_text(encode, text, limit)
    ids = encode(kept)
    if len(ids) > limit or (text.strip() and not kept.strip()):
        raise ConfigError(
            f"{room}: not even the last word of an observation fits beside what the tokenizer puts around it. Give the "
            "prompt more room: some hundred tokens."
        )
    return ids


def decode(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """The text of sampled tokens, without special tokens and the white space around it.

    Ids beyond the tokenizer's own, which the vocabulary of a padded model may hold, stand for no text.
    """
    known = len(tokenizer)
    text: str = tokenizer.decode([token for token in tokens if token < known], skip_special_tokens=True)
    return text.strip()


@dataclasses.dataclass(frozen=True)
class Codec:
    """How one agent sees prompts and tokens; the arguments of :class:`~retro_gym.token_view.token_env.TokenEnv`.

    Raises:
        ConfigError: an argument is out of its rule.
    """

    tokenizer: Tokenizer
    max_prompt_tokens: int = 512
    max_new_tokens: int = 48
    padding_side: PaddingSide = "left"
    observation: TokenView = "dict"
    vocab_size: int | None = None
    end_ids: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, size in (("max_prompt_tokens", self.max_prompt_tokens), ("max_new_tokens", self.max_new_tokens)):
            if not isinstance(size, int) or size < 1:
                raise ConfigError(f"{name} is {one_line(size)}; it must be a whole number of tokens, at least 1.")
        for name, choice, known in (
            ("padding_side", self.padding_side, get_args(PaddingSide)),
            ("observation", self.observation, get_args(TokenView)),
        ):
            if choice not in known:
                raise ConfigError(f"{name} is {choice!r}; choose one of {known}.{did_you_mean(choice, known)}")
        if self.vocab_size is not None and self.vocab_size < len(self.tokenizer):
            raise ConfigError(
                f"vocab_size is {self.vocab_size}, but the tokenizer has {len(self.tokenizer)} tokens. Give the "
                "model's own size, which may be larger, or leave it out."
            )
        for end in self.ends:
            if not 0 <= end < self.actions:
                raise ConfigError(f"end_ids holds {end}; an id is between 0 and {self.actions - 1} here.")

    @cached_property
    def actions(self) -> int:
        """The number of ids that may be chosen."""
        return len(self.tokenizer) if self.vocab_size is None else self.vocab_size

    @cached_property
    def ends(self) -> frozenset[int]:
        """The ids that end a reflection; none where the tokenizer has no such token and none was given."""
        if self.end_ids is not None:
            return frozenset(int(end) for end in self.end_ids)
        end = self.tokenizer.eos_token_id
        return frozenset() if end is None else frozenset([int(end)])

    @cached_property
    def pad_id(self) -> int:
        """What fills the ids where the mask is 0: the tokenizer's padding token, or one that ends a text, or 0."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else min(self.ends, default=0)

    def space(self, tokens: int) -> spaces.Space[Any]:
        """The space of observations that hold a prompt and so many tokens behind it."""
        width = self.max_prompt_tokens + tokens
        if self.observation == "ids":
            return spaces.Box(NOTHING, self._highest, (width,), np.int64)
        ids = spaces.Box(0, self._highest, (width,), np.int64)
        return spaces.Dict({"ids": ids, "mask": spaces.MultiBinary(width)})

    @cached_property
    def _highest(self) -> int:
        """The largest id in an observation: a prompt may hold tokens that were added behind the model's own."""
        return max(self.actions, len(self.tokenizer)) - 1

    def fit(self, env: RetroEnv, observation: str) -> tuple[list[int], bool]:
        """The ids of an observation's prompt, and whether it had to be cut.

        A long one is written again in fewer characters, by the rule of :func:`retro_gym.prompts.render_observation`.

        Args:
            env: the environment whose failure it shows.
            observation: as it came out of all wrappers.

        Raises:
            ConfigError: nothing of it fits, or a wrapper has rewritten it so that it cannot be shortened.
        """
        ids = self._encode(observation)
        if len(ids) <= self.max_prompt_tokens:
            return ids, False
        own = env.observation_within(env.max_observation_chars)
        if observation != own:
            raise ConfigError(
                f"a prompt has {len(ids)} tokens, max_prompt_tokens is {self.max_prompt_tokens}, and a wrapper has "
                "rewritten the observation, so it cannot be cut by the trajectory's rule. Give more room, or put the "
                "wrapper around the token view."
            )
        room = f"max_prompt_tokens is {self.max_prompt_tokens}"
        return fitting_ids(self._encode, own, self.max_prompt_tokens, room), True

    def decode(self, tokens: Sequence[int]) -> str:
        """The reflection that tokens stand for."""
        return decode(self.tokenizer, tokens)

    def checked(self, action: object) -> int:
        """An action as a token id.

        Raises:
            ActionError: it is no whole number, or no id of the vocabulary.
        """
        try:
            token = operator.index(action.item() if isinstance(action, np.ndarray) else action)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            token = -1
        if not 0 <= token < self.actions:
            raise ActionError(f"an action is a token id between 0 and {self.actions - 1}; received {one_line(action)}.")
        return token

    def _encode(self, text: str) -> list[int]:
        return encode_prompt(self.tokenizer, text) or [self.pad_id]


class Writing:
    """A prompt and the tokens that an agent has written behind it so far.

    Args:
        codec: how it is shown.
        prompt: its ids, at most ``codec.max_prompt_tokens``.
        room: how many of the tokens can be shown.
    """

    def __init__(self, codec: Codec, prompt: Sequence[int], room: int) -> None:
        self.codec = codec
        self.prompt_tokens = len(prompt)
        self.tokens: list[int] = []
        as_ids = codec.observation == "ids"
        width = codec.max_prompt_tokens + room
        self._ids = np.full(width, NOTHING if as_ids else codec.pad_id, dtype=np.int64)
        self._mask = None if as_ids else np.zeros(width, dtype=np.int8)
        self._next = codec.max_prompt_tokens if codec.padding_side == "left" else len(prompt)
        self._put(self._next - len(prompt), prompt)

    def add(self, token: int) -> None:
        """Appends a token that does not end the reflection."""
        self.tokens.append(token)
        self._put(self._next, [token])
        self._next += 1

    def observation(self) -> TokenObservation:
        """What the agent sees: arrays of its own."""
        ids = self._ids.copy()
        return ids if self._mask is None else {"ids": ids, "mask": self._mask.copy()}

    def _put(self, column: int, ids: Sequence[int]) -> None:
        self._ids[column : column + len(ids)] = ids
        if self._mask is not None:
            self._mask[column : column + len(ids)] = 1
