"""The words of English that decide what a clause wants, as tables."""

from __future__ import annotations

import enum
from collections.abc import Iterable

__all__ = ["CHOOSING", "PAST_ONLY", "WORDS", "Link", "Tag"]


class Tag:
    """What a word does in a clause: bits of an integer, as words are looked up often."""

    NOT = 1 << 0
    """Negates."""
    AVOID = 1 << 1
    """Verb whose object is not done (``avoid X``, ``fail to do X``)."""
    BAD = 1 << 2
    """Says that something is of no use (``X is empty``)."""
    EMPTY = 1 << 3
    """Says, beside ``NOT``, that nothing came of it (``nothing``)."""
    MODAL = 1 << 4
    """Makes an instruction or a plan of a clause (``should``, ``plan to``)."""
    COULD = 1 << 5
    """A modal of possibility (``will``, ``would``, ``can``)."""
    FIND = 1 << 6
    """Verb of finding; with a person as subject it says where something is (``I saw it in X``)."""
    NOTICE = 1 << 7
    """Verb of knowing, whose negation leaves what was not known true (``I did not notice that``)."""
    HOLD = 1 << 8
    """Verb by which a thing proves useful (``X contains it``, ``X helped``)."""
    BELIEVED = 1 << 9
    """Past verb of belief (``I thought that``)."""
    HOPE = 1 << 10
    """Says that a clause is a hope."""
    PERSON = 1 << 11
    """Pronoun of who acts."""
    ACTING = 1 << 12
    """Noun that stands for who acts, after an article or possessive (``my attempt``)."""
    IT = 1 << 13
    """Pronoun that refers to the thing named last."""
    THEM = 1 << 14
    """Pronoun that refers to the things named before."""
    BE = 1 << 15
    """A form of *be*, or of a verb used like it."""
    WAS = 1 << 16
    """A past form of *be*."""
    AUXILIARY = 1 << 17
    """A finite auxiliary verb."""
    BASE = 1 << 18
    """The base form of a verb."""
    PAST = 1 << 19
    """The past form of a verb."""
    ING = 1 << 20
    """A gerund or present participle."""
    FINITE = 1 << 21
    """A present form in -s."""
    ARTICLE = 1 << 22
    """An article, a possessive or another word before a noun."""
    PREPOSITION = 1 << 23
    """A preposition of place."""
    ADVERB = 1 << 24
    """A word that may stand before the verb."""
    UNDONE = 1 << 25
    """Says that something was not done yet (``unopened``)."""
    LATE = 1 << 26
    """Says that it should have been done earlier."""
    GET = 1 << 27
    """Verb, other than of finding, of what a person cannot simply decide to do (``get``, ``succeed``)."""


class Link(enum.Enum):
    """What ties a clause to the one before it, or to the main clause."""

    START = enum.auto()
    COMMA = enum.auto()
    AND = enum.auto()
    SO = enum.auto()
    BUT = enum.auto()
    NOT = enum.auto()
    INSTEAD = enum.auto()
    EXCEPT = enum.auto()
    BECAUSE = enum.auto()
    IF = enum.auto()
    HAD = enum.auto()
    UNLESS = enum.auto()
    BEFORE = enum.auto()
    AFTER = enum.auto()
    WHICH = enum.auto()
    COLON = enum.auto()
    REPLACING = enum.auto()
    MISTAKEN = enum.auto()
    WHEREAS = enum.auto()


# What actors do, what is done with searches, shops and queries, and what goes on in the mind.
_ACTIONS = """
    search look check read open close visit go try use take put place pick choose select click buy purchase order
    get grab fetch bring carry move walk head turn return heat cool clean wash examine inspect explore investigate
    query join filter sort group count describe list write run execute type enter ask answer submit finish end stop
    start begin continue keep switch change replace swap exchange prefer favour favor focus concentrate rely trust
    follow study scan view browse consult review revisit reread research lookup retrieve compare test verify confirm
    recall reflect plan expect add set make do work act play spend repeat retry say tell call name pass press push
    pull lift drop leave land stand sit wait lie stay settle stick bother tackle refine rephrase copy collect gather
    acquire approach mention specify include combine link connect conclude decide determine figure attempt intend
    want aim hurry rush jump guess assume insist resort fill slice cut toggle warm rinse chill store insert give
    hand show recommend suggest advise propose prioritise prioritize target navigate proceed peek dig hunt seek
    pursue base derive treat regard deserve come reconsider exceed confuse mislead distract recheck reopen restart
    mistake quit report consult quote
"""
_CHOOSING = """
    use employ utilise utilize leverage adopt apply exploit deploy choose pick select elect nominate designate take
    try prefer favour favor prioritise prioritize opt settle stick start begin continue proceed switch turn move pivot
    focus concentrate target rely trust bet insist commit aim reach specify enter include incorporate remember heed
    follow obey resort
"""
"""Verbs that say, of things of any kind, which one is to be taken."""
# Verbs that say that their object was not, or should not be, done.
_AVOIDING = """
    avoid skip ignore refrain forget omit miss overlook neglect fail refuse reject exclude disregard abandon decline
    discard dismiss bypass shun forgo cease hesitate resist eschew forbid prohibit boycott lack dodge scrap ditch
    lose deprioritise deprioritize
"""
# Verbs by which a thing proves useful or useless.
_HOLDING = """
    contain hold have help work give show lead match fit yield belong prove exist include offer solve succeed matter
    suit produce reveal store need require come point fulfil fulfill satisfy state mention say name suffice deserve
    mean become list hide spell call respond react apply answer pay bear refer return want
"""
_FINDING = "find see locate discover encounter hear"
# Other verbs of what a person cannot simply decide to do.
_GETTING = "get obtain manage win succeed help reach have solve accept allow permit suffice"
_NOTICING = "notice realise realize know learn understand recognise recognize spot remember consider think note"
_LIKE_BE = "seem appear remain prove"
_IRREGULAR_PAST = {
    "go": "went gone", "read": "read", "take": "took taken", "put": "put", "choose": "chose chosen",
    "buy": "bought", "get": "got gotten", "bring": "brought", "run": "ran run", "write": "wrote written",
    "begin": "began begun", "keep": "kept", "think": "thought", "set": "set", "make": "made", "do": "did done",
    "spend": "spent", "say": "said", "tell": "told", "leave": "left", "stand": "stood", "sit": "sat", "lie": "lay",
    "stick": "stuck", "cut": "cut", "give": "gave given", "show": "shown showed", "see": "saw seen", "find": "found",
    "hold": "held", "have": "had", "dig": "dug", "seek": "sought", "learn": "learnt learned", "know": "knew known",
    "forget": "forgot forgotten", "lose": "lost", "come": "came", "lead": "led", "fit": "fit fitted", "mean": "meant",
    "become": "became", "forgo": "forwent forgone", "win": "won", "spell": "spelt spelled", "hear": "heard",
    "understand": "understood", "prove": "proved proven", "hide": "hid hidden", "bear": "bore borne", "pay": "paid",
    "mistake": "mistook", "quit": "quit", "bet": "bet",
}  # fmt: skip
_DOUBLED = frozenset(
    [
        "get",
        "put",
        "run",
        "begin",
        "stop",
        "set",
        "cut",
        "dig",
        "plan",
        "swap",
        "drop",
        "fit",
        "forget",
        "win",
        "spot",
        "sit",
        "omit",
        "refer",
        "shun",
        "grab",
        "skip",
        "quit",
        "submit",
        "commit",
        "prefer",
    ]
)

# Words that say that something is of no use, was a fault, or is not so.
_BAD = """
    wrong wrongly mistaken mistakenly mistake mistakes error errors erroneous false falsely untrue lie incorrect
    incorrectly empty broken useless pointless futile unhelpful irrelevant unsuitable unfit bad badly poor fruitless
    misleading forbidden prohibited taboo unnecessary needless superfluous redundant inadvisable unwise foolish
    stupid silly absurd impossible nonsense doubt doubtful dubious unlikely dead worthless harmful hopeless absent
    worse worst insufficient inadequate unavailable problem problematic fault faulty flaw flawed failure blunder
    misstep trap decoy distraction distractor dud detour vain ruined damaged defective unplugged senseless misguided
    ineffective unproductive counterproductive unsuccessful unsuccessfully nonexistent unreliable inferior
    malfunctioning disconnected inoperative unneeded unwanted ill-advised mislead misleads misled inappropriate
    inapplicable disappointing culprit fool fools foolishly idiot regret regrets regretted regrettable distracted
    deceived fooled tricked sidetracked careless hasty premature sloppy reckless negligent inefficient exceeds
    exceed exceeded overpriced mistook confused misread dead-end nonsensical bogus unusable waste wastes wasted
    wasting misdirected myth myths misconception misconceptions fallacy hoax
    unfortunate ill-chosen misjudged unjustified unwarranted spoiled spoilt spoiling wrecked wrecks sank sinks doomed
    dooms undoing downfall sabotaged botched disqualified banned outlawed illegal unlawful
    crime crimes offence sin superstition hearsay propaganda forgery
"""
_NEGATIONS = "not never no neither nor none nobody nothing nowhere hardly scarcely barely seldom rarely without noone"
_EMPTY = "nothing nowhere fruitlessly"
_MODALS = """
    should must need needs ought shall needed required requires want intend better best please let needing essential
    crucial worth advisable wise important vital sensible
"""
_POSSIBLE = "will would can could may might"
_AUXILIARIES = "should must ought shall do does did has have had is are was were am"
_BELIEVED = "thought believed assumed guessed expected supposed figured hoped imagined presumed suspected"
_HOPES = "hope hopes hopefully luck lucky luckier wish wishes wonder wonders wondered wondering"
_ACTING = """
    agent actor player model attempt trial episode trajectory query run plan answer strategy try search action step
    move
"""
_BEFORE_NOUNS = """
    the a an my your our his her their its this that these those last previous first next another any every each
    some one failed earlier
"""
_PREPOSITIONS = """
    in on at inside under behind from within near by to of for with among into onto beside below above
"""
_ADVERBS = """
    then also never do not please next just only first even simply now again still already really actually instead
    therefore immediately directly straight always quickly finally later soon ever yet once merely right too
    definitely certainly surely carefully so rather completely entirely wholly
"""
_UNDONE = """
    unopened unsearched untested unread unvisited unexplored unchecked untried unused unexamined overlooked
    neglected untouched ignored missed forgotten unnoticed
"""


def _forms(base: str) -> dict[str, int]:
    """Returns the inflected forms of a verb, with the tag of each."""
    stem = base[:-1] if base.endswith("e") and not base.endswith(("ee", "ye", "oe")) else base
    doubled = base + base[-1] if base in _DOUBLED else stem
    in_y = base.endswith("y") and base[-2] not in "aeou"
    past = _IRREGULAR_PAST.get(base, base[:-1] + "ied" if in_y else doubled + "ed")
    third = base[:-1] + "ies" if in_y else base + ("es" if base.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")
    ing = {"lie": "lying", "see": "seeing"}.get(base, doubled + "ing")
    return {third: Tag.FINITE, ing: Tag.ING, **dict.fromkeys(past.split(), Tag.PAST)}


def _word_table() -> dict[str, int]:
    table: dict[str, int] = {}

    def add(words: str | Iterable[str], tags: int) -> None:
        for word in words.split() if isinstance(words, str) else words:
            table[word] = table.get(word, 0) | tags

    for verbs, tags in (
        (_ACTIONS, 0),
        (_CHOOSING, 0),
        (_AVOIDING, Tag.AVOID),
        (_HOLDING, Tag.HOLD),
        (_FINDING, Tag.FIND),
        (_GETTING, Tag.GET),
        (_NOTICING, Tag.NOTICE),
        (_LIKE_BE, Tag.BE),
    ):
        for base in verbs.split():
            add(base, Tag.BASE | tags)
            for form, tag in _forms(base).items():
                add(form, tag | tags)
    add(_BAD, Tag.BAD)
    add(_NEGATIONS, Tag.NOT)
    add(_EMPTY, Tag.NOT | Tag.EMPTY)
    add(_MODALS, Tag.MODAL)
    add(_POSSIBLE, Tag.COULD | Tag.AUXILIARY)
    add(_AUXILIARIES, Tag.AUXILIARY)
    add("is are am be been being was were turned", Tag.BE)
    add("was were", Tag.WAS)
    add(_BELIEVED, Tag.BELIEVED | Tag.PAST)
    add(_HOPES, Tag.HOPE)
    add("i we you he she they", Tag.PERSON)
    add(_ACTING, Tag.ACTING)
    add("it this that there which here", Tag.IT)
    add("them both neither these those none they all", Tag.THEM)
    add(_BEFORE_NOUNS, Tag.ARTICLE)
    add(_PREPOSITIONS, Tag.PREPOSITION)
    add(_ADVERBS, Tag.ADVERB)
    add(_UNDONE, Tag.UNDONE)
    return table


WORDS = _word_table()
"""Tags by word."""
CHOOSING = tuple(sorted({form for verb in _CHOOSING.split() for form in (verb, *_forms(verb))}))
"""All forms of the verbs that say which thing is to be taken."""

PAST_ONLY = frozenset(
    (
        "went",
        "took",
        "chose",
        "wrote",
        "ran",
        "began",
        "did",
        "gave",
        "saw",
        "came",
        "became",
        "knew",
        "forgot",
        "hid",
        "got",
        "had",
    )
)
"""Past forms that are no participles."""
