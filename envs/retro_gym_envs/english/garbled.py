"""Finds sentences whose words are in no order of English: nonsense is no advice, whatever it names.

Matched is masked text in lower case without contractions. Only what no English sentence has counts, so that careless
writing is still read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from retro_gym_envs.english.clauses import Piece
from retro_gym_envs.english.lexicon import Tag
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
_IMPOSSIBLE = re.compile(
    rf"\b{_DETERMINER} (?:of|for|from|with|to|and|or|as|at|by|{_DETERMINER}|is|are|was|which|because|if)\b"
    rf"|\b(?:{_DETERMINER}|of|for|on|in|at|with|from|by|into|as) {_ONLY_VERB}"
    rf"|\b{_DETERMINER} ?(?:[,;:]|$)"
    r"|\bof (?:of|for|from|on|to|by|with|at(?! least| most))\b|\b(?:on|in|for|with|from|to|by|at|into|and|or) of\b"
    r"|\b(?:of|from|as|into|and|or) (?:and|or)\b|\b(?:for|with|on|in) and (?:the|an?|find|search|join|filter|use)\b"
    r"|\b(?:as|into|and|or) ?$"
    rf"|\b(?:search|compare|choose|filter|query|join|select|use|open) {_ONLY_VERB}"
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
    if ":" in said or not all(tokens[index].tags & Tag.BASE for tokens, index in verbs):
        return False
    alone = len(verbs) == 1
    sure = (each for each in verbs if alone or _is_only_verb(*each))
    return not all(_may_instruct(tokens, index) for tokens, index in sure)


def _is_only_verb(tokens: Sequence[Token], index: int) -> bool:
    """Returns whether a word is a verb and no noun or name (``find``; not ``search``, nor ``the buy button``)."""
    return tokens[index].text in _ONLY_VERBS and tokens[max(index - 1, 0)].text not in ("the", "a", "an")


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
