"""The schema of the built-in world: kinds of entities, their relations, and templates that express them in English.

There are two types of relation:

- a *role* relates a subject to another entity, which has its own page (film → director);
- an *attribute* relates an entity to a plain value (person → birth year).

A bridge question names a subject and asks for an attribute of the entity in one of its roles; a comparison question
asks which of three entities has the lowest or the highest value of an attribute.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property

__all__ = ["ATTRIBUTES", "KINDS", "ROLES", "Attribute", "Kind", "Role", "value_pattern"]

_VALUES = {
    "year": r"(?:1[5-9]\d\d|20[0-2]\d)",
    "number": r"\d{1,3}(?:,\d{3})+|\d+",
    "person": r"[A-Z][a-z]+ [A-Z][a-z]+",
    "place": r"[A-Z][a-z]+",
    "name": r"[A-Z][a-z]+(?: [A-Z][a-z]+)*",
}


def value_pattern(value: str) -> str:
    """Returns a regular expression for values of a type: ``year``, ``number``, ``person``, ``place`` or ``name``."""
    return _VALUES[value]


@dataclasses.dataclass(frozen=True)
class Role:
    """A relation from a subject to another entity."""

    name: str
    """The word for it in reflections."""
    target: str
    """The kind of the other entity."""
    sentences: tuple[str, ...]
    """How a page states it; ``{b}`` is the other entity. The identifying words precede the name."""
    phrases: tuple[str, ...]
    """How a question refers to it; ``{a}`` is the subject."""

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The sentences as patterns whose group is the other entity."""
        name = rf"({value_pattern('name')})"
        said = (re.escape(sentence.removesuffix(".")) for sentence in self.sentences)
        return tuple(re.compile(cue.replace(r"\{b\}", name)) for cue in said)

    @cached_property
    def question_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The phrases as patterns."""
        name = value_pattern("name")
        return tuple(re.compile(re.escape(phrase).replace(r"\{a\}", name)) for phrase in self.phrases)


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A relation from an entity to a plain value."""

    name: str
    """The words for it in reflections."""
    value: str
    """The type of the value, see :func:`value_pattern`."""
    sentences: tuple[str, ...]
    """How a page states it; ``{b}`` is the entity, ``{v}`` the value."""
    aside: str
    """How another page mentions it after the entity's name: ``who was born in {v}``."""
    questions: tuple[str, ...]
    """How a question asks for it; ``{b}`` is a description of the entity."""
    least: tuple[str, ...] = ()
    """How a comparison asks for the lowest value; ``{list}`` are the candidates. Empty: never compared this way."""
    most: tuple[str, ...] = ()
    """The same for the highest value."""

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """The sentences as patterns whose group is the value."""
        value = rf"({value_pattern(self.value)})"
        return tuple(
            re.compile(re.escape(sentence).replace(r"\{b\}", r"[^.]+?").replace(r"\{v\}", value))
            for sentence in self.sentences
        )

    @cached_property
    def question_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The questions as patterns, comparisons included."""
        forms = (*self.questions, *self.least, *self.most)
        return tuple(re.compile(re.escape(form).replace(r"\{b\}", ".+").replace(r"\{list\}", ".+")) for form in forms)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of entity."""

    name: str
    intro: tuple[str, ...]
    """First sentence of its page."""
    titles: tuple[str, ...]
    """Templates of its names; ``{w}`` is a coined word."""
    roles: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


def _roles(*roles: Role) -> dict[str, Role]:
    return {role.name: role for role in roles}


def _attributes(*attributes: Attribute) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


def _by(name: str, target: str, done: str, who: str) -> Role:
    """A role that is an action: the director directed the film."""
    return Role(
        name,
        target,
        (f"It was {done} by {{b}}.", f"Its {name} was {{b}}.", f"The {name} is {{b}}."),
        (f"the {name} of {{a}}", f"the {who} that {{a}} was {done} by", f"the {who} by whom {{a}} was {done}"),
    )


def _place(name: str, sentence: str, phrase: str) -> Role:
    """A role that is a town."""
    return Role(
        name,
        "town",
        (f"{sentence} {{b}}.", f"Its {name} is {{b}}.", f"The {name} was {{b}}."),
        (f"the {name} of {{a}}", phrase),
    )


ROLES: dict[str, Role] = _roles(
    _by("director", "person", "directed", "filmmaker"),
    _by("screenwriter", "person", "scripted", "writer"),
    _by("composer", "person", "scored", "musician"),
    _by("studio", "company", "produced", "company"),
    _by("author", "person", "written", "novelist"),
    _by("illustrator", "person", "illustrated", "artist"),
    _by("publisher", "company", "published", "company"),
    _by("singer", "person", "sung", "performer"),
    _by("arranger", "person", "arranged", "musician"),
    _by("label", "company", "released", "company"),
    _by("captain", "person", "commanded", "sailor"),
    _by("designer", "person", "designed", "draughtsman"),
    _by("shipyard", "company", "built", "company"),
    _by("architect", "person", "drawn up", "planner"),
    _by("curator", "person", "curated", "scholar"),
    _by("patron", "company", "funded", "company"),
    _by("coach", "person", "trained", "teacher"),
    _by("sponsor", "company", "sponsored", "company"),
    _place("location", "It was shot in", "the town where {a} was shot"),
    _place("setting", "It takes place in", "the town in which {a} takes place"),
    _place("recording town", "It was recorded in", "the town where {a} was recorded"),
    _place("home port", "It sails from", "the town from which {a} sails"),
    _place("host town", "It stands in", "the town in which {a} stands"),
    _place("home town", "It plays in", "the town in which {a} plays"),
)
"""Every role by its name."""


ATTRIBUTES: dict[str, Attribute] = _attributes(
    Attribute(
        "birth year",
        "year",
        ("{b} was born in {v}.", "The birth of {b} was in {v}.", "{b} came into the world in {v}."),
        "born in {v}",
        ("In what year was {b} born?", "When was {b} born?", "What is the birth year of {b}?"),
        ("Who was born first, {list}?", "Which of {list} is the oldest?"),
        ("Who was born last, {list}?", "Which of {list} is the youngest?"),
    ),
    Attribute(
        "birthplace",
        "place",
        ("{b} grew up in {v}.", "{b} comes from the village of {v}.", "The birthplace of {b} is {v}."),
        "who grew up in {v}",
        ("Where did {b} grow up?", "In which village did {b} grow up?", "What is the birthplace of {b}?"),
    ),
    Attribute(
        "spouse",
        "person",
        ("{b} is married to {v}.", "{b} married {v}.", "The spouse of {b} is {v}."),
        "married to {v}",
        ("Who is {b} married to?", "Who married {b}?", "Who is the spouse of {b}?"),
    ),
    Attribute(
        "university",
        "name",
        ("{b} studied at {v}.", "{b} took a degree at {v}.", "The university of {b} was {v}."),
        "who studied at {v}",
        ("Where did {b} study?", "At which university did {b} study?", "What university took in {b}?"),
    ),
    Attribute(
        "prize",
        "name",
        ("{b} won the {v}.", "{b} was given the {v}.", "The prize of {b} is the {v}."),
        "holder of the {v}",
        ("Which prize did {b} win?", "What prize was {b} given?", "What award was won by {b}?"),
    ),
    Attribute(
        "founding year",
        "year",
        ("{b} was founded in {v}.", "The founding of {b} was in {v}.", "{b} has existed since {v}."),
        "founded in {v}",
        ("In what year was {b} founded?", "When was {b} founded?", "What is the founding year of {b}?"),
        ("Which was founded first, {list}?", "Which of {list} has existed the longest?"),
        ("Which was founded last, {list}?",),
    ),
    Attribute(
        "headquarters",
        "place",
        ("{b} has its offices in {v}.", "{b} is run from {v}.", "The headquarters of {b} are in {v}."),
        "run from {v}",
        ("Where are the headquarters of {b}?", "In which town does {b} have its offices?", "From where is {b} run?"),
    ),
    Attribute(
        "owner",
        "person",
        ("{b} belongs to {v}.", "{b} is owned by {v}.", "The owner of {b} is {v}."),
        "owned by {v}",
        ("Who owns {b}?", "Who is the owner of {b}?", "To whom does {b} belong?"),
    ),
    Attribute(
        "workforce",
        "number",
        ("{b} employs {v} people.", "{b} has a workforce of {v}.", "The workforce of {b} is {v}."),
        "with a workforce of {v}",
        ("How many people does {b} employ?", "How many people work for {b}?", "How large is the workforce of {b}?"),
        ("Which employs the fewest people, {list}?",),
        ("Which employs the most people, {list}?", "Which of {list} has the largest workforce?"),
    ),
    Attribute(
        "population",
        "number",
        ("{b} has {v} inhabitants.", "{b} has a population of {v}.", "The population of {b} is {v}."),
        "a town of {v} inhabitants",
        ("How many inhabitants does {b} have?", "What is the population of {b}?", "How many people live in {b}?"),
        ("Which has the fewest inhabitants, {list}?",),
        ("Which has the most inhabitants, {list}?", "Which of {list} has the largest population?"),
    ),
    Attribute(
        "river",
        "place",
        ("{b} lies on the {v}.", "{b} was built along the {v}.", "The river of {b} is the {v}."),
        "on the {v}",
        ("On which river does {b} lie?", "Which river runs through {b}?", "What is the river of {b}?"),
    ),
    Attribute(
        "mayor",
        "person",
        ("{b} is governed by {v}.", "{b} has elected {v}.", "The mayor of {b} is {v}."),
        "governed by {v}",
        ("Who governs {b}?", "Who is the mayor of {b}?", "Whom has {b} elected?"),
    ),
    Attribute(
        "charter year",
        "year",
        ("{b} received its charter in {v}.", "{b} was chartered in {v}.", "The charter of {b} dates from {v}."),
        "chartered in {v}",
        ("When did {b} receive its charter?", "In what year was {b} chartered?", "What is the charter year of {b}?"),
        ("Which was chartered first, {list}?",),
        ("Which was chartered last, {list}?",),
    ),
    Attribute(
        "release year",
        "year",
        ("{b} first appeared in {v}.", "{b} came out in {v}.", "The release of {b} was in {v}."),
        "released in {v}",
        ("When did {b} come out?", "In what year did {b} first appear?", "What is the release year of {b}?"),
        ("Which came out first, {list}?", "Which of {list} has been out the longest?"),
        ("Which came out last, {list}?", "Which of {list} is the newest?"),
    ),
    Attribute(
        "opening year",
        "year",
        ("{b} opened in {v}.", "{b} first took visitors in {v}.", "The opening of {b} was in {v}."),
        "opened in {v}",
        ("When did {b} open?", "In what year did {b} open?", "What is the opening year of {b}?"),
        ("Which opened first, {list}?", "Which of {list} has been open the longest?"),
        ("Which opened last, {list}?",),
    ),
    Attribute(
        "collection",
        "number",
        (
            "{b} owns {v} objects.",
            "{b} shows a collection of {v} objects.",
            "The collection of {b} counts {v} objects.",
        ),
        "with a collection of {v} objects",
        ("How many objects does {b} own?", "How large is the collection of {b}?"),
        ("Which owns the fewest objects, {list}?",),
        ("Which owns the most objects, {list}?", "Which of {list} has the largest collection?"),
    ),
    Attribute(
        "length",
        "number",
        ("{b} has a length of {v}.", "{b} runs to a length of {v}.", "The length of {b} is {v}."),
        "with a length of {v}",
        ("How long is {b}?", "What is the length of {b}?"),
        ("Which is the shortest, {list}?",),
        ("Which is the longest, {list}?", "Which of {list} has the greatest length?"),
    ),
)
"""Every attribute by its name."""

_PERSON = ("birth year", "birthplace", "spouse", "university", "prize")
_COMPANY = ("founding year", "headquarters", "owner", "workforce")
_TOWN = ("population", "river", "mayor", "charter year")
_WORK = ("release year", "length")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("person", ("{a} is a well-known person.", "{a} is a public figure."), ("{w} {w}",), (), _PERSON),
        Kind(
            "company",
            ("{a} is a company.", "{a} is a family firm."),
            ("{w} Works", "{w} House", "{w} Union"),
            (),
            _COMPANY,
        ),
        Kind("town", ("{a} is a town.", "{a} is a market town."), ("{w}",), (), _TOWN),
        Kind(
            "film",
            ("{a} is a film.", "{a} is a motion picture."),
            ("{w} Nights", "{w} Road", "{w} Letters"),
            ("director", "screenwriter", "composer", "studio", "location"),
            _WORK,
        ),
        Kind(
            "novel",
            ("{a} is a novel.", "{a} is a book."),
            ("{w} Winter", "{w} Garden", "{w} Diaries"),
            ("author", "illustrator", "publisher", "setting"),
            _WORK,
        ),
        Kind(
            "album",
            ("{a} is an album.", "{a} is a record of songs."),
            ("{w} Songs", "{w} Blues", "{w} Echoes"),
            ("singer", "arranger", "label", "recording town"),
            _WORK,
        ),
        Kind(
            "ship",
            ("{a} is a ship.", "{a} is a passenger ship."),
            ("{w} Star", "{w} Maiden", "{w} Queen"),
            ("captain", "designer", "shipyard", "home port"),
            _WORK,
        ),
        Kind(
            "museum",
            ("{a} is a museum.", "{a} is a public museum."),
            ("{w} Gallery", "{w} Museum", "{w} Hall"),
            ("architect", "curator", "patron", "host town"),
            ("opening year", "collection"),
        ),
        Kind(
            "club",
            ("{a} is a football club.", "{a} is a sports club."),
            ("{w} Rovers", "{w} United", "{w} Wanderers"),
            ("coach", "sponsor", "captain", "home town"),
            ("founding year", "workforce"),
        ),
    )
}
"""Every kind by its name; those with roles can be the subject of a bridge question."""
