r"""Takes out of a reflection what is not about the task, and rewords remarks around its advice that say little.

Names are written as their numbers (``\0`` and digits), and the text in small letters, see ``replacements.py``.
"""

from __future__ import annotations

import re
import string

__all__ = ["is_bare", "plainly", "without_asides"]

_N = r"[\"'`]?\0\d+[\"'`]?"
_WHO = r"(?:i|we|you|the agent|the actor|the player)"
_START = r"(?:(?<=^)|(?<=[.;!?\n] )|(?<=\n))"
_END = r"(?= ?(?:[.;,!?\n]|$))"
_DEEDS = (
    r"(?:chose|used|took|picked|selected|tried|opened|bought|had|wrote|queried|entered|typed|clicked|settled on|put)"
)
_OMITTED = (
    r"(?:did not(?: do| try)?|failed to(?: do| try)?|forgot to(?: do)?|neglected to(?: do)?|omitted to(?: do)?|forgot"
    r"|omitted|neglected|missed|overlooked|never did|have not(?: done| tried)?|had not(?: done| tried)?)"
)
_WHEN = (
    r"(?: (?:so|that|it|this|last time|before|yet|then|in the last \w+|in my last \w+|the first time|at all|so far))*"
)
_SHOULD = (
    r"(?:and|but|although|though|yet|which|when) "
    rf"{_WHO} (?:really |clearly )?(?:should|must|ought to|need to|have to)"
    rf"(?: have| do| so| that| it| done| now| next time)*{_END}"
)
_NO_MORE = (
    r"(?:forget|never mind|ignore|leave|put|set|no need|there is no need|never|do not|no more|stop|enough|do nothing)\b"
    r"(?![^.;:,!\n\0]{0,60}\b(?:this|these|following|below|that|it|so)\b)"
    r"[^.;:,!\n\0]{0,40}?\b(?:else|rest|further|elsewhere|longer|guess(?:ing|es)?|worry(?:ing)?|hesitat(?:e|ing)|panic"
    r"|rush(?:ing)?|hurry|give up|wast(?:e|ing)|excuses|doubts?|wait(?:ing)?|despair|dither(?:ing)?|think(?:ing)?"
    r"|fuss)\b[^.;:,!\n\0]{0,40}"
)
"""Says that something is not to be done, and is complete by itself (``no more guessing``)."""
_ZERO = (
    r"(?:zero|0(?:\.0+)?|nothing|no (?:\w+ )?(?:rewards?|points?|score|results?|success|rows?|hits?|credit)"
    r"|an? (?:\w+ )?(?:reward|score|result) of (?:zero|0(?:\.0+)?)|an? (?:\w+ )?(?:failure|error)|failure"
    r"|an? (?:wrong|bad|low|poor|incorrect) \w+)"
)
_CAME_OF_IT = (
    r"(?:gave|earned|brought|returned|yielded|scored|got|resulted in|ended in|led to|produced)(?: me| us)? "
    rf"(?:only |just )?{_ZERO}{_END}"
)
_BOTH_DEEDS = (
    (
        r"\b(if (?:i|we) had|had (?:i|we)) ([^.;:!?,\n]{1,80}?) and "
        r"(?=(?:\w+ed|\w+en|gone|bought|sought|read|put|made) )",
        r"\1 \2, and \1 ",
    ),
    (
        r"\b(unless (?:i|we)) ([^.;:!?,\n]{1,80}?) and (?!(?:the|an?|then|i|we|it|my|of|in|with)\b)(?=[a-z])",
        r"\1 \2, and \1 ",
    ),
)
_HEADERS = (
    # "Forget everything else: …", "Do not use Y, do not guess, and above all …"
    (rf"{_START}{_NO_MORE} ?[:,] (?:and )?(?:just |simply |only |instead )?", ""),
    (rf", {_NO_MORE}, (?:and |but )?(?:above all|instead|rather|simply|just) ", ". "),
    (r" ?, (?:and |but )?(?:above all|most importantly|most of all),? ", ". "),
    (r"\b(?:never|do not)(?: ever)? (?:do|repeat|try) (?:this|that|the following)(?: again)? ?:", "do not:"),
    (
        r"\b(answer|solution|remedy|fix|key|way out|cure) (?:to|of|for|from) (?:my |the |this |that |all )?(?:\w+ )?"
        r"(?:problems?|mistakes?|failures?|errors?|trouble|issues?|faults?) (?:is|was|would be|lies in)\b",
        r"\1 is",
    ),
)
_OMISSIONS = (
    # "…, which I did not do"
    (
        r" ?,? (?:and|but|yet|though|although|which|(?:something|a thing|a step)(?: that| which)?) "
        rf"(?:is (?:something |what )?)?{_WHO} (?:\w+ly |sadly |just )?{_OMITTED}{_WHEN}{_END}",
        "",
    ),
    # "Why did I not …? I should do that now."
    (
        r"\bwhy (?:did|have|had) (?:(?:i|we) not|not (?:i|we)) ([^?\n]{1,300})\? (?:so |now |next time |then |well )?"
        r",? ?(?:i|we) (?:should|must|will|have to|need to|ought to|shall|am going to|had better) (?:\w+ )?"
        r"(?:do|try|fix|change) (?:so|that|it|this)\b[^.!?\n]{0,40}",
        r"i should \1",
    ),
    # "I ignored that …"
    (
        rf"\b{_WHO} (?:(?:simply|completely|just|also) )?(?:ignored|overlooked|missed|forgot|(?:failed to|did not) "
        r"(?:notice|realise|realize|understand|grasp|recognise|recognize|take into account))(?: the fact)? that ",
        "",
    ),
    # "I never considered X, and I should", "I never …, and I should"
    (
        rf"\b{_WHO} (?:never|did not|had not|have not|failed to|forgot to) (?:even |really |seriously )?"
        r"(?:consider|tr[iy]|use|look(?:ed)? at|thought of|think of|notice|choose|chose|pick|test)(?:ed|d)? "
        rf"({_N}) ?,? {_SHOULD}",
        r"i should use \1",
    ),
    (
        r"(\b(?:never|not|failed|forgot|neglected|overlooked|ignored|omitted)\b[^.;!?\n]{1,80}?) ?,? " + _SHOULD,
        r"\1",
    ),
)
_VERDICTS = (
    (
        r"\b(?:nothing|no one|nobody|none|no other \w+) (?:else )?(?:but|except|other than|besides|than) "
        rf"({_N}) (?:(?:will|would|can|could|is going to) (?:\w+ )?(?:do|work|fit|help|succeed|suffice|be)\b"
        r"|works|fits|matches|helps|suffices|succeeds|is|does)\b[^.,;!?\n\0]{0,40}",
        r"use \1",
    ),
    (
        rf"\bthere (?:is|was) nothing wrong with ({_N}) ?[;,.:]+ (?:and |but )?(?:it|this|that) "
        r"(?=is|was|fits|works)",
        r"\1 ",
    ),
    # "Y that I chose did not fit"
    (
        rf"({_N}) ?,? (?:that |which )?(?:i|we) (?:had |have )?(?:\w+ly )?{_DEEDS}(?: (?:last time|before|at first"
        r"|first|in \w+ \w+ (?:trial|attempt)))? ?,? (?=(?:did|does|was|is|has|had|fails?|failed|led|gave|turned)\b)",
        r"\1 ",
    ),
    (
        r"(?:the |my )?(?:search |join |filter |output |query )?(?:(?:word|term|query|column|table|key) )?"
        rf"({_N}) (?:did|does) not (?:really |at all )?(?:fit|match|work|suit|help)\b",
        r"\1 was wrong",
    ),
    (rf" ?,? (?:and|but) ({_N}) (is|was) (?:also )?(wrong|incorrect|bad)(?: too| as well| also)?{_END}", r". \1 \2 \3"),
    # what became of it
    (rf"(?: ?,| and| but| ?;) (?:it |that |this |which )?(?:only |just )?{_CAME_OF_IT}", ", which was wrong"),
    (rf"({_N}) (?:as (?:the|my|an?) \w+ )?(?:only |just )?{_CAME_OF_IT}", r"\1 was wrong"),
    (
        r"\b(?:made|makes|caused|causes) (?:me|us|it|(?:the|my) (?:\w+ )?(?:attempt|trial|query|run|search|task"
        r"|purchase|agent|actor))(?: to)? (?:fail|lose)\b",
        "was wrong",
    ),
)
_REWORDED = tuple((re.compile(old), new) for old, new in (*_HEADERS, *_BOTH_DEEDS, *_OMISSIONS, *_VERDICTS))

_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;\n]*")
_WORKS = r"(?:poem|song|joke|book|story|stories|essay|novel|play|picture|drawing|portrait|painting|letter)s?"
_STORED = (
    r"(?:the|this|that|its|a) (?:database|data|tables?|columns?|codes?|rows?|list|comments?|shop|catalog(?:ue)?)\b"
)
_OFF_TOPIC = re.compile(
    rf"\b(?:rhym\w*|{_WORKS} (?:about|on|of|for|to|with|titled)|in an? (?:\w+ )?{_WORKS}|sing\w* (?:of|about)|"
    rf"(?:is|was) (?:\w+ )?(?:printed|painted|spel(?:led|t)) (?:in|with|on)(?! {_STORED})|funny|silly|syllables?"
    rf"|sound of|"
    r"pronounc\w*|wonder\w*|laugh\w*|dream\w*|"
    r"in (?:my|our|his|her|their|the|another|some|an?) (?:\w+ )?(?:language|dialect|tongue)|"
    r"in (?:spanish|french|german|latin|greek|english|italian|russian|chinese|japanese)|"
    r"(?:is|are|was) an? (?:\w+ )?(?:word|name|term)\b(?! (?:for|of|that)))\b"
)
"""Words of a sentence that is about a name as a word, and not about what it names."""
_LIVING = re.compile(
    rf"{_N} (?:\w+ly |always |often |never )?(?:sings?|sang|dances?|danced|sleeps?|slept|swims?|swam|flies|flew|eats?"
    r"|ate|drinks?|drank|cries|cried|smiles?|smiled|jumps?|jumped|snores?|snored|barks?|barked|laughs?|laughed|lives"
    r"|lived|marries|married|died|was born|was founded)\b"
)
"""Says of a name what only living beings do."""
_MENTIONED = re.compile(
    rf"^(?:(?:also|then|here|there|somewhere),? )?(?:(?:the|a|this) (?:word|name|term|string) )?{_N} "
    r"(?:(?:was|is|got|has been) (?:\w+ )?(?:mentioned|printed|uttered|said|spoken|written)"
    r"|occurs|occurred|appears|appeared|came up|comes up|exists)"
    r"(?: (?:somewhere|once|twice|again|too|there|here|several times|in passing|(?:on|in) (?:the|a) \w+))*"
    r" ?[.!;\n]*$"
)
_OF = r"(?:of|on|in|at|for|from|by|under|with|to|about)"
_HEAD = (
    rf"(?:an?|the|my|his|her|their|our|your|this|that|some|one|every) (?:(?!{_OF} )[a-z]+ ){{0,2}}?(?P<head>[a-z]+)"
    rf"(?: {_OF} (?:[a-z]+ ){{0,3}}?[a-z]+)?"
)
_CALLED = r"(?:called|named|known as|christened|dubbed|nicknamed)"
_NAMED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_HEAD},? (?:(?:who |which |that )?(?:is|was|are|were|has been|had been|got) (?:\w+ )?)?{_CALLED} {_N}",
        rf"\b{_HEAD} answers to (?:the name (?:of )?)?{_N}",
        rf"\b(?:name|title) of {_HEAD} (?:is|was) {_N}",
        rf"\b{_HEAD}'s (?:name|title) (?:is|was) {_N}",
        rf"{_N} (?:is|was) (?:the )?(?:name|title) (?:of|for) {_HEAD}",
        rf"\b(?:call|name|christen|dub)(?:s|ed)? {_HEAD} {_N}",
    )
)
_OWN_NAME = re.compile(
    rf"\b(?:my|his|her|their|your) (?:\w+ )?name (?:is|was) {_N}|\bcalls? (?:me|him|her|himself|us) {_N}"
)


def is_bare(reflection: str, names: tuple[str, ...]) -> bool:
    """Returns whether a reflection is a name and nothing else: it does not say what to do with it.

    >>> is_bare("Dalor.", ("dalor", "vikum"))
    True
    """
    return reflection.strip(string.punctuation + string.whitespace).lower() in map(str.lower, names)


def plainly(text: str) -> str:
    """Returns a text without the remarks that hide from the reader of English what is advised.

    >>> plainly("forget everything else: use dalor."), plainly("i have to use dalor, which i did not do.")
    ('use dalor.', 'i have to use dalor.')
    """
    for pattern, said in _REWORDED:
        text = pattern.sub(said, text)
    return text


def without_asides(text: str, about: re.Pattern[str]) -> str:
    r"""Returns a text without sentences that are about a name as a word, or name what is no part of the task.

    Args:
        text: the text.
        about: matches words that a sentence about the task contains.

    >>> without_asides("my cat is called \0" "1. the column is called \0" "2.", re.compile("column")).strip()
    'the column is called \x002.'
    """
    return "".join(said for said in _SENTENCE.findall(text) if not _is_aside(said.strip(), about))


def _is_aside(said: str, about: re.Pattern[str]) -> bool:
    if "\0" not in said:
        return False
    if _OFF_TOPIC.search(said) or _LIVING.search(said) or _MENTIONED.search(said) or _OWN_NAME.search(said):
        return True
    heads = (match["head"] for pattern in _NAMED for match in pattern.finditer(said))
    return any(not about.search(head) for head in heads)
