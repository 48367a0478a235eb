"""What stands before a colon, and how far it governs what follows."""

from __future__ import annotations

import dataclasses

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.lexicon import Tag
from retro_gym_envs.english.readings import Kind, Reading

__all__ = ["UNTRUE", "Header", "is_denial", "is_prohibition", "is_telling"]


@dataclasses.dataclass
class Header:
    """What stands before a colon (``Do not:``, ``Wrong:``) and governs the rest of its line, or the list below it."""

    denies: bool = False
    inverts: bool = False
    """Whether it says that what follows is untrue (``False:``)."""
    tells: bool = False
    """Whether it announces what was done (``The steps I took were:``)."""
    line: int = -1
    listed: bool = False
    """Whether the colon ended its line, so that a list follows."""

    def covers(self, piece: Piece) -> bool:
        """Returns whether a clause stands under a header that denies."""
        return (self.denies or self.tells) and piece.line - self.line <= self.listed

    def after(self, pieces: list[Piece]) -> None:
        """Notes the end of a sentence: a full stop on the header's own line ends its reach."""
        if self.listed and pieces[-1].line - self.line <= 1:
            self.line = pieces[-1].line
        elif pieces[-1].mark in ".!?":
            self.denies = self.tells = False


def is_denial(piece: Piece, reading: Reading) -> bool:
    """Returns whether what stands before a colon denies what follows: it is no sentence about something else."""
    about_it = any(token.tags & (Tag.IT | Tag.PERSON) for token in piece.tokens[:-1])
    return not reading.affirms and reading.kind is not Kind.REPORT and (reading.judged or not about_it)


def is_prohibition(piece: Piece) -> bool:
    """Returns whether what stands before a colon says by itself what not to do (``Do not guess:``, ``No rumours:``)."""
    said = [token for token in piece.tokens if not token.tags & (Tag.NOT | Tag.ADVERB) and token.text not in _EMPTY]
    denied = any(token.tags & Tag.NOT for token in piece.tokens[:3])
    told = any(token.tags & (Tag.PERSON | Tag.BE) for token in piece.tokens) and not any(
        token.tags & Tag.MODAL for token in piece.tokens
    )
    pointing = any(token.text in _POINTING for token in piece.tokens)
    return denied and bool(said) and not told and not pointing


def is_telling(piece: Piece, reading: Reading) -> bool:
    """Returns whether what stands before a colon announces what was done."""
    return reading.kind is Kind.REPORT and reading.affirms and any(token.text in _DEEDS for token in piece.tokens)


UNTRUE = frozenset(
    (
        "not",
        "true",
        "so",
        "no",
        "false",
        "wrong",
        "nonsense",
        "untrue",
        "incorrect",
        "a",
        "lie",
        "at",
        "all",
        "myth",
        "misconception",
        "fallacy",
        "hoax",
    )
)
"""Words of a clause that says nothing but that something is untrue."""
_EMPTY = frozenset((
    "do", "please", "again", "more", "to", "ever", "and", "or", "i", "you", "we", "good", "use", "should", "must",
))  # fmt: skip
_POINTING = frozenset(("this", "these", "those", "it", "them", "following", "that", "such", "below", "any", "as"))
"""Words of a prohibition that speaks of what follows it."""
_DEEDS = frozenset(("steps", "actions", "moves", "commands", "taken", "done", "following", "did"))
