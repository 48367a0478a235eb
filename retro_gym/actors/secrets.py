"""Masks secrets in everything that is written, so that tapes and messages can be shared."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

__all__ = ["MASK", "hidden", "is_secret", "mask", "reportable", "secrets_of", "shareable"]

MASK = "[masked]"

_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_SHORTEST = 6  # characters; shorter values are placeholders such as "EMPTY" and "none"
_STAND_INS = ("dummy-key", "lm-studio", "no-key", "not-needed", "ollama", "placeholder", "sk-no-key-required")
_UNMISTAKABLE = 20  # characters; a shorter secret of only letters or only digits may occur in a text by chance
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")  # user and password in a URL
_PIECE = 10  # characters of a key that identify it in a text that was truncated within the key


def is_secret(value: str) -> bool:
    """Whether a key is secret, not a placeholder for servers without keys, whose masking would damage other texts.

    >>> is_secret("sk-0123456789"), is_secret("none"), is_secret("sk-no-key-required")
    (True, False, False)
    """
    return len(value) >= _SHORTEST and value.lower() not in _STAND_INS


def secrets_of(actor: object = None) -> list[str]:
    """Returns the texts that must not be written, longest first.

    These are the values of environment variables and of attributes of the actor and of the actors that it wraps (its
    ``actor``, recursively) whose names end in KEY, TOKEN, SECRET or PASSWORD, in upper or lower case. Placeholders are
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
    """Returns a JSON value with every secret in its texts replaced by ``[masked]``.

    A secret that might be an ordinary word is masked as a whole word only.

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


def shareable(value: Any, *, addresses: bool = True) -> Any:
    """Returns a JSON value without the secrets in it: logins in URLs, and what is named as a key, token or password.

    Args:
        value: of JSON types.
        addresses: False masks URLs altogether.

    >>> shareable({"parts": [{"server": "http://me:secret@host:80/a", "API_KEY": "0123456789"}]})
    {'parts': [{'server': 'http://[masked]@host:80/a', 'API_KEY': '[masked]'}]}
    """
    if isinstance(value, str):
        return _LOGIN.sub(f"{MASK}@", value) if addresses or "://" not in value else MASK
    if isinstance(value, Mapping):
        return {
            name: MASK if _is_named_secret(str(name), each) else shareable(each, addresses=addresses)
            for name, each in value.items()
        }
    return (
        type(value)(shareable(each, addresses=addresses) for each in value) if type(value) in (list, tuple) else value
    )


def reportable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values that JSON can hold, without secrets: an actor object, for example, is left out.

    >>> reportable({"num": 3, "actor": object(), "url": "http://me:secret@host/"})
    {'num': 3, 'url': 'http://[masked]@host/'}
    """
    return dict(shareable({name: value for name, value in values.items() if _is_json(value)}))


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _is_named_secret(name: str, value: object) -> bool:
    return name.upper().endswith(_NAMES) and isinstance(value, str) and is_secret(value)


def hidden(said: str, secrets: Sequence[str]) -> str:
    """Returns a message with every secret, or a piece that identifies one, replaced by ``[key]``.

    >>> hidden("no such key: sk-planted-0123... (a maximum of 3)", ["sk-planted-0123456789", "x"])
    'no such key: [key]... (a maximum of 3)'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        said = _found(secret).sub("[key]", said)
        if _is_unmistakable(secret):
            said = _without_pieces(said, secret)
    return said


def _is_unmistakable(secret: str) -> bool:
    """Whether a secret cannot occur in a text by chance."""
    mixed = any(map(str.isdigit, secret)) and any(map(str.isalpha, secret))
    return len(secret) >= (_SHORTEST if mixed else _UNMISTAKABLE)


@lru_cache(maxsize=256)
def _found(secret: str) -> re.Pattern[str]:
    """Returns the pattern that finds a secret in a text."""
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
