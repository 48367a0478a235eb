"""What a clause wants: whether it speaks for the things that it names, against them, or neither.

The rules are those of ordinary English, not of a teacher's sentences:

- An instruction or a plan (``search for X``, ``I should have used X``) is for, its negation (``do not …``) against.
- A statement about the world is for what it affirms (``it is in X``) and against what it denies (``X is empty``).
- A report of what was done (``I went to X``) is neither. What it found (``I saw it in X``) is for, what it failed to
  find (``X did not help``) against, and what was omitted (``I never opened X``) for.
- Questions, hopes and copied turns of a trial are neither.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from functools import lru_cache

from retro_gym_envs.english.clauses import Piece, mask, sentences
from retro_gym_envs.english.headers import UNTRUE, Header
from retro_gym_envs.english.lexicon import Link, Tag
from retro_gym_envs.english.links import NOUN
from retro_gym_envs.english.readings import Kind, Reading, Reference, completed, read_piece, refers
from retro_gym_envs.english.retractions import without_retracted
from retro_gym_envs.english.syntax import Stance, stances
from retro_gym_envs.english.transcripts import without_transcripts

__all__ = ["Clause", "Stance", "read_clauses"]


@dataclasses.dataclass(frozen=True)
class Clause:
    """A clause of a reflection."""

    text: str
    """In lower case, without contractions; quoted parts keep their quotes."""
    stance: Stance
    sentence: int
    """Index of its sentence in the reflection."""
    names: tuple[str, ...] = ()
    """The known names that it mentions, or refers to by a pronoun, in the order of their first mention."""
    asks: bool = True
    """Whether it asks for something or judges it, and does not merely tell how things are."""


def read_clauses(reflection: str, names: tuple[str, ...] = ()) -> tuple[Clause, ...]:
    """Returns the clauses of a reflection with their stances.

    Args:
        reflection: the text.
        names: the known names. Words inside of them are not read as English, and ``Clause.names`` holds those that a
            clause is about.

    >>> for clause in read_clauses("I went to desk 1. Do not go there, but search the shelf 2 instead of the bed 1."):
    ...     print(clause.stance.value, clause.text)
    neither i went to desk 1
    against do not go there
    for search the shelf 2
    against the bed 1
    """
    return _read(reflection, tuple(names))


@lru_cache(maxsize=4_096)
def _read(reflection: str, names: tuple[str, ...]) -> tuple[Clause, ...]:
    masked = mask(without_transcripts(reflection), names)
    clauses: list[Clause] = []
    kinds: list[Kind] = []
    for piece, part, reading, stance in _analysed(masked.text):
        named = masked.names_in(_place(piece, part, reading) if stance is Stance.AGAINST else part)
        if not named and stance is not Stance.NEITHER:
            named = _referred(piece, reading, stance, clauses, kinds)
        clauses.append(
            Clause(" ".join(masked.show(part).split()), stance, piece.sentence, named, not _only_states(piece, reading))
        )
        kinds.append(reading.kind)
    return _without_weak(clauses, kinds)


@lru_cache(maxsize=4_096)
def _analysed(masked: str) -> tuple[tuple[Piece, str, Reading, Stance], ...]:
    """Returns the clauses of a masked text, which stays the same while an actor learns names that it does not hold."""
    text, found = sentences(masked)
    header = Header()
    analysed: list[tuple[Piece, str, Reading, Stance]] = []
    for pieces in found:
        readings: list[Reading] = []
        for piece in pieces:
            before = readings[-1] if readings else analysed[-1][2] if analysed else None
            goes_on = piece.link in (Link.AND, Link.WHICH, Link.COMMA) and readings
            if piece.mark == "?" and goes_on and readings[0].kind is not Kind.IDLE:
                piece.mark = "."  # "Could you open X, which is the painter, and read Y?"
            readings.append(completed(piece, read_piece(piece), before))
        parts = [text[piece.tokens[0].start : piece.tokens[-1].end] for piece in pieces]
        analysed += zip(pieces, parts, readings, stances(pieces, readings, header), strict=True)
    return tuple(_corrected(without_retracted(text, analysed)))


def _corrected(
    analysed: list[tuple[Piece, str, Reading, Stance]],
) -> Iterator[tuple[Piece, str, Reading, Stance]]:
    """Yields the clauses; what is stated as a mistake, and then corrected, is denied (``Mistake: … Correct: …``)."""
    correction = fault = -1
    for index in range(len(analysed) - 1, -1, -1):
        piece = analysed[index][0]
        if piece.heads and any(token.text in _CORRECTIONS for token in piece.tokens):
            correction = index
        elif piece.heads and any(token.text in _FAULTS for token in piece.tokens) and correction > index:
            near = analysed[correction][0].sentence - piece.sentence <= _MOST_BETWEEN
            fault = index if near else -1
            break
    for index, (piece, part, reading, stance) in enumerate(analysed):
        between = 0 <= fault < index < correction and reading.kind is Kind.STATEMENT and reading.affirms
        yield piece, part, reading, Stance.AGAINST if between and stance is Stance.FOR else stance


_CORRECTIONS = frozenset(("correct", "right", "correction", "corrected", "fix", "instead"))
_FAULTS = frozenset(("mistake", "error", "wrong", "fault"))
_MOST_BETWEEN = 2  # sentences from a mistake to its correction


def _without_weak(clauses: list[Clause], kinds: list[Kind]) -> tuple[Clause, ...]:
    """Returns the clauses; a name that merely stands by itself is not wanted if another clause is against it."""
    denied = {name for clause in clauses if clause.stance is Stance.AGAINST for name in clause.names}
    return tuple(
        dataclasses.replace(clause, names=tuple(name for name in clause.names if name not in denied))
        if kind is Kind.FRAGMENT and clause.stance is Stance.FOR and denied
        else clause
        for clause, kind in zip(clauses, kinds, strict=True)
    )


def _only_states(piece: Piece, reading: Reading) -> bool:
    """Returns whether a clause says how things are (``X is a painter``), and neither asks for them nor judges them."""
    if reading.kind not in (Kind.STATEMENT, Kind.FOUND) or reading.judged:
        return False
    first = next((token for token in piece.tokens if not token.tags & Tag.ADVERB), piece.tokens[0])
    planned = any(one.text == "to" and two.tags & Tag.BASE for one, two in itertools.pairwise(piece.tokens))
    imperative = planned or first.tags & (Tag.BASE | Tag.ING)
    return not imperative and not any(token.text in _VERDICTS or token.tags & Tag.UNDONE for token in piece.tokens)


_VERDICTS = frozenset((
    "right", "correct", "proper", "fitting", "fits", "fit", "works", "work", "worked", "matches", "matched",
    "needed", "wanted", "requested", "matters", "suffices", "suits", "belongs", "deserves", "answer", "solution",
    "fix", "key", "best", "better", "remedy", "instead", "one", "what", "goal", "choice", "missing", "left", "did",
    "does", "overlooked", "missed", "required", "helps", "helped", "succeeds", "true",
))  # fmt: skip
"""Words of a statement that says which thing is the right one, or what became of it."""


def _says_untrue(piece: Piece, reading: Reading, stance: Stance) -> bool:
    """Returns whether a clause only says that the clause before is untrue (``…, but that is wrong``)."""
    if stance is not Stance.AGAINST:
        return False
    about_it = piece.tokens[0].tags & Tag.IT and refers(piece, reading, affirmed=False) is not Reference.NONE
    return all(token.text in UNTRUE for token in piece.tokens) or bool(about_it and reading.judged)


def _place(piece: Piece, part: str, reading: Reading) -> str:
    """Returns what a denied statement is about: the place only, if it says that something is not there."""
    if reading.kind is Kind.FOUND and not reading.judged and _is_sought(piece):
        return ""
    nouns = [index for index, token in enumerate(piece.tokens) if NOUN.match(token.text)]
    place = next(
        (i for i in range(len(piece.tokens) - 1) if piece.tokens[i].text in _IN_PLACE and i + 1 in nouns), None
    )
    if place is None or nouns[0] > place or reading.kind not in (Kind.STATEMENT, Kind.FOUND, Kind.JUDGED):
        return part
    says_where = any(token.tags & (Tag.BE | Tag.FIND) or token.text in ("no", "nothing") for token in piece.tokens)
    return part[piece.tokens[place].start - piece.tokens[0].start :] if says_where else part


def _is_sought(piece: Piece) -> bool:
    """Returns whether the only thing named is what was not found (``I did not find X there``)."""
    for token, after in itertools.pairwise(piece.tokens):
        if token.tags & Tag.FIND and NOUN.match(after.text):
            return not any(other.text in _IN_PLACE for other in piece.tokens)
    return False


def _judges_another(piece: Piece) -> bool:
    """Returns whether a clause without a verb judges what is none of the known names (``Dalor wrong``)."""
    first, *rest = piece.tokens
    return not first.tags and not first.text.endswith("ly") and bool(rest) and bool(rest[0].tags & Tag.BAD)


_ANSWERS = frozenset(["no", "never", "not", "yes", "certainly", "sure", "again"])
_IN_PLACE = frozenset(["in", "on", "at", "inside", "under", "behind", "within", "beside", "from"])


def _referred(
    piece: Piece, reading: Reading, stance: Stance, clauses: list[Clause], kinds: list[Kind]
) -> tuple[str, ...]:
    """Returns the names that a clause without names is about: those of the report before it.

    What was found, and is then judged, is read as the judgement says.
    """
    if piece.heads and reading.kind is Kind.FRAGMENT and len(piece.tokens) == 1:
        return ()  # "Correct: X. Wrong: Y."
    if reading.kind is Kind.FRAGMENT and _judges_another(piece):
        return ()
    recent = itertools.takewhile(
        lambda index: clauses[index].sentence >= piece.sentence - 1, range(len(clauses) - 1, -1, -1)
    )
    before = next((index for index in recent if clauses[index].names), None)
    if before is None:
        return ()
    stated = clauses[before].stance is Stance.FOR and kinds[before] in (Kind.STATEMENT, Kind.ADVICE)
    if stated and clauses[before].sentence == piece.sentence and _says_untrue(piece, reading, stance):
        clauses[before] = dataclasses.replace(clauses[before], stance=Stance.AGAINST)
        return ()
    answers = reading.judged or all(token.text in _ANSWERS for token in piece.tokens)
    if kinds[before] is Kind.IDLE and reading.kind is Kind.FRAGMENT and answers:
        return clauses[before].names  # "Open X? No."
    which = piece.link is Link.WHICH
    subject = kinds[before] is Kind.IDLE and bool(piece.tokens[0].tags & Tag.IT)  # "I thought it is in X. It is not."
    if kinds[before] not in (Kind.REPORT, Kind.FOUND, Kind.FRAGMENT) and not which and not subject:
        return ()
    reference = refers(piece, reading, affirmed=stance is Stance.FOR)
    if reference is Reference.NONE and not which:
        return ()
    if kinds[before] is Kind.REPORT and clauses[before].stance is Stance.FOR and stance is Stance.AGAINST:
        return ()  # "I forgot X, which was a mistake"
    if (
        kinds[before] in (Kind.FOUND, Kind.FRAGMENT)
        and clauses[before].stance is Stance.AGAINST
        and stance is Stance.FOR
    ):
        return ()  # "I see no reason to open X, though it fits"
    names = clauses[before].names
    if reference is not Reference.ALL:
        names = names[-1:]
    if kinds[before] in (Kind.FOUND, Kind.FRAGMENT) and clauses[before].stance is not stance:
        rest = tuple(name for name in clauses[before].names if name not in names)
        clauses[before] = dataclasses.replace(clauses[before], names=rest)
    return names
