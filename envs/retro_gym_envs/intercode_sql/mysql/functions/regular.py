"""MySQL's regular expressions, restricted: Python's engine can take exponential time and cannot be interrupted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from retro_gym_envs.intercode_sql.mysql.functions.patterns import MAX_PATTERN, PatternError
from retro_gym_envs.intercode_sql.mysql.functions.values import Value, number

__all__ = ["REGULAR"]

_MAX_WORK = 10_000_000  # worst-case steps of a match
_MAX_LENGTH = 20_000  # characters of a string that is made here; SQLite refuses half that length
_TOO_LONG = "Timeout exceeded in regular expression match."
_FLAGS = {"c": 0, "i": re.IGNORECASE, "m": re.MULTILINE, "n": re.DOTALL, "u": 0}


def _matches(text: str, pattern: str, flags: str = "") -> bool:
    return next(_found(text, pattern, "1", flags), None) is not None


def _found(text: str, pattern: str, start: str, flags: str) -> Iterator[re.Match[str]]:
    """Yields the matches of the pattern from a position on, ignoring case by default.

    Raises:
        PatternError: the pattern is invalid or might be too slow on this text, or position or flags are invalid.
    """
    compiled, repeats, choices = _regular(pattern, flags)
    if (len(text) + 1) ** repeats * 2**choices > _MAX_WORK:
        raise PatternError(_TOO_LONG)
    first = _place(start)
    if not 1 <= first <= len(text) + 1:
        raise PatternError("Index out of bounds in regular expression search.")
    return compiled.finditer(text[first - 1 :])


def _place(said: str) -> int:
    return int(max(-1e9, min(1e9, number(said))))


def _chosen(text: str, pattern: str, start: str, occurrence: str, flags: str) -> re.Match[str] | None:
    wanted = max(1, _place(occurrence))
    return next((match for count, match in enumerate(_found(text, pattern, start, flags), 1) if count == wanted), None)


def _substr(text: str, pattern: str, start: str = "1", occurrence: str = "1", flags: str = "") -> Value:
    match = _chosen(text, pattern, start, occurrence, flags)
    return None if match is None else match[0]


def _instr(
    text: str, pattern: str, start: str = "1", occurrence: str = "1", behind: str = "0", flags: str = ""
) -> Value:
    match = _chosen(text, pattern, start, occurrence, flags)
    if match is None:
        return 0
    return (match.end() if _place(behind) else match.start()) + max(1, _place(start))


def _replace(text: str, pattern: str, by: str, start: str = "1", occurrence: str = "0", flags: str = "") -> Value:
    """Replaces all matches, or the one with the given number; ``$1`` is the first group."""
    wanted, first = _place(occurrence), _place(start) - 1
    made, done = text[: max(0, first)], max(0, first)
    for count, match in enumerate(_found(text, pattern, start, flags), 1):
        if wanted in (0, count):
            made += text[done : first + match.start()] + _filled(by, match)
            done = first + match.end()
        if count == wanted or len(made) > _MAX_LENGTH:
            break
    return made + text[done:]


def _filled(by: str, match: re.Match[str]) -> str:
    def part(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[2]
        if int(found[1]) > match.re.groups:
            raise PatternError("Index out of bounds in regular expression search.")
        return match[int(found[1])] or ""

    return re.sub(r"\$(\d)|\\(.)", part, by, flags=re.DOTALL)


@lru_cache(maxsize=1_024)
def _regular(pattern: str, flags: str) -> tuple[re.Pattern[str], int, int]:
    """Compiles a pattern and counts its branching points: those with one choice per position, and those with two."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(_TOO_LONG)
    if not set(flags) <= _FLAGS.keys():
        raise PatternError("Incorrect arguments to regular expression function.")
    for name, letters in (("alpha", "A-Za-z"), ("digit", "0-9"), ("alnum", "A-Za-z0-9"), ("space", r"\s")):
        pattern = pattern.replace(f"[:{name}:]", letters)
    bare = re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.", "x", pattern).replace("(?:", "(")
    if re.search(r"\\[1-9]", pattern) or "(?" in bare or _repeats_repeats(bare):
        raise PatternError(_TOO_LONG)
    anchored = bare.startswith("^") and "|" not in bare and "m" not in flags
    ends = r"\.\*\$?$" if "m" not in flags else r"\.\*$"
    repeats = len(re.findall(r"[*+{]", re.sub(rf"^\^?\.\*|{ends}", "", bare))) + (not anchored)
    how = sum({_FLAGS[flag] for flag in flags})
    if flags.rfind("c") <= flags.rfind("i"):  # the last of the two flags wins
        how |= re.IGNORECASE
    else:
        how &= ~re.IGNORECASE
    try:
        return re.compile(pattern, how), repeats, len(re.findall(r"[^*+}(]\?|\|", bare))
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"Illegal argument to a regular expression: {error}") from None


def _repeats_repeats(bare: str) -> bool:
    """Whether a repeated group contains a repetition or an alternative, which can take exponential time."""
    opened: list[int] = []
    for place, letter in enumerate(bare):
        if letter == "(":
            opened.append(place)
        elif letter == ")" and opened:
            inner = bare[opened.pop() + 1 : place]
            if bare[place + 1 : place + 2] in ("*", "+", "{") and re.search(r"[*+?{|]", inner):
                return True
    return False


REGULAR: dict[str, Callable[..., Value]] = {
    "regexp_instr": _instr,
    "regexp_like": _matches,
    "regexp_replace": _replace,
    "regexp_substr": _substr,
}
"""The functions, by name without our prefix; their arguments are strings."""
