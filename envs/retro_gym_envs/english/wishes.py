"""What a reflection wants of the things that an actor knows: which ones it names for use, and which ones against."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable
from functools import lru_cache

from retro_gym_envs.english.stance import read_clauses
from retro_gym_envs.english.syntax import Stance

__all__ = ["Wishes", "is_confusing", "read_wishes"]

_MOST_WANTED = 2
_MOST_SPOKEN_OF = 3


@dataclasses.dataclass(frozen=True)
class Wishes:
    """The known names in a reflection, by what it wants of them."""

    wanted: tuple[str, ...] = ()
    """Names that it speaks for, in the order of their first mention."""
    shunned: tuple[str, ...] = ()
    """Names that it speaks against."""
    contradicted: tuple[str, ...] = ()
    """Names that it speaks both for and against; they are in neither of the others."""
    stated: frozenset[str] = frozenset()
    """Wanted names of which it only tells something (``X is a painter``): it neither asks for them nor judges them."""

    def __bool__(self) -> bool:
        return bool(self.wanted or self.shunned)

    def asked(self, options: Iterable[str]) -> tuple[str, ...]:
        """Returns the wanted ones of one decision's options: what is asked for outweighs what is only stated.

        >>> wishes = read_wishes("Y is a painter. X is a sculptor. Open X.", ["X", "Y"], about=re.compile("is|open"))
        >>> wishes.wanted, wishes.asked(["X", "Y"]), wishes.asked(["Y"])
        (('Y', 'X'), ('X',), ('Y',))
        """
        options = set(options)
        wanted = tuple(name for name in self.wanted if name in options)
        return tuple(name for name in wanted if name not in self.stated) or wanted


def read_wishes(reflection: str, names: Iterable[str], *, about: re.Pattern[str]) -> Wishes:
    """Reads what a reflection wants of the named things.

    Args:
        reflection: the text.
        names: names of the things that the actor knows.
        about: matches words that a sentence about the task contains: verbs of its actions, nouns of its things. A
            sentence without any is not advice, whatever it names.

    >>> about = re.compile("go|look|search|open|mug")
    >>> read_wishes("I looked in drawer 1. The mug is on shelf 2, not in drawer 3.",
    ...             ["drawer 1", "drawer 3", "shelf 2"], about=about)
    Wishes(wanted=('shelf 2',), shunned=('drawer 3',), contradicted=(), stated=frozenset({'shelf 2'}))
    """
    return _read(reflection, tuple(names), about)


@lru_cache(maxsize=4_096)
def _read(reflection: str, names: tuple[str, ...], about: re.Pattern[str]) -> Wishes:
    clauses = read_clauses(reflection, names)
    relevant = {clause.sentence for clause in clauses if about.search(clause.text)}
    wanted: dict[str, None] = {}
    shunned: dict[str, None] = {}
    asked: set[str] = set()
    for clause in clauses:
        if clause.sentence in relevant and clause.stance is not Stance.NEITHER:
            asked.update(clause.names if clause.stance is Stance.FOR and clause.asks else ())
            (wanted if clause.stance is Stance.FOR else shunned).update(dict.fromkeys(clause.names))
    both = tuple(name for name in wanted if name in shunned)
    return Wishes(
        tuple(name for name in wanted if name not in both),
        tuple(name for name in shunned if name not in both),
        both,
        frozenset(name for name in wanted if name not in asked and name not in both),
    )


def is_confusing(wanted: Collection[str], spoken_of: Collection[str]) -> bool:
    """Returns whether a reflection says too much about the candidates of one decision to help to choose one.

    Otherwise a list of all candidates, with what is said of each, would do as well as a choice.

    Args:
        wanted: the candidates that it speaks for.
        spoken_of: the candidates that it speaks for or against.
    """
    return len(wanted) > _MOST_WANTED or len(spoken_of) > _MOST_SPOKEN_OF
