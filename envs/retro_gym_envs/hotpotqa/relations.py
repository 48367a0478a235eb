"""The vocabulary of the built-in world: kinds of entities, their relations, and the words for them.

There are two types of relation:

- a *role* relates a subject to another entity, which has its own page (film → director). A noun or a verb expresses it;
- an *attribute* relates an entity to a plain value (person → birth year). It has a usual word, which questions and most
  pages use, and two unusual ones, which only pages use.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

__all__ = [
    "ATTRIBUTES",
    "KINDS",
    "ROLES",
    "SUBJECTS",
    "TRADES",
    "Attribute",
    "Kind",
    "Role",
    "Sort",
    "attributes_of",
]

Sort: TypeAlias = Literal["year", "number", "person"]
"""Type of a value."""


@dataclasses.dataclass(frozen=True)
class Role:
    """A relation from a subject to another entity."""

    name: str
    """The noun for it: ``director``."""
    verb: str
    """The verb for it, behind ``was``: ``directed by``."""
    target: str
    """The kind of the other entity."""


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A relation from an entity of a kind to a plain value."""

    name: str
    """The usual word for it."""
    kind: str
    """The kind of entity."""
    sort: Sort
    direct: str
    """The question for it; ``{b}`` is the entity."""
    indirect: str
    """The same behind ``I want to know``."""
    unusual: tuple[str, str]
    """Other words for it, which some encyclopedias use."""

    @property
    def words(self) -> tuple[str, str, str]:
        """All words for it."""
        return (self.name, *self.unusual)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of entity that has roles or attributes."""

    name: str
    intros: tuple[str, ...]
    """First sentence of its page."""
    titles: tuple[str, ...]
    """Templates of its names; ``{w}`` is a coined word."""
    roles: tuple[str, ...] = ()
    """Five roles of entities of one kind, so that the kind does not tell which of them is asked for."""
    trades: tuple[str, ...] = ()
    """What distinguishes entities of one name."""


_ROLE_WORDS = {
    "person": (
        "director/directed by, screenwriter/scripted by, composer/scored by, editor/cut by, producer/produced by, "
        "author/written by, illustrator/illustrated by, translator/translated by, printer/printed by, "
        "narrator/narrated by"
    ),
    "company": (
        "shipyard/built by, operator/run by, insurer/insured by, charterer/chartered by, refitter/refitted by, "
        "sponsor/sponsored by, kit maker/equipped by, broadcaster/televised by, bank/financed by, caterer/catered by"
    ),
    "town": (
        "recording town/recorded in, rehearsal town/rehearsed in, mixing town/mixed in, pressing town/pressed in, "
        "premiere town/first played in, planning town/planned in, test town/tested in, depot town/stabled in, "
        "repair town/repaired in, office town/managed from"
    ),
}

ROLES: dict[str, Role] = {
    name: Role(name, verb, target)
    for target, words in _ROLE_WORDS.items()
    for name, verb in (each.split("/") for each in words.split(", "))
}
"""Every role by its noun."""


def _when(name: str, kind: str, verb: str, past: str, *unusual: str) -> Attribute:
    """An attribute whose value is the year of an event: ``when did {b} retire``, ``when {b} retired``."""
    first, second = unusual
    return Attribute(name, kind, "year", f"when {verb}", f"when {{b}} {past}", (first, second))


def _count(name: str, kind: str, counted: str, verb: str, *unusual: str) -> Attribute:
    """An attribute whose value is a number: ``how many trucks does {b} run``, ``how many trucks {b} runs``."""
    first, second = unusual
    direct, indirect = f"how many {counted} does {{b}} {verb}", f"how many {counted} {{b}} {verb}s"
    return Attribute(name, kind, "number", direct, indirect.replace("haves", "has"), (first, second))


def _who(name: str, kind: str, direct: str, *unusual: str) -> Attribute:
    first, second = unusual
    return Attribute(name, kind, "person", direct, direct, (first, second))


ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _when("birth year", "person", "was {b} born", "was born", "nativity", "cradle"),
        _when("debut year", "person", "did {b} first perform", "first performed", "maiden show", "opening night"),
        _when("wedding year", "person", "did {b} marry", "married", "nuptials", "altar"),
        _when("retirement year", "person", "did {b} retire", "retired", "farewell", "last bow"),
        _when("emigration year", "person", "did {b} emigrate", "emigrated", "departure", "crossing"),
        _who("spouse", "person", "who is the partner of {b}", "better half", "consort"),
        _who("teacher", "person", "who taught {b}", "tutor", "mentor"),
        _who("rival", "person", "who competed with {b}", "opponent", "adversary"),
        _who("biographer", "person", "who wrote the life of {b}", "chronicler", "memoirist"),
        _who("manager", "person", "who represents {b}", "impresario", "go-between"),
        _count("workforce", "company", "people", "employ", "payroll", "hands"),
        _count("fleet", "company", "trucks", "run", "lorries", "convoy"),
        _count("membership", "company", "members", "have", "subscribers", "rolls"),
        _count("stock", "company", "goods", "store", "inventory", "reserves"),
        _count("output", "company", "goods", "make", "production", "yield"),
        _when("founding year", "company", "was {b} founded", "was founded", "inception", "cornerstone"),
        _when("merger year", "company", "did {b} merge", "merged", "fusion", "amalgamation"),
        _when("strike year", "company", "did {b} see a strike", "saw a strike", "walkout", "stoppage"),
        _when("listing year", "company", "did {b} go public", "went public", "flotation", "bourse"),
        _when("closing year", "company", "did {b} close", "closed", "shutdown", "liquidation"),
        _count("population", "town", "people", "shelter", "inhabitants", "souls"),
        _count("elevation", "town", "feet above the sea", "lie", "altitude", "height"),
        _count("acreage", "town", "acres", "cover", "surface", "expanse"),
        _count("pupils", "town", "children", "educate", "schoolchildren", "enrolment"),
        _count("guests", "town", "travellers", "lodge", "tourists", "visitors"),
        _who("mayor", "town", "who governs {b}", "burgomaster", "provost"),
        _who("sheriff", "town", "who polices {b}", "constable", "lawman"),
        _who("bishop", "town", "who leads the church of {b}", "prelate", "primate"),
        _who("poet", "town", "who writes the verse of {b}", "bard", "laureate"),
        _who("doctor", "town", "who cures the sick of {b}", "physician", "healer"),
    )
}
"""Every attribute by its usual word."""


def attributes_of(kind: str, sort: Sort) -> tuple[Attribute, ...]:
    """Returns the five attributes of a kind whose values are of a sort."""
    return tuple(each for each in ATTRIBUTES.values() if each.kind == kind and each.sort == sort)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "person",
            ("{a} is a well-known person.", "{a} is a public figure."),
            ("{w} {w}",),
            trades=("painter", "sculptor", "violinist", "lawyer", "farmer", "dentist", "chemist", "jockey"),
        ),
        Kind(
            "company",
            ("{a} is a company.", "{a} is a family firm."),
            ("{w} Works", "{w} House", "{w} Union"),
            trades=("brewery", "bakery", "foundry", "tannery", "sawmill", "laundry", "dairy", "quarry"),
        ),
        Kind(
            "town",
            ("{a} is a town.", "{a} is a market town."),
            ("{w}",),
            trades=("port", "spa", "fortress", "resort", "mining town", "abbey", "ski village", "oasis"),
        ),
        Kind(
            "film",
            ("{a} is a film.", "{a} is a motion picture."),
            ("{w} Nights", "{w} Road", "{w} Letters"),
            ("director", "screenwriter", "composer", "editor", "producer"),
        ),
        Kind(
            "novel",
            ("{a} is a novel.", "{a} is a book."),
            ("{w} Winter", "{w} Garden", "{w} Diaries"),
            ("author", "illustrator", "translator", "printer", "narrator"),
        ),
        Kind(
            "ship",
            ("{a} is a ship.", "{a} is a passenger ship."),
            ("{w} Star", "{w} Maiden", "{w} Queen"),
            ("shipyard", "operator", "insurer", "charterer", "refitter"),
        ),
        Kind(
            "club",
            ("{a} is a football club.", "{a} is a sports club."),
            ("{w} Rovers", "{w} United", "{w} Wanderers"),
            ("sponsor", "kit maker", "broadcaster", "bank", "caterer"),
        ),
        Kind(
            "album",
            ("{a} is an album.", "{a} is a record of songs."),
            ("{w} Songs", "{w} Blues", "{w} Echoes"),
            ("recording town", "rehearsal town", "mixing town", "pressing town", "premiere town"),
        ),
        Kind(
            "railway",
            ("{a} is a railway.", "{a} is a narrow-gauge railway."),
            ("{w} Line", "{w} Railway", "{w} Express"),
            ("planning town", "test town", "depot town", "repair town", "office town"),
        ),
    )
}
"""Every kind by its name."""

SUBJECTS: dict[str, tuple[Kind, ...]] = {
    target: tuple(kind for kind in KINDS.values() if kind.roles and ROLES[kind.roles[0]].target == target)
    for target in _ROLE_WORDS
}
"""The kinds that questions name, by the kind of their linked entities."""

TRADES = tuple(trade for kind in KINDS.values() for trade in kind.trades)
"""What distinguishes entities that share a name, of all kinds."""
