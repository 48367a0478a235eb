"""Keeps secrets out of what is written: nobody who is given a tape may find a key on it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MASK", "mask", "secrets_of"]

MASK = "[masked]"

_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_SHORTEST = 6  # characters; below are stand-ins such as "EMPTY" and "none", which would tear holes into any text


def secrets_of(actor: object = None) -> list[str]:
    """The texts that must not be written, longest first.

    They are the values of environment variables, and of attributes of the actor and of the actors that it wraps
    (its ``actor``, and so on), whose names end in KEY, TOKEN, SECRET or PASSWORD, in capitals or not.

    Values of fewer than 6 characters are taken for stand-ins and left out.
    """
    named = dict(os.environ)
    seen: set[int] = set()
    while actor is not None and id(actor) not in seen:
        seen.add(id(actor))
        for name, value in getattr(actor, "__dict__", {}).items():
            if isinstance(value, str):
                named[f"{len(seen)} {name}"] = value
        actor = getattr(actor, "actor", None)
    found = {value for name, value in named.items() if name.upper().endswith(_NAMES) and len(value) >= _SHORTEST}
    return sorted(found, key=lambda value: (-len(value), value))


def mask(value: Any, secrets: Sequence[str]) -> Any:
    """The value, in the types of JSON, with ``[masked]`` wherever a secret stands in one of its texts.

    >>> mask({"said": ["wrong key sk-12345"], "code": 401}, ["sk-12345"])
    {'said': ['wrong key [masked]'], 'code': 401}
    """
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, Mapping):
        return {key: mask(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [mask(each, secrets) for each in value]
    return value
