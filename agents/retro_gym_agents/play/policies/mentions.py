"""Finds everything that a trajectory names, in any environment: names, quoted values, numbers, ids."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retro_gym.trajectory import Trajectory

__all__ = ["mentions"]

_WITHIN = r"([\w$€£#][^{0}\n]{{0,79}})"  # begins like a name or a value, not like a list
_ENCLOSED = [
    re.compile(before + _WITHIN.format(end) + after)
    for before, end, after in (
        (r'(?<!\w)"', '"', r'"(?!\w)'),
        (r"(?<!\w)'", "'", r"'(?!\w)"),
        ("`", "`", "`"),
        (r"\[", r"\[\]", r"\]"),
    )
]
_MARK = r"\[[A-Z]{2,}\]|[|\t]"  # between the cells of a row or the parts of a page
_CELL = re.compile(rf"(?:{_MARK})\s*([^|\t\[\]\n]{{1,40}}?)\s*(?={_MARK}|$)")
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ](?:[\w'’-]*\w)?"
_NAMED = re.compile(
    rf"""\b(?:
        {_CAPITAL}(?:[ ](?:(?:of|the|and|de|la|van|von)[ ])*{_CAPITAL})*  # a name of one or several words
        | (?!(?:about|and|at|be|by|for|from|in|is|of|on|or|over|than|to|under|was|with)\b)
          [a-z]+[ ]\d{{1,3}}\b(?![.,]\d)                                 # a numbered thing, such as "drawer 3"
        | \w*[_\d]\w*(?:[.,:-]\w+)*                                     # an id or a number
    )""",
    re.VERBOSE,
)
_NO_NAMES = frozenset(
    [
        "A",
        "An",
        "And",
        "Are",
        "As",
        "At",
        "But",
        "By",
        "Can",
        "Did",
        "Do",
        "Does",
        "For",
        "From",
        "Have",
        "He",
        "How",
        "I",
        "If",
        "In",
        "Is",
        "It",
        "Its",
        "Let",
        "My",
        "Next",
        "No",
        "Not",
        "Now",
        "Of",
        "On",
        "Or",
        "She",
        "So",
        "That",
        "The",
        "Then",
        "There",
        "These",
        "They",
        "This",
        "To",
        "Was",
        "We",
        "Were",
        "What",
        "When",
        "Where",
        "Which",
        "Who",
        "Why",
        "With",
        "You",
        "Your",
    ]
)


def mentions(trajectory: Trajectory) -> list[str]:
    """Returns everything that a trajectory names, once each, in the order in which it is named first.

    >>> from retro_gym.trajectory import EndReason, Turn
    >>> turn = Turn("Velmora may be a town.", 'Search["Lake Oru"]', "In drawer 3 you see part_id 17.")
    >>> mentions(Trajectory("t", 0, "Where is Velmora?", (turn,), 0.0, False, EndReason.FAILED))
    ['Velmora', 'Search', 'Lake Oru', 'drawer 3', 'part_id', '17']
    """
    texts = [trajectory.task]
    for turn in trajectory.turns:
        texts += [turn.thought, turn.action, turn.observation]
    return list(dict.fromkeys(found for text in texts for found in _found_in(text)))


def _found_in(text: str) -> Iterator[str]:
    """Yields what is named in a text, by position; what is enclosed comes before the names in it."""
    found = [(match.start(1), -match.end(1), match[1]) for each in (*_ENCLOSED, _CELL) for match in each.finditer(text)]
    named = [match for match in _NAMED.finditer(text) if re.split("['’]", match[0])[0] not in _NO_NAMES]
    found += [(match.start(), -match.end(), match[0]) for match in named]
    for *_, name in sorted(found):
        yield " ".join(name.split())
