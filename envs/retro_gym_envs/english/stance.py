"""What a clause wants: whether it speaks for the things that it names, against them, or neither.

The rules are those of ordinary English, not of a teacher's sentences:

- An instruction or a plan (``search for X``, ``I should have used X``) is for, its negation (``do not …``) against.
- A statement about the world is for what it affirms (``it is in X``) and against what it denies (``X is empty``).
- A report of what was done (``I went to X``) is neither. What it found (``I saw it in X``) is for, what it failed to
  find (``X did not help``) against, and what was omitted (``I never opened X``) for.
- Questions and wishes about nothing in particular are neither.
"""

from __future__ import annotations

import dataclasses
import enum
import re

from retro_gym_envs.english.clauses import pieces, plain_words

__all__ = ["Clause", "Stance", "read_clauses"]


class Stance(enum.Enum):
    """What a clause is to the things that it names."""

    FOR = "for"
    AGAINST = "against"
    NEITHER = "neither"


@dataclasses.dataclass(frozen=True)
class Clause:
    """A clause of a reflection."""

    text: str
    """In lower case, without contractions; quoted parts keep their quotes."""
    stance: Stance
    sentence: int
    """Index of its sentence in the reflection."""


# Double negations, replaced by what they say.
_AFFIRMED = re.compile(
    r"\b(?:(?:do|must|should|may|can|will|let us|to) not|never|not to|cannot|and not) (?:ever )?"
    r"(?:forget(?: about| to)?|fail to|omit(?: to)?|skip|overlook|ignore|miss|neglect(?: to)?|hesitate to|avoid|"
    r"leave out|forgo|go without|stop (?:before|until|short of))\b"
    r"|\bnot only\b|\bno doubt\b|\bnone other than\b|\bnothing (?:else )?but\b|\bno later than\b|\bnot until\b"
    r"|\b(?:mistake|wrong|error|foolish|fault|failure) (?:was |is )?(?:in |of )?not (?:to |having )?"
    r"|\bwithout (?:fail|doubt|delay)\b|\bif not,?\b|\bwhy not\b|\bnot (?:just|merely|simply)\b|\bneed not look further than\b"
)
_OMITTED = re.compile(
    r"\b(?:i|we|you|it|the (?:agent|actor|attempt)|but|and|having)?(?: had| have| has)? ?(?:\b(?:did not|had not|have not|has not|never) "
    r"(?:even |yet |once |actually |ever |really |first )*(?!(?:find|found|see|seen|saw|work|worked|help|helped|get|need|needed|"
    r"contain|contained|have|had|know|knew|succeed|match|matched|fit|lead|led|exist|show|shown|showed|yield|give|pay|"
    r"bring|turn|do|be|been|answer|react|respond|reveal|was|were|is)\b)\w+"
    r"|\b(?:failed|forgot|neglected|omitted) to\b|\b(?:overlooked|missed|skipped|ignored|forgot(?: about)?)\b)"
)
_LEFT_OUT = re.compile(r"\bwithout (?:ever |first |even |having )*\w+(?:ing|ed)\b|\bbefore (?:ever )?\w+ing\b")
_AGAINST = re.compile(
    r"\bdo not\b|\bnever\b|\bavoid\w*|\bstop(?:s|ped)? \w+ing\b|\brefrain\w*|\bno need\b|\bnot (?:need|have) to\b"
    r"|\b(?:should|must|shall|will|would|could|can|may|might|ought|need|better|to|let us|let me) not\b|\bno longer\b"
    r"|\bskip\w*\b|\bignor\w+|\bforget\b|\b(?:keep|stay|steer|turn) (?:away|clear)\b|\bno (?:use|point|good|sense|reason)\b"
    r"|\bpointless\b|\buseless\b|\bin vain\b|\bwrong(?:ly)?\b|\bmistak\w+|\berror\b|\bincorrect\w*|\bbad idea\b|\bbroken\b|\bempty\b"
    r"|\bdead\b|\bdry\b|\bnothing\b|\b(?:is|was|are|were|does|did|has|have|had|do|be) not\b|\bneither\b|\bnor\b"
    r"|\bnone\b|\bno one\b|\bnobody\b|\bnowhere\b|\bfail(?:s|ed|ure)?\b|\bfalse\b|\bunlikely\b|\bhardly\b|\bdis(?:regard|miss|card|trust)\w*"
    r"|\bwaste\w*|\breject\w*|\bexclud\w*|\brule[sd]? out\b|\bleave (?:out|alone|aside)\b|\babandon\w*|\bforbid\w*"
    r"|\buntrue\b|\binstead of\b|\brather than\b|\bleads? nowhere\b|\bunhelpful\b|\birrelevant\b|\bunsuitable\b"
    r"|\bout of order\b|\bgive up\b|\bdo without\b|\bwithout\b|\bquit\b|\bcease\b|\bdrop(?:ped)?\b|\bless\b(?! than)|\bno\b(?! more than| less| later)"
)
_DENIED_BEFORE = ("instead of", "rather than", "and not", "not", "except", "unless")
_PLANNED = re.compile(
    r"\b(?:should|must|need(?:s|ed)? to|ha(?:ve|s|d) to|ought to|will|shall|let me|let us|want to|plan|plan to|going to|"
    r"intend|next (?:time|trial|attempt|try)|this time|would|could|can|might|may|had better|better|best|try|remember|"
    r"make sure|be sure|please|always|instead|the (?:fix|key|remedy|solution|correct|right|trick)|what (?:is|was) needed)\b"
)
_FOUND = re.compile(
    r"\b(?:saw|see|found|noticed|discovered|learn(?:ed|t)|spotted|realis?zed|realised|worked|succeeded|came across|"
    r"was (?:seen|found|shown|listed|right|there|in|on|under|at|called|the|a|stored|spelled|spelt|written|given)|"
    r"turned out|lies|lay|stood|sat|appeared|showed|shown|turns? out)\b"
)
_DONE = re.compile(
    r"\b(?:i|we|you|he|she|they|the (?:agent|actor|model|player)|my (?:last|previous|first|earlier|failed) \w+)\b"
    r"(?: (?:had|have|has|only|just|then|first|already|also|even|simply|merely|again|repeatedly|\w+ly|was|were|am|been|"
    r"kept|ended up|started(?: by)?|began(?: by)?|tried|went on|when))* "
    r"(?:\w+ed|\w+ing|went|took|chose|bought|put|gave|sought|read|ran|used|tried|began|did|made|got|said|wrote|thought|had|spent|lost|"
    r"left|came|brought|kept|set|held|stuck|relied|fell|knew|forgot|submitted|was|were)\b"
    r"|^having \w+ed\b|\b(?:was|were|had been|has been|got) (?:\w+ly |only |first |already )*"
    r"(?:\w+ed|taken|chosen|bought|read|put|gone|used|sought|run|written|made|done|brought)\b(?!.*\bby\b.*\bshould\b)"
    r"|^(?:after|by|with|upon) (?:having )?\w+ing\b"
)


def read_clauses(reflection: str) -> tuple[Clause, ...]:
    """Returns the clauses of a reflection with their stances.

    A clause that is only the rest of a list has the stance of the clause before it.

    >>> for clause in read_clauses("I went to desk 1. Do not go there, but search the shelf 2 instead of the bed 1."):
    ...     print(clause.stance.value, clause.text)
    neither i went to desk 1
    against do not go there
    for search the shelf 2
    against the bed 1
    """
    found: list[Clause] = []
    before = Stance.NEITHER
    sentence = -1
    for boundary, text in pieces(plain_words(reflection)):
        sentence += boundary.begins
        stance = _stance(boundary.word, text, before)
        found.append(Clause(text, stance, sentence))
        if boundary.word not in _DENIED_BEFORE:
            before = stance
    return tuple(found)


def _stance(boundary: str, text: str, before: Stance) -> Stance:
    if boundary == "?":
        return Stance.NEITHER
    bare = re.sub(r'"[^"]*"|`[^`]*`|\[[^\]]*\]', "\0", text)  # quoted words are names, whatever they mean
    bare = _AFFIRMED.sub(" please ", bare)
    omitted = _OMITTED.search(bare)
    if omitted and not _PLANNED.search(bare):
        return Stance.FOR
    if _LEFT_OUT.search(bare) and _DONE.search(bare):
        return Stance.FOR
    if boundary in _DENIED_BEFORE:
        return Stance.FOR if _AGAINST.search(bare) else Stance.AGAINST
    if _AGAINST.search(bare):
        return Stance.AGAINST
    if _PLANNED.search(bare) or _FOUND.search(bare):
        return Stance.FOR
    if _DONE.search(bare):
        return Stance.NEITHER
    if boundary in (",", "and", "then") and before is not Stance.FOR and _is_rest(bare):
        return before
    return Stance.FOR


_VERBLESS = re.compile(
    r"^(?:and |or |nor |then |also |even |the |a |an |in |on |at |to |by |of |from |for |with |not )*[\0\w #'-]+$"
)
_HAS_VERB = re.compile(r"\b(?:is|are|was|were|has|have|had|do|does|did|will|should|i|it|we|you)\b")


def _is_rest(text: str) -> bool:
    """Returns whether a clause is too short to stand alone: the rest of a list."""
    return len(text.split()) <= 6 and not _HAS_VERB.search(text) and _VERBLESS.match(text) is not None
