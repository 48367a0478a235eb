"""The token view of an environment that suits a reflector."""

from __future__ import annotations

from typing import Any

from retro_gym_agents.lm.reflector import Reflector

__all__ = ["token_options"]

_MAX_PROMPT_TOKENS = 512  # of models with room for more: every step's observation is that wide


def token_options(reflector: Reflector) -> dict[str, Any]:
    """The options of ``TokenEnv`` that suit a reflector: its end tokens, length limit, vocabulary and context."""
    options = {
        "max_new_tokens": reflector.sampling.max_new_tokens,
        "end_ids": reflector.sampling.end_ids,
        "vocab_size": max(len(reflector.tokenizer), int(reflector.model.get_output_embeddings().weight.shape[0])),
    }
    room = reflector.max_prompt_tokens
    return options if room is None else {**options, "max_prompt_tokens": min(_MAX_PROMPT_TOKENS, room)}
