"""Merging: an adapter and its base model as one model, which transformers loads without peft."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retro_gym.errors import ConfigError, DivergedError
from retro_gym_agents.lm.adapted_model import AdaptedModel
from retro_gym_agents.lm.card import card_text, versions_section
from retro_gym_agents.lm.pretrained import save_tokenizer

__all__ = ["merged_card", "save_merged"]


def save_merged(model: AdaptedModel, folder: Path, *, keep: bool = True) -> None:
    """Writes a model with its adapter merged into it, its tokenizer, generation config and card.

    Args:
        model: a model with an adapter.
        folder: the folder to write, which must not be there; it is complete once it is.
        keep: leaves the model as it is, for which its weights are copied.

    Raises:
        ConfigError: there is no adapter, or the folder is there.
        DivergedError: the adapter's weights are not finite.
    """
    if model.adapter is None:
        raise ConfigError(f"{model.name!r} has no adapter that could be merged. Give a run, or an adapter's folder.")
    if folder.exists():
        raise ConfigError(f"output {str(folder)!r} exists. Give another path, or remove it.")
    generation = model.generation_config()
    with_adapter: Any = copy.deepcopy(model.model) if keep else model.model
    try:
        plain = with_adapter.merge_and_unload(safe_merge=True, adapter_names=[model.adapter])
    except ValueError as error:  # raised by peft if weights are not finite
        raise DivergedError(f"the adapter cannot be merged into its base model: {error}") from error
    plain.generation_config = generation
    draft = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    with _no_bars():
        plain.save_pretrained(str(draft))
    save_tokenizer(model.tokenizer, draft)
    for weights in draft.glob("*.safetensors"):  # written for their owner alone, unlike the files beside them
        shutil.copymode(draft / "config.json", weights)
    (draft / "README.md").write_text(merged_card(), encoding="utf-8")
    draft.rename(folder)


def merged_card(title: str = "A merged model", *sections: str, **metadata: Any) -> str:
    """Returns the card of a merged model."""
    what = "An adapter of retro_gym, merged into its base model."
    tags = ["retro_gym", *metadata.pop("tags", ())]
    about = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": tags, **metadata}
    return card_text(about, "\n\n".join([f"# {title}", what, *sections, versions_section()]))


@contextmanager
def _no_bars() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
