"""The stances of a sentence's clauses, from what each says by itself and how they are tied together."""

from __future__ import annotations

import enum

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.headers import UNTRUE, Header, is_denial, is_prohibition, is_telling
from retro_gym_envs.english.lexicon import PAST_ONLY, Link, Tag
from retro_gym_envs.english.links import NOUN
from retro_gym_envs.english.readings import Kind, Reading
from retro_gym_envs.english.shapes import (
    first_word,
    has_noun,
    is_bare,
    is_only_nouns,
    names_something,
    negated_gerund,
    verb_of,
)

__all__ = ["Stance", "stances"]


class Stance(enum.Enum):
    """What a clause is to the things that it names."""

    FOR = "for"
    AGAINST = "against"
    NEITHER = "neither"

    @property
    def opposite(self) -> Stance:
        """The other side; ``NEITHER`` has none and stays."""
        return _OPPOSITE[self]


_OPPOSITE = {Stance.FOR: Stance.AGAINST, Stance.AGAINST: Stance.FOR, Stance.NEITHER: Stance.NEITHER}


def stances(pieces: list[Piece], readings: list[Reading], header: Header) -> list[Stance]:
    """Returns the stance of each clause of a sentence; notes headers for the sentences that follow."""
    return _Sentence(pieces, readings).stances(header)


_DEPENDENT = frozenset({Link.NOT, Link.INSTEAD, Link.EXCEPT, Link.IF, Link.HAD, Link.UNLESS, Link.BEFORE, Link.AFTER})
_FINITE = Tag.AUXILIARY | Tag.BE | Tag.FINITE | Tag.COULD | Tag.PAST


class _Sentence:
    def __init__(self, pieces: list[Piece], readings: list[Reading]) -> None:
        self._pieces = pieces
        self._readings = readings
        self._found: dict[int, Stance] = {}
        self._open: set[int] = set()
        self._governed: set[int] = set()

    def stances(self, header: Header) -> list[Stance]:
        found = []
        for index, piece in enumerate(self._pieces):
            stance = self._stance(index)
            if piece.heads and not has_noun(piece):
                header.denies, header.line = is_denial(piece, self._readings[index]), piece.line
                following = index + 1 < len(self._pieces) and self._readings[index + 1].kind is not Kind.FRAGMENT
                if following and is_prohibition(piece) and not self._pieces[index + 1].tokens[0].tags & Tag.ING:
                    header.denies = False  # "Do not guess: open X"
                header.inverts = header.denies and all(token.text in UNTRUE for token in piece.tokens)
                header.tells = is_telling(piece, self._readings[index])
                header.listed = index + 1 == len(self._pieces)
            elif header.covers(piece) and self._readings[index].kind is not Kind.IDLE:
                stance = self._under_header(index, stance, header)
                self._found[index] = stance
            found.append(stance)
        header.after(self._pieces)
        return found

    def _under_header(self, index: int, stance: Stance, header: Header) -> Stance:
        if header.inverts and self._readings[index].kind not in (Kind.REPORT, Kind.FRAGMENT):
            return stance.opposite
        return self._under_denial(index, stance) if header.denies else self._under_telling(index, stance)

    def _under_denial(self, index: int, stance: Stance) -> Stance:
        reading, piece = self._readings[index], self._pieces[index]
        if reading.kind is Kind.REPORT:  # "My mistake: I opened X"
            return Stance.AGAINST if reading.affirms else Stance.FOR
        if reading.kind is Kind.FRAGMENT or (is_bare(piece) and not reading.person):
            return Stance.AGAINST if reading.affirms else Stance.FOR
        return stance

    def _under_telling(self, index: int, stance: Stance) -> Stance:
        told = self._readings[index].kind is Kind.FRAGMENT or is_bare(self._pieces[index])
        return Stance.NEITHER if told else stance

    def _stance(self, index: int) -> Stance:
        """Returns a clause's stance; a clause that depends on one that depends on it stands by itself."""
        if index not in self._found:
            if index in self._open:
                return self._alone(index)
            self._open.add(index)
            self._found[index] = self._tied(index)
            self._open.discard(index)
        return self._found[index]

    def _alone(self, index: int) -> Stance:
        reading = self._readings[index]
        if reading.kind is Kind.IDLE:
            return Stance.NEITHER
        if reading.kind is Kind.REPORT:
            return Stance.NEITHER if reading.affirms else Stance.FOR
        return Stance.FOR if reading.affirms else Stance.AGAINST

    def _tied(self, index: int) -> Stance:
        link, reading = self._pieces[index].link, self._readings[index]
        if reading.kind is Kind.IDLE:
            return Stance.NEITHER
        if link in (Link.NOT, Link.INSTEAD, Link.EXCEPT):
            return self._denied(index)
        if link in (Link.IF, Link.HAD, Link.UNLESS):
            return self._conditional(index)
        if link is Link.BEFORE:
            return self._before(index)
        if link is Link.BECAUSE and (self._is_blamed(index) or self._is_lacking(index)):
            return self._alone(index).opposite
        if link is Link.AFTER or self._is_participle(index):
            return self._after(index)
        if self._is_postponed(index):
            return Stance.NEITHER
        swapped = self._swapped(index)
        if swapped is not None:
            return swapped
        if link is Link.WHEREAS and reading.kind is Kind.STATEMENT and reading.affirms and len(self._pieces) > 1:
            return self._stance(1).opposite
        if link is Link.WHICH and reading.person and reading.kind is Kind.FOUND:
            return Stance.FOR  # "X, which I had not seen"
        lacking = not index and self._pieces[0].tokens[0].text == "without" and reading.kind is Kind.STATEMENT
        then = [said for said, other in zip(self._readings, self._pieces, strict=True) if other.link is Link.COMMA]
        if lacking and then and not then[0].affirms:
            return self._alone(index).opposite  # "Without opening X, I cannot win"
        if index and link in (Link.COMMA, Link.AND, Link.SO, Link.BUT, Link.COLON):
            return self._continued(index)
        if reading.kind is Kind.FRAGMENT:
            return self._opening(index)
        return self._alone(index)

    def _swapped(self, index: int) -> Stance | None:
        """Returns the stance of what is replaced by, or was taken for, something else, and of the other thing."""
        link = self._pieces[index].link
        following = self._pieces[index + 1].link if index + 1 < len(self._pieces) else None
        if link is Link.MISTAKEN:
            return Stance.FOR
        if following is Link.MISTAKEN:
            return Stance.AGAINST
        if link is Link.REPLACING:
            return self._stance(index - 1).opposite
        return self._alone(index).opposite if following is Link.REPLACING else None

    def _main(self, index: int) -> int | None:
        """Returns the clause that a dependent clause belongs to: the one before it, or else the next."""
        before = (other for other in range(index - 1, -1, -1) if self._pieces[other].link not in _DEPENDENT)
        links = [piece.link for piece in self._pieces]
        first = index + 1
        while first < len(links) and links[first] in (Link.AND, Link.WHICH):
            first += 1  # "If I open X and read Y, …", "Instead of Y, which I opened, …"
        after = (other for other in range(first, len(links)) if links[other] not in _DEPENDENT | {Link.WHICH})
        return next(before, next(after, None))

    def _denied(self, index: int) -> Stance:
        """``… instead of X``: the opposite of the main clause; after a report, what was left out."""
        main = self._main(index)
        stance = Stance.FOR if main is None else self._stance(main)
        if main is not None and self._readings[main].kind is Kind.IDLE:
            return Stance.NEITHER
        denied = Stance.FOR if stance is Stance.NEITHER else stance.opposite
        return denied if self._readings[index].affirms else denied.opposite

    def _conditional(self, index: int) -> Stance:
        """``if I open X, …``: as good as what follows from it; neither if it only says when to do something else."""
        reading, main = self._readings[index], self._main(index)
        piece = self._pieces[index]
        outcome = self._readings[main] if main is not None else None
        affirms = reading.affirms
        if piece.link is Link.UNLESS:
            if outcome is None or outcome.affirms or reading.judged:
                return Stance.NEITHER
            return Stance.FOR if affirms else Stance.AGAINST
        past = piece.link is Link.HAD or any(token.text == "had" for token in piece.tokens)
        if main is not None and outcome is not None and not has_noun(self._pieces[main]):
            if all(token.tags & Tag.NOT or token.text == "do" for token in self._pieces[main].tokens):
                return Stance.AGAINST  # "If anyone tells you to open X, do not"
            told = outcome.person or any(token.tags & Tag.IT for token in self._pieces[main].tokens)
            if (reading.person and told) or past:
                affirms = affirms is outcome.affirms
                return Stance.FOR if affirms else Stance.AGAINST
        if past and not reading.judged:
            return Stance.FOR if affirms else Stance.AGAINST
        return Stance.NEITHER

    def _before(self, index: int) -> Stance:
        """``before opening X``, ``until X is opened``: what is still to be done."""
        piece, reading, main = self._pieces[index], self._readings[index], self._main(index)
        told = reading.kind is Kind.REPORT and not any(token.text in ("have", "has") for token in piece.tokens)
        if told and (main is None or self._readings[main].kind is not Kind.ADVICE):
            return self._alone(index)
        if reading.kind is Kind.FRAGMENT and main is not None and self._readings[main].kind is Kind.REPORT:
            return Stance.NEITHER
        return Stance.FOR if reading.affirms else Stance.AGAINST

    def _is_blamed(self, index: int) -> bool:
        """Returns whether a thing is given as the reason of a failure (``I lost because of X``)."""
        piece, main = self._pieces[index], self._main(index)
        said = any(token.tags & (_FINITE | Tag.PERSON | Tag.MODAL) for token in piece.tokens)
        return main is not None and self._is_lost(main) and not said

    def _is_lacking(self, index: int) -> bool:
        """Returns whether something is wrong for not being a thing (``My answer was wrong because it was not X``)."""
        tokens, main = self._pieces[index].tokens, self._main(index)
        told = [token.text for token in tokens[:3]] in (["it", "was", "not"], ["it", "is", "not"])
        lost = main is not None and (self._readings[main].judged or self._is_lost(main))
        return told and lost and not any(token.tags & Tag.BAD for token in tokens)

    def _is_lost(self, index: int) -> bool:
        return any(token.text in _LOST for token in self._pieces[index].tokens)

    def _is_postponed(self, index: int) -> bool:
        """Returns whether a prohibition only holds for a while (``do not buy Y before opening X``)."""
        follows = index + 1 < len(self._pieces) and self._pieces[index + 1].link in (Link.BEFORE, Link.UNLESS)
        reading = self._readings[index]
        return follows and reading.governs and not reading.affirms and reading.kind is not Kind.REPORT

    def _is_participle(self, index: int) -> bool:
        """Returns whether a clause is a participle before its sentence (``Looking at X, I ran out of turns``)."""
        if index or not self._pieces[0].tokens[0].tags & Tag.ING or len(self._pieces) == 1:
            return False
        return self._pieces[1].link is Link.COMMA and self._readings[1].person

    def _after(self, index: int) -> Stance:
        """``after opening X``: neither after a report, otherwise as the main clause is."""
        piece, reading, main = self._pieces[index], self._readings[index], self._main(index)
        if any(token.text == "having" for token in piece.tokens):
            if reading.judged or any(token.tags & Tag.FIND for token in piece.tokens):
                return self._alone(index)
            return Stance.NEITHER if reading.affirms else Stance.FOR
        if reading.person or main is None:
            return self._alone(index)
        if self._readings[main].kind in (Kind.REPORT, Kind.IDLE):
            return Stance.NEITHER if reading.affirms else Stance.FOR
        stance = self._stance(main) if not has_noun(self._pieces[main]) else Stance.FOR
        return stance if reading.affirms else stance.opposite

    def _continued(self, index: int) -> Stance:
        """A clause after a comma, a colon or a conjunction."""
        piece, reading = self._pieces[index], self._readings[index]
        if self._goes_on(index):
            return self._stance(index - 1)
        before = self._before_it(index)
        stance = self._stance(before)
        former = self._readings[before]
        if reading.kind is Kind.FRAGMENT:
            if piece.link in (Link.BUT, Link.SO) or any(token.text in _RIGHT for token in piece.tokens):
                return Stance.FOR if reading.affirms else Stance.AGAINST
            if not reading.affirms:
                return Stance.AGAINST if stance is not Stance.NEITHER or reading.judged else Stance.FOR
            then = self._pieces[index + 1] if index + 1 < len(self._pieces) else None
            if then is not None and len(then.tokens) == 1 and not has_noun(then) and is_only_nouns(piece):
                return self._alone(index + 1)  # "X -> wrong, Y -> right"
            return stance
        if reading.kind is Kind.REPORT and not reading.person and former.kind in (Kind.ADVICE, Kind.STATEMENT):
            first = piece.tokens[0]
            if piece.link is Link.COMMA and first.tags & Tag.PAST and reading.affirms:
                return stance  # "I need X, joined by Y"
        opens = piece.link is Link.COMMA and before == 0 and self._pieces[0].link is Link.BECAUSE
        if reading.person or piece.link is Link.COLON or opens:  # "because Y is empty, open X"
            return self._alone(index)
        if self._is_perfect(index):
            return stance
        first = first_word(piece)
        if former.kind is Kind.REPORT and piece.link in (Link.COMMA, Link.AND):
            if first.tags & Tag.ING and reading.kind is Kind.STATEMENT and not reading.judged:
                return stance if reading.affirms else Stance.FOR  # "it consisted of opening X, reading Y"
            if former.person and first.tags & Tag.PAST and first.tags & Tag.HOLD and reading.affirms:
                return Stance.NEITHER  # "I read X and answered Y": a thing would hold the answer
        aside = self._pieces[before].link is Link.WHICH and piece.link is Link.COMMA  # "…, which I opened, …"
        if former.kind is Kind.REPORT and first.tags & Tag.BASE and not (aside or piece.link in (Link.BUT, Link.SO)):
            return stance if reading.affirms else Stance.FOR  # "I did not open X or read Y", "I opened X and read Y"
        if self._is_governed(index, before):
            self._governed.add(index)
            return Stance.AGAINST if reading.affirms else Stance.FOR
        return self._alone(index)

    def _goes_on(self, index: int) -> bool:
        """Returns whether a clause goes on with the one before: a dependent one, or a gerund that is negated alike."""
        piece, former = self._pieces[index], self._pieces[index - 1]
        if piece.link is not Link.AND:
            return False
        negated = negated_gerund(former) and negated_gerund(piece)  # "my mistake was not opening X and not reading Y"
        first = first_word(piece)
        if former.link not in (Link.BEFORE, Link.UNLESS, Link.IF):
            return negated
        perfect = any(token.text.split()[-1] in ("have", "has", "had") for token in former.tokens)
        finite = any(token.tags & Tag.PERSON for token in former.tokens) and not perfect
        form = Tag.PAST if perfect else Tag.BASE if finite else Tag.ING
        return negated or bool(first.tags & form)

    def _is_perfect(self, index: int) -> bool:
        """Returns whether a participle goes on with a verb phrase (``I should have gone to X and taken Y``)."""
        piece, before = self._pieces[index], self._before_it(index)
        while before > 0 and self._is_apposition(before):
            before = self._before_it(before)
        first = first_word(piece)
        if piece.link not in (Link.COMMA, Link.AND) or not first.tags & Tag.PAST or first.text in PAST_ONLY:
            return False
        former = self._pieces[before]
        unreal = self._readings[before].kind is Kind.ADVICE or former.link in (Link.HAD, Link.IF)
        phrase = any(token.text.split()[-1] in ("have", "had") for token in former.tokens) or former.link is Link.HAD
        return (unreal and phrase) or (before > 0 and self._is_perfect(before))

    def _is_apposition(self, index: int) -> bool:
        """Returns whether a clause only says more of what is named before it (``X, the painter, …``)."""
        return self._pieces[index].link is Link.COMMA and self._readings[index].kind is Kind.FRAGMENT

    def _before_it(self, index: int) -> int:
        return next(
            (other for other in range(index - 1, -1, -1) if self._pieces[other].link not in _DEPENDENT), index - 1
        )

    def _is_governed(self, index: int, before: int) -> bool:
        """Returns whether the ``not`` of the clause before also negates this one (``do not open X and read Y``)."""
        piece, former = self._pieces[index], self._readings[before]
        if before in self._governed and piece.link in (Link.AND, Link.COMMA) and is_bare(piece):
            return True
        gerunds = not former.judged and any(token.tags & Tag.ING for token in self._pieces[before].tokens)
        gerunds = gerunds and bool(first_word(piece).tags & Tag.ING)
        governing = former.governs or gerunds  # "stop opening X and reading Y"
        governed = not former.affirms and governing and former.kind in (Kind.ADVICE, Kind.STATEMENT, Kind.FOUND)
        if not governed or not is_bare(piece) or any(token.text in ("instead", "do") for token in piece.tokens):
            return False
        if piece.link is Link.AND:
            return self._found.get(before) is not Stance.FOR
        following = self._pieces[index + 1] if index + 1 < len(self._pieces) else None
        listed = following is not None and following.link is Link.AND and is_bare(following)
        if piece.link is not Link.COMMA or following is None or not listed or not names_something(self._pieces[before]):
            return False  # "do not hurry, open X and read Y"
        said = [token.text for token in self._pieces[before].tokens]
        return verb_of(piece) not in said and verb_of(following) not in said

    def _opening(self, index: int) -> Stance:
        """A fragment that opens a sentence: the subject, or the place, of what comes next; or a thing by itself."""
        piece, reading = self._pieces[index], self._readings[index]
        following = next((other for other in range(index + 1, len(self._pieces)) if self._may_continue(other)), None)
        if following is None:
            return self._alone(index)
        then = self._pieces[following]
        said = self._readings[following]
        if then.link in (Link.COMMA, Link.COLON, Link.AND) and self._is_about(piece, then, said):
            stance = self._stance(following)
            if reading.affirms:
                return stance
            return Stance.FOR if stance is Stance.NEITHER else stance.opposite
        return self._alone(index)

    def _may_continue(self, index: int) -> bool:
        """Returns whether a clause may say something about what opens the sentence: no aside, and no item of a list."""
        piece = self._pieces[index]
        item = self._readings[index].kind is Kind.FRAGMENT and is_only_nouns(piece)
        return piece.link not in _DEPENDENT | {Link.WHICH} and not item

    def _is_about(self, piece: Piece, then: Piece, said: Reading) -> bool:
        """Returns whether a clause says something about the fragment before it."""
        if piece.tokens[0].tags & Tag.PREPOSITION or piece.tokens[0].text == "without":
            return then.link is Link.COMMA
        if not has_noun(then):
            return said.judged or bool(then.tokens[0].tags & (_FINITE | Tag.IT | Tag.NOT | Tag.PERSON))
        if then.tokens[0].tags & _FINITE and not then.tokens[0].tags & Tag.BASE:
            return True
        listed = is_only_nouns(piece)
        verb = next((token for token in then.tokens if token.tags & _FINITE), None)
        return listed and NOUN.match(then.tokens[0].text) is not None and verb is not None


_RIGHT = frozenset(("right", "correct", "proper", "true", "good", "fine"))
"""Words of a fragment that judges what it names."""
_LOST = frozenset(("failed", "fail", "lost", "lose", "stuck"))
