"""Options of token views for a reflector."""

from __future__ import annotations

from typing import Any

from retro_gym_agents.lm.reflector import Reflector

__all__ = ["token_options"]

_MAX_PROMPT_TOKENS = 512  # limit for long context windows, because every observation is padded to this width


def token_options(reflector: Reflector) -> dict[str, Any]:
    """Returns the options of ``TokenEnv`` for a reflector: its end tokens, length limit, vocabulary and context."""
    options = {
        "max_new_tokens": reflector.sampling.max_new_tokens,
        "end_ids": reflector.sampling.end_ids,
        "vocab_size": max(len(reflector.tokenizer), int(reflector.model.get_output_embeddings().weight.shape[0])),
    }
    room = reflector.max_prompt_tokens
    return options if room is None else {**options, "max_prompt_tokens": min(_MAX_PROMPT_TOKENS, room)}
