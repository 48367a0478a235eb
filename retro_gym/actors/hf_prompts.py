"""Converts an actor's prompts to token ids of a causal LM, and its tokens to replies."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from retro_gym.actors.base import Reply
from retro_gym.actors.loading import context_of, end_ids_of
from retro_gym.actors.parsing import cut_at, split_reasoning
from retro_gym.chat import render_chat
from retro_gym.errors import ActorError, ConfigError, PromptTooLongError, did_you_mean, one_line
from retro_gym.prompts import PROMPT_SHAPES, Prompt, PromptShape

__all__ = ["PromptLayout", "Row", "check_shape"]

_MAX_NEW_TOKENS = 1024  # enough for the reasoning of a turn
_LAST_TAG = re.compile(r"([<\[][^<>\[\]\s]+[>\]])\s*\Z")


def check_shape(shape: PromptShape | None) -> None:
    """Checks the shape of prompts.

    Raises:
        ConfigError: it is neither None nor one of :data:`~retro_gym.prompts.PROMPT_SHAPES`.
    """
    if shape is not None and shape not in PROMPT_SHAPES:
        raise ConfigError(f"shape {shape!r} is not one of {PROMPT_SHAPES}.{did_you_mean(shape, PROMPT_SHAPES)}")


@dataclasses.dataclass(frozen=True)
class Row:
    """A tokenised prompt."""

    prompt: Prompt
    ids: list[int]
    opened: str = ""
    """The opening reasoning tag, if the chat template ends with it, so that the model writes only the closing one."""

    def read(self, text: str) -> tuple[str, str, bool]:
        """Returns answer, reasoning, and whether a stop text ended the answer; the reasoning is not searched for it."""
        answer, reasoning = split_reasoning(self.opened + text)
        cut = cut_at(answer, self.prompt.stop)
        return cut, reasoning, len(cut) < len(answer)


@dataclasses.dataclass(frozen=True)
class PromptLayout:
    """How prompts are encoded for a causal LM, and its tokens decoded to replies."""

    name: str
    """Name of the model in error messages."""
    tokenizer: Any
    shape: PromptShape
    template_options: Mapping[str, Any]
    """Further variables of the chat template."""
    ends: tuple[int, ...]
    """Any of these tokens ends a reply."""
    pad: int
    vocabulary: int
    """Number of token embeddings of the model."""
    max_new_tokens: int
    room: int | None
    """Maximum number of prompt tokens; None for no limit."""
    tags: Mapping[int, str]
    """The special tokens around the reasoning, which are decoded although other special tokens are skipped."""

    @classmethod
    def of(
        cls,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        shape: PromptShape | None = None,
        max_new_tokens: int | None = None,
        template_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Creates the layout for a model.

        Args:
            model: a causal LM of transformers.
            tokenizer: the model's tokenizer.
            name: name of the model in error messages.
            shape: by default ``"chat"`` if the tokenizer has a chat template, otherwise ``"completion"``.
            max_new_tokens: token limit of a reply; by default 1,024 or a quarter of the context window if that is less.
            template_options: further variables of the chat template.

        Raises:
            ConfigError: there is no chat template, the model is an encoder-decoder, or a prompt has no room.
        """
        shape = shape or ("chat" if tokenizer.chat_template else "completion")
        if shape != "completion" and not tokenizer.chat_template:
            raise ConfigError(
                f"shape is {shape!r}, but the tokenizer of {name} has no chat template. Use 'completion'."
            )
        if getattr(model.config, "is_encoder_decoder", False):
            raise ConfigError(f"{name} is {type(model).__name__}, an encoder with a decoder. Give a causal LM.")
        context = context_of(model)
        limit = max_new_tokens
        if limit is None:
            limit = _MAX_NEW_TOKENS if context is None else max(1, min(_MAX_NEW_TOKENS, context // 4))
        if context is not None and context <= limit:
            raise ConfigError(
                f"max_new_tokens is {limit}, but {name} has a context of {context} tokens: no room "
                "is left for the prompt. Give a smaller max_new_tokens."
            )
        ends = end_ids_of(model, tokenizer)
        vocabulary = model.get_input_embeddings().weight.shape[0]
        pads = (token for token in (tokenizer.pad_token_id, *ends) if token is not None)
        return cls(
            name,
            tokenizer,
            shape,
            dict(template_options or {}),
            ends,
            pad=next((token for token in pads if token < vocabulary), 0),  # several tokenizers add one of their own
            vocabulary=vocabulary,
            max_new_tokens=limit,
            room=None if context is None else context - limit,
            tags=_reasoning_tags(tokenizer),
        )

    def row(self, prompt: Prompt) -> Row:
        """Tokenises a prompt, with the chat template or as one text.

        Raises:
            ActorError: the tokenizer cannot read the prompt.
            PromptTooLongError: the prompt leaves no room for the reply.
            ConfigError: the chat template refuses the prompt, or the tokenizer is another model's.
        """
        tokenizer, chat = self.tokenizer, self.shape != "completion"
        text = prompt.text
        if chat:
            text = render_chat(
                tokenizer,
                prompt.messages(self.shape),
                model=self.name,
                remedy="Try shape='user', or 'completion'.",
                options=self.template_options,
            )
        try:
            # Templates write the special tokens themselves, BOS too.
            ids = list(tokenizer(text, add_special_tokens=not chat, verbose=False)["input_ids"])
        except Exception as error:  # a lone surrogate, or a character without a token
            raise ActorError(
                f"the tokenizer of {self.name} cannot read the prompt: {one_line(str(error), 200)}. See which "
                "characters the task environment's observations hold."
            ) from error
        while not chat and ids and ids[-1] == tokenizer.eos_token_id:  # some tokenizers append EOS to every text
            ids.pop()
        if max(ids, default=0) >= self.vocabulary:
            raise ConfigError(
                f"the tokenizer of {self.name} gives the id {max(ids)}, but the model has embeddings for "
                f"{self.vocabulary} tokens. Give the tokenizer that belongs to the model."
            )
        if self.room is not None and len(ids) > self.room:
            raise PromptTooLongError(
                f"the prompt has {len(ids)} tokens; {self.name} has room for {self.room} beside a reply of "
                f"{self.max_new_tokens}. Give a smaller max_new_tokens, fewer turns, or a model of longer context."
            )
        return Row(prompt, ids or [self.pad], _opened_reasoning(text) if chat else "")

    def has_ended(self, row: Row, tokens: Sequence[int]) -> bool:
        """Returns whether a reply has reached an end token or a stop text."""
        return tokens[-1] in self.ends or row.read(self._text(tokens))[2]

    def reply(self, row: Row, tokens: Sequence[int], *, ended: bool) -> Reply:
        """Parses generated tokens as a reply.

        Args:
            row: the prompt.
            tokens: the generated tokens, including the end token.
            ended: False if the reply reached the token limit.
        """
        answer, reasoning, _ = row.read(self._text(tokens))
        text = answer.strip() if ended else answer.lstrip()  # a line break says that a cut reply's last line is whole
        return Reply(text, len(row.ids), len(tokens), reasoning, cut=not ended)

    def _text(self, tokens: Sequence[int]) -> str:
        """Decodes generated tokens, without the end token."""
        kept = list(tokens[:-1] if tokens and tokens[-1] in self.ends else tokens)
        written, start = "", 0
        for at, token in enumerate(kept) if self.tags else ():
            if token in self.tags:
                written += self._decoded(kept[start:at]) + self.tags[token]
                start = at + 1
        return written + self._decoded(kept[start:])

    def _decoded(self, tokens: list[int]) -> str:
        # Cleaning up would remove spaces from actions.
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _opened_reasoning(prompt: str) -> str:
    r"""Returns the opening reasoning tag at the end of a prompt, or an empty text.

    >>> _opened_reasoning("<|assistant|><think>\n"), _opened_reasoning("<|assistant|><think></think>")
    ('<think>', '')
    """
    found = _LAST_TAG.search(prompt)
    return found.group(1) if found and _opens(found.group(1)) else ""


def _reasoning_tags(tokenizer: Any) -> dict[int, str]:
    """Returns the special tokens of a tokenizer that open or close the reasoning."""
    added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", {})
    special = {token: str(tag) for token, tag in added.items() if tag.special}
    return {token: tag for token, tag in special.items() if _opens(tag) or split_reasoning(f"a{tag}b") == ("b", "a")}


def _opens(tag: str) -> bool:
    return split_reasoning(f"{tag}a") == ("", "a")
