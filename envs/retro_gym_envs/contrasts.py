"""Rewords how English judges two names against each other: one is wrong, and the other one is right."""

from __future__ import annotations

import re

__all__ = ["NEW", "OLD", "contrasted"]

_NAME = (
    r"(?:(?:the|my|a) )?(?:[a-z]\w{{0,24}} )?(?:(?:column|table|value|code|key|word|maker|one|product) )?"
    r"[\"'`]?\0(?P<{}>\d+)[\"'`]?"
)
"""The pattern of a name, which is written as its number, with a noun before it; to be formatted with a group's name."""

OLD, NEW = _NAME.format("old"), _NAME.format("new")
"""The patterns of the name that is not wanted, and of the one that is."""
_FIRST, _SECOND = _NAME.format("first"), _NAME.format("second")
_END = r"(?= ?(?:[.;,!?:\n]|$))"
_REST = r"[^.;:!?,\n\0]{0,60}?"
_IS = (
    r"(?:(?:is|was|are|were|looks|looked|seems|seemed)(?: to be)?|would be|would have been|turn(?:s|ed) out(?: to be)?)"
)
_OUGHT = r"(?:is|was|should be|should have been|must be|has to be|had to be|ought to be|needs to be)"
_WRONG = (
    rf"(?:{_IS} (?:(?!not\b)[a-z]{{1,12}} ){{0,3}}?"
    r"(?:wrong|incorrect|bad|mistaken|false|unsuitable|useless|irrelevant|mistake|error|trap)"
    r"|(?:is|was|does|did|do|can|could|will|would|has|had) not(?! (?:an? )?(?:wrong|bad|incorrect|mistake)\b)"
    rf"|fail(?:s|ed)|miss(?:es|ed)|lack(?:s|ed)|violate[sd])\b{_REST}"
)
_RIGHT = (
    rf"(?:{_IS} (?:(?!not\b|wrong\b)[a-z]{{1,12}} ){{0,2}}?"
    rf"(?:right|correct|proper|better|best|fine|suitable|needed|wanted|required|meant|the one|what)\b{_REST}"
    rf"|(?:does|did|is|would|will|was|should|has|had){_END}"
    rf"|(?:fits?|match(?:es|ed)?|work(?:s|ed)?|suit(?:s|ed)?|help(?:s|ed)?|satisfie[sd]|meets)\b{_REST})"
)
_TURN = r"(?: ?[,;.!]+(?: (?:and|but|while|whereas|yet|so|only))?| and| but| while| whereas| though| yet) "
_IN_FACT = r"(?:really |actually |rather |instead |in fact )?"
_CONFUSED = r"(?:confus(?:ed?|ing)|mix(?:ed|ing)?(?: up)?|mistook|mistak(?:en?|ing)|swapped|took)"
_FAULT = r"(?:mistakes?|errors?|wrong|problem|fault|issue|bug|incorrect|i used|used|i took|i chose|old|before)"
_CURE = r"(?:fix(?:ed)?|correct(?:ion|ed)?|solution|right|remedy|instead|better|new|after|should be|needed|i need|cure)"

_PAIRS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{OLD} {_WRONG}{_TURN}{_IN_FACT}{NEW} {_RIGHT}{_END}",
        rf"{NEW} {_RIGHT}{_TURN}{OLD} {_WRONG}{_END}",
        rf"{NEW} {_RIGHT}(?: ?,)?(?: and)? (?:unlike|in contrast to|as opposed to|not) {OLD}{_END}",
        rf"\b(?:is|was) not {OLD} ?,? ?(?:but rather|but|rather|instead) (?:it is |it was )?{NEW}{_END}",
        rf"\b(?:is|was) not {OLD} ?[.;,:!]+ (?:but |instead |rather )?(?:it|that|this) {_OUGHT} {_IN_FACT}{NEW}"
        rf"{_END}",
        rf"\b(?:is|was) not {OLD}{_TURN}{_IN_FACT}{NEW} (?:is|was){_END}",
        rf"\b(?:mistook|took|held|mistaken|regarded|treated) {OLD} (?:for|to be|as) (?:the |a )?"
        rf"(?:right|correct|proper|good|best)\b{_REST}(?:{_TURN}| when )(?:it|that|the \w+(?: one)?) {_OUGHT} "
        rf"{_IN_FACT}{NEW}{_END}",
        rf"\b{_FAULT}(?: \w+)? ?: {OLD} ?[.,;|\n]+[ *-]*{_CURE}(?: \w+)? ?: {NEW}{_END}",
    )
)
_SUBJECT = r"(?:(?:i|we) (?:have |had )?)?"
_START = r"(?:(?<=^)|(?<=[.;!?\n] )|(?<=\n))"
_WHICH = r"the (former|latter)(?: one)?(?![\w-])"
_RESOLVED = re.compile(
    rf"(?P<confused>{_SUBJECT}\b{_CONFUSED} (?:up )?)?{_FIRST}(?P<between> [^\0\n]{{0,40}}?){_SECOND}"
    rf"(?P<then>(?:[^\0\n]{{0,60}}?\b{_WHICH}){{1,4}})"
)
_OUT_OF = re.compile(rf"{_START}(?:between|among|amongst|of|out of) {_FIRST}(?:,? and|,? or|,) {_SECOND} ?,")
"""Two names, of which the sentence is going to say which one is right."""
_JUDGED = re.compile(rf"{_NAME.format('name')} ?\((?P<verdict>[^()\n\0]{{1,40}})\) ?(?:vs\.?|versus|->|/|,|;|but|and)?")
_ADVERB = r"(?:(?:which|that|this) )?(?:is |was )?(?:the |my |a |clearly |plainly |obviously |simply |just |what )*"
_SO_WRONG = re.compile(
    rf"{_ADVERB}(?:wrong|incorrect|bad|mistake|mistaken|error|failed|false|no|x)(?: (?:one|choice))?"
)
_SO_RIGHT = re.compile(
    rf"{_ADVERB}(?:right|correct|good|true|yes|fix|needed|i need(?:ed)?|should have been|better)(?: (?:one|choice))?"
)
_AND_NOT = re.compile(rf"\0(?P<new>\d+)(?P<quote>[\"'`]?) ?,? and (?:certainly |definitely )?not {OLD}{_END}")
_DENIED = re.compile(
    r"\b(?:not (?:true|so|the case)|untrue|false|myth|lie|thought|believed|claim\w*|doubt\w*|whether)\b"
)
_UNSURE = re.compile(r"\b(?:not|said|if|never)\b")


def contrasted(text: str) -> str:
    r"""Returns a text in small letters, names as their numbers, in which it is plain which of two names is wanted.

    >>> contrasted("\0" "1 does not fit, whereas \0" "2 does.").replace("\0", "N")
    '. use N2 instead of N1.'
    """
    text = _OUT_OF.sub("", _RESOLVED.sub(_named_again, text))
    text = _JUDGED.sub(_told, text)
    for pattern in _PAIRS:
        text = pattern.sub(_taken, text)
    return _AND_NOT.sub("\0\\g<new>\\g<quote>, not \0\\g<old>", text)


def _named_again(match: re.Match[str]) -> str:
    """Writes a name where the text says ``the former`` or ``the latter``."""
    names = {"former": match["first"], "latter": match["second"]}
    then = re.sub(_WHICH, lambda which: f"\0{names[which[1]]}", match["then"])
    if match["confused"]:
        return f". {then[then.index(chr(0)) :]}"  # which one was taken for which does not tell which one is right
    return match[0].removesuffix(match["then"]) + then


def _told(match: re.Match[str]) -> str:
    """Writes out a verdict in parentheses."""
    if _SO_WRONG.fullmatch(match["verdict"]):
        return f". do not use \0{match['name']} ."
    return f". use \0{match['name']} ." if _SO_RIGHT.fullmatch(match["verdict"]) else match[0]


def _taken(match: re.Match[str]) -> str:
    """Writes out which of two names is wanted; nothing if the sentence denies, doubts or asks it."""
    before = re.split(r"[.;!?\n]", match.string[max(0, match.start() - 80) : match.start()])[-1]
    asked = re.match(r"[^.;!?\n]{0,80}\?", match.string[match.end() : match.end() + 81])
    if asked or _DENIED.search(before):
        return "."
    return match[0] if _UNSURE.search(before) else f". use \0{match['new']} instead of \0{match['old']}"
