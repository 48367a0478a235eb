"""Parses observations, and questions and pages of other files than the built-in world.

These are parsed heuristically: capitalised spans, the answer type that a question word implies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "answer_sort",
    "candidates",
    "first_value",
    "searches",
    "similar_titles",
    "spans",
]

_OPENERS = """
    A An And Answer Are As At Before Both But By Can Check Compare Did Do Does Find First For From Go Had Has Have
    How I If In Instead Is It Its Look Next No Not Now Of On Or Over Read Search So That The Then There This Those
    To Try Under Use Was Were What When Where Which While Who Whom Whose Why With Yes You
"""
_FUNCTION_WORDS = frozenset(_OPENERS.split())  # capitalised at the beginning of a sentence, but not part of a name
_NAME = r"[A-Z0-9][\w'’&-]*(?:\.(?=[A-Z]))*"
_SPAN = re.compile(rf"\b{_NAME}(?:(?: (?:of|the|de|von|van|del|in) |[ -]| \()(?:{_NAME}\)?))*")
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|\[([^\]]+)\]')


def spans(text: str) -> list[str]:
    """Returns the names in a text, in order: quoted or bracketed text, and runs of capitalised words.

    >>> spans('In what year was the director of Velmora Nights born?')
    ['Velmora Nights']
    """
    found: list[tuple[int, str]] = []
    for match in _QUOTED.finditer(text):
        found.append((match.start(), next(group for group in match.groups() if group)))
    unquoted = _QUOTED.sub(lambda match: " " * len(match.group()), text)
    counts: dict[str, int] = {}
    for match in _SPAN.finditer(unquoted):
        words = match.group().split(" ")
        while words and (words[0] in _FUNCTION_WORDS or words[0].islower() or words[0].isdecimal()):
            words.pop(0)
        opens_sentence = match.group() == "".join(words[:1]) and _opens_sentence(unquoted, match.start())
        if opens_sentence and words[0] not in counts:
            counts[words[0]] = text.count(words[0])
        if words and len(words[0]) > 1 and not (opens_sentence and counts[words[0]] == 1):
            found.append((match.start(), " ".join(words)))
    return [name for _, name in sorted(found)]


def _opens_sentence(text: str, start: int) -> bool:
    """Whether a sentence begins at ``start``: at the beginning of the text, or after a full stop and a space."""
    end = start
    while end and text[end - 1].isspace():
        end -= 1
    return not start or (0 < end < start and text[end - 1] in ".!?:")


_COMPARES = re.compile(r"\b(?:or|both|same|are|were|do|which of)\b", re.IGNORECASE)
_BETWEEN = re.compile(r'"?,? ?(?:and|or)? ?(?:the )?"?')


def candidates(question: str) -> list[str]:
    """Returns the candidates that a comparison question offers; empty for other questions.

    >>> candidates("Which of Velmora Road, Taskin Road and Brelum Road is the longest?")
    ['Velmora Road', 'Taskin Road', 'Brelum Road']
    """
    run: list[str] = []
    end = 0
    for name in spans(question):
        start = question.find(name, end)
        if start < 0:
            continue
        if run and not _BETWEEN.fullmatch(question[end:start]):
            if len(run) > 1:
                break
            run = []
        run.append(name)
        end = start + len(name)
    return run if len(run) > 1 and _COMPARES.search(question) else []


_SIMILAR = re.compile(r"^Could not find \[.*\]\. Similar: \[(.*)\]", re.DOTALL)
_SEARCH = re.compile(r"Search\[(.+)\]$")


def searches(turns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns the result of every search by its term, in order.

    >>> searches([("Search[Velmora]", "Velmora is a town."), ("Finish[12]", "Answer is INCORRECT")])
    {'Velmora': 'Velmora is a town.'}
    """
    return {found[1]: observation for action, observation in turns if (found := _SEARCH.match(action))}


def similar_titles(observation: str) -> list[str] | None:
    """Returns the titles that a failed search offers; None for any other observation.

    >>> similar_titles("Could not find [Tor]. Similar: ['Tor Gramex', 'Tor Mill']")
    ['Tor Gramex', 'Tor Mill']
    """
    similar = _SIMILAR.match(observation)
    if similar is None:
        return None
    titles = re.findall(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", similar[1])
    return [single or double for single, double in titles]


_SORTS: tuple[tuple[str, str], ...] = (
    (r"\b(?:what|which) year\b|\bwhen\b|\byear of\b", "year"),
    (r"\bhow (?:many|long|large|much|old|tall|high|far)\b|\bpopulation\b|\bnumber of\b|\blength of\b", "number"),
    (r"\bwho\b|\bwhom\b|\bwhose\b|\bmayor\b|\bowner\b|\bspouse\b", "person"),
    (r"\bwhere\b|\b(?:which|what) (?:town|city|village|state|country|county|river)\b|\bbirthplace\b", "place"),
)


def answer_sort(question: str) -> str:
    """Guesses the type of value that a question asks for, from its question words.

    >>> answer_sort("In what year was the director of Velmora Nights born?")
    'year'
    """
    lowered = question.lower()
    return next((sort for cue, sort in _SORTS if re.search(cue, lowered)), "name")


_VALUES = {
    "year": r"(?:1[5-9]\d\d|20[0-2]\d)",
    "number": r"\d{1,3}(?:,\d{3})+|\d+",
    "person": r"[A-Z][a-z]+ [A-Z][a-z]+",
    "name": r"[A-Z][a-z]+(?: [A-Z][a-z]+)*",
}
_AFTER_PREPOSITION = r"(?:in|at|on|from|along|of|to)(?: the)? "


def first_value(sort: str, page: str, known: Iterable[str]) -> str | None:
    """Returns the first value of this type on a page that is not a known name: what a careless reader answers."""
    taken = {word for name in known for word in name.split()}
    pattern = rf"\b{_AFTER_PREPOSITION}({_VALUES['name']})\b" if sort == "place" else rf"\b({_VALUES[sort]})\b"
    for match in re.finditer(pattern, page):
        value = match.group(1)
        words = set(value.split())
        is_name = value.split()[0] not in _FUNCTION_WORDS
        if is_name and not words & taken and not (sort == "number" and _is_year(value)):
            return value
    return None


def _is_year(value: str) -> bool:
    return re.fullmatch(_VALUES["year"], value) is not None
