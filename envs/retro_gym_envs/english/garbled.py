"""Finds sentences whose words are in no order of English: nonsense is no advice, whatever it names.

Matched is masked text in lower case without contractions. Only what no English sentence has counts, so that careless
writing is still read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.lexicon import Link, Tag
from retro_gym_envs.english.links import NOUN, Token

__all__ = ["is_garbled"]

_DETERMINER = r"(?:the|an?)"
_ONLY_VERBS = frozenset((
    "find", "choose", "compare", "put", "take", "go", "buy", "get", "bring", "grab", "examine", "inspect", "execute",
    "enter", "submit", "begin", "continue", "keep", "replace", "prefer", "consult", "verify", "confirm",
))  # fmt: skip
"""Base forms that are no nouns."""
_AS_NAME = r"[-']| now\b| key\b| (?:\w+ )?(?:button|command|action|step|option|link|page)\b"  # "the buy button"
_ONLY_VERB = rf"(?:{'|'.join(sorted(_ONLY_VERBS))})\b(?!{_AS_NAME})"
_COMPOUND = (
    "switch|button|position|off|and|box|tray|clause|stock|sale|order|loan|display|hand|house|use"  # "the on switch"
)
_JOINS = r"(?:because|although|whereas|unless|lest|albeit|whilst|nor|hence)"
_NO_NOUN = (
    rf"(?:{_JOINS}|though|until|thus|therefore|hereby|thereby|hitherto|whence|except|moreover|furthermore|however"
    r"|nevertheless)"
)
"""What no article stands before."""
_CARDINAL = (
    r"(?:three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand)"
)
_COUNTED = r"(?<!step )(?<!number )(?<!turn )(?<!line )(?<!page )(?<!trial )(?<!attempt )(?<!to )(?<!all )"
_IMPOSSIBLE = re.compile(
    rf"\b{_DETERMINER} (?:of|for|from|with|to|and|or|as|at|by|{_DETERMINER}|is|are|was|which|because|if)\b(?! clause\b)"
    rf"|\b(?:{_DETERMINER}|of|for|on|in|at|with|from|by|into|as) {_ONLY_VERB}"
    rf"|\b{_DETERMINER} {_NO_NOUN}\b(?![-'])|\b{_JOINS} (?:and|or) (?!not\b)|\b{_JOINS} ?$"
    rf"|(?:^|\b(?:and|or|an?|the|{_CARDINAL}) )(?:find|put|compare) (?:{_JOINS}|thus|until|though)\b"
    rf"|\b(?:of|from|with|into|for) (?:{_JOINS}|thus|though) (?:the|an?|find|search|query|select|{_CARDINAL})\b"
    rf"|\b{_COUNTED}{_CARDINAL} (?:find|choose|search|query|select|whereas|lest|albeit|nor|thus|hence)\b"
    rf"|\b(?:until|though|whereas|except|unless|because) (?:search|find) \w+ (?:the|{_CARDINAL})\b"
    r"|\bthe (?:search|query|choice|filter|join) (?:(?:the|an?)\b(?! (?:next|first|second|third|last|other|same)\b)"
    rf"|{_CARDINAL}\b|find\b)"
    rf"|\b{_DETERMINER} ?(?:[,;:]|$)"
    r"|\bof (?:of|for|from|on|to|by|with|at(?! least| most))\b|\b(?:on|in|for|with|from|to|by|at|into|and|or) of\b"
    r"|\b(?:of|from|as|into|and|or) (?:and|or)\b|\b(?:for|with|on|in) and (?:the|an?|find|search|join|filter|use)\b"
    r"|\b(?:as|into|and|or|when|if|because|than) ?$"
    rf"|\b(?:search|compare|choose|filter|query|join|select|use|open) {_ONLY_VERB}"
    rf"|\bthe (?:on|in|under|into|within)\b(?![-'/]| (?:{_COMPOUND})\b)"
    rf"|\bthe (?:use|select) (?:{NOUN.pattern}|the|an?)"
    r"|\b(?:find|choose|put|take|buy) (?:search|query|select|use|open) (?:the|an?)\b"
    rf"|(?:{NOUN.pattern}|\b(?:one|two|three|four|five|six|seven|eight|nine|ten)) of ?(?:,|$)"
)
_VERB = Tag.BASE | Tag.ING | Tag.PAST | Tag.FINITE | Tag.BE | Tag.AUXILIARY | Tag.MODAL | Tag.COULD


def is_garbled(said: str, pieces: Sequence[Piece]) -> bool:
    """Returns whether a sentence's words stand in no order of English.

    Args:
        said: the sentence.
        pieces: its clauses.

    >>> is_garbled("Put it the of shelf.", []), is_garbled("Put it on the shelf.", [])
    (True, False)
    """
    if _IMPOSSIBLE.search(said.strip(" .!?;\n")):
        return True
    clauses = [piece.tokens for piece in pieces]
    verbs = [(tokens, index) for tokens in clauses for index, token in enumerate(tokens) if token.tags & _VERB]
    if not verbs or ":" in said or not all(tokens[index].tags & Tag.BASE for tokens, index in verbs):
        return False
    if any(_instructs_otherwise(tokens) for tokens in clauses):
        return False
    sure = [each for each in verbs if len(verbs) == 1 or _is_only_verb(*each)]
    if not all(_may_instruct(tokens, index) for tokens, index in sure):
        return True
    free = [piece.tokens for piece in pieces if piece.link in (Link.START, Link.COMMA, Link.AND)]
    if any(map(_is_torn, free)) or any(map(_lacks_noun, pieces, [*pieces[1:], None])):
        return True
    told = len(free) < len(pieces) or any(map(_may_tell, itertools.chain(*clauses)))
    return not told and not any(
        _may_instruct(tokens, index) and not _is_object(tokens, index) for tokens, index in verbs
    )


def _instructs_otherwise(tokens: Sequence[Token]) -> bool:
    """Returns whether a clause begins with a verb that the lexicon lacks."""
    first = next((token for token in tokens if not token.tags & Tag.ADVERB and token.text not in _LEADING), None)
    return first is not None and first.text in _OTHER_VERBS


def _is_only_verb(tokens: Sequence[Token], index: int) -> bool:
    """Returns whether a word is a verb and no noun or name (``find``; not ``search``, nor ``the buy button``)."""
    return tokens[index].text in _ONLY_VERBS and tokens[max(index - 1, 0)].text not in ("the", "a", "an")


def _is_object(tokens: Sequence[Token], index: int) -> bool:
    """Returns whether a word that may be a verb is a noun, by the word before it (``on query``, ``the use``)."""
    before = tokens[index - 1]
    return index > 0 and bool(before.text in _ARTICLES or (before.tags & Tag.PREPOSITION and before.text != "to"))


def _may_tell(token: Token) -> bool:
    """Returns whether a word may be a verb that the lexicon lacks, or the plural subject of one that it has."""
    return bool(token.tags & Tag.THEM) or (not token.tags and _INFLECTED.search(token.text) is not None)


def _is_torn(tokens: Sequence[Token]) -> bool:
    """Returns whether a noun is torn from its name in an instruction: an article between them begins another noun.

    (``Use value the X``; but not ``Use as value the X``, ``Give the value the name X`` or ``Search for it the next
    time``.)
    """
    for index in range(2, len(tokens) - 1):
        noun, article, after = tokens[index - 1 : index + 2]
        if article.text not in _ARTICLES or after.text in _OF_TIME or article.start > noun.end + 1:
            continue  # between them there may be a sign (``the X & the Y``)
        start = _start_of_noun(tokens, index - 1)
        rest = itertools.dropwhile(_is_plain_noun, tokens[index + 1 :])
        named = NOUN.match(next(rest, article).text) or after.tags & Tag.BASE
        doubled = tokens[index - 2].text in _ARTICLES
        torn = (_is_common(tokens, index - 1) and (named or doubled)) or (NOUN.match(noun.text) and named and doubled)
        if torn and start and not _allows_two(tokens[:start]):
            return True
    return False


def _is_common(tokens: Sequence[Token], index: int) -> bool:
    """Returns whether a word is a common noun; one that may be a verb is, behind an article or another noun."""
    before, noun = tokens[index - 1 : index + 1]
    if noun.tags & Tag.BASE and not _is_object(tokens, index) and not _is_plain_noun(before):
        return False
    return _is_plain_noun(noun) and not (noun.tags & Tag.BASE and _may_instruct(tokens, index))


def _start_of_noun(tokens: Sequence[Token], index: int) -> int:
    """Returns where the words before a noun begin that belong to it."""
    while index:
        word = tokens[index - 1]
        verb = word.tags & Tag.BASE and not _is_object(tokens, index - 1)
        if not (word.text in _ARTICLES or NOUN.match(word.text) or (_is_plain_noun(word) and not verb)):
            break
        index -= 1
    return index


def _is_plain_noun(token: Token) -> bool:
    """Returns whether a word is likely a common noun or an adjective: no form of a verb, and no word of grammar."""
    return (
        not token.tags & ~(Tag.BASE | Tag.ACTING | Tag.HOLD | Tag.FIND | Tag.GET | Tag.NOTICE)
        and token.text.isalpha()
        and not NOUN.match(token.text)
        and not _INFLECTED.search(token.text)
        and token.text not in _GRAMMAR
    )


def _allows_two(before: Sequence[Token]) -> bool:
    """Returns whether two nouns may follow some words with no comma between them."""
    last = before[-1]
    in_place = last.tags & Tag.PREPOSITION or last.tags & _LEADS_TO_VERB or last.text in _LEADING
    return bool(in_place) or any(token.text in _OF_TWO for token in before)


def _lacks_noun(piece: Piece, then: Piece | None) -> bool:
    """Returns whether nothing follows a preposition or *find*, and no verb leaves it there.

    (``Query the table X in``; but not ``Read the page to look at``.)
    """
    tokens = piece.tokens
    if any(tokens[place + 1].text in ("and", "or") and _wants_noun(tokens, place) for place in range(len(tokens) - 2)):
        return True
    *rest, last = tokens
    if (then is not None and then.link not in (Link.COMMA, Link.AND)) or any(each.text in _STRANDING for each in rest):
        return False
    if last.text not in _BEFORE_NOUN or not rest:
        alone = then is None and not rest and piece.link in (Link.COMMA, Link.AND)
        return alone and (last.text == "find" or last.text in _BEFORE_NOUN)
    if last.text in ("in", "on"):
        return _is_noun(rest[-1]) and not any(each.text in _MOVING for each in rest)
    if _may_tell(rest[-1]) or any(each.tags & Tag.PERSON for each in rest):
        return False
    return not (rest[-1].tags & Tag.BASE and _may_instruct(tokens, len(rest) - 1))


def _wants_noun(tokens: Sequence[Token], index: int) -> bool:
    """Returns whether a word lacks its noun before *and*: a preposition that belongs to no verb, or *find*."""
    word, after = tokens[index], tokens[index + 2]
    named = after.text in _ARTICLES or NOUN.match(after.text) is not None
    if word.text in _NEEDS_OBJECT:
        return named and (not index or not (_is_object(tokens, index) or tokens[index - 1].text in _LEADING))
    if word.text not in _BEFORE_NOUN or not (named or _is_plain_noun(after)):
        return False
    return not index or (_is_noun(tokens[index - 1]) and not _may_instruct(tokens, index - 1))


def _is_noun(token: Token) -> bool:
    return NOUN.match(token.text) is not None or _is_plain_noun(token)


def _may_instruct(tokens: Sequence[Token], verb: int) -> bool:
    """Returns whether a verb stands where an instruction has it: first, or behind what leads to it.

    (``Next time open X``, ``For the colour choose X``; but not ``X colour the choose``.)
    """
    leading = next((index for index, token in enumerate(tokens) if not token.tags & Tag.ADVERB), 0)
    if verb <= leading or all(NOUN.match(token.text) for token in tokens[:verb]):
        return True  # a name before the verb may be the end of a list
    before = tokens[verb - 1]
    if tokens[leading].text in _FRONTING:
        return verb < len(tokens) - 1 or before.text not in ("the", "a", "an", "for", "of")
    return bool(before.tags & _LEADS_TO_VERB) or before.text in _LEADING


_ARTICLES = ("the", "a", "an")
_INFLECTED = re.compile(r"[^s]s$|\w\wed$|\w\wing$|ly$")
_BEFORE_NOUN = frozenset(("of", "for", "from", "with", "by", "under", "as", "at", "in", "on"))
_NEEDS_OBJECT = ("find", "use", "put", "select")
_STRANDING = frozenset(("to", "what", "which", "that", "who", "where", "it", "one"))
"""Words of a clause that may end with a preposition (``the one to search for``)."""
_MOVING = frozenset((
    "turn", "switch", "put", "type", "key", "fill", "plug", "keep", "leave", "try", "take", "bring", "get", "set",
    "move", "carry", "let", "enter", "log", "hold", "go", "click", "come", "read", "check",
))  # fmt: skip
"""Verbs that may end with *in* or *on* (``turn X on``)."""
_OF_TWO = frozenset((
    "give", "tell", "show", "call", "name", "make", "ask", "send", "hand", "bring", "let", "as", "find", "get", "buy",
    "leave", "consider", "keep", "what", "that", "which", "who", "when", "where", "if",
))  # fmt: skip
"""Words that two nouns may follow (``give the filter the value X``, ``the one that the page X``)."""
_OF_TIME = frozenset(("next", "first", "second", "third", "last", "other", "same", "whole", "one", "right", "way"))
_OTHER_VERBS = frozenset((
    "create", "build", "ensure", "extract", "perform", "fix", "correct", "adjust", "append", "assign", "define",
    "merge", "paste", "provide", "rename", "modify", "revise", "update", "rewrite", "remove", "construct", "simplify",
    "double-check", "reformulate", "expand", "narrow", "limit", "restrict", "reset", "attach", "amend",
))  # fmt: skip
"""Verbs of instructions that the lexicon lacks."""
_GRAMMAR = frozenset((
    "via", "per", "than", "like", "unlike", "through", "during", "against", "over", "after", "before", "until", "since",
    "across", "along", "around", "out", "off", "up", "down", "between", "without", "about", "back", "away", "together",
    "plus", "minus", "except", "despite", "versus", "and", "or", "but", "if", "when", "while", "because", "though",
    "although", "whether", "where", "who", "what", "how", "why", "all", "both", "half", "such", "quite", "it", "them",
    "me", "us", "you", "him", "well", "here", "there", "today", "tomorrow", "more", "most", "less", "much", "often",
    "even", "enough", "else", "no", "nothing", "not", "time", "exactly", "towards", "toward", "throughout", "upon",
    "once", "twice", "whenever", "unless", "whose", "whom", "every", "same", "till", "near", "past", "round",
))  # fmt: skip
"""Words that an article may follow, though no verb, preposition or adverb of the lexicon."""

_FRONTING = frozenset((
    "for", "in", "on", "as", "with", "to", "from", "at", "by", "after", "before", "when", "if", "since", "because",
    "next", "this", "instead", "please", "now", "first", "second", "third", "then", "also", "so", "therefore",
    "finally", "and", "but", "or", "rather", "under", "out", "of", "better", "best", "just", "always", "only", "simply",
    "try", "why not", "how about", "what about",
))  # fmt: skip
"""Words that an instruction may begin with before its verb."""
_LEADS_TO_VERB = Tag.PERSON | Tag.NOT | Tag.ADVERB | Tag.AVOID
_LEADING = frozenset(("and", "or", "then", "to", ",", "please", "-", "–", "—", "time", "that", "which", "but"))
"""Words that a verb may follow."""
