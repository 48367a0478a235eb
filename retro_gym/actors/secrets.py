"""Keeps secrets out of what is written: nobody who is given a tape or a message may find a key in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

__all__ = ["MASK", "hidden", "is_secret", "mask", "secrets_of"]

MASK = "[masked]"

_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_SHORTEST = 6  # characters; below are stand-ins such as "EMPTY" and "none"
_STAND_INS = ("dummy-key", "lm-studio", "no-key", "not-needed", "ollama", "placeholder", "sk-no-key-required")
_UNMISTAKABLE = 20  # characters; a shorter secret of letters alone, or of digits, may be part of a text by chance
_PIECE = 10  # characters of a key that tell it, where a text was cut in its middle


def is_secret(value: str) -> bool:
    """Whether a key is one, and no stand-in for servers that ask for none, which would tear holes into any text.

    >>> is_secret("sk-0123456789"), is_secret("none"), is_secret("sk-no-key-required")
    (True, False, False)
    """
    return len(value) >= _SHORTEST and value.lower() not in _STAND_INS


def secrets_of(actor: object = None) -> list[str]:
    """The texts that must not be written, longest first.

    They are the values of environment variables, and of attributes of the actor and of the actors that it wraps
    (its ``actor``, and so on), whose names end in KEY, TOKEN, SECRET or PASSWORD, in capitals or not. Stand-ins are
    left out, see :func:`is_secret`.
    """
    named = dict(os.environ)
    seen: set[int] = set()
    while actor is not None and id(actor) not in seen:
        seen.add(id(actor))
        for name, value in getattr(actor, "__dict__", {}).items():
            if isinstance(value, str):
                named[f"{len(seen)} {name}"] = value
        actor = getattr(actor, "actor", None)
    found = {value for name, value in named.items() if name.upper().endswith(_NAMES) and is_secret(value)}
    return sorted(found, key=lambda value: (-len(value), value))


def mask(value: Any, secrets: Sequence[str]) -> Any:
    """The value, in the types of JSON, with ``[masked]`` wherever a secret stands in one of its texts.

    A secret that might be a word is masked where it stands alone, and not within other words.

    >>> mask({"said": ["wrong key sk-12345"], "code": 401}, ["sk-12345"])
    {'said': ['wrong key [masked]'], 'code': 401}
    >>> mask("The search was no research.", ["search"])
    'The [masked] was no research.'
    """
    if isinstance(value, str):
        for secret in secrets:
            value = _found(secret).sub(MASK, value)
        return value
    if isinstance(value, Mapping):
        return {key: mask(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [mask(each, secrets) for each in value]
    return value


def hidden(said: str, secrets: Sequence[str]) -> str:
    """A message with ``[key]`` wherever a secret stands in it, or as long a piece of one as tells it.

    >>> hidden("no such key: sk-planted-0123... (a maximum of 3)", ["sk-planted-0123456789", "x"])
    'no such key: [key]... (a maximum of 3)'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        said = _found(secret).sub("[key]", said)
        if _is_unmistakable(secret):
            said = _without_pieces(said, secret)
    return said


def _is_unmistakable(secret: str) -> bool:
    """Whether it cannot be part of a text by chance."""
    mixed = any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))
    return len(secret) >= (_SHORTEST if mixed else _UNMISTAKABLE)


@lru_cache(maxsize=256)
def _found(secret: str) -> re.Pattern[str]:
    """What finds a secret in a text."""
    plain = re.escape(secret)
    return re.compile(plain if _is_unmistakable(secret) else rf"(?<![^\W_]){plain}(?![^\W_])")


def _without_pieces(said: str, secret: str) -> str:
    pieces = {secret[at : at + _PIECE] for at in range(len(secret) - _PIECE + 1)}
    parts, at, kept = [], 0, 0
    while at < len(said):
        end = at
        while said[end : end + _PIECE] in pieces:
            end += 1
        if end > at:
            parts += [said[kept:at], "[key]"]
            kept = at = end + _PIECE - 1
        at += 1
    return "".join([*parts, said[kept:]])
