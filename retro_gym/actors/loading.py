"""Causal language models of transformers: loaded from a name or a path, and what their configurations say."""

from __future__ import annotations

import os
from typing import Any

from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line

__all__ = ["DTYPES", "check_dtype", "context_of", "end_ids_of", "load_causal_lm"]

DTYPES = (None, "float32", "bfloat16", "float16", "auto")
"""The data types of weights: ``"auto"`` is as stored, None ``"float32"`` on the CPU and ``"auto"`` elsewhere."""


def check_dtype(dtype: object) -> None:
    """Refuses a data type that there is not.

    Raises:
        ConfigError: it is none of :data:`DTYPES`.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype {dtype!r} is not one of {DTYPES}.{did_you_mean(dtype, filter(None, DTYPES))}")


def load_causal_lm(
    where: str | os.PathLike[str], *, device: Any, dtype: str | None, what: str, give: str
) -> tuple[Any, Any]:
    """Loads a model and its tokenizer. No code that comes with a model is run.

    Args:
        where: a folder, or a name on the Hugging Face hub.
        device: where the model goes: ``"cpu"``, ``"cuda:1"``, or a torch device.
        dtype: one of :data:`DTYPES`.
        what: what cannot be loaded, for messages: ``"actor 'name'"``.
        give: what may be given instead, for messages.

    Raises:
        ConfigError: there is no such model, or no such device or data type.
        MissingExtraError: torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "train") from error
    check_dtype(dtype)
    try:
        target = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"device {device!r} is unknown to torch: {one_line(str(error), 200)}") from error
    if dtype is None:
        dtype = "float32" if target.type == "cpu" else "auto"
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        # Said outright, or transformers would stop and ask whoever sits at the terminal.
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, trust_remote_code=False)
    except Exception as error:  # files of others, and the libraries that they ask for, may fail in any way
        raise ConfigError(f"{what} cannot be loaded: {one_line(str(error), 200)} Give {give}.") from error
    finally:
        if bars:
            logging.enable_progress_bar()
    try:
        return model.to(target), tokenizer
    except Exception as error:  # torch asserts that it was built for the device; quantized weights stay where they are
        raise ConfigError(
            f"{what} cannot be moved to device {str(target)!r}: {one_line(str(error), 200)} "
            "Choose another device, or a dtype that takes less memory."
        ) from error


def end_ids_of(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The tokens of which any ends a text, sorted: those of the generation config and the tokenizer's own."""
    ends = model.generation_config.eos_token_id
    found = [*(ends if isinstance(ends, list | tuple) else [ends]), tokenizer.eos_token_id]
    return tuple(sorted({int(end) for end in found if end is not None}))


def context_of(model: Any) -> int | None:
    """How many tokens prompt and reply may have together; None where the configuration sets no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
