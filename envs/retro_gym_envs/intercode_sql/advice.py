"""Reads what a reflection wants of the names in a database with comments, and formats such reflections."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from retro_gym_envs.english.clauses import plain_words
from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.english.wishes import Wishes, read_wishes
from retro_gym_envs.intercode_sql.vocabulary import (
    DUTIES,
    FEATURE_PARTS,
    FEATURES,
    GROUPS,
    MEASURES,
    OCCASIONS,
    ROLES,
    SHADES,
)

__all__ = ["FORMS", "Wanted", "read_advice", "sentence", "stated_query"]

FORMS = {
    "table": "query the table {}",
    "measure": "select the column {}",
    "filter": "filter on the column {}",
    "value": "use the value {}",
    "key": "join on the column {}",
}
"""What a reflection says for each slot."""

_MOST = 2  # names that one slot can be told without confusion

_VERBS_AND_NOUNS = """
    use used uses using usage select selected selects selecting column columns field fields table tables value values
    code codes coded join joins joined joining filter filters filtered filtering query queries queried querying
    condition conditions where from choose chose chosen choosing choice pick picked picking read reads reading take
    took taken takes taking look looked looking compare compared comparing match matches matched matching key keys link
    links linked linking connect connected name names named called store stores stored hold holds held contain contains
    mean means meant stand stands refer refers answer answers need needs needed require required requires right correct
    proper row rows data entry entries sql restrict restricted keep equal equals set fetch fetched get retrieve
    retrieved return report show output go went going replace replaced swap switch switched change changed try tried
    identify belongs rely relied relying apply applied constrain narrow limit test check run execute submit write wrote
    written clause work works worked put comment comments documented ignored overlooked missed forgot mistake mistook
    wrong instead
"""
_PHRASES = (*MEASURES, *FEATURES, *SHADES, *ROLES, *OCCASIONS, *FEATURE_PARTS, *DUTIES, *GROUPS)
_IDLE = frozenset(["as", "by", "for", "in", "last", "of", "on", "the", "under", "when"])
_ABOUT = re.compile(rf"\b(?:{'|'.join(sorted({*_VERBS_AND_NOUNS.split(), *' '.join(_PHRASES).split()} - _IDLE))})s?\b")

_QUERY = re.compile(r"\bquer(?:y|ies): ?[`'\"]?((?:select|with)\b.*)", re.DOTALL | re.IGNORECASE)


def sentence(names: Mapping[str, str]) -> str:
    """Formats a reflection that gives names for slots of the query.

    >>> sentence({"table": "dalor", "value": "Vikum"})
    'Query the table dalor and use the value Vikum.'
    """
    said = " and ".join(FORMS[slot].format(name) for slot, name in names.items())
    return f"{said[:1].upper()}{said[1:]}."


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What reflections want of the candidates of one slot."""

    told: tuple[str, ...] = ()
    """The names to take."""
    shunned: frozenset[str] = frozenset()
    """The names to avoid."""
    confused: bool = False
    """Too many names were wanted."""


def read_advice(reflections: Sequence[str], options: Sequence[str], known: Sequence[str] = ()) -> Wanted:
    """Reads what reflections want of the candidates of one slot.

    The last reflection that wants any counts; names that a later one speaks against are left out.

    Args:
        reflections: the reflections, the last one last.
        options: the candidates.
        known: the candidates of all slots, which a reflection may name side by side; ``options`` by default.

    >>> read_advice(["Select vikum.", "Do not use dalor."], ["dalor", "vikum"])
    Wanted(told=('vikum',), shunned=frozenset({'dalor'}), confused=False)
    """
    shunned: set[str] = set()
    for reflection in reversed(reflections):
        wishes = _wishes(reflection, tuple(known or options))
        shunned.update(name for name in wishes.shunned if name in options)
        wanted = wishes.asked(options)
        if len(wanted) > _MOST:
            return Wanted(confused=True)
        told = tuple(name for name in wanted if name not in shunned)
        if told:
            return Wanted(told, frozenset(shunned))
    return Wanted(shunned=frozenset(shunned))


@lru_cache(maxsize=8_192)  # the actor reads its reflections in every turn
def _wishes(reflection: str, names: tuple[str, ...]) -> Wishes:
    return read_wishes(_untwisted(reflection, names), names, about=_ABOUT)


_NAME = r"(?:(?:the|my|a) )?(?:\w+ )?(?:(?:column|table|value|code|key) )?[\"'`]?\0(?P<{}>\d+)[\"'`]?"
_OLD, _NEW = _NAME.format("old"), _NAME.format("new")
# Replacements, in which the order of two names tells which one is wanted. Names are written as their numbers.
_REPLACED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:replac|swapp?|exchang|trad|substitut)(?:e|ed|ing)? {_OLD} (?:with|by|for|against|out for) {_NEW}",
        rf"\b(?:chang|switch|correct|turn|mov|alter)(?:e|ed|ing)?(?: over)?(?: from)? {_OLD} (?:in|over )?to {_NEW}",
        rf"{_OLD} (?:should|ought to|must|needs to|has to) (?:really )?(?:have been|be|read|become|have read) {_NEW}",
        rf"{_NEW} (?:in place of|over|where i (?:wrote|had|used|put|took)) {_OLD}",
        rf"\b(?:confus|mistook|mistak)(?:ed|e|en)? {_OLD} (?:with|for) {_NEW}",
        rf"{_OLD} ?(?:[-=]+>|→) ?{_NEW}",
    )
)
_LIST = r"[\"'`]?\0\d+[\"'`]?(?:(?:,| and| or| /|, and) [\"'`]?\0\d+[\"'`]?)*"
_BARE = re.compile(
    rf"(?:(?<=^)|(?<=[.;:\n] ))(?:it (?:should|must|has to|ought to) (?:have been|be) )?{_LIST}"
    r"(?= ?(?:[.,;!]|instead|rather|not|$))"
)
_ASIDE = re.compile(r"\((?:not|instead of|rather than) [^()]*\)")


def _untwisted(reflection: str, names: Sequence[str]) -> str:
    """Rewrites replacements as ``use … instead of …``, and names that stand alone as ``use …``."""
    numbers = {name.lower(): f"\0{number}" for number, name in enumerate(names)}
    text = re.sub(r"\w+", lambda match: numbers.get(match[0], match[0]), plain_words(reflection))
    text = _ASIDE.sub("", text)
    for pattern in _REPLACED:
        text = pattern.sub("use \0\\g<new> instead of \0\\g<old>", text)
    text = _BARE.sub(r"use \g<0>", text)
    return re.sub(r"\0(\d+)", lambda match: names[int(match[1])], text)


def stated_query(reflection: str) -> str:
    """Returns the query that a reflection tells to execute; empty if there is none.

    >>> stated_query("Execute this query: SELECT a FROM b"), stated_query("Do not run the query: SELECT a FROM b")
    ('SELECT a FROM b', '')
    """
    found = _QUERY.search(reflection)
    if found is None:
        return ""
    clauses = read_clauses(reflection[: found.start(1)])
    wanted = bool(clauses) and clauses[-1].stance is Stance.FOR
    return found[1].strip(" `;.") if wanted else ""
