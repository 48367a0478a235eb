"""What the reflections in a prompt want of a decision in the shop: which of the things on a page they speak for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from functools import lru_cache

from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.english.wishes import read_wishes

__all__ = ["Advice", "advice_on", "ids_in", "quoted_query"]

_ABOUT = re.compile(
    r"\b(?:search\w*|quer\w+|type\w*|enter\w*|look\w*|find\w*|found|open\w*|click\w*|visit\w*|view\w*|go|goes|choos\w*|"
    r"chose\w*|pick\w*|select\w*|tak\w+|took|us(?:e|ing|ed)|buy\w*|bought|purchas\w*|order\w*|get|getting|need\w*|want\w*|"
    r"require\w*|right|correct|answer|instead|tr(?:y|ied|ying)|settl\w+|opt\w*|prefer\w*|product\w*|item\w*|listing\w*|"
    r"maker\w*|brand\w*|made|option\w*|variant\w*|value\w*|call\w*|name\w*|word\w*|term\w*|means?|stands?|match\w*|"
    r"fit\w*|colou?rs?|sizes?|finish\w*|flavou?rs?|scents?|sets?|plugs?|shapes?|shop\w*|should|must|review\w*|"
    r"cart|basket|add|stick|proceed\w*|work(?:s|ed)|succeed\w*|sold|sells?|list(?:s|ed)|feature\w*|the one|instruction|"
    r"ask(?:s|ed)|customer\w*)\b"
)
"""Words that a sentence about a purchase contains."""
_LIMIT = 2  # names that a decision can bear


@dataclasses.dataclass(frozen=True)
class Advice:
    """What the reflections say on one decision."""

    wanted: tuple[str, ...] = ()
    shunned: tuple[str, ...] = ()
    confused: bool = False
    """They speak for more things than one decision can use."""


def advice_on(notes: Sequence[str], names: Sequence[str]) -> Advice:
    """Returns what the latest reflection that names one of several things says on the choice between them.

    >>> advice_on(["I chose teal. Next time choose navy."], ["teal", "navy", "coral"])
    Advice(wanted=('navy',), shunned=(), confused=False)
    >>> advice_on(["Choose teal, navy and coral."], ["teal", "navy", "coral"]).confused
    True
    """
    read = (_advice_in(note, tuple(names)) for note in reversed(notes))
    return next((advice for advice in read if advice != Advice()), Advice())


@lru_cache(maxsize=8_192)  # the actor reads its prompt anew in every turn
def _advice_in(note: str, names: tuple[str, ...]) -> Advice:
    """Returns what one reflection says."""
    wishes = read_wishes(note, names, about=_ABOUT)
    wanted = wishes.asked(names)
    return Advice(confused=True) if len(wanted) > _LIMIT else Advice(wanted, wishes.shunned)


_QUERY = re.compile(r"""\b(?:search|query)(?:ing)?(?: for| with)? ?(?:"([^"]+)"|\[([^\]]+)\])""")
_ID = re.compile(r"\b(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{5,10}\b")


def quoted_query(notes: Sequence[str]) -> str | None:
    """Returns the query that the latest reflection tells in quotes.

    >>> quoted_query(['Search for "watering cans", then open the second one.'])
    'watering cans'
    """
    found = next((match for text in _instructions(notes) if (match := _QUERY.search(text))), None)
    return found and (found[1] or found[2])


def ids_in(notes: Sequence[str]) -> list[str]:
    """Returns the words that look like a product's id, in lower case, from the latest reflection on.

    >>> ids_in(["Do not open B00017. Open B00204."])
    ['b00204']
    """
    return [word for text in _instructions(notes) for word in _ID.findall(text)]


def _instructions(notes: Sequence[str]) -> list[str]:
    """Returns the clauses that speak for what they name, those of the latest reflection first."""
    return [each.text for note in reversed(notes) for each in read_clauses(note) if each.stance is Stance.FOR]
