"""What reflections want of the things that the actor sees: which linked entity, which title, which word on a page.

Only what the trial itself has shown can be wanted, so an answer that a reflection states, or the name of an entity that
the actor has not come across, has no effect.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from retro_gym_envs.english.naming import mentioned
from retro_gym_envs.english.stance import Clause, Stance, read_clauses
from retro_gym_envs.english.wishes import is_confusing
from retro_gym_envs.hotpotqa.observations import spans
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES, TRADES
from retro_gym_envs.hotpotqa.wording import without_trade

__all__ = ["Cue", "Wish", "cue_in", "names_to_search", "wish_for_name", "wish_for_title", "wish_for_word"]

_BEFORE = r"(?P<page>[^.;,\n]{1,80}?)"
_NEEDED = (
    r"(?:is|was) (?:what |the one |the label )?(?:that )?(?:is |was )?"
    r"(?:meant|required|asked|needed|wanted|right|correct)\b"
)
_PLAINER = (
    # "On the page of X I picked the B; the A is what was meant." The report says which page is right.
    (
        re.compile(
            rf"on (?:the )?(?:page|entry|article) (?:of |on |for ){_BEFORE},? i [a-z]+ (?P<old>[^.;,\n]{{1,40}})"
            rf"[.;,] *(?:but |yet |while )?(?P<new>[^.;,\n]{{1,40}}?) {_NEEDED}"
        ),
        r"search for \g<page>, and read \g<new>",
    ),
    (
        re.compile(
            rf"my answer[^.;,\n]{{0,60}}? was (?P<old>[^.;,\n]{{1,40}}?) of {_BEFORE}"
            rf"[.;,] *(?:but |yet |while )?(?P<new>[^.;,\n]{{1,40}}?) {_NEEDED}"
        ),
        r"search for \g<page>, and read \g<new>",
    ),
    (re.compile(r"(?<!is )(?<!was )\b(?:against|versus|vs\.?) (?=[^.;\n]{3})"), "and compare "),
    (re.compile(r"\bnothing but\b"), "only"),
    (re.compile(r" = "), " is "),
    (
        re.compile(
            r"\b(value|field|entry|line|figure|fact)s? (?:that is )?(?:label|mark|titl|head|nam|call|list)l?ed\b"
        ),
        r"\1",
    ),
)
"""Wordings that the reader of English does not know, and plain ones."""

_SEEK = re.compile(
    r"\b(?:search|look|find|read|open|visit|check|go|see|consult|use|follow|try|pick|choose|take|click|turn|head|move|"
    r"get|fetch|retrieve|query|type|enter|continue|proceed|examine|inspect|study|explore|trac[ek]|investigat|locat|"
    r"view|access|navigat|start|begin|select|jump|learn|discover|identif|determin|obtain|verif|compar|need|want|pull)"
)
_STATE = re.compile(
    r"\b(?:answer|report|giv(?:e|ing)|finish|extract|cop(?:y|ied)|value|field|label|details?\b|mean|ask|pages?\b|focus|"
    r"attention|concentrat|overlook|ignor|miss|neglect|forgot|interpret|target|holds?\b|held|refer|help|requir|submit|"
    r"quot|lies|return|stat(?:e|ing)|rely|trust|prefer|correct|right|better\b|best\b|proper|true|wrong|key\b|links?\b|"
    r"the one\b|is what\b|what is\b|attribute|entity|question|lists?\b|says?\b|shows?\b|contain|follow|chosen|chose|"
    r"useless|relevant|lower|lowest|less|earli|small|wins?\b|became|replaced|took|called|stands|gives|matters|must|should|ought"
    r"|tells?\b|told\b|found\b|listed\b|there\b|where\b|consult|chain\b|route\b|path\b|sequence\b|order\b|only\b|does\b"
    r"|will do\b|nothing else\b|wanted\b|rather\b)|^(?:first|then)\b"
)
"""Words of statements about the question and its pages. That something is anything else is no advice."""
_BEING = re.compile(r"\b(?:is|was|are|were|be|been|being|as|not)\b")
_FILLER = re.compile(
    r"\b(?:and|or|not|nor|then|each|also|the|a|an|of|both|pages?|entry|article|lines?|next|time|attempt|trial|fix|query|field|word|instead|"
    r"first|correct|right|only|note|its|nothing|else|alone|just|"
    r"what|which|where|who|on|it)\b|[^\w]"
)
_KINDS_OF_NAMESAKES = tuple(f"the {trade}" for trade in TRADES)
_TERMS = (*ROLES, *TRADES, *(word for attribute in ATTRIBUTES.values() for word in attribute.words))


@dataclasses.dataclass(frozen=True)
class Wish:
    """What reflections want of one decision's options."""

    wanted: tuple[str, ...] = ()
    """At most two options to take."""
    shunned: tuple[str, ...] = ()
    """Options to leave."""
    confused: bool = False
    """Whether a reflection speaks of too many options; they are in neither of the others."""

    def __bool__(self) -> bool:
        return bool(self.wanted or self.shunned or self.confused)


def wish_for_name(notes: Sequence[str], names: Iterable[str]) -> Wish:
    """Returns which of the names on a page reflections want; the last reflection that speaks of one decides.

    >>> wish_for_name(["I read about Tor Gramex. Look up Brelum instead of Tor Gramex."],
    ...               ["Tor Gramex", "Taskin Brelum"])
    Wish(wanted=('Taskin Brelum',), shunned=('Tor Gramex',), confused=False)
    """
    known = _ways_to_say(names)
    return next((wish for note in reversed(notes) if (wish := _read(note, known))), Wish())


def wish_for_title(notes: Sequence[str], name: str, others: Iterable[str], titles: Iterable[str]) -> Wish:
    """Returns which of several titles reflections want that also want the name.

    Args:
        notes: the reflections.
        name: the name that the titles share.
        others: the other names that could have been followed.
        titles: ``Taskin Brelum (painter)``, ``Taskin Brelum (sculptor)``.
    """
    trades = {title[len(name) :].strip(" ()"): title for title in titles if without_trade(title) == name}
    return _bound(notes, (name, *others), {trade: title for trade, title in trades.items() if trade})


def wish_for_word(notes: Sequence[str], name: str, others: Iterable[str], words: Iterable[str]) -> Wish:
    """Returns which of several words for a value reflections want that also want the page.

    Args:
        notes: the reflections.
        name: the name that led to the page.
        others: the other names that could have been followed.
        words: the words under which the page states values, and others for the asked one.
    """
    return _bound(notes, (name, *others), {word: word for word in words})


def _bound(notes: Sequence[str], names: Sequence[str], options: Mapping[str, str]) -> Wish:
    """Reads what reflections say of a page, which counts only if they want the name that led there."""
    if names[0] not in wish_for_name(notes, names).wanted:
        return Wish()
    return next((wish for note in reversed(notes) if (wish := _read(note, options, names))), Wish())


def _ways_to_say(names: Iterable[str]) -> dict[str, str]:
    """Returns the names by what may stand for them: the whole name, or a word that no other of them has."""
    whole = {name: name for name in names}
    generic = {word for kind in KINDS.values() for title in kind.titles for word in title.split()}
    words = [(word, name) for name in whole for word in name.split() if word not in generic]
    held = [word for word, _ in words]
    return {word: name for word, name in words if held.count(word) == 1} | whole


def _read(note: str, options: Mapping[str, str], others: Iterable[str] = ()) -> Wish:
    """Reads what one reflection wants of options, given by what may stand for them; it may hold other names too."""
    return _read_note(note, tuple(options.items()), tuple(others))


@lru_cache(maxsize=4_096)
def _read_note(note: str, pairs: tuple[tuple[str, str], ...], others: tuple[str, ...]) -> Wish:
    """Reads a reflection; what it asks to seek outweighs what it only states, otherwise the last word counts."""
    options = dict(pairs)
    ways = tuple(_ways_to_say(others))
    clauses = read_clauses(_plainer(note), (*ways, *options) if ways else tuple(options))
    relevant = _sentences_about_pages(clauses, (*options, *ways))
    stances: dict[str, tuple[Stance, bool]] = {}  # stance, and whether it is about seeking
    seeks, sentence = False, -1
    for clause in clauses:
        found = mentioned(options, clause.text)
        goes_on = seeks and clause.sentence == sentence and _only_names(clause.text, found)
        seeks, sentence = goes_on or bool(_SEEK.search(clause.text)), clause.sentence
        against_namesake = clause.stance is Stance.AGAINST and _tells_namesakes_apart(clause.text, options)
        if clause.sentence not in relevant or clause.stance is Stance.NEITHER or against_namesake:
            continue
        for option in dict.fromkeys(options[each] for each in found):
            _, sought = stances.get(option, (clause.stance, False))
            if seeks or not sought:
                stances[option] = (clause.stance, seeks)
    wanted = {option: sought for option, (stance, sought) in stances.items() if stance is Stance.FOR}
    kept = tuple(option for option, sought in wanted.items() if sought) or tuple(wanted)
    shunned = tuple(option for option, (stance, _) in stances.items() if stance is Stance.AGAINST)
    return Wish(confused=True) if is_confusing(kept, stances) else Wish(kept, shunned)


def _plainer(note: str) -> str:
    text = note.lower()
    for pattern, plain in _PLAINER:
        text = pattern.sub(plain, text)
    return text


def _sentences_about_pages(clauses: Sequence[Clause], names: Sequence[str]) -> set[int]:
    """Returns the sentences that are about reading, state something, or are telegrams of names and terms."""
    about = {
        clause.sentence
        for clause in clauses
        if _SEEK.search(clause.text)
        or _STATE.search(clause.text)
        or (_BEING.search(clause.text) and mentioned((*ROLES, *_KINDS_OF_NAMESAKES), clause.text))
    }
    words = {clause.sentence for clause in clauses if not _only_names(clause.text, mentioned(names, clause.text))}
    return about | ({clause.sentence for clause in clauses} - words)


def _only_names(text: str, names: Iterable[str]) -> bool:
    """Returns whether a clause consists of nothing but names and terms, so that it may continue a list."""
    for name in (*names, *mentioned(_TERMS, text)):
        text = text.replace(name.lower(), "")
    return not _FILLER.sub("", text)


def _tells_namesakes_apart(text: str, options: Mapping[str, str]) -> bool:
    """Returns whether a clause is against one of several entities of a name (``not the painter``), not the name."""
    return not set(TRADES) & options.keys() and bool(mentioned(TRADES, text))


# -- questions of other files ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cue:
    """Where the answer stands on a page."""

    words: str
    """The words before it."""
    length: int
    """Its number of words."""


_FOLLOWS = re.compile(r'follows "([^"]+)"(?:,? \(?(\d+) words?\)?)?')


def cue_in(notes: Sequence[str]) -> Cue | None:
    """Returns the position of the answer that the last reflection with one gives.

    >>> cue_in(['Search for "Tim Kaine" and read what follows "a Senator from", 1 word.'])
    Cue(words='a Senator from', length=1)
    """
    found = [match for note in notes if (match := _FOLLOWS.search(note))]
    return Cue(found[-1][1], int(found[-1][2] or 1)) if found else None


def names_to_search(notes: Sequence[str]) -> list[str]:
    """Returns what the last reflection that asks for a search wants to search for, in order.

    >>> names_to_search(['Do not search for "Bisquick". Search for "General Mills" next.'])
    ['General Mills']
    """
    for note in reversed(notes):
        rest = _FOLLOWS.sub("", note)
        known = {name: name for name in spans(rest)}
        sentences = [part for part in re.split(r"(?<=[.!?])\s+", rest) if _SEEK.search(part.lower())]
        wish = [name for part in sentences for name in _read(part, known).wanted]
        if wish:
            return list(dict.fromkeys(wish))
    return []
