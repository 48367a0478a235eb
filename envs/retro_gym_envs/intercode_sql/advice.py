"""Reads what a reflection wants of the names in a database with comments, and formats such reflections."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from retro_gym_envs.english.clauses import plain_words
from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.english.wishes import Wishes, read_wishes

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

_ABOUT = """
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
_ABOUT_WORDS = frozenset(_ABOUT.split())
_FUNCTION_WORDS = frozenset(["as", "by", "for", "in", "last", "of", "on", "under", "when"])

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


def read_advice(reflections: Sequence[str], options: Mapping[str, str]) -> Wanted:
    """Reads what reflections want of the candidates of one slot.

    The last reflection that wants any counts; names that a later one speaks against are left out.

    Args:
        reflections: the reflections, the last one last.
        options: the candidates, with what they stand for.

    >>> read_advice(["Select vikum.", "Do not use dalor."], {"dalor": "price", "vikum": "price when new"})
    Wanted(told=('vikum',), shunned=frozenset({'dalor'}), confused=False)
    """
    about = _ABOUT_WORDS.union(*(phrase.lower().split() for phrase in options.values())) - _FUNCTION_WORDS
    shunned: set[str] = set()
    for reflection in reversed(reflections):
        wishes = _wishes(reflection, tuple(options), about)
        shunned.update(wishes.shunned)
        told = tuple(name for name in wishes.wanted if name not in shunned)
        if len(wishes.wanted) > _MOST:
            return Wanted(confused=True)
        if told:
            return Wanted(told, frozenset(shunned))
    return Wanted(shunned=frozenset(shunned))


@lru_cache(maxsize=8_192)  # the actor reads its reflections in every turn
def _wishes(reflection: str, options: tuple[str, ...], about: frozenset[str]) -> Wishes:
    return read_wishes(
        _untwisted(reflection, options), options, about=re.compile(rf"\b(?:{'|'.join(sorted(about))})\b")
    )


# Replacements, in which the order of two names tells which one is wanted.
_REPLACED = (
    r"\b(?:replac|swapp?|exchang|trad|substitut)(?:e|ed|ing)? {old} (?:with|by|for|against|out for) {new}",
    r"\b(?:chang|switch|correct|turn|mov|alter)(?:e|ed|ing)?(?: over| away)?(?: from)? {old} (?:to|into|over to) {new}",
    r"{old} (?:should|ought to|must|needs to|has to) (?:really )?(?:have been|be|read|become|have read) {new}",
    r"{new} (?:in place of|over|where i (?:wrote|had|used|put|took)) {old}",
)


def _untwisted(reflection: str, options: Sequence[str]) -> str:
    """Rewrites replacements as ``use … instead of …``."""
    names = "|".join(re.escape(name.lower()) for name in options)
    noun = "(?:(?:the|my|a) )?(?:\\w+ )?(?:(?:column|table|value|code|key) )?"
    old, new = (rf"{noun}[\"'`]?(?P<{which}>{names})[\"'`]?" for which in ("old", "new"))
    text = plain_words(reflection)
    for pattern in _REPLACED:
        text = re.sub(pattern.format(old=old, new=new), r"use \g<new> instead of \g<old>", text)
    return text


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
