"""Reads a clause by itself: whether it is a report, an instruction or a statement, and whether it affirms or denies."""

from __future__ import annotations

import dataclasses
import enum
import itertools

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.lexicon import Tag
from retro_gym_envs.english.links import NOUN, Token
from retro_gym_envs.english.shapes import suggests

__all__ = ["Kind", "Reading", "Reference", "completed", "read_piece", "refers"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Kind(enum.Enum):
    """What a clause does."""

    ADVICE = "advice"
    """It instructs or plans."""
    STATEMENT = "statement"
    """It says how things are."""
    FOUND = "found"
    """It says where something was found or not found."""
    REPORT = "report"
    """It says what was done, or left undone."""
    JUDGED = "judged"
    """It says that what was done was wrong, or in vain."""
    FRAGMENT = "fragment"
    """It has no verb of its own."""
    IDLE = "idle"
    """A hope, a belief that was held, or a question."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a clause says by itself."""

    kind: Kind
    affirms: bool
    """Whether its negations cancel out."""
    person: bool
    """Whether somebody who acts is its subject."""
    governs: bool = False
    """Whether it is negated by ``not`` or ``never``, which may govern the verbs of further clauses."""
    judged: bool = False
    """Whether it says that something is of no use, or that nothing came of it."""


_VERBS = Tag.BASE | Tag.PAST | Tag.ING | Tag.FINITE | Tag.AUXILIARY | Tag.MODAL | Tag.COULD | Tag.BE | Tag.AVOID
_NOUNS_TOO = _words("""
    set name point state list mean record like order answer query search plan try run call left second right match
    report quote filter count group sort store land target pass press pay
""")
_LEAVING = _words("leave leaves leaving left rule rules ruled ruling put putting set cross keep keeping")
_NARRATED = _words("see arrive are")  # in the present tense, with *you*: an observation that was copied
_LEFT = _words("alone out aside behind off closed shut unopened untouched unread unsearched unexplored untried")


def read_piece(piece: Piece) -> Reading:
    """Reads one clause."""
    tokens = piece.tokens
    said = _said_of_wanted(tokens)
    if said:
        return Reading(Kind.STATEMENT, *_polarity(said)[:1], person=False)
    person = _has_person(tokens)
    affirms, judged, governs = _polarity(tokens)
    kind = Kind.IDLE if piece.mark == "?" and not suggests(tokens) else _kind(tokens, person=person, judged=judged)
    if kind in (Kind.REPORT, Kind.FOUND, Kind.STATEMENT, Kind.ADVICE) and _unnoticed(tokens):
        affirms, kind = not affirms, Kind.STATEMENT
    undone = any(token.tags & Tag.UNDONE and not _verb_at(tokens, index) for index, token in enumerate(tokens))
    if undone and kind in (Kind.STATEMENT, Kind.REPORT) and _stays(tokens):
        kind, affirms = Kind.STATEMENT, not any(token.tags & Tag.NOT for token in tokens)
    return Reading(kind, affirms, person, governs, judged)


def _said_of_wanted(tokens: list[Token]) -> list[Token]:
    """Returns what a clause says of the thing that was wanted (``What I wanted is sold as X``); empty if nothing."""
    head = tokens[0].text == "what" or (tokens[0].text == "the" and any(t.tags & Tag.PERSON for t in tokens[1:4]))
    verb = next((place for place, token in enumerate(tokens) if token.text in _WANTED), 0)
    if not head or not verb or any(token.tags & Tag.NOT or NOUN.match(token.text) for token in tokens[:verb]):
        return []
    verb += verb + 1 < len(tokens) and tokens[verb + 1].text in ("for", "after")
    rest = tokens[verb + 1 :]
    return rest if rest and rest[0].tags & (Tag.BE | Tag.FINITE | Tag.WAS) else []


def _stays(tokens: list[Token]) -> bool:
    return any(token.tags & Tag.BE or token.text in ("went", "left") for token in tokens)


def _verb_at(tokens: list[Token], index: int) -> bool:
    """Returns whether a word that is participle and adjective is a verb here: it has a person before it."""
    return index > 0 and any(token.tags & Tag.PERSON for token in tokens[:index])


def _has_person(tokens: list[Token]) -> bool:
    """Returns whether the subject is somebody who acts."""
    for index, token in enumerate(tokens):
        if token.tags & Tag.PERSON:
            return True
        if token.tags & Tag.ACTING and index and tokens[index - 1].tags & Tag.ARTICLE:
            return True
    return False


def _polarity(tokens: list[Token]) -> tuple[bool, bool, bool]:
    """Counts the negations of a clause.

    Returns:
        Whether they cancel out, whether one of them judges, and whether ``not`` or ``never`` is among them.
    """
    affirms, judged, governs = True, False, False
    remedied = any(token.text in _REMEDIES for token in tokens)
    denied = predicate = False  # whether a negation, and a form of *be* after the last one, came before
    bad_before = False
    for index, token in enumerate(tokens):
        tags = token.tags
        if tags & Tag.BE:
            predicate = True
        if tags & (Tag.BE | Tag.BASE | Tag.PAST | Tag.ING | Tag.FINITE) and not tags & Tag.BAD:
            bad_before = False
        if token.text == "nor" and denied:
            continue
        if tags & Tag.EMPTY and (index == 0 or not _acts(tokens[index - 1])):
            judged = True
        if _fails(tokens, index):
            tags |= Tag.BAD
        if tags & Tag.BAD and (remedied or _is_prevented(tokens, index)):
            continue  # "X solves the problem"
        if tags & Tag.BAD:
            judged = True
            # Under a negation, an adjective before its noun says what is avoided: "do not use the broken lamp".
            if bad_before or (denied and not predicate):
                continue
            bad_before = True
        elif (tags & Tag.NOT and not _is_aside(tokens, index)) or _avoids(tokens, index):
            governs = governs or bool(tags & Tag.NOT)
        else:
            continue
        affirms, denied, predicate = not affirms, True, predicate and not bool(tags & Tag.BAD)
    return affirms, judged, governs


def _fails(tokens: list[Token], index: int) -> bool:
    """Returns whether a thing failed, and nobody failed to do something."""
    if tokens[index].text not in ("failed", "fails") or _has_person(tokens[:index]):
        return False
    follows = index + 1 < len(tokens) and tokens[index + 1].text in ("to", "at", "in")
    thing = any(NOUN.match(token.text) or token.tags & Tag.IT for token in tokens[:index])
    return thing and not follows


def _is_prevented(tokens: list[Token], index: int) -> bool:
    """Returns whether a word names the fault that is avoided, and no thing (``I can avoid the error``)."""
    if not tokens[index].tags & Tag.BAD or any(NOUN.match(token.text) for token in tokens[index:]):
        return False
    return any(token.text in _PREVENTING for token in tokens[max(0, index - 3) : index])


def _is_aside(tokens: list[Token], index: int) -> bool:
    """Returns whether ``without …`` says how something named before it was done (``without a plan``)."""
    if tokens[index].text != "without":
        return False
    nouns = [place for place, token in enumerate(tokens) if NOUN.match(token.text)]
    about_it = any(token.text in ("it", "them", "inside", "there", "that") for token in tokens[index:])
    return bool(nouns) and nouns[-1] < index and not about_it


def _acts(token: Token) -> bool:
    """Returns whether a token is a verb of doing (``I bought nothing``), not of finding or being."""
    return bool(token.tags & (Tag.BASE | Tag.PAST)) and not token.tags & (
        Tag.FIND | Tag.GET | Tag.HOLD | Tag.NOTICE | Tag.BE
    )


def _avoids(tokens: list[Token], index: int) -> bool:
    """Returns whether the verb at a token says that its object is not done."""
    token = tokens[index]
    if token.tags & Tag.AVOID and any(_is_prevented(tokens, place) for place in range(index + 1, len(tokens))):
        return False
    if token.text == "failed" and index + 1 < len(tokens) and tokens[index + 1].tags & Tag.ACTING:
        return False  # "the failed trial"
    if token.text == "missing" and index + 1 == len(tokens):
        return False  # "a look at X was missing"
    if token.text == "failed" and _has_person(tokens[:index]):
        unreal = tokens[index - 1].text == "have" and any(other.tags & Tag.COULD for other in tokens[:index])
        return unreal or (index + 1 < len(tokens) and tokens[index + 1].text in ("to", "at", "in"))
    if token.tags & Tag.AVOID:
        return True
    if token.text in _LEAVING:
        return any(other.text in _LEFT for other in tokens[index + 1 :])
    if token.text in ("pass", "passed", "passing"):
        return any(other.text == "by" for other in tokens[index + 2 :])
    if token.text in ("stop", "stops", "stopped", "stopping", "quit", "quits", "quitting"):
        rest = [other for other in tokens[index + 1 : index + 3] if not other.tags & Tag.ADVERB]
        return bool(rest and rest[0].tags & Tag.ING)
    return False


def _unnoticed(tokens: list[Token]) -> bool:
    """Returns whether a clause says that something was not noticed, which leaves it true."""
    for index, token in enumerate(tokens):
        rest = tokens[index + 1 :]
        if token.tags & Tag.NOT or token.text in ("failed", "forgot", "neglected", "fail"):
            verb = next(
                (other for other in rest if not other.tags & (Tag.ADVERB | Tag.AUXILIARY) and other.text != "to"), None
            )
            if verb is None:
                continue
            if verb.tags & Tag.NOTICE and tokens[max(index - 1, 0)].text not in ("do", "must", "should", "need"):
                return True
            if verb.text in ("see", "seen", "saw"):
                after = rest[rest.index(verb) + 1 :]
                placed = any(other.text in ("in", "on", "at") for other in after)  # it was not found there
                thing = after[1:] if after and after[0].text == "the" and not placed else after
                return bool(thing) and (thing[0].text == "that" or NOUN.match(thing[0].text) is not None)
    return False


def _kind(tokens: list[Token], *, person: bool, judged: bool) -> Kind:
    if tokens[0].text == "you" or any(
        one.text == "you" and two.text == "see" for one, two in itertools.pairwise(tokens)
    ):
        verb = next((token for token in tokens if token.text != "you" and not token.tags & Tag.ADVERB), None)
        if verb is not None and verb.text in _NARRATED:
            return Kind.IDLE
    if any(token.tags & Tag.HOPE for token in tokens) and not any(token.tags & Tag.MODAL for token in tokens):
        return Kind.IDLE
    advice = _is_advice(tokens)
    if person and not advice and any(token.tags & Tag.BELIEVED for token in tokens):
        return Kind.JUDGED if judged else Kind.IDLE
    if advice:
        return Kind.ADVICE
    if any(token.tags & Tag.LATE for token in tokens):
        return Kind.STATEMENT
    if any(_tells(tokens, index, person=person) for index in range(_end_of_telling(tokens))):
        return Kind.JUDGED if judged else Kind.REPORT
    if any(token.tags & (Tag.FIND | Tag.NOTICE) for token in tokens):
        return Kind.FOUND if person or _starts_past(tokens) else Kind.STATEMENT
    if any(token.tags & _VERBS and not (token.text in _NOUNS_TOO and index) for index, token in enumerate(tokens)):
        return Kind.STATEMENT
    return Kind.FRAGMENT


def _is_advice(tokens: list[Token]) -> bool:
    """Returns whether a clause instructs or plans."""
    for index, token in enumerate(tokens):
        if token.tags & (Tag.MODAL | Tag.COULD):
            return not any(other.tags & Tag.BELIEVED for other in tokens[:index])
    return False


def _end_of_telling(tokens: list[Token]) -> int:
    """Returns where a clause ends as a report: what follows in ``X is what I asked for`` tells nothing."""
    for index, token in enumerate(tokens):
        stated = any(other.tags & (Tag.BE | Tag.FINITE) for other in tokens[:index])
        left_out = any(other.tags & (Tag.NOT | Tag.AVOID) and not other.tags & Tag.BASE for other in tokens[index:])
        left_out = left_out and not any(other.text in _WANTED for other in tokens[index:])
        if (
            stated
            and not left_out
            and (token.text == "what" or (token.tags & Tag.PERSON and tokens[-1].text.endswith(("for", "after"))))
        ):
            return index
    return len(tokens)


def _starts_past(tokens: list[Token]) -> bool:
    return bool(next((token.tags for token in tokens if not token.tags & Tag.ADVERB), 0) & Tag.PAST)


def _tells(tokens: list[Token], index: int, *, person: bool) -> bool:
    """Returns whether the word at a place tells what was done."""
    token = tokens[index]
    before = [other for other in tokens[:index] if not other.tags & Tag.ADVERB or other.text in ("not", "never")]
    last = before[-1] if before else None
    if token.text == "did" and last is not None and "not" in [other.text for other in tokens[index : index + 3]]:
        return _undone(tokens, index, person=person)
    if token.text == "did" and (verb := _verb_of(tokens[index + 1 :])) is not None:  # "I did open X"
        return verb.tags & (Tag.FIND | Tag.NOTICE) == 0 and (person or verb.tags & (Tag.HOLD | Tag.GET) == 0)
    if token.text in ("have", "has", "had") and any(other.tags & Tag.NOT for other in tokens[index + 1 : index + 3]):
        return _undone(tokens, index, person=person)
    if person and (token.tags & Tag.WAS or token.text == "been") and _is_subject(tokens[:index]):
        return index + 1 == len(tokens) or not _judges(tokens, index + 1)
    is_past = token.tags & Tag.PAST or (token.text.endswith("ed") and not token.tags and len(token.text) > 4)
    if not is_past or token.tags & Tag.AUXILIARY:
        return False
    if token.text == "succeeded" and any(NOUN.match(other.text) for other in tokens[index + 1 : index + 2]):
        return True  # "X succeeded Y"
    if token.tags & (Tag.FIND | Tag.NOTICE) or (token.tags & Tag.GET and not person):
        return False
    if token.tags & Tag.HOLD and index + 1 < len(tokens) and tokens[index + 1].text == "that":
        return False  # "my attempt showed that …"
    if token.tags & Tag.BASE:  # read, put, set: past only after a person or an auxiliary verb
        last = before[-2] if last is not None and last.text == "never" and len(before) > 1 else last
        return last is not None and bool(
            last.tags & (Tag.PERSON | Tag.WAS | Tag.ACTING) or last.text in ("have", "has", "had")
        )
    if token.tags & Tag.HOLD and not person:
        return bool(last and last.tags & Tag.WAS and not token.tags & Tag.FIND and token.text not in _SHOWN)
    if last is None:
        return True
    alone = NOUN.match(last.text) is not None and not any(other.tags & Tag.PERSON for other in before)
    if alone and any(other.tags & (Tag.BE | Tag.AUXILIARY) for other in tokens[index + 1 :]):
        return False  # "the X given there is the answer"
    if last.tags & Tag.ARTICLE and token.text != "left":
        return False
    if last.tags & Tag.BE and not last.tags & Tag.WAS and last.text not in ("been", "be"):
        return False
    return last.text not in ("be", "to", "get")


def _verb_of(rest: list[Token]) -> Token | None:
    """Returns the base form of a verb right after its auxiliary."""
    verb = next((token for token in rest if not token.tags & Tag.ADVERB), None)
    return verb if verb is not None and verb.tags & Tag.BASE else None


_WANTED = _words(
    "wanted want wants needed need needs sought seek seeks looked looking searching searched after required"
)
_REMEDIES = _words("""
    solve solves solved fix fixes fixed remedy remedies repair repairs resolve resolves cure cures prevent prevents
    solution
""")
_PREVENTING = _words("avoid avoids avoided avoiding")
_SHOWN = _words("shown listed stored named called stated mentioned hidden said spelt spelled required needed")


def _is_subject(before: list[Token]) -> bool:
    """Returns whether the subject of a verb is a person, and no thing that is named after it."""
    heads = [token for token in before if token.tags & Tag.PERSON or NOUN.match(token.text) or token.text == "that"]
    return not heads or bool(heads[-1].tags & Tag.PERSON)  # not "I see that the right one was X"


def _judges(tokens: list[Token], index: int) -> bool:
    return any(token.tags & Tag.BAD for token in tokens[index : index + 3])


def _undone(tokens: list[Token], index: int, *, person: bool) -> bool:
    """Returns whether a negated past verb was an action, and not what a person cannot simply decide to do."""
    rest = [other for other in tokens[index + 1 :] if not other.tags & (Tag.ADVERB | Tag.NOT)]
    verb = next((other for other in rest if other.tags & _VERBS and other.text not in ("been", "be")), None)
    if verb is None or verb.tags & (Tag.FIND | Tag.GET):
        return False
    subjectless = all(token.tags & Tag.ADVERB or token.text in ("and", "but") for token in tokens[:index])
    passive = any(other.text == "been" for other in rest)
    return person or passive or (subjectless and not verb.tags & Tag.HOLD)


def completed(piece: Piece, reading: Reading, before: Reading | None) -> Reading:
    """Returns the reading of a clause whose predicate is left out and stands before (``Y is broken, X is not``)."""
    verb = next((place for place, token in enumerate(piece.tokens) if token.tags & Tag.BE), 0)
    rest = piece.tokens[verb + 1 :] if verb else piece.tokens
    subject = [token for token in piece.tokens[:verb] if not token.tags & (Tag.ARTICLE | Tag.ADVERB)]
    named = bool(subject) and all(NOUN.match(token.text) for token in subject)
    if before is None or not named or any(token.text not in ("not", "too", "also", "either") for token in rest):
        return reading
    if not before.judged or before.affirms or before.governs:
        return reading
    return dataclasses.replace(reading, affirms=not reading.affirms, judged=True)


class Reference(enum.Enum):
    """Which of the things named before a clause without names is about."""

    NONE = enum.auto()
    LAST = enum.auto()
    ALL = enum.auto()


def refers(piece: Piece, reading: Reading, *, affirmed: bool) -> Reference:
    """Returns what the pronouns of a clause refer to, or what its judgement is about if it has none."""
    tokens = piece.tokens
    empty_subject = any(token.text in ("to", "that") for token in tokens[2:])  # "it would be better to …"
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        finite = _VERBS & ~(Tag.BASE | Tag.ING) | Tag.ADVERB | Tag.NOT | Tag.PREPOSITION
        alone = following is None or bool(following.tags & finite)
        if token.tags & Tag.THEM and alone:
            return Reference.ALL
        inside = token.text == "inside" and following is None
        if not (token.tags & Tag.IT or inside) or not alone:
            continue
        if following is not None and following.tags & Tag.BE and (empty_subject or token.text == "there"):
            continue
        if affirmed and index and tokens[index - 1].text in ("do", "did", "done", "doing", "make", "made", "that"):
            continue
        return Reference.LAST
    in_vain = not affirmed and (reading.judged or reading.kind is Kind.FOUND)
    return Reference.LAST if in_vain and not empty_subject else Reference.NONE
