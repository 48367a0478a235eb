"""Divides a reflection into clauses.

A clause ends where its stance may change: at the end of a sentence, at a comma, before ``but``, ``because``, ``instead
of`` and the like. Quoted text is never divided.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

__all__ = ["Boundary", "Piece", "pieces", "plain_words"]

_CONTRACTIONS = (
    (re.compile(r"\bcan(?:'t|not)\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(i|you|we|they|he|she|it|that|there|what|who)'ll\b"), r"\1 will"),
    (re.compile(r"\b(i|you|we|they)'ve\b"), r"\1 have"),
    (re.compile(r"\b(i|you|we|they|it|he|she)'d\b"), r"\1 would"),
    (re.compile(r"\b(you|we|they)'re\b"), r"\1 are"),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"\b(it|that|there|he|she|what|here)'s\b"), r"\1 is"),
    (re.compile(r"\blet's\b"), "let us"),
)


def plain_words(text: str) -> str:
    """Returns a text in lower case, with plain quotes and dashes and without contractions.

    >>> plain_words("I’ll look there, but don't stop.")
    'i will look there, but do not stop.'
    """
    text = text.lower().replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    text = re.sub(r"\s*[–—]\s*|\s+-+\s+", " , ", text)
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    return re.sub(r"[ \t]+", " ", text)


class Boundary(NamedTuple):
    """What divides a clause from the text before it."""

    word: str
    """The comma or conjunction; ``"?"`` for a clause of a question; otherwise empty at the beginning of a sentence."""
    begins: bool = False
    """Whether a sentence begins here."""


Piece: TypeAlias = tuple[Boundary, str]
"""A boundary and the text after it."""

_QUOTED = re.compile(r'"[^"\n]*"|`[^`\n]*`|\[[^\]\n]*\]|(?<!\w)\'[^\'\n]*\'(?!\w)')
_SENTENCES = re.compile(r"(?<=[.!?;])(?=\s|$)|\n+|(?<=:)(?=\s)")
_BULLET = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)]|step \d+[:.]?)\s+")
_JOINTS = re.compile(
    r",? \b(?P<word>but(?! also\b)|instead of|rather than|because(?: of)?|since|although|though|whereas|while|so that"
    r"|so(?= (?:i|next|the|it|we|you|this|that)\b)|which|and not|not(?= (?:from|in|on|at|by|with|to|for|the|of|under)\b)"
    r"|unless|even if|except|for(?= (?:it|that|this|the \w+ (?:is|was)) )|and(?= (?:i|we|you|it|that|this|do|never|"
    r"please|next time|then|instead|avoid)\b)|then|instead(?! of))\b"
    r"|(?P<comma>,)(?= )"
)


def pieces(text: str) -> list[Piece]:
    """Returns the clauses of a text, each with the boundary before it.

    >>> for boundary, text in pieces(plain_words("Go to the desk 1 instead of the shelf 2, then look.")):
    ...     print(repr(boundary.word), text)
    '' go to the desk 1
    'instead of' the shelf 2
    'then' look
    """
    hidden: list[str] = []

    def hide(match: re.Match[str]) -> str:
        hidden.append(match[0])
        return f"\0{len(hidden) - 1}\0"

    covered = _QUOTED.sub(hide, text)
    found: list[Piece] = []
    for sentence in _SENTENCES.split(covered):
        sentence = _BULLET.sub("", sentence).strip()
        asked = sentence.endswith("?")
        boundary, start = Boundary("?" if asked else "", begins=True), 0
        sentence = re.sub(r"^(?:but|and|so|instead|then|also)\b(?! of),? ", "", sentence)
        if opening := re.match(r"(instead of|rather than|because of|because|since|although|though|while)\b ", sentence):
            boundary, start = Boundary(opening[1], begins=True), opening.end()
        for joint in _JOINTS.finditer(sentence, start):
            found.append((boundary, sentence[start : joint.start()]))
            boundary, start = Boundary("?" if asked else joint["word"] or ","), joint.end()
        found.append((boundary, sentence[start:]))
    shown = [(boundary, re.sub(r"\0(\d+)\0", lambda m: hidden[int(m[1])], each)) for boundary, each in found]
    return [(boundary, cleaned) for boundary, each in shown if (cleaned := each.strip(" ,.;:!?"))]
