"""Loads causal language models of transformers and reads their configurations."""

from __future__ import annotations

import os
from typing import Any

from retro_gym.actors.gguf_file import is_gguf, transformers_folder
from retro_gym.errors import ConfigError, MissingExtraError, RetroGymError, did_you_mean, one_line

__all__ = ["DTYPES", "check_dtype", "context_of", "contiguous_head", "end_ids_of", "load_causal_lm"]

DTYPES = (None, "float32", "bfloat16", "float16", "auto")
"""Data types of weights: ``"auto"`` is as stored; None is ``"float32"`` on the CPU and ``"auto"`` elsewhere."""


def check_dtype(dtype: object) -> None:
    """Checks a data type.

    Raises:
        ConfigError: it is not one of :data:`DTYPES`.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype {dtype!r} is not one of {DTYPES}.{did_you_mean(dtype, filter(None, DTYPES))}")


def load_causal_lm(
    where: str | os.PathLike[str],
    *,
    device: Any,
    dtype: str | None,
    what: str,
    give: str,
    revision: str | None = None,
    token: str | bool | None = None,
) -> tuple[Any, Any]:
    """Loads a model and its tokenizer. No code that comes with a model is run.

    Args:
        where: a folder, a GGUF file (see :func:`~retro_gym.actors.gguf_file.transformers_folder`), or a name on the
            Hugging Face hub.
        device: device of the model: ``"cpu"``, ``"cuda:1"``, or a torch device.
        dtype: one of :data:`DTYPES`.
        what: description of the model for error messages: ``"actor 'name'"``.
        give: the values that are allowed, for error messages.
        revision: branch, tag or commit of a name on the hub.
        token: token of the hub; None for the one that is logged in.

    Raises:
        ConfigError: the model, device or data type does not exist.
        MissingExtraError: torch or transformers is not installed, or gguf for a GGUF file.
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
        if is_gguf(where):
            where = transformers_folder(where)
        # Explicit, because transformers would otherwise prompt the user at the terminal.
        options = {"trust_remote_code": False, "revision": revision or "main", "token": token}
        tokenizer = AutoTokenizer.from_pretrained(where, **options)
        model = AutoModelForCausalLM.from_pretrained(where, dtype=dtype, **options)
    except RetroGymError:
        raise
    except Exception as error:  # third-party files and the libraries that they need may raise any error
        raise ConfigError(f"{what} cannot be loaded: {one_line(str(error), 200)} Give {give}.") from error
    finally:
        if bars:
            logging.enable_progress_bar()
    try:
        contiguous_head(model)
        return model.to(target), tokenizer
    except Exception as error:  # torch asserts support for the device; quantized weights cannot be moved
        raise ConfigError(
            f"{what} cannot be moved to device {str(target)!r}: {one_line(str(error), 200)} "
            "Choose another device, or a dtype that takes less memory."
        ) from error


def contiguous_head(model: Any) -> None:
    """Gives the output layer its input in one piece; a second call changes nothing.

    PyTorch multiplies a slice of the hidden states, such as the last token of each row, with a copy of the weights for
    each row: with a vocabulary of 49,152 that took a tenth of an update.
    """
    head = model.get_output_embeddings()
    if head is not None and _in_one_piece not in head._forward_pre_hooks.values():
        head.register_forward_pre_hook(_in_one_piece)


def _in_one_piece(layer: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    hidden = given[0].contiguous()
    # A slice of a single row counts as contiguous, whatever its strides; those of a view are plain.
    return (hidden.view(-1, hidden.shape[-1]).view(hidden.shape), *given[1:])


def end_ids_of(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Returns the end tokens of the generation config and the tokenizer, sorted."""
    ends = model.generation_config.eos_token_id
    found = [*(ends if isinstance(ends, list | tuple) else [ends]), tokenizer.eos_token_id]
    return tuple(sorted({int(end) for end in found if end is not None}))


def context_of(model: Any) -> int | None:
    """Returns the context window in tokens; None if the configuration sets no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
