"""Parses a reflection into advice for the scripted actor: search terms, an attribute, the position of the answer."""

from __future__ import annotations

import dataclasses
import re

from retro_gym_envs.hotpotqa.observations import spans
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, Attribute

__all__ = ["Advice", "read_reflection"]


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; fields are empty where it says nothing."""

    entities: tuple[str, ...] = ()
    """Search terms, in order."""
    attribute: Attribute | None = None
    """The attribute to find."""
    follows: str | None = None
    """Words that directly precede the answer."""
    length: int = 1
    """Number of words of the answer, if ``follows`` is given."""
    answer: str | None = None
    """The answer to give."""

    def __bool__(self) -> bool:
        return bool(self.entities or self.attribute or self.follows or self.answer)


_INSTRUCTION = re.compile(r"\b(?:search|look|find|read|check|compare|answer|open|visit)\b", re.IGNORECASE)
_FOLLOWS = re.compile(r'follows "([^"]+)"(?:,? \(?(\d+) words?\)?)?')
_ANSWER = re.compile(r'\banswer (?:is |with )?(?:"([^"]+)"|(yes|no)\b)', re.IGNORECASE)


def read_reflection(text: str) -> Advice:
    """Extracts what can be acted on: names, an attribute, the position of the answer.

    A vague reflection ("be more careful") gives empty advice.

    >>> advice = read_reflection("Search for the director, Taskin Brelum, and find the birth year.")
    >>> advice.entities, advice.attribute.name
    (('Taskin Brelum',), 'birth year')
    >>> bool(read_reflection("Next time be more careful and read everything twice."))
    False
    """
    if not _INSTRUCTION.search(text):
        return Advice()
    answer = _ANSWER.search(text)
    follows = _FOLLOWS.search(text)
    rest = _FOLLOWS.sub("", _ANSWER.sub("", text))
    named = [(rest.lower().rfind(name), name) for name in ATTRIBUTES if name in rest.lower()]
    return Advice(
        entities=tuple(dict.fromkeys(spans(rest))),
        attribute=ATTRIBUTES[max(named)[1]] if named else None,
        follows=follows.group(1) if follows else None,
        length=int(follows.group(2) or 1) if follows else 1,
        answer=next((group for group in answer.groups() if group), None) if answer else None,
    )
