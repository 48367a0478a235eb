"""Decides where a clause begins, and how it is tied to the text before it."""

from __future__ import annotations

import dataclasses
import itertools
import re

from retro_gym_envs.english.lexicon import Link, Tag

__all__ = ["NOUN", "Token", "link_at"]

NOUN = re.compile("[\ue000-\uf8ff]")
"""A masked name or quotation: one character of Unicode's private use area."""


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A word, a phrase or a mark."""

    text: str
    start: int
    end: int
    tags: int
    """Bits of ``Tag``."""
    link: Link | None = None
    """What a conjunction ties its clause with."""


_OPENS_CLAUSE = (
    Tag.BASE
    | Tag.PAST
    | Tag.ING
    | Tag.FINITE
    | Tag.PERSON
    | Tag.AUXILIARY
    | Tag.MODAL
    | Tag.COULD
    | Tag.AVOID
    | Tag.NOT
)


def link_at(tokens: list[Token], index: int) -> tuple[Link | None, bool]:
    """Returns how a clause that begins at a token is tied to the text before, and whether the token belongs to it."""
    token = tokens[index]
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    if (special := _special(tokens, index)) is not None:
        return special, False
    if token.text == ",":
        return Link.COMMA, False
    if token.text == ":":
        return Link.COLON, False
    if token.text in ("and", "or", "nor") and (_starts_clause(tokens, index + 1) or _states_anew(tokens, index)):
        return Link.AND, token.text == "nor"
    if token.text == "not" and after is not None and _is_contrast(before, after) and not _repeats(tokens, index):
        return Link.NOT, False
    if (
        token.text in ("with", "by", "for", "to", "over")
        and (swapped := _swapped(tokens[:index], token.text)) is not None
    ):
        return swapped, False
    if token.text == "where" and before is not None and NOUN.match(before.text):
        return Link.AND, False
    if token.text == "been" and after is not None and _is_corrected(tokens[:index], after):
        return Link.REPLACING, False
    if token.text in ("by", "on") and after is not None and after.tags & Tag.ING:
        return Link.AFTER, False
    if token.tags & Tag.PERSON and before is not None and NOUN.match(before.text):
        return Link.COMMA, True
    if token.text == "that" and after is not None and after.tags & Tag.PERSON and _is_consequence(tokens[:index]):
        return Link.AND, False
    link = token.link
    if token.text == "since" and after is not None and after.text == "been":
        return None, False  # "it has since been replaced"
    if link is None:
        return None, False
    if token.text == "having" and [other.text for other in tokens[max(index - 2, 0) : index]] == ["without", "ever"]:
        return None, False
    if link is Link.AFTER and token.text in ("having", "while", "when", "once", "after", "upon"):
        return _after(token, before, after), token.text == "having"
    if token.text == "then" and before is not None and before.tags & Tag.PERSON:
        return None, False
    if token.text in ("so", "then", "yet", "though") and not _starts_clause(tokens, index + 1):
        free = before is not None and before.text in (",", "and")
        return (link if token.text == "then" or free else None), False
    if link is Link.WHICH:
        return (Link.WHICH, True) if before is not None else (None, False)
    return link, link is Link.HAD


def _special(tokens: list[Token], index: int) -> Link | None:
    """Returns the link that a word makes in one kind of phrase only (``all but X``, ``as X is empty``, ``Y for X``)."""
    word, before, after = tokens[index].text, tokens[:index], tokens[index + 1 :]
    if word == "but" and _excepts(before, after):
        return Link.EXCEPT
    if word == "whereas" and not before:
        return Link.WHEREAS
    if word == "as" and _gives_reason(before, after):
        return Link.BECAUSE
    if word in ("with", "for") and _is_confused(before, word) and (_is_noun(after) or _is_right_one(after)):
        return Link.MISTAKEN
    if word == "to" and after and after[0].text == "be" and _is_confused(before, "for"):
        return Link.MISTAKEN  # "I took Y to be X"
    another = word in ("and", ",") and len(after) > 2 and after[1].text in ("with", "for") and _is_noun(after)
    if another and _is_confused([*before, after[0]], after[1].text) and _is_noun(after[2:]):
        return Link.AND  # "I confused X with Y and V with W"
    return None


def _is_noun(tokens: list[Token]) -> bool:
    """Returns whether a name comes first, or after an article."""
    return any(NOUN.match(token.text) for token in tokens[: 1 + bool(tokens and tokens[0].tags & Tag.ARTICLE)])


def _excepts(before: list[Token], after: list[Token]) -> bool:
    """Returns whether ``but`` follows a word like *all*, and means *except*."""
    every = any(token.text in _EVERY for token in before[-3:])
    place = after[bool(after and after[0].tags & Tag.PREPOSITION) :]
    closed = len(place) < 3 or place[1 + bool(place[0].tags & Tag.ARTICLE)].text in (",", ":", "and", "or")
    return every and before[-1].text != "," and _is_noun(place) and closed


def _gives_reason(before: list[Token], after: list[Token]) -> bool:
    """Returns whether ``as`` begins a clause that gives a reason: a subject and its verb follow."""
    if before and (before[-1].tags & Tag.BE or any(token.text in ("as", "such", "same", "so") for token in before)):
        return False
    clause = list(itertools.takewhile(lambda token: token.text not in (",", ":"), after))
    finite = Tag.BE | Tag.AUXILIARY | Tag.PAST | (Tag.COULD if before else Tag.FINITE)
    subject = next((place for place, token in enumerate(clause) if token.tags & finite), 0)
    if not before and len(clause) == len(after):
        return False
    subject_only = before and (before[0].tags & (Tag.ING | Tag.ARTICLE) or before[0].text == "to")
    if subject_only and not any(token.tags & finite for token in before):
        return False  # "choosing X as the colour was a mistake": the verb is that of the gerund
    return subject > 0 and (_is_noun(clause) or bool(clause[0].tags & (Tag.PERSON | Tag.IT | Tag.ARTICLE)))


def _is_confused(before: list[Token], word: str) -> bool:
    """Returns whether somebody took one thing for another (``I confused Y with X``), so that the other was meant."""
    said = [token.text for token in before]
    verb = _TAKEN.intersection(said) if word == "for" else _CONFUSED.intersection(said)
    if word == "for" and _CONFUSED.intersection(said):
        verb = _CONFUSED.intersection(said)
    warned = any(token.tags & (Tag.NOT | Tag.MODAL | Tag.COULD) for token in before)
    passive = len(before) > 1 and before[-2].tags & Tag.BE and _is_noun(before[:-2])  # "Y was mistaken for X"
    active = _is_noun(before[-1:] if said[-1:] != ["up"] else before[-2:])
    return bool(verb) and not warned and bool(active or passive)


def _is_right_one(tokens: list[Token]) -> bool:
    return [token.text for token in tokens[:2]] in (["the", "right"], ["the", "correct"], ["the", "one"])


_EVERY = frozenset(
    ("all", "every", "everything", "everyone", "everywhere", "any", "anything", "anywhere", "anyone", "no")
)
_TAKEN = frozenset(("took", "taken", "taking"))
_CONFUSED = frozenset(("confused", "confusing", "mistook", "mistaken", "mistaking", "mixed", "mixing"))


def _is_consequence(before: list[Token]) -> bool:
    """Returns whether ``that`` follows upon ``so`` or ``such`` (``so busy that I …``)."""
    return any(token.text in ("so", "such") for token in before)


def _swapped(before: list[Token], word: str) -> Link | None:
    """Returns how a preposition ties what it governs after verbs like *replace Y with X* and *prefer X to Y*."""
    said = [token.text for token in before]
    if word in ("with", "by", "for"):
        return Link.REPLACING if _REPLACING.intersection(said) else None
    if word == "to" and "from" in said and _SWITCHING.intersection(said):
        return Link.REPLACING
    if word == "over":
        return Link.INSTEAD if _CHOOSING.intersection(said) and any(map(NOUN.match, said)) else None
    nouns = sum(NOUN.match(text) is not None for text in said)
    return Link.INSTEAD if _PREFERRING.intersection(said) and nouns else None


def _is_corrected(before: list[Token], after: Token) -> bool:
    """Returns whether one thing is corrected to another (``X should have been Y``)."""
    said = [token.text for token in before]
    return said[-2:] == ["should", "have"] and NOUN.match(after.text) is not None and NOUN.match(said[0]) is not None


_REPLACING = frozenset(("replace", "replaces", "replacing", "swap", "swapping", "exchange", "exchanging"))
_SWITCHING = frozenset(("switch", "switching", "change", "changing"))
_CHOOSING = frozenset((
    "choose", "choosing", "chose", "chosen", "pick", "picking", "select", "selecting", "take", "trust", "trusting",
    "prefer", "preferred", "preferring", "favour", "favor", "favouring", "favoring", "use", "using", "want",
))  # fmt: skip
_PREFERRING = frozenset(("prefer", "preferred", "preferring", "favour", "favor", "preferable"))


def _after(token: Token, before: Token | None, after: Token | None) -> Link | None:
    """Returns the link of ``after``, ``when`` and the like: none inside a verb phrase (``without having …``)."""
    if token.text == "having" and before is not None and before.tags & Tag.NOT:
        return None
    if token.text == "once" and (after is None or not after.tags & _OPENS_CLAUSE):
        return None
    return Link.AFTER


def _starts_clause(tokens: list[Token], index: int) -> bool:
    """Returns whether a new clause, and no mere noun, begins at a token."""
    while index < len(tokens) and tokens[index].tags & Tag.ADVERB and not tokens[index].tags & _OPENS_CLAUSE:
        index += 1
    if index >= len(tokens):
        return False
    tags = tokens[index].tags
    following = tokens[index + 1].tags if index + 1 < len(tokens) else 0
    if tags & Tag.IT or tags & Tag.THEM:
        return bool(following & (Tag.AUXILIARY | Tag.BE | Tag.PAST | Tag.FINITE | Tag.NOT))
    return bool(tags & _OPENS_CLAUSE) or tokens[index].link is not None


def _states_anew(tokens: list[Token], index: int) -> bool:
    """Returns whether a subject with a verb of its own follows a clause that has one (``X is old and Y is new``)."""
    clause = itertools.takewhile(lambda token: token.text not in (",", ":"), reversed(tokens[:index]))
    subject = list(itertools.takewhile(lambda token: token.text not in _SINGULAR, tokens[index + 1 :]))
    ends = index + 1 + len(subject) == len(tokens)
    if ends or not 0 < len(subject) <= _LONGEST_SUBJECT or not any(token.text in _FINITE for token in clause):
        return False
    plain = not any(token.link or token.text in _NO_SUBJECT for token in subject)
    return plain and (_is_noun(subject) or not subject[0].tags & ~Tag.ARTICLE)


_SINGULAR = frozenset(("is", "was", "has", "does", "will", "would", "seems", "looks", "fits", "works", "matches"))
"""Verbs after a single subject: in ``I know that X and Y are wrong``, no new statement begins at *and*."""
_FINITE = _SINGULAR | {"are", "were", "have", "do"}
_NO_SUBJECT = frozenset((",", ":", "and", "or", "that", "what", "to"))
_LONGEST_SUBJECT = 8  # in words


def _repeats(tokens: list[Token], index: int) -> bool:
    """Returns whether ``not`` and a gerund follow upon the like (``not opening X and not reading Y``)."""
    gerunds = [
        place
        for place, (one, two) in enumerate(itertools.pairwise(tokens[: index + 2]))
        if one.text == "not" and two.tags & Tag.ING
    ]
    return len(gerunds) > 1 and gerunds[-1] == index


def _is_contrast(before: Token | None, after: Token) -> bool:
    """Returns whether ``not`` sets one thing against another (``use X, not Y``), and negates no verb."""
    if before is None or after.tags & (Tag.BASE | Tag.PAST | Tag.MODAL):
        return False
    return before.text in (",", "and", "but", "so") or NOUN.match(before.text) is not None
