"""Tokenizers by name, so that a view's spec is plain JSON."""

from __future__ import annotations

import pkgutil
import weakref
from typing import TypeAlias, cast

from retro_gym.errors import ConfigError, MissingExtraError, one_line
from retro_gym.token_view.tokens import Tokenizer

__all__ = ["TokenizerSpec", "find_tokenizer"]

TokenizerSpec: TypeAlias = Tokenizer | str
"""A tokenizer, or the name of the reflector that it belongs to: ``"tiny"``, a folder, or a name on the hub."""

_SOURCE = "retro_gym_agents.lm.sources:tokenizer_source"  # as text, like the entry points of environments

_loaded: weakref.WeakValueDictionary[str, Tokenizer] = weakref.WeakValueDictionary()  # shared as long as one is in use


def find_tokenizer(spec: TokenizerSpec) -> Tokenizer:
    """Returns the tokenizer of a reflector's name; a tokenizer is returned as it is.

    Views with the same name share a tokenizer, which they never modify.

    Raises:
        ConfigError: the name is unknown, or it is no tokenizer.
        MissingExtraError: transformers or torch is not installed.
    """
    if not isinstance(spec, str):
        if not callable(spec) or not hasattr(spec, "decode") or isinstance(spec, type):
            raise ConfigError(
                f"tokenizer is {one_line(spec)}; give a tokenizer of transformers, such as reflector.tokenizer, or "
                "its name."
            )
        return spec
    tokenizer = _loaded.get(spec)
    if tokenizer is None:
        tokenizer = _loaded[spec] = _load(spec)
    return tokenizer


def _load(name: str) -> Tokenizer:
    try:
        from transformers import AutoTokenizer

        source_of = pkgutil.resolve_name(_SOURCE)
    except ImportError as error:
        raise MissingExtraError(error.name or "transformers", "train") from error
    where, revision = source_of(name)
    own = {} if revision is None else {"revision": revision}
    try:
        return cast(Tokenizer, AutoTokenizer.from_pretrained(where, trust_remote_code=False, **own))
    except Exception as error:  # third-party files and the libraries that they need may raise any error
        raise ConfigError(
            f"tokenizer {name!r} cannot be loaded: {one_line(str(error), 200)} Give 'tiny', a folder with a reflector "
            "or in the format of transformers, or a name on the Hugging Face hub."
        ) from error
