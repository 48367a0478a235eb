"""MySQL's functions that encode numbers and strings: number bases, hashes, character codes, SOUNDEX."""

from __future__ import annotations

import binascii
import hashlib
import zlib
from collections.abc import Callable

from retro_gym_envs.intercode_sql.mysql.functions.values import Value, number, text

__all__ = ["CODES"]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ALIKE = ("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R")
_SOUNDS = {letter: code for code, letters in enumerate(_ALIKE, start=1) for letter in letters}
_BITS = 2**64


def _in_base(value: int, base: int) -> str:
    digits = []
    while value:
        value, digit = divmod(value, base)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits)) or "0"


def _whole(value: object) -> int:
    return round(max(-9.2e18, min(9.2e18, number(value))))


def _conv(value: object, source: object, target: object) -> Value:
    """``CONV``: converts 64-bit integers between bases. A negative target base gives a signed result."""
    base, wanted = _whole(source), _whole(target)
    if not (2 <= abs(base) <= 36 and 2 <= abs(wanted) <= 36):
        return None
    said = text(value).strip().upper()
    negative = said.startswith("-")
    found = 0
    for letter in said.lstrip("+-"):
        digit = _DIGITS.find(letter)
        if not 0 <= digit < abs(base):
            break
        found = min(found * abs(base) + digit, _BITS - 1)
    found = -found % _BITS if negative else found
    if wanted < 0 and found >= _BITS // 2:
        return "-" + _in_base(_BITS - found, -wanted)
    return _in_base(found, abs(wanted))


def _hex(value: object) -> str:
    if isinstance(value, int | float):
        return _in_base(_whole(value) % _BITS, 16)
    return (value if isinstance(value, bytes) else text(value).encode()).hex().upper()


def _unhex(value: object) -> Value:
    """Decodes to a string, or to bytes if they are not valid UTF-8."""
    said = text(value)
    try:
        made = binascii.unhexlify(said.encode() if len(said) % 2 == 0 else b"0" + said.encode())
    except binascii.Error:
        return None
    try:
        return made.decode()
    except UnicodeDecodeError:
        return made


def _soundex(value: object) -> str:
    """``SOUNDEX`` of any length: drops vowels and repeated sounds, then pads to four characters."""
    letters = [letter for letter in text(value).upper() if letter.isalpha()]
    if not letters:
        return ""
    made, last = letters[0], _SOUNDS.get(letters[0])
    for letter in letters[1:]:
        sound = _SOUNDS.get(letter)
        if sound is not None and sound != last:
            made += str(sound)
        if sound is not None:
            last = sound
    return made.ljust(4, "0")


def _quote(value: object) -> str:
    if value is None:
        return "NULL"
    said = text(value).replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0").replace("\x1a", "\\Z")
    return f"'{said}'"


def _digest(name: str) -> Callable[[object], Value]:
    return lambda value: hashlib.new(name, text(value).encode(), usedforsecurity=False).hexdigest()


CODES: dict[str, tuple[int, Callable[..., Value]]] = {
    "bin": (1, lambda value: _conv(value, 10, 2)),
    "conv": (3, _conv),
    "crc32": (1, lambda value: zlib.crc32(text(value).encode())),
    "hex": (1, _hex),
    "md5": (1, _digest("md5")),
    "oct": (1, lambda value: _conv(value, 10, 8)),
    "ord": (1, lambda value: int.from_bytes(text(value)[:1].encode(), "big")),
    "quote": (1, _quote),
    "sha": (1, _digest("sha1")),
    "sha1": (1, _digest("sha1")),
    "soundex": (1, _soundex),
    "unhex": (1, _unhex),
}
"""Number of arguments and the function, by function name without our prefix; only QUOTE is called with NULL."""
