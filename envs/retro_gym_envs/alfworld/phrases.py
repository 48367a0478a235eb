"""Words of household advice that the reader of English does not know, and the plain words for them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from retro_gym_envs.alfworld.objects import LAMP, THINGS
from retro_gym_envs.alfworld.observations import kind_of
from retro_gym_envs.alfworld.remarks import WORDS
from retro_gym_envs.alfworld.spelling import as_the_game_writes
from retro_gym_envs.english.lexicon import WORDS as WORDS_OF_ENGLISH

__all__ = ["ABOUT", "plain_advice"]

ABOUT = re.compile(
    r"\b(?:tak(?:e|en|ing)|took|g[eo]t|gotten|getting|grab\w*|pick\w*|fetch\w*|collect\w*|br(?:ing|ought|inging)|"
    r"carr\w+|put\w*|plac\w+|mov\w+|leav\w+|left|stor\w+|set|deliver\w*|drop\w*|deposit\w*|clean\w*|wash\w*|rins\w+|"
    r"scrub\w*|heat\w*|warm\w*|microwav(?:e|ed|es|ing)(?! \d)|cook\w*|cool\w*|chill\w*|us(?:e|ed|ing)|"
    r"switch\w*|turn\w*|light\w*|lamps?|"
    r"go|goes|going|gone|went|head\w*|walk\w*|pass\w*|visit\w*|look\w*|search\w*|check\w*|find\w*|found|open\w*|try|"
    r"tried|trying|choos\w+|chose\w*|choice|opt\w*|select\w*|prefer\w*|inspect\w*|examin\w+|held|hold\w*|has|need\w*|"
    r"work\w*|right|correct|proper|start\w*|begin|end|finish\w*|final|instead|solution|fix|tool|applianc\w+|station|"
    r"job|trick|water|room|space|roomy|seen|saw|usable|broken|available|free|miss\w*|overlook\w*|ignor\w+|notic\w+|retriev\w*|"
    r"belong\w*|accept\w*|fine|good|intact|function\w*|only|goal|target|spot|location|sourc\w+|item|object|thing|"
    r"receptacle|container|must|next (?:time|attempt|trial|try)|destination|replac\w+|swap\w*|exchang\w+|"
    r"substitut\w+|succe\w+|wait\w*|rely|go-to|candidate|option|answer|best|ideal|perfect|suit\w*|want\w*|would like|"
    r"(?:the|this|that) one|be had|can have|can be|will do|would do|does|useless|out of reach|"
    r"there is (?:the|an?|only)|"
    r"(?:is|was|lay|lies|sits?|stands?) (?:in|on|at|inside|under))\b"
)
"""Words that advice on a household task contains."""

_THING = r"(?:the |a |an |that |this )?[a-z]+ #?\d+"
_BAD = "|".join(
    {word for states in WORDS.values() for word in states.bad}
    | {"blocked", "crowded", "fixed", "full", "immovable", "occupied", "shut"}
)
_GOOD = "|".join({word for states in WORDS.values() for word in states.good} | {"empty", "open", "vacant"})
_IS = r"\b(?:is|was|are|were|be|being|stay(?:s|ed)|remained|seemed|looked|proved|stood)(?: (?:too|still|all|already))?"
_SHORTLY = re.compile(r"(?m)^[ *]*tl ?;? ?dr *[:,-]? *")
_TREATED = "clean(?:ed)?|washed|rinsed|scrubbed|heat(?:ed)?|warm(?:ed)?|cooked|cool(?:ed)?|chilled|lit"
_SENTENCE = re.compile(r"[^.!?;\n]+")
_IDLE = re.compile(r"\b(?:i wonder|wondering|(?:laugh|smil|danc|joke|rhym|admir)\w*|sing|sings|singing|stare)\b")
"""What a sentence contains that wants nothing for the task."""

# By the plain verb for them, with its past form: verbs that the reader of English does not know.
_VERBS = {
    ("take", "taken"): """
        lift/lifted snatch/snatched seize/seized nab/nabbed procure/procured secure/secured pluck/plucked
        obtain/obtained remove/removed withdraw/withdrawn extract/extracted scoop/scooped pocket/pocketed
        claim/claimed recover/recovered
    """,
    ("use", "used"): """
        activate/activated illuminate/illuminated ignite/ignited enable/enabled employ/employed utilize/utilized
        utilise/utilised operate/operated light/lit wash/washed scrub/scrubbed cook/cooked microwave/microwaved
        refrigerate/refrigerated
    """,
    ("put", "put"): """
        stow/stowed stash/stashed deposit/deposited lay/laid rest/rested position/positioned park/parked house/housed
        set/set deliver/delivered dump/dumped
    """,
}


def _verb_patterns() -> list[tuple[re.Pattern[str], str]]:
    found = []
    for (plain, plain_past), listed in _VERBS.items():
        pairs = [pair.split("/") for pair in listed.split()]
        for forms, word in (([past for _, past in pairs], plain_past), ([base for base, _ in pairs], plain)):
            ahead = rf"(?=(?: up| down| on| away)? (?:it|them|{_THING}|the [a-z]+)\b)"
            found.append((re.compile(rf"\b(?:{'|'.join(forms)})\b(?: up| down| on| away)?{ahead}"), word))
    return found


_PLAINER: tuple[tuple[re.Pattern[str], str], ...] = (
    # The one that does not work.
    (re.compile(rf"\b(?:all|every\w+)(?: of them)? (?:but|except)(?: for)? ({_THING}) works?\b"), r"\1 is broken"),
    (re.compile(rf"\b(?:all|every\w+)(?: of them)? works? (?:but|except)(?: for)? ({_THING})"), r"\1 is broken"),
    # States.
    (re.compile(rf"({_IS}) (?:{_BAD})\b(?! of)"), r"\1 broken"),
    (re.compile(rf"\b(?:{_BAD}) (?=[a-z]+ #?\d)"), "broken "),
    (re.compile(rf"(\b[a-z]+ \d+ (?:is|was)) (?:{_GOOD})\b"), r"\1 usable"),
    (re.compile(rf"\b(?:{_GOOD}) (?=[a-z]+ #?\d)"), "usable "),
    (re.compile(r"\b(?:was|were|is) (?:said|reported|stated|shown|described) to (?:be|work\w*)\b"), "is usable"),
    (re.compile(r"\b(?:what|that|which|the one) i need(?:ed)?\b(?! to)"), "what is needed"),
    (re.compile(r"\b(?:which|but it|but that|and it|and that) failed\b"), "which was wrong"),
    (re.compile(r"\bthere was (?=(?:still |enough |some )?(?:room|space|water|light|power)\b)"), "there is "),
    # Wordings.
    (re.compile(r"\b((?:which|what) [a-z]+) ?\? +(?=(?:the )?(?:[a-z]+ )?[a-z]+ #?\d)"), r"\1? choose "),
    (re.compile(r"\b(where (?:is|was) [a-z ]{1,30}) ?\? +(?:a: )?(?=(?:in|on|at|under) )"), r"\1? it is "),
    (re.compile(rf"(?m)^[-* \d.)]*({_THING}) *(?:,|:|->|@|\(|on|in|at|from)+ *({_THING})[ ).]*$"), r"take \1 from \2"),
    (re.compile(rf"\b(?:get|have) (?:it|them|this|{_THING}|the [a-z]+) (?:{_TREATED})\b"), "use it"),
    (re.compile(r"\b(?:flip|power|flick|snap)(?:ped|ed)? on\b"), "use"),
    (re.compile(r"\b(?:pass|walk|go|move|gone)(?:ed)? (?:by|past|over)\b"), "ignored"),
    (re.compile(rf"(,? (?:rather than|instead of)(?: \w+)? {_THING})( to \w+ {_THING})"), r"\2\1"),
    *_verb_patterns(),
)  # fmt: skip


def plain_advice(note: str, room: Sequence[str]) -> str:
    """Returns a reflection in plain words, in lower case; a kind of which there is one gets its number.

    >>> plain_advice("I should have lit the desklamp 2 near the bed.", ["bed 1", "desk 1"])
    'i should have used the desklamp 2 near the bed 1.'
    """
    text = _SENTENCE.sub(
        lambda sentence: "" if _IDLE.search(sentence[0]) else sentence[0], _SHORTLY.sub("", note.lower())
    )
    kinds = [kind_of(name) for name in room]
    text = as_the_game_writes(text, {*kinds, *THINGS, LAMP})
    for kind in set(kinds):
        if kinds.count(kind) == 1:
            only = room[kinds.index(kind)]
            text = re.sub(rf"\b(the|a|that|this) {kind}\b(?! (?:#|no\b|number )?\d)", rf"\1 {only}", text)
    text = _FETCHED.sub(lambda match: _as_fetching(match, kinds), text)
    for pattern, plain in _PLAINER:
        text = pattern.sub(plain, text)
    return _SENTENCE.sub(lambda sentence: _without_mere_praise(sentence[0], kinds), text)


_FETCHED = re.compile(rf"({_THING}) *(?:[-=]+>|→|⇒) *({_THING})")
_PRAISE = re.compile(r"\busable (?=[a-z]+ #?\d)")
_MOST_STRANGE = 1  # words that the reader of English does not know


def _as_fetching(match: re.Match[str], kinds: Collection[str]) -> str:
    """Returns what is to be taken and from where, if an arrow leads from a place to an object (``desk 1 → mug 2``)."""
    place, thing = (kind_of(each).split()[-1] for each in match.groups())
    return f"take {match[2]} from {match[1]}" if place in kinds and thing in THINGS else match[0]


def _without_mere_praise(sentence: str, kinds: Collection[str]) -> str:
    """Returns a sentence; that it calls a thing usable makes no advice of a tale (``The icy fridge 2 sang a song``)."""
    said = _PRAISE.sub("", sentence)
    strange = [word for word in re.findall(r"[a-z]{3,}", said) if word not in WORDS_OF_ENGLISH and word not in kinds]
    tale = said != sentence and len(strange) > _MOST_STRANGE and not ABOUT.search(said)
    return said if tale else sentence
