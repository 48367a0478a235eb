"""Rewords how English sets one name against another, where the order of the two tells which one is wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from retro_gym_envs.asides import plainly, without_asides
from retro_gym_envs.contrasts import NEW, OLD, contrasted
from retro_gym_envs.english.clauses import plain_words

__all__ = ["reworded"]

_OUGHT = r"(?:should|ought to|must|needs to|has to)"
_START = r"(?:(?<=^)|(?<=[.;:,!\n] )|(?<=\n))"
_END = r"(?= ?(?:[.,;!\n]|$))"
# Names are written as their numbers.
_REPLACED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:replac|swapp?|exchang|trad|switch|chang)(?:e|ed|ing)? {OLD} (?:with|by|for|against|out for) {NEW}",
        rf"\bsubstitut(?:e|ed|ing)? {OLD} (?:with|by) {NEW}",
        rf"\bsubstitut(?:e|ed|ing)? {NEW} for {OLD}",
        rf"\b(?:chang|switch|correct|turn|mov|alter)(?:e|ed|ing)?(?: over)?(?: from)? {OLD} (?:in|over )?to {NEW}",
        rf"\b(?:(?:i|we|the agent|the query) )(?:\w{{1,24}} ){{1,3}}?{OLD},? (?:when|where|while|but|although|though) "
        rf"(?:it|that|this|(?:the )?\w{{1,24}} \w{{1,24}}) {_OUGHT} (?:really )?have been {NEW}",
        rf"{OLD} {_OUGHT} (?:really )?(?:have been|be|read|become|have read) {NEW}",
        rf"{OLD} {_OUGHT} be (?:changed|replaced|switched|swapped|corrected|turned|exchanged) "
        rf"(?:in|over )?(?:to|with|by|for) {NEW}",
        rf"{NEW} (?:{_OUGHT}|will|can|could|would)(?: have)? (?:replaced?|supersede|taken? the place of) {OLD}",
        rf"{NEW} (?:in place of|over|where i (?:wrote|had|used|put|took)) {OLD}",
        rf"\b(?:i |we )?(?:confus|mistook|mistak)(?:ed|e|en)? {OLD} (?:with|for) {NEW}",
        rf"\b(?:i |we )?mix(?:ed)? (?:up )?{OLD} (?:up )?(?:and|with) {NEW}",
        rf"{OLD} ?(?:[-=]+>|→) ?{NEW}",
        rf"{_START}{NEW}(?:,? (?:and )?not|,? rather than|,? instead of) {OLD}{_END}",
        rf"{_START}not {OLD},? (?:but|rather) {NEW}{_END}",
    )
)
_CHOSEN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:\b(?:it )?turn(?:s|ed) out(?: that)?,? )?\bit (?:was|is) (?:really )?{NEW} all along",
        rf"(?<!not ){NEW} it is{_END}",
        rf"{_START}{NEW} from now on",
    )
)
_LIST = r"[\"'`]?\0\d+[\"'`]?(?:(?:,| and| or| /|, and) [\"'`]?\0\d+[\"'`]?)*"
_BARE = re.compile(
    rf"(?:(?<=^)|(?<=[.;:\n] ))(?P<ought>it (?:should|must|has to|ought to) (?:have been|be) )?(?P<list>{_LIST})"
    r"(?= ?(?:[.,;!]|instead|rather|not|$))"
)
_ASIDE = re.compile(r"\((?:not|instead of|rather than) [^()]*\)")
_OF_OTHERS = re.compile(r"((?:^|[.!?;\n])[^.!?;\n\0]*), which [^.,;!?\n\0]*(?=[.,;!?\n]|$)")
"""A judgement in a sentence without any of the names (``I took V, which failed``): it is about another decision."""


def reworded(reflection: str, names: Sequence[str], about: re.Pattern[str]) -> str:
    """Returns a reflection with replacements as ``use … instead of …``, and names that stand alone as ``use …``.

    Args:
        reflection: the text.
        names: the names that the actor knows.
        about: matches words that a sentence about the task contains; what names other things is left out.

    >>> reworded("I chose dalor when it should have been vikum.", ["dalor", "vikum"], re.compile("choose"))
    'use vikum instead of dalor.'
    """
    numbers = {name.lower(): f"\0{number}" for number, name in enumerate(names)}
    text = re.sub(r"\w+", lambda match: numbers.get(match[0], match[0]), plain_words(reflection))
    if "\0" not in text:
        return text
    text = _OF_OTHERS.sub(r"\1", _ASIDE.sub("", contrasted(plainly(without_asides(text, about)))))
    for pattern in _REPLACED:
        text = pattern.sub("use \0\\g<new> instead of \0\\g<old>", text)
    for pattern in _CHOSEN:
        text = pattern.sub("use \0\\g<new>", text)
    text = _BARE.sub(lambda match: f"{'i must use' if match['ought'] else 'use'} {match['list']}", text)
    return re.sub(r"\0(\d+)", lambda match: names[int(match[1])], text)
