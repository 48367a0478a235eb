"""Finds everything that a trajectory names, in any environment: names, quoted values, numbers, ids."""

from __future__ import annotations

import re
from collections.abc import Iterator

from retro_gym.trajectory import Trajectory

__all__ = ["mentions"]

_ENCLOSED = re.compile(
    r"""(?<!\w)"([^"\n]{1,80})"(?!\w) | (?<!\w)'([^'\n]{1,80})'(?!\w) | `([^`\n]{1,80})` | \[([^\[\]\n]{1,80})\]""",
    re.VERBOSE,
)
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ][\w'’-]*"
_NAMED = re.compile(
    rf"""\b(?:
        {_CAPITAL}(?:[ ](?:(?:of|the|and|de|la|van|von)[ ])*{_CAPITAL})*  # a name of one or several words
        | [a-z]+[ ]\d+\b                                                  # a numbered thing, such as "drawer 3"
        | \w*[_\d]\w*(?:[.:-]\w+)*                                        # an id or a number
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
    ['Velmora', 'Search', '"Lake Oru"', 'Lake Oru', 'drawer 3', 'part_id', '17']
    """
    texts = [trajectory.task]
    for turn in trajectory.turns:
        texts += [turn.thought, turn.action, turn.observation]
    return list(dict.fromkeys(found for text in texts for found in _found_in(text)))


def _found_in(text: str) -> Iterator[str]:
    """Yields what is named in a text, by position; what is enclosed comes before the names in it."""
    found = [(match.start(), next(filter(None, match.groups()))) for match in _ENCLOSED.finditer(text)]
    found += [(match.start(), match[0]) for match in _NAMED.finditer(text) if match[0] not in _NO_NAMES]
    for _, name in sorted(found, key=lambda each: each[0]):
        yield " ".join(name.split())
