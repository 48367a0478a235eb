"""Batches of prompts for an in-process model; a batch is split when the model fails on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from retro_gym.actors.base import Reply
from retro_gym.actors.hf_prompts import PromptLayout, Row
from retro_gym.errors import ActorError, RetroGymError, one_line
from retro_gym.prompts import Prompt

__all__ = ["no_usable_logits", "reply_in_batches"]

# torch has an out-of-memory class only for CUDA. "Illegal memory access" is a different error.
_NO_MEMORY = re.compile(r"out of memory|allocate memory|not enough memory|alloc_failed", re.IGNORECASE)
_Replies: TypeAlias = list[Reply | ActorError]


def reply_in_batches(
    layout: PromptLayout, prompts: Sequence[Prompt], batch_size: int, generate: Callable[[Sequence[Row]], _Replies]
) -> _Replies:
    """Returns a reply or an error for each prompt.

    When the model fails on a batch, its halves are tried; failure on a single prompt gives an ``ActorError``.

    Args:
        layout: converts prompts to token ids.
        prompts: any number of prompts.
        batch_size: maximum number of prompts in a batch.
        generate: returns the replies to one batch.

    Raises:
        ConfigError: see :meth:`~retro_gym.actors.hf_prompts.PromptLayout.row`.
    """
    replies: dict[int, Reply | ActorError] = {}
    rows = []
    for index, prompt in enumerate(prompts):
        try:
            rows.append((index, layout.row(prompt)))
        except ActorError as error:
            replies[index] = error
    rows.sort(key=lambda pair: -len(pair[1].ids))  # batches of similar length need little padding
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        answers = _fitting(generate, [row for _, row in batch])
        replies.update(zip((index for index, _ in batch), answers, strict=True))
    return [replies[index] for index in range(len(prompts))]


def no_usable_logits(prompt_tokens: int, tokens: int) -> ActorError:
    """Returns the error for a reply whose logits are not finite.

    Args:
        prompt_tokens: number of tokens of the prompt.
        tokens: number of tokens of the reply so far.
    """
    return ActorError(
        f"the model has computed no usable logits (NaN or infinite) after a prompt of {prompt_tokens} tokens "
        f"and {tokens} of the reply. float16 overflows in many models: give dtype='bfloat16' or "
        "'float32'. If that does not help, load the model with attn_implementation='eager' and pass it as an object, "
        "or check whether its weights are intact."
    )


def _fitting(generate: Callable[[Sequence[Row]], _Replies], rows: Sequence[Row]) -> _Replies:
    """Returns the replies to a batch; splits it if the model fails."""
    import torch

    try:
        replies = generate(rows)
    except RetroGymError:
        raise
    except Exception as error:  # a model is third-party code and may raise any error
        memory = isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)) is not None
        failed = _failed(error, rows[0], memory=memory)
    else:
        # Padding is a common cause of NaN, so a row that failed in a batch is tried again alone.
        return [
            _fitting(generate, [row])[0] if isinstance(reply, ActorError) and len(rows) > 1 else reply
            for row, reply in zip(rows, replies, strict=True)
        ]
    # The error keeps the batch's tensors alive until the except clause ends, so free memory only here.
    if memory and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(rows) == 1:
        return [failed]
    half = len(rows) // 2
    return _fitting(generate, rows[:half]) + _fitting(generate, rows[half:])


def _failed(error: Exception, row: Row, *, memory: bool) -> ActorError:
    """Returns the error for a prompt that the model has failed on."""
    said = one_line(str(error).partition(". ")[0], 200)
    if memory:
        return ActorError(
            f"a prompt of {len(row.ids)} tokens does not fit into the memory of the device ({said}). Use a "
            "smaller max_new_tokens, dtype='bfloat16', or another device."
        )
    return ActorError(
        f"the model failed on a prompt of {len(row.ids)} tokens: {type(error).__name__} ({said}). See that model, "
        "tokenizer and the versions of torch and transformers belong together. After an error of CUDA only a new "
        "process can use the device again; device='cpu' says more of the cause."
    )
