"""Wordings of English whose sense no word of theirs gives, and plain ones for them.

They match masked text in lower case without contractions, where each name is one character. Every pattern is bounded,
so that long texts are read in linear time.
"""

from __future__ import annotations

import re

from retro_gym_envs.english.lexicon import WORDS, Tag
from retro_gym_envs.english.links import NOUN

__all__ = ["plainly_worded"]

_NAME = rf"(?:the |a |an )?{NOUN.pattern}(?: (?:on|in|from|at|of) (?:the )?{NOUN.pattern})?"
_AT = "(?:(?:in|on|at|from|with|under|to) )?"
_EXCEPT = r"(?:but|except|except for|except from|save|save for|apart from|aside from|besides|other than|than|excluding)"
_NONE = r"(?:no(?! one|body)(?: other)?(?: \w+){0,2}|none|no one|nobody|nothing)"
_LAST = r"the (?:very )?last (?:\w+ ){1,2}"
_VERDICT = (
    r"(?: (?:is|are|was|were|will|would|can|could|do|does|did|works?|worked|helps?|helped|fails?|failed|seems?|looks?|"
    r"has|have|serves?|suits?|fits?)\b[^.,;:!?\n]{0,40})"
)
_DENIES = re.compile(r"\b(?:not|never|no|fails?|failed|out of (?:reach|order|use)|off limits)\b")
_MEANT = (
    "(?:useful|helpful|promising|likely|relevant|suitable|probable|valuable|trustworthy|reliable|good|sensible|usable"
    "|plausible|appropriate|fitting|effective|convenient|desirable|adequate|interesting|fit|correct|right)"
)
_INVITING = rf"(?:{_MEANT}|fine|tempting|obvious|easy|close|near|attractive|familiar|all right|okay)"
_KNOWN = r"(?:need|needed|want|wanted|seek|sought|require|required|look for|am after)"
_OTHER = r"(?:actually |really |in fact |rather )?(?:the (?:\w+ ){1,3}of )?"
_DENIED = rf"(?P<denied>\bnot\b[^.;:!?\n]{{0,50}}[.;,:] (?:but |while |whereas |only |and )?{_NAME})"
_ASKED = r"(?P<asked>(?:^|[.;:!?\n] ?)(?:(?:and|so) )?(?:which|what|where|who|whom|whose)\b[^.,;:!?\n]{0,60})"
_THAT_OF = r"(?:(?:that|those|the (?:pages?|entry|article|one)) (?:of|on|about|for) )?"
_FIRST = r"(?P<first>^|[.;:!?\n] ?)"
_WORST = r"(?:only )?(?:as (?:a|the|my) last resort|(?:if|when) (?:all|everything) else fails)"

_ASIDE = r"(?P<aside>^|[.;:!?\n,] ?|\b(?:and|but) )"
_DROPPED = "(?:dropped|abandoned|given up|discarded|scrapped|forgotten|rejected|dismissed|ruled out|shelved|ditched)"
_SOMEONE = r"(?:someone|somebody|anyone|anybody|one|i|we|you|they|it|the (?:agent|actor))"

_MAD = "(?:crazy|mad|insane|nuts|out of (?:my|your) mind|madness|insanity|suicide|folly|lunacy)"

_PLAINER: tuple[tuple[re.Pattern[str], str], ...] = (
    # "No page other than X", "none but X", "no page helps except X"
    (re.compile(rf"\b{_NONE},? {_EXCEPT} (?={_NAME}|the )"), "only "),
    # "X is the last page to open, and Y the last line to read"
    (
        re.compile(rf"\b(is|are|would be|will be) {_LAST}(?=(?:to|i|we|you|one|anyone|anybody|that|worth|on)\b)"),
        r"\1 no thing ",
    ),
    (re.compile(rf"(and (?:the )?{NOUN.pattern}) {_LAST}(?=to\b)"), r"\1 is no thing "),
    # "X is the least useful of all", "X is less useful than Y"
    (re.compile(rf"(?<!at )(?<!not )(?<!no )\b(?:the )?(?:least|less) {_MEANT}\b"), "useless"),
    # "While X looked right, …"
    (
        re.compile(
            rf"\b(?:while|although|though|even though|even if) ({_NAME}) (?:may |might |did )?"
            rf"(?:look|seem|appear|sound)(?:s|ed)?(?: \w+){{0,2}} {_INVITING}\b[^.,;:!?\n]{{0,30}},(?! ?(?:it|this)\b)"
        ),
        r"\1 is wrong;",
    ),
    # "The less I think of X, the better"
    (re.compile(r"\bthe less (?:often )?(i|we|you|one) (?=[^.;:!?\n]{1,100}, the better\b)"), r"\1 must not "),
    # "What I need from X is Y"
    (
        re.compile(rf"\bwhat (i|we) ({_KNOWN}) (?:from|on|of|in|at|out of) ({_NAME}) (is|was)\b"),
        r"go to \3; what \1 \2 \4",
    ),
    # "It is not X; it is Y"
    (
        re.compile(rf"(?<![^\s.,;:!?])(?<!because )(?<!since )it (is|was) (not )?(?={_OTHER}{_NAME})"),
        r"the right one \1 \2",
    ),
    # "X is not right; Y is", "X does not hold it; Y does"
    (
        re.compile(rf"{_DENIED} (?:is|are|was|does|do|did|can|will|would)(?= ?(?:[.,;!\n]|and\b|$))"),
        r"\g<denied> is the right one",
    ),
    # "Not X but Y.", "Not X: Y."
    (
        re.compile(rf"(?m){_FIRST}not ({_AT}{_NAME})(?:,? but|:) (?={_AT}{_NAME} ?(?:[.,;!\n]|$))"),
        r"\g<first>choose not \2 but ",
    ),
    # "not for X but for Y"
    (re.compile(rf"\b(not [^.,;:!?\n]{{1,40}}{NOUN.pattern}) but for (?={_NAME})"), r"\1 but "),
    # "Which page? X.", "Which page? That of X."
    (
        re.compile(rf"(?m){_ASKED} ?\? +(?={_AT}{_THAT_OF}{_NAME}[^.;:?\n]{{0,60}}(?:[.!\n]|$))"),
        r"\g<asked>: ",
    ),
    # "It turns out that X is right"
    (re.compile(rf"{_ASIDE}(?:as )?(?:it )?turn(?:s|ed) out(?: that|,)? (?!to\b|not\b)"), r"\g<aside>"),
    # "I took Y, but the answer was X"
    (
        re.compile(
            rf"\b(?:but|while|whereas|when|although) ((?:in fact |really |actually )?)the "
            rf"(?:(?:right|correct|proper|real|actual) )?(?:answer|choice|pick|option|solution) (is|was) (?={_NAME})"
        ),
        r"but \1the right one \2 ",
    ),
    # "The idea of opening X should be dropped"
    (
        re.compile(
            rf"(?:\bthe (?:idea|thought|plan|notion|habit|option|practice) of )?\b(\w+ing\b[^.,;:!?\n]{{1,60}}?) "
            rf"(?:should|must|has to|needs to|ought to|can|is to) (?:\w+ )?be {_DROPPED}\b"
        ),
        r"avoid \1",
    ),
    # "Suppose someone opened X: it would fail"
    (
        re.compile(rf"(?m){_FIRST}(?:suppose|imagine|assume|say)(?: that)?,? (?={_SOMEONE} )([^.;:!?\n]{{1,80}}):"),
        r"\g<first>if \2,",
    ),
    # "Change X to something else"
    (
        re.compile(
            rf"\b(?:change|switch|swap|replace|exchange|trade)(?: from)? ({_NAME}) (?:to|for|with|by) "
            rf"(?:something|another|a different|some other|any other)\b"
        ),
        r"avoid \1 for another",
    ),
    # "Leave X where it is"
    (
        re.compile(
            rf"\b(?:leave|leaving|left|let) ((?:the |a |an )?(?:\w+ )?{_NAME}) (?:(?:just |right |exactly )?where"
            rf" (?:it|they) "
            r"(?:is|are|was|were|stands?|lies?|lay|sits?)\b|as (?:it|they) (?:is|are)\b|in (?:its place|peace)\b"
            r"|be\b(?! \w))"
        ),
        r"avoid \1",
    ),
    # "I have learned not to open X"
    (re.compile(r"\b(?:(?:have|has|had) )?learn(?:ed|t) (not |never )?to (?=\w)"), r"should \1"),
    # "Y only looked right"
    (
        re.compile(
            r"(?<=[\ue000-\uf8ff]) (?:only|merely|just) (?:looks?|looked|seem(?:s|ed)|sound(?:s|ed)|appear(?:s|ed))"
            r"(?: to be)? \w+"
        ),
        " is wrong",
    ),
    # "You must be crazy to open X"
    (re.compile(rf"\bmust (?:be|have been) {_MAD} to\b"), "should not"),
    (re.compile(rf"\b(?:is|was|(?:would|will) (?:be|have been)) (?:sheer |pure |utter )?{_MAD}\b"), "is wrong"),
    (re.compile(rf"\b{_WORST},? ?"), "hardly "),
    (re.compile(r"(?<!never )(?<!not )\btoo late (?=to\b)"), "useless "),
)

_EVERY = re.compile(
    r"\b(?:all|every|everything|everyone|everybody|any|anything|each)\b(?: one\b)?(?: of (?:the|them|these))?(?: the)?"
    r"(?: (?!(?:but|except|of|i|we|is|are|was|were)\b|fail|work|help)\w+){0,2}?"
    rf" {_EXCEPT} (?P<name>{_NAME})(?P<rest>{_VERDICT})"
)


def plainly_worded(text: str) -> str:
    r"""Returns a masked text in plain words.

    >>> x = "\ue000"
    >>> plainly_worded(f"every page but {x} is fine").replace(x, "X")
    'X is useless'
    >>> plainly_worded(f"all but the {x} are broken").replace(x, "X")
    'only the X is right'
    """
    if NOUN.search(text) is None:
        return text
    text = _EVERY.sub(_excepted, text)
    for pattern, plain in _PLAINER:
        text = pattern.sub(plain, text)
    return text


def _excepted(match: re.Match[str]) -> str:
    """Returns what is said of the thing that is excepted: the opposite of what is said of the others."""
    words = match["rest"].split()
    bad = _DENIES.search(match["rest"]) or any(WORDS.get(word, 0) & Tag.BAD for word in words)
    return f"only {match['name']} is right" if bad else f"{match['name']} is useless"
