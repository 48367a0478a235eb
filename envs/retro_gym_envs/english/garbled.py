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
_IMPOSSIBLE = re.compile(
    rf"\b{_DETERMINER} (?:of|for|from|with|to|and|or|as|at|by|{_DETERMINER}|is|are|was|which|because|if)\b"
    rf"|\b{_DETERMINER} ?(?:[,;:]|$)"
    r"|\bof (?:of|for|from|on|to|by|with|at(?! least| most)|take|put|find)\b"
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
    verbs = [(piece, index) for piece in pieces for index, token in enumerate(piece.tokens) if token.tags & _VERB]
    if len(verbs) != 1 or ":" in said:
        return False
    piece, index = verbs[0]
    return bool(piece.tokens[index].tags & Tag.BASE) and not _may_instruct(piece.tokens, index)


def _may_instruct(tokens: Sequence[Token], verb: int) -> bool:
    """Returns whether a sentence's only verb stands where an instruction has it: first, or behind what leads to it.

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
