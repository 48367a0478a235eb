"""Whether an adapter was made for the base model that it was loaded on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError

__all__ = ["check_fit"]


def check_fit(model: Any, adapter: str, folder: Path) -> None:
    """Refuses an adapter of another base model, of which peft takes what has a place in this one.

    Raises:
        ConfigError: weights of the adapter have no place in the model, or layers of the model get none.
    """
    from peft import get_peft_model_state_dict, load_peft_weights

    held = get_peft_model_state_dict(model, adapter_name=adapter, save_embedding_layers=False)
    read = load_peft_weights(str(folder), "cpu")
    own, stored = ({name for name in weights if "lora_" in name} for weights in (held, read))
    stray, missing = sorted(stored - own), sorted(own - stored)
    if stray or missing:
        raise ConfigError(
            f"{folder} holds no adapter that fits its base model: {len(stray)} of its weights have no place in the "
            f"model, and {len(missing)} are missing, such as {[*stray, *missing][0]}. It was made for another base "
            "model. Load it with that one."
        )
