"""What a reflection tells the scripted actor to do: names, an attribute, where the answer stands."""

from __future__ import annotations

import dataclasses
import re

from retro_gym_envs.hotpotqa.observations import spans
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, Attribute

__all__ = ["Advice", "read_reflection"]


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a reflection tells the actor to do; empty parts where it says nothing."""

    entities: tuple[str, ...] = ()
    """What to search for, in this order."""
    attribute: Attribute | None = None
    """What to find there."""
    follows: str | None = None
    """Words that the answer stands right behind."""
    length: int = 1
    """How many words the answer has, where ``follows`` is given."""
    answer: str | None = None
    """What to answer."""

    def __bool__(self) -> bool:
        return bool(self.entities or self.attribute or self.follows or self.answer)


_INSTRUCTION = re.compile(r"\b(?:search|look|find|read|check|compare|answer|open|visit)\b", re.IGNORECASE)
_FOLLOWS = re.compile(r'follows "([^"]+)"(?:,? \(?(\d+) words?\)?)?')
_ANSWER = re.compile(r'\banswer (?:is |with )?(?:"([^"]+)"|(yes|no)\b)', re.IGNORECASE)


def read_reflection(text: str) -> Advice:
    """What a reflection says that can be acted on: names, an attribute, where the answer stands.

    A vague one ("be more careful") has nothing of the kind and gives empty advice.

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
