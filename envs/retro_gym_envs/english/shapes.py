"""What a clause looks like: whether it names something, begins with a verb, or is a mere list."""

from __future__ import annotations

import itertools

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.lexicon import Tag
from retro_gym_envs.english.links import NOUN, Token

__all__ = [
    "first_word",
    "has_noun",
    "is_bare",
    "is_only_nouns",
    "names_something",
    "negated_gerund",
    "suggests",
    "verb_of",
]


def is_only_nouns(piece: Piece) -> bool:
    """Returns whether a clause is a mere list of names."""
    return all(NOUN.match(token.text) or token.text in ("the", "and", "or") for token in piece.tokens)


def has_noun(piece: Piece) -> bool:
    """Returns whether a clause names something."""
    return any(NOUN.match(token.text) for token in piece.tokens)


def names_something(piece: Piece) -> bool:
    """Returns whether a clause names something, or refers to it by a pronoun."""
    return has_noun(piece) or any(token.tags & (Tag.IT | Tag.THEM) for token in piece.tokens)


def negated_gerund(piece: Piece) -> bool:
    """Returns whether a clause has a gerund right after a negation (``my mistake was not opening X``)."""
    return any(
        one.tags & Tag.NOT and two.tags & Tag.ING and not two.tags & Tag.AVOID
        for one, two in itertools.pairwise(piece.tokens)
    )


def verb_of(piece: Piece) -> str:
    """Returns the first verb of a clause in its base form, or gerund; an empty string if there is none."""
    return next((token.text for token in piece.tokens if token.tags & (Tag.BASE | Tag.ING)), "")


def is_bare(piece: Piece) -> bool:
    """Returns whether a clause begins with a verb in its base form or a gerund, without a subject."""
    first = next((t for t in piece.tokens if not t.tags & Tag.ADVERB and t.text not in ("and", "or", "nor")), None)
    return first is not None and bool(first.tags & (Tag.BASE | Tag.ING))


def first_word(piece: Piece) -> Token:
    """Returns the first word of a clause that is no adverb."""
    return next((token for token in piece.tokens if not token.tags & Tag.ADVERB), piece.tokens[0])


def suggests(tokens: list[Token]) -> bool:
    """Returns whether a question is a request or a suggestion (``Could you open X?``, ``Why not open X?``)."""
    polite = next((place for place, token in enumerate(tokens) if token.text != "please"), 0)
    said = [token.text for token in tokens[polite : polite + 4]]
    could = bool(tokens[polite].tags & Tag.COULD)
    request = could and (said[1:2] == ["you"] or (said[1:2] in (["i"], ["we"]) and said[2:4] == ["ask", "you"]))
    return request or tokens[0].text in ("why not", "how about", "what about")
