"""The sentences of the built-in world: how questions ask and how pages state, and how both are read back.

Questions of each split have forms of their own; pages and reflections are worded alike in all splits. Training forms
name the attribute at the beginning, in the middle and at the end, so that a learner finds it in other forms too.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from typing import Literal, TypeAlias

from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, ROLES, TRADES, Attribute, Role, Sort

__all__ = [
    "COMPARISONS",
    "FORMS",
    "LESS",
    "NAMESAKES",
    "QUESTIONS",
    "RUMOURS",
    "STATEMENTS",
    "SUCCESSORS",
    "Asked",
    "Expression",
    "Link",
    "Wanted",
    "as_title",
    "asked_by",
    "described",
    "facts_on",
    "links_on",
    "rumour_on",
    "with_trade",
    "without_trade",
]

Expression: TypeAlias = Literal["noun", "verb"]
"""How a role is expressed."""
FORMS: tuple[Expression, ...] = ("noun", "verb")

QUESTIONS: dict[str, tuple[str, ...]] = {
    "train": (
        *("{direct}?", "do you know {indirect}?", "would you look up {indirect}, please?", "is it known {indirect}?"),
        *("what is the {name} of {b}?", "what {name} does {b} have?", "for {b}, what is the {name}?"),
        *("{name} of {b}?", "is there a {name} of {b}, and what is it?", "say, what is given as the {name} for {b}?"),
    ),
    "validation": ("can you find out {indirect}?", "what {name} belongs to {b}?"),
    "test": ("who can say {indirect}?", "which {name} is that of {b}?"),
}
"""Forms of bridge questions by split."""

COMPARISONS: dict[str, tuple[str, ...]] = {
    "train": (
        *("what is the {less} {name}, that of {b} or that of {c}?", "which is the {less} {name} of {b} and {c}?"),
        *(
            "taking {b} and {c}, what is the {less} {name}?",
            "there is a {name} of {b} and one of {c}: what is the {less} one?",
        ),
    ),
    "validation": ("of {b} and {c}, what is the {less} {name}?",),
    "test": ("comparing {b} with {c}, what {name} is {less}?",),
}
"""Forms of comparison questions by split; the answer is the lower value."""

LESS: dict[Sort, str] = {"year": "earlier", "number": "lower"}
"""What a comparison calls the lower value; other sorts are not compared."""

_DESCRIPTIONS: dict[Expression, str] = {"noun": "the {noun} of {a}", "verb": "the {kind} that {a} was {verb}"}

STATEMENTS: dict[Expression, tuple[str, ...]] = {
    "noun": ("Its {noun} was {b}.", "The {noun} is {b}."),
    "verb": ("It was {verb} {b}.", "It has been {verb} {b}."),
}
"""How a page states who has a role."""

NAMESAKES: dict[Expression, tuple[str, ...]] = {
    "noun": ("Its {noun} was {b}, the {trade}.", "The {noun} is {b}, the {trade}."),
    "verb": ("It was {verb} {b}, the {trade}.", "It has been {verb} {b}, the {trade}."),
}
"""The same of one of several entities that share a name."""

SUCCESSORS: dict[Expression, tuple[str, ...]] = {
    "noun": ("Its {noun} was to be {x}, but in the end it was {b}.", "In the end {b} replaced {x} as its {noun}."),
    "verb": ("It was to be {verb} {x}, but in the end it was {b}.", "{b} stepped in before it was {verb} {x}."),
}
"""The same if another entity, ``{x}``, was to have the role. ``{x}`` is nearer to the role's noun or verb."""

RUMOURS = ("Rumour puts the {name} at {v}.", "By hearsay the {name} is {v}.")
"""What a subject's page says, falsely, of an attribute of some linked entity."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """An entity that a question describes."""

    subject: str
    role: Role
    expression: Expression


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a question of the built-in world asks for."""

    attribute: Attribute
    entities: tuple[Wanted, ...]
    """One; two in a comparison."""


@dataclasses.dataclass(frozen=True)
class Link:
    """A linked entity on a subject's page."""

    role: str
    expression: Expression
    name: str
    trade: str = ""
    """What distinguishes it from others of its name, if the page says so."""
    instead_of: str = ""
    """The entity that was to have the role, if any."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the sentence holds, the one nearest to the role's word first."""
        return (self.instead_of, self.name) if self.instead_of else (self.name,)


def described(wanted: Wanted) -> str:
    """Returns a description of an entity.

    >>> described(Wanted("Velmora Nights", ROLES["director"], "verb"))
    'the person that Velmora Nights was directed by'
    """
    role = wanted.role
    return _DESCRIPTIONS[wanted.expression].format(noun=role.name, verb=role.verb, kind=role.target, a=wanted.subject)


_NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)?"
_NOUN = rf"(?P<noun>{'|'.join(sorted(ROLES, key=len, reverse=True))})"
_VERB = rf"(?P<verb>{'|'.join(role.verb for role in ROLES.values())})"
_ROLE_OF_VERB = {role.verb: role for role in ROLES.values()}
_TRADE = rf"(?P<trade>{'|'.join(TRADES)})"
_VALUE = r"(?P<v>\d[\d,]*\d|[A-Z][a-z]+(?: [A-Z][a-z]+)*)"


def _as_pattern(form: str, **groups: str) -> re.Pattern[str]:
    pattern = re.escape(form)
    for name, group in groups.items():
        pattern = pattern.replace(rf"\{{{name}\}}", group, 1).replace(rf"\{{{name}\}}", rf"(?P={name})")
    return re.compile(pattern)


_STATED = tuple(
    _as_pattern(form, noun=_NOUN, verb=_VERB, b=rf"(?P<b>{_NAME})", x=rf"(?P<x>{_NAME})", trade=_TRADE)
    for forms in (SUCCESSORS, NAMESAKES, STATEMENTS)
    for each in FORMS
    for form in forms[each]
)
_DESCRIBED = tuple(
    _as_pattern(form, noun=_NOUN, verb=_VERB, kind=r"(?:person|company|town)", a=rf"(?P<a>{_NAME})")
    for form in _DESCRIPTIONS.values()
)


def links_on(page: str) -> list[Link]:
    """Returns the linked entities that a page states, in the order of the text.

    >>> [(link.role, link.name) for link in links_on("It was directed by Taskin Brelum. The composer is Tor Gramex.")]
    [('director', 'Taskin Brelum'), ('composer', 'Tor Gramex')]
    >>> links_on("In the end Taskin Brelum replaced Tor Gramex as its editor.")[0].instead_of
    'Tor Gramex'
    """
    links = []
    for sentence in re.findall(r"[^.]+\.", page):
        match = next((found for pattern in _STATED if (found := pattern.fullmatch(sentence.strip()))), None)
        if match:
            parts = match.groupdict(default="")
            noun = parts.get("noun")
            role = noun or _ROLE_OF_VERB[parts["verb"]].name
            links.append(Link(role, "noun" if noun else "verb", parts["b"], parts.get("trade", ""), parts.get("x", "")))
    return links


def facts_on(page: str) -> dict[str, str]:
    """Returns the values that a page states by their words.

    >>> facts_on("Taskin Brelum is a public figure. Birth year: 1934. Better half: Tor Gramex.")
    {'birth year': '1934', 'better half': 'Tor Gramex'}
    """
    return {label.lower(): value for label, value in re.findall(rf"(?:^|\. )([A-Z][a-z -]+): {_VALUE}(?=\.)", page)}


def rumour_on(page: str, attribute: Attribute) -> str | None:
    """Returns the value that a page reports as a rumour.

    >>> rumour_on("Velmora Road is a film. Rumour puts the fleet at 1,234.", ATTRIBUTES["fleet"])
    '1,234'
    """
    for form in RUMOURS:
        match = _as_pattern(form.replace("{name}", attribute.name), v=_VALUE).search(page)
        if match:
            return match["v"]
    return None


def without_trade(title: str) -> str:
    """Returns the name in a title.

    >>> without_trade("Taskin Brelum (painter)")
    'Taskin Brelum'
    """
    return re.sub(r" \([^)]*\)$", "", title)


def with_trade(title: str) -> str:
    """Returns a title as a sentence names its entity.

    >>> with_trade("Taskin Brelum (painter)"), with_trade("Taskin Brelum")
    ('Taskin Brelum, the painter', 'Taskin Brelum')
    """
    return re.sub(r" \(([^)]*)\)$", r", the \1", title)


def as_title(name: str) -> str:
    """Returns the title of an entity that a sentence names.

    >>> as_title("Taskin Brelum, the painter"), as_title("Taskin Brelum")
    ('Taskin Brelum (painter)', 'Taskin Brelum')
    """
    return re.sub(r", the (.*)$", r" (\1)", name)


@lru_cache(maxsize=4_096)  # an actor reads its question anew in every turn
def asked_by(question: str) -> Asked | None:
    """Returns what a question of the built-in world asks for; None for any other question.

    >>> asked = asked_by("When was the director of Velmora Nights born?")
    >>> asked.attribute.name, asked.entities[0].subject, asked.entities[0].expression
    ('birth year', 'Velmora Nights', 'noun')
    """
    found = sorted(
        (match.start(), match.end(), match["a"], parts.get("noun"), parts.get("verb"))
        for pattern in _DESCRIBED
        for match in pattern.finditer(question)
        for parts in [match.groupdict()]
    )
    if not found:
        return None
    entities = tuple(
        Wanted(subject, ROLES[noun] if noun else _ROLE_OF_VERB[verb or ""], "noun" if noun else "verb")
        for _, _, subject, noun, verb in found
    )
    frame = question
    for placeholder, (start, end, *_) in reversed(list(zip("bc", found, strict=False))):
        frame = frame[:start] + f"{{{placeholder}}}" + frame[end:]
    attribute = _attribute_of_frame().get(frame[:1].lower() + frame[1:])
    return Asked(attribute, entities) if attribute else None


@lru_cache(maxsize=1)
def _attribute_of_frame() -> dict[str, Attribute]:
    """Returns the attribute of every question without its entities."""
    return {
        form.replace("{direct}", attribute.direct)
        .replace("{indirect}", attribute.indirect)
        .replace("{less}", LESS.get(attribute.sort, ""))
        .replace("{name}", attribute.name): attribute
        for attribute in ATTRIBUTES.values()
        for forms in (*QUESTIONS.values(), *COMPARISONS.values())
        for form in forms
    }
