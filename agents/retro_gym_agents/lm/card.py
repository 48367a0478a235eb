"""Model cards: the README.md beside weights, with the metadata that the Hugging Face hub reads."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from retro_gym_agents.lm.adapters import LoraSettings
from retro_gym_agents.lm.pretrained import TINY

__all__ = ["adapter_card", "base_card", "card_text", "cell", "table", "versions", "versions_section"]

_PACKAGES = ("retro-gym", "gymnasium", "numpy", "torch", "transformers", "peft")


def card_text(metadata: Mapping[str, Any], body: str) -> str:
    """Returns a card: its metadata as YAML, and its text."""
    from huggingface_hub import ModelCardData

    return f"---\n{ModelCardData(**metadata).to_yaml()}\n---\n\n{body.strip()}\n"


def adapter_card(
    base: str, lora: LoraSettings | None, *, title: str = "", sections: Sequence[str] = (), **metadata: Any
) -> str:
    """Returns the card of an adapter.

    Args:
        base: the base model: ``"tiny"``, a name on the hub, or a path, of which only the last part is named.
        lora: the adapter's settings.
        title: its heading; "A LoRA adapter" by default.
        sections: further parts of the text.
        metadata: further metadata.
    """
    settings = "" if lora is None else f", rank {lora.rank}, alpha {lora.alpha}, on {lora.target_modules}"
    parts = [
        f"# {title or 'A LoRA adapter'}",
        f"A LoRA adapter{settings}, for {_base_words(base)}. Made with retro_gym.",
        *sections,
        versions_section(),
    ]
    known = {} if _is_private(base) else {"base_model": base}
    tags = ["retro_gym", "lora", *metadata.pop("tags", ())]
    return card_text(
        {"library_name": "peft", "pipeline_tag": "text-generation", **known, "tags": tags, **metadata},
        "\n\n".join(parts),
    )


def base_card() -> str:
    """Returns the card of a copy of the tiny model."""
    body = (
        "# The tiny model of retro_gym\n\n"
        "A language model of 2 million weights that comes with retro_gym, so that reflections can be seen to improve "
        f"on a laptop. This is the one of version {versions()['retro-gym']}. Adapters that were trained from it name "
        "it as their base model; retro_gym itself loads them with its own copy."
    )
    metadata = {
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["retro_gym"],
    }
    return card_text(metadata, body)


def versions() -> dict[str, str]:
    """Returns the versions of this package and of what it computes with; packages that are absent are left out."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"retro-gym": "unknown", **found}


def versions_section() -> str:
    """Returns the versions as a line of text."""
    return "Written with " + ", ".join(f"{name} {version}" for name, version in versions().items()) + "."


def table(rows: Sequence[Sequence[object]]) -> str:
    """Returns a table of Markdown; its first row is the head."""
    head, *others = [[cell(value) for value in row] for row in rows]
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: object) -> str:
    r"""Returns a text that stays within its cell, and in which nothing is markup.

    >>> print(cell("a|b <i>"))
    a\|b &lt;i>
    """
    text = " ".join(str(value).split())
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _is_private(base: str) -> bool:
    return base == TINY or PurePath(base).is_absolute()


def _base_words(base: str) -> str:
    if base == TINY:
        return f"the tiny model of retro_gym {versions()['retro-gym']}"
    return f"the base model `{PurePath(base).name if PurePath(base).is_absolute() else base}`"
