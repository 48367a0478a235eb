"""Tokenises observations into prompts, decodes tokens into reflections, and lays out token observations.

Needs only a tokenizer's interface: no model, and no library beyond numpy.
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
"""Template variables for prompts. Reasoning is switched off, if the template supports that."""

PaddingSide = Literal["left", "right"]
TokenView = Literal["dict", "ids"]
TokenObservation: TypeAlias = NDArray[np.int64] | dict[str, NDArray[Any]]
"""Ids alone, or ``{"ids": …, "mask": …}``."""

NOTHING = -1
"""Padding in an observation of ids alone. Every other number may be a token, even the tokenizer's padding token."""


class Tokenizer(Protocol):
    """The required part of a transformers tokenizer's interface: encoding and decoding."""

    chat_template: Any
    """None where the model is not a chat model."""

    @property
    def bos_token_id(self) -> int | None:
        """The token that starts a text."""

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text."""

    @property
    def pad_token_id(self) -> int | None:
        """The padding token."""

    def __len__(self) -> int:
        """Returns the size of the vocabulary, added tokens included."""

    def __call__(self, text: str, **options: Any) -> Any:
        """Encodes a text; returns a mapping with ``input_ids``."""

    def decode(self, token_ids: list[int], **options: Any) -> Any:
        """Returns the text of ids."""

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """Returns messages as one text."""


def encode_prompt(tokenizer: Tokenizer, observation: str) -> list[int]:
    """Encodes an observation as a prompt: by the chat template if there is one, else as plain text after BOS.

    Args:
        tokenizer: the reflector's tokenizer.
        observation: the environment's observation.

    Returns:
        Token ids; empty for an empty text if the tokenizer has no BOS.

    Raises:
        ConfigError: the chat template fails on the observation, or leaves it out.
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
    """Returns the longest form of a text whose prompt has at most ``limit`` tokens; empty if there is none.

    An :class:`~retro_gym.prompts.Observation` is shortened by its own rule, any other text in its middle.

    Args:
        encode: encodes a text as a prompt.
        text: usually an observation.
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
    """Returns the prompt's ids of the longest form of a text that has at most ``limit`` tokens, see :func:`fit_text`.

    Args:
        encode: encodes a text as a prompt.
        text: usually an observation.
        limit: tokens.
        room: the reason for the limit, for the message.

    Raises:
        ConfigError: not even its last word fits.
    """
    kept = fit_text(encode, text, limit)
    ids = encode(kept)
    if len(ids) > limit or (text.strip() and not kept.strip()):
        raise ConfigError(
            f"{room}: not even the last word of an observation fits beside the tokens that the tokenizer adds. Allow "
            "prompts of a few hundred tokens."
        )
    return ids


def decode(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Decodes sampled tokens, without special tokens and surrounding white space.

    Ids beyond the tokenizer's vocabulary, which a model with padded embeddings may sample, are skipped.
    """
    known = len(tokenizer)
    text: str = tokenizer.decode([token for token in tokens if token < known], skip_special_tokens=True)
    return text.strip()


@dataclasses.dataclass(frozen=True)
class Codec:
    """Encodes prompts and decodes actions; has the arguments of :class:`~retro_gym.token_view.token_env.TokenEnv`.

    Raises:
        ConfigError: an argument is invalid.
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
        """The number of token ids that are valid actions."""
        return len(self.tokenizer) if self.vocab_size is None else self.vocab_size

    @cached_property
    def ends(self) -> frozenset[int]:
        """The ids that end a reflection; empty if the tokenizer has no end token and none was given."""
        if self.end_ids is not None:
            return frozenset(int(end) for end in self.end_ids)
        end = self.tokenizer.eos_token_id
        return frozenset() if end is None else frozenset([int(end)])

    @cached_property
    def pad_id(self) -> int:
        """The id where the mask is 0: the tokenizer's padding token, else an end token, else 0."""
        pad = self.tokenizer.pad_token_id
        return int(pad) if pad is not None else min(self.ends, default=0)

    def space(self, tokens: int) -> spaces.Space[Any]:
        """Returns the space of observations with a prompt and up to ``tokens`` written tokens."""
        width = self.max_prompt_tokens + tokens
        if self.observation == "ids":
            return spaces.Box(NOTHING, self._highest, (width,), np.int64)
        ids = spaces.Box(0, self._highest, (width,), np.int64)
        return spaces.Dict({"ids": ids, "mask": spaces.MultiBinary(width)})

    @cached_property
    def _highest(self) -> int:
        """The largest id in an observation; a prompt may contain added tokens beyond the model's vocabulary."""
        return max(self.actions, len(self.tokenizer)) - 1

    def fit(self, env: RetroEnv, observation: str) -> tuple[list[int], bool]:
        """Returns the ids of an observation's prompt, and whether it had to be shortened.

        A long one is rendered again in fewer characters, by the rule of :func:`retro_gym.prompts.render_observation`.

        Args:
            env: the environment that produced the observation.
            observation: the observation after all wrappers.

        Raises:
            ConfigError: no part of it fits, or a wrapper has changed it so that it cannot be shortened.
        """
        ids = self._encode(observation)
        if len(ids) <= self.max_prompt_tokens:
            return ids, False
        own = env.observation_within(env.max_observation_chars)
        if observation != own:
            raise ConfigError(
                f"a prompt has {len(ids)} tokens, max_prompt_tokens is {self.max_prompt_tokens}, and a wrapper has "
                "rewritten the observation, so it cannot be shortened by turns. Raise max_prompt_tokens, or put the "
                "wrapper around the token view."
            )
        room = f"max_prompt_tokens is {self.max_prompt_tokens}"
        return fitting_ids(self._encode, own, self.max_prompt_tokens, room), True

    def decode(self, tokens: Sequence[int]) -> str:
        """Returns the reflection that the tokens encode."""
        return decode(self.tokenizer, tokens)

    def checked(self, action: object) -> int:
        """Returns an action as a token id.

        Raises:
            ActionError: it is not a whole number, or not an id of the vocabulary.
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
    """A prompt and the tokens that an agent has written after it so far.

    Args:
        codec: determines the layout of observations.
        prompt: the prompt's ids, at most ``codec.max_prompt_tokens``.
        room: maximum number of written tokens in an observation.
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
        """Returns the observation, as copies of the internal arrays."""
        ids = self._ids.copy()
        return ids if self._mask is None else {"ids": ids, "mask": self._mask.copy()}

    def _put(self, column: int, ids: Sequence[int]) -> None:
        self._ids[column : column + len(ids)] = ids
        if self._mask is not None:
            self._mask[column : column + len(ids)] = 1
