"""Finds advice that is not meant: retracted by what follows it, aimed at failure, or somebody else's.

The other modules read each sentence by its own grammar. Here, the stances of clauses that name something are changed by
what the reflection says about them afterwards (``Use X. That would be wrong.``) or around them (``To fail again, …``).
"""

from __future__ import annotations

import itertools
import re
from typing import TypeAlias

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.denials import (
    BLAMED,
    DECLINED,
    IN_VAIN,
    LIED,
    OTHERS_PLAN,
    PUNISHED,
    REPENTED,
    SAID_BY_ANOTHER,
    UNDONE,
)
from retro_gym_envs.english.garbled import is_garbled
from retro_gym_envs.english.lexicon import WORDS, Link, Tag
from retro_gym_envs.english.links import NOUN
from retro_gym_envs.english.readings import Kind, Reading
from retro_gym_envs.english.retraction_patterns import (
    APPROVED,
    CORRECTED,
    DENIED,
    FAULT_DONE,
    FICTION,
    JOINED,
    LEADING,
    MYTH,
    NOT_ASKED,
    NOT_MEANT,
    NOT_TO_SUCCEED,
    OTHERS_SAY,
    OTHERS_WRONG,
    PRAISED,
    PRESENTED,
    REJECTED,
    SOMEBODY_ELSE,
    UNKNOWN,
)
from retro_gym_envs.english.syntax import Stance

__all__ = ["ReadClause", "without_retracted"]

ReadClause: TypeAlias = tuple[Piece, str, Reading, Stance]
"""A clause, its text, its reading and its stance."""


def without_retracted(text: str, analysed: list[ReadClause]) -> list[ReadClause]:
    """Returns the clauses of a reflection; those that are not meant are neither for nor, where denied, against.

    Args:
        text: what the tokens of the clauses refer to.
        analysed: the clauses in their order.
    """
    found: list[list[ReadClause]] = []
    start = 0
    for _, group in itertools.groupby(analysed, key=lambda clause: clause[0].sentence):
        clauses = list(group)
        end = clauses[-1][0].tokens[-1].end
        start += len(text[start:end]) - len(text[start:end].lstrip(_MARKS))
        said = text[start:end]
        speaks_on = clauses[0][0].mark != "?" and not clauses[-1][0].heads
        if speaks_on and not NOUN.search(said) and said.count(" ") < _LONGEST_DENIAL:
            clauses = _retract(said, clauses, found)
        found.append(_meant(said, start, clauses))
        start = end
    return [clause for clauses in found for clause in clauses]


def _retract(said: str, clauses: list[ReadClause], found: list[list[ReadClause]]) -> list[ReadClause]:
    """Changes the sentence before the one given, or all of them, if the one given speaks of it.

    Returns:
        The clauses of the one given.
    """
    presented, *verdict = [part.strip() for part in JOINED.split(said) if part.strip()] or [said]
    if verdict and PRESENTED.fullmatch(presented):
        said = " ".join(verdict)  # "That was the hint, and it is wrong"
    everything = said.startswith(("everything", "all"))
    first = max(0, len(found) - (_MOST_ABOVE if everything else _MOST_BETWEEN))
    named = [place for place in range(first, len(found)) if any(NOUN.search(clause[1]) for clause in found[place])]
    for place in named if everything else named[-1:]:
        if APPROVED.fullmatch(said) and any(_is_omission(clause) for clause in found[place]):
            found[place] = _approved(found[place])
            return _approved(clauses)
        if (stance := _verdict_in(said, found[place])) is not None:
            found[place] = [_turned(clause, stance) for clause in found[place]]
    return clauses


def _verdict_in(said: str, clauses: list[ReadClause]) -> Stance | None:
    """Returns what a sentence makes of the advice before it: as a whole, or by one of its parts."""
    parts = [part.strip() for part in JOINED.split(said) if part.strip()]
    verdicts = (_verdict(part, clauses) for part in dict.fromkeys((said, *parts[:1], *parts[-1:])))
    return next((stance for stance in verdicts if stance is not None), None)


def _verdict(said: str, clauses: list[ReadClause]) -> Stance | None:
    """Returns what the advice of some clauses becomes by a text that speaks of them; none if it says nothing of it."""
    said = " ".join(LEADING.sub("", said).replace(",", " ").split())
    if NOT_MEANT.fullmatch(said) or DECLINED.fullmatch(said):
        return Stance.NEITHER
    if REPENTED.fullmatch(said):
        return None if any(map(_may_tell_deeds, clauses)) else Stance.AGAINST
    parts = [part for _, part, _, _ in clauses if NOUN.search(part)]
    if DENIED.fullmatch(said) or UNDONE.fullmatch(said):
        omission = any(_NEGATED.search(part) for part in parts) and not _OF_ADVICE.search(said)
        return None if omission else Stance.AGAINST  # "Do not skip X. That would be a mistake."
    if LIED.fullmatch(said):
        return Stance.AGAINST
    if OTHERS_WRONG.fullmatch(said):
        told = any(OTHERS_SAY.search(part) or SAID_BY_ANOTHER.search(part) for _, part, _, _ in clauses)
        return Stance.AGAINST if told else None
    told = any(
        reading.kind in _TOLD or _UNREAL.search(part) or (stance is Stance.AGAINST and NOUN.search(part))
        for _, part, reading, stance in clauses
    )
    return Stance.AGAINST if not told and FAULT_DONE.fullmatch(said) else None


def _meant(said: str, start: int, clauses: list[ReadClause]) -> list[ReadClause]:
    """Returns the clauses of a sentence with what its own words take back."""
    unreal = any((PUNISHED.match(said), NOT_ASKED.search(said), FICTION.search(said)))
    if not unreal and NOUN.search(said):
        unreal = is_garbled(said, [piece for piece, _, _, _ in clauses])
    if unreal or NOT_TO_SUCCEED.search(said):
        return [_turned(clause, Stance.NEITHER, reports=unreal) for clause in clauses]
    if MYTH.search(said):
        return [_turned(clause, Stance.AGAINST) for clause in clauses]
    nouns = [match.end() for match in NOUN.finditer(said)]
    if not nouns:
        return clauses
    changed = [_rejected(clause) for clause in _of_others(_in_vain(said, start, clauses))]
    if blamed := BLAMED.match(said):
        changed = _blamed(changed, _clause_at(clauses, start + blamed.end() - 1))
    if praised := PRAISED.search(said):
        place = _clause_at(clauses, start + praised.end())
        changed[place] = _turned(changed[place], Stance.AGAINST, reports=True)
    if unknown := UNKNOWN.search(said):
        place = _clause_at(clauses, start + unknown.end())
        changed[place] = _turned(changed[place], Stance.NEITHER, reports=True)
    if corrected := CORRECTED.search(said):
        place = _clause_at(clauses, start + corrected.end())
        changed[:place] = [_shunned_report(clause) for clause in changed[:place]]
        changed[place] = (*changed[place][:3], Stance.FOR)
    _, *parts = JOINED.split(said[nouns[-1] :])
    last = parts[-1].strip() if parts else ""
    if APPROVED.fullmatch(last) and any(_is_omission(clause) for clause in changed):
        return _approved(changed)
    stance = _verdict(last, clauses)
    if stance is None and len(parts) > 1:
        stance = _verdict(" ".join(part.strip() for part in parts[-2:]), clauses)
    if stance is None:
        return changed
    changed = [_turned(clause, stance) for clause in changed]
    return [_muted(clause) for clause in changed] if stance is Stance.NEITHER else changed


def _turned(clause: ReadClause, stance: Stance, *, reports: bool = False) -> ReadClause:
    """Returns a clause with another stance if it is for something; what was left undone stays, unless reports count."""
    piece, part, reading, before = clause
    if before is not Stance.FOR or not NOUN.search(part):
        return clause
    if reading.kind is Kind.REPORT and not reading.affirms and not reports:
        return clause
    return piece, part, reading, stance


def _muted(clause: ReadClause) -> ReadClause:
    """Returns a clause; one that only points back to what is named says nothing for it (``…, but that is his job``)."""
    piece, part, reading, stance = clause
    return (piece, part, reading, stance if NOUN.search(part) else Stance.NEITHER)


def _in_vain(said: str, start: int, clauses: list[ReadClause]) -> list[ReadClause]:
    """Returns the clauses; what would have led to nothing better is wanted no more (``Had I opened X, …``)."""
    match = IN_VAIN.match(said)
    if match is None or not (match["even"] or match["outcome"]) or _NEGATED.search(match["deed"]):
        return clauses
    if NOUN.search(said[match.start("main") :]) and not match["even"]:
        return clauses
    main = _clause_at(clauses, start + match.start("main"))
    return [_turned(clause, Stance.NEITHER, reports=True) for clause in clauses[:main]] + clauses[main:]


def _blamed(clauses: list[ReadClause], last: int) -> list[ReadClause]:
    """Returns the clauses; what the last of some says to have done harm is shunned, unless another deed is meant."""
    piece, part, _, _ = clauses[last]
    contrasts = piece.link in (Link.INSTEAD, Link.NOT) or _NEGATED.search(part)
    if contrasts or any(map(_may_tell_deeds, clauses[:last])):
        return clauses
    return [_turned(clause, Stance.AGAINST) for clause in clauses[: last + 1]] + clauses[last + 1 :]


def _may_tell_deeds(clause: ReadClause) -> bool:
    """Returns whether a clause that names something tells what was done or left undone, or what was done instead."""
    piece, part, reading, stance = clause
    if not NOUN.search(part):
        return False
    told = (reading.kind in _TOLD and not OTHERS_SAY.search(part)) or _REGRETTED.search(part)
    return (
        bool(told) or piece.link in (Link.INSTEAD, Link.NOT) or stance is Stance.AGAINST or bool(_NEGATED.search(part))
    )


def _shunned_report(clause: ReadClause) -> ReadClause:
    piece, part, reading, _ = clause
    told = reading.kind is Kind.REPORT and reading.affirms
    return (piece, part, reading, Stance.AGAINST) if told else clause


def _approved(clauses: list[ReadClause]) -> list[ReadClause]:
    """Returns clauses of which it is said that they were right: what was left undone is shunned."""
    changed: list[ReadClause] = []
    for clause in clauses:
        piece, part, reading, stance = clause
        if _is_omission(clause):
            changed.append(_turned(clause, Stance.AGAINST, reports=True))
        else:  # "and that was right" itself says nothing for what is named
            changed.append((piece, part, reading, stance if NOUN.search(part) else Stance.NEITHER))
    return changed


def _rejected(clause: ReadClause) -> ReadClause:
    """Returns a clause; what was tried and not accepted is shunned, though a person may reject things by omission."""
    piece, part, reading, stance = clause
    against = stance is Stance.FOR and not reading.person and REJECTED.search(part)
    return (piece, part, reading, Stance.AGAINST) if against else clause


def _is_omission(clause: ReadClause) -> bool:
    return clause[2].kind is Kind.REPORT and not clause[2].affirms


def _of_others(clauses: list[ReadClause]) -> list[ReadClause]:
    """Returns the clauses; what somebody does who is no part of the task is neither for nor against anything."""
    changed: list[ReadClause] = []
    others = False
    for clause in clauses:
        piece, part, reading, stance = clause
        tied = piece.link is Link.AND or part.startswith("and ")
        goes_on = others and not reading.person and not NOUN.match(part) and (tied or not NOUN.search(part))
        names_more = others and piece.link is Link.COMMA and reading.kind is Kind.FRAGMENT
        others = goes_on or names_more or SOMEBODY_ELSE.match(part) is not None or _plans_otherwise(part)
        changed.append((piece, part, reading, Stance.NEITHER) if others and stance is Stance.FOR else clause)
    return changed


def _plans_otherwise(part: str) -> bool:
    """Returns whether the subject of a plan is somebody who is no part of the task (``another student wants to …``)."""
    match = OTHERS_PLAN.match(part)
    if match is None or match["whose"] is None:
        return match is not None
    words = match["who"].split()
    if match["of"]:
        return True
    if any(WORDS.get(word, 0) & Tag.ACTING or word.rstrip("s") in _OF_TASK for word in words):
        return match["whose"] in ("another", "some", "other", "one") and words[-1].rstrip("s") in _PLAYERS
    definite = match["whose"] in ("the", "my", "your", "our")
    return not (definite and match["plan"].split()[1] in ("going", "about"))


def _clause_at(clauses: list[ReadClause], place: int) -> int:
    """Returns the index of the clause that goes on after a place in the text."""
    return next((i for i, clause in enumerate(clauses) if clause[0].tokens[-1].end > place), len(clauses) - 1)


_MARKS = " .!?;:,\n"
_LONGEST_DENIAL = 14  # in words
_MOST_ABOVE = 30  # sentences that "everything above" speaks of
_MOST_BETWEEN = 2  # sentences from advice to what takes it back
_TOLD = (Kind.REPORT, Kind.JUDGED)
_UNREAL = re.compile(r"\b(?:have|had|overlooked|ignored|missed|mistake|error|fault|not|never)\b")
_NEGATED = re.compile(r"\b(?:not\b|nothing|never|skip|avoid|ignor|overlook|omit|forget|neglect|miss)")
_REGRETTED = re.compile(r"\b(?:should|ought to|could|must|would) (?:\w+ )?have\b")
_OF_ADVICE = re.compile(r"\b(?:advice|true|false|untrue|opposite|contrary|reverse|lie|nonsense|not)\b")
_PLAYERS = frozenset(("player", "agent", "actor", "customer", "shopper", "user", "buyer"))
_OF_TASK = _PLAYERS | frozenset((
    "question", "task", "client", "goal", "instruction", "puzzle", "clause", "condition", "comment", "page", "review",
    "name", "advice", "idea", "reflection", "column", "table", "value", "filter", "key", "row", "database", "product",
    "item", "option", "word", "result", "shop", "object", "place", "room", "answer", "way", "thing", "solution", "hint",
    "right", "correct", "proper", "good", "better", "best", "new", "different", "wrong", "brand", "article", "entry",
))  # fmt: skip
"""Words of subjects that are part of the task: what they are said to want is advice."""
