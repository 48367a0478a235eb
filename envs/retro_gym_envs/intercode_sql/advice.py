"""Reads what a reflection wants of the names in a database with comments, and formats such reflections."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from retro_gym_envs.asides import is_bare
from retro_gym_envs.english.lexicon import CHOOSING
from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.english.wishes import Wishes, is_confusing, read_wishes
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
from retro_gym_envs.misplaced import misplaced_with
from retro_gym_envs.replacements import reworded

__all__ = ["FORMS", "Wanted", "read_advice", "sentence", "stated_query"]

FORMS = {
    "table": "query the table {} {}",
    "measure": "select the {} {}",
    "filter": "filter on the {} {}",
    "value": "use the value {} {}",
    "key": "join on the {} {}",
}
"""What a reflection says for each slot: what a name stands for, and the name, side by side as in the database. Of a
table, it is what tells it from the others: all hold the same things."""


_VERBS_AND_NOUNS = """
    use used uses using usage select selected selects selecting column columns field fields table tables value values
    code codes coded join joins joined joining filter filters filtered filtering query queries queried querying
    condition conditions where from choose chose chosen choosing choice pick picked picking read reads reading take
    took taken takes taking look looked looking compare compared comparing match matches matched matching key keys
    link links linked linking connect connected store stores stored hold holds held contain contains refer refers
    answer answers need needs needed require required requires right correct proper row rows data entry entries sql
    restrict restricted keep equal equals set fetch fetched get retrieve retrieved return report show output go went
    going replace replaced swap switch switched change changed try tried identify belongs rely relied relying apply
    applied constrain narrow limit test check run execute submit write wrote written clause work works worked put
    comment comments documented ignored overlooked missed forgot mistake mistook wrong instead keep keeps kept
    reference references referenced referring consider overlook correct fill avoid avoids avoided avoiding skip
    skipped exclude excluded ignore reject rule search searched searching seek sort sorted sorting sum summed average
    averaged averaging aggregate aggregated list listed listing print printed calculate calculated calculating compute
    computed computing total project display figure number quantity amount measure follow follows following followed
    tie tied relate related relates bind bound resolve resolved resolving merge merged merging combine combined map
    mapped mapping point points person people id criterion criteria attribute property evaluate evaluated evaluating
    screen screened description literal constant string encode encoded insert inserted plug plugged equate equated
    database record draw drawn access accessed turn consult consulted pull pulled source sourced inspect browse
    question remedy solution cure fix comparison operand grab favour favor decide head navigate visit open click
    reviewed extract extracted gather load loaded scan lookup order ordered group grouped maximum minimum count
    fit fits suit suits satisfy satisfies help helps gone rank ranked calculation sift predicate mine
    attention mind yes good should must ought success depends depend recommend recommendation suggest advice
    advise helped
"""
_PHRASES = (*MEASURES, *FEATURES, *SHADES, *ROLES, *OCCASIONS, *FEATURE_PARTS, *DUTIES, *GROUPS)
_IDLE = frozenset(["as", "by", "for", "in", "last", "of", "on", "the", "under", "when"])
_WORDS = "|".join(sorted({*_VERBS_AND_NOUNS.split(), *CHOOSING, *" ".join(_PHRASES).split()} - _IDLE))
_NAMING = r"(?:it|they|this|that|which) (?:\w+ ){0,2}?(?:call|name)(?:s|ed)?|(?:call|name)s? (?:it|them|this|that)"
_ABOUT = re.compile(rf"(?<![a-z])(?:(?:{_WORDS})s?|{_NAMING})(?![a-z])")  # also inside of keys such as where_value
_QUALIFIERS = (*OCCASIONS, *FEATURE_PARTS, *DUTIES, *GROUPS, *SHADES)
"""Words of comments that are not read as English (``as measured`` is no report, ``when new`` no condition)."""
_without_misplaced = misplaced_with(SHADES)

_LEFT_OUT = re.compile(r"\.{3}|…")  # "WHERE ... = 'X'" is one sentence
_QUERY = re.compile(r"\bquer(?:y|ies): ?[`'\"]?((?:select|with)\b.*)", re.DOTALL | re.IGNORECASE)


def sentence(names: Mapping[str, str], phrases: Mapping[str, str]) -> str:
    """Formats a reflection that gives names for slots of the query.

    Args:
        names: the names by slot.
        phrases: what each name stands for.

    >>> sentence({"table": "dalor", "value": "Vikum"}, {"dalor": "wines on loan", "Vikum": "dark red"})
    'Query the table on loan dalor and use the value dark red Vikum.'
    """
    meant = {
        slot: phrases[name].partition(" ")[2] if slot == "table" else phrases[name] for slot, name in names.items()
    }
    said = " and ".join(FORMS[slot].format(meant[slot], name) for slot, name in names.items())
    return f"{said[:1].upper()}{said[1:]}."


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What reflections want of the candidates of one slot."""

    told: tuple[str, ...] = ()
    """The names to take."""
    shunned: frozenset[str] = frozenset()
    """The names to avoid."""
    confused: bool = False
    """Too many names were wanted, or spoken of."""


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
        spoken_of = {*wishes.wanted, *wishes.shunned, *wishes.contradicted}.intersection(options)
        if is_confusing(wanted, spoken_of):
            return Wanted(confused=True)
        told = tuple(name for name in wanted if name not in shunned)
        if told:
            return Wanted(told, frozenset(shunned))
    return Wanted(shunned=frozenset(shunned))


@lru_cache(maxsize=8_192)  # the actor reads its reflections in every turn
def _wishes(reflection: str, names: tuple[str, ...]) -> Wishes:
    if is_bare(reflection, names):
        return Wishes()
    said = _LEFT_OUT.sub(" ", _without_misplaced(reflection, names))
    return read_wishes(reworded(said, names, _ABOUT), (*names, *_QUALIFIERS), about=_ABOUT)


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
