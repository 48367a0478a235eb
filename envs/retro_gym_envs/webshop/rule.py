"""A reader of failures: what the pages of a failed trial tell about the names that the actor chose between by luck.

It follows fixed rules and knows nothing but the text: a review says what a name stands for, and perhaps what it
does not; the right name is the one that stands for what the instruction asks for.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from retro_gym_envs.scripted_actor import turns_in
from retro_gym_envs.webshop.departments import OPTIONS
from retro_gym_envs.webshop.observations import (
    Asked,
    Hit,
    asked_in,
    hits_on,
    instruction_of,
    item_on,
    reviews_on,
    words_of,
)

__all__ = ["Doubt", "advise", "doubts_in", "rule_reflection"]

_TASK = re.compile(r"^WebShop \[SEP\] Instruction:.*", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A choice between names that the instruction does not contain."""

    kind: str
    """``word``, ``maker``, ``item``, or the name of an option."""
    meanings: Mapping[str, str]
    """The names, in the order of the reviews, and what each stands for."""
    right: str | None
    """The one that a review speaks for."""
    taken: str | None
    """The one that the actor took."""


def advise(choices: Sequence[tuple[str, str, str]]) -> str:
    """Returns a reflection that tells which names to choose, and what for.

    Args:
        choices: kind and name of each, see :class:`Doubt`, and what the name stands for, if that is known.

    >>> advise([("item", "B04711", "organic"), ("color", "ostrin", "teal")])
    'Open the organic B04711 and choose the teal ostrin as the color.'
    """
    told = []
    for kind, name, meaning in sorted(choices, key=lambda choice: choice[0] in OPTIONS):
        named = f"the {meaning} {name}" if meaning else name
        match kind:
            case "word":
                told.append(f"search for {named}")
            case "maker":
                told.append(f"buy {named}")
            case "item":
                told.append(f"open {named}")
            case _:
                told.append(f"choose {named} as the {kind}")
    text = " and ".join(told)
    return f"{text[:1].upper()}{text[1:]}."


def doubts_in(observation: str) -> list[Doubt]:
    """Returns the choices that the actor made by luck, from the text of a failed trial."""
    task = _TASK.search(observation)
    asked = asked_in(instruction_of(task.group() if task else ""))
    turns = turns_in(observation)
    hits = [hit for _, seen in turns for hit in hits_on(seen)]
    items = [item for _, seen in turns if (item := item_on(seen))]
    values = {value: name for item in items for name, offered in item.options.items() for value in offered}
    named: dict[str, dict[str, str]] = {}
    for _, seen in turns:
        for name, meaning in reviews_on(seen).items():
            named.setdefault(_kind(name, values, hits), {})[name] = meaning
    return [_doubt(kind, each, asked, [action for action, _ in turns], hits) for kind, each in named.items()]


def _kind(name: str, values: Mapping[str, str], hits: Sequence[Hit]) -> str:
    """Returns what a name is a name of, by where else it stands."""
    if name in values:
        return values[name]
    if any(hit.asin == name for hit in hits):
        return "item"
    return "maker" if any(hit.title.startswith(f"{name} ") for hit in hits) else "word"


def _doubt(kind: str, meanings: Mapping[str, str], asked: Asked, actions: Sequence[str], hits: Sequence[Hit]) -> Doubt:
    sought = {"word": asked.thing, "maker": asked.attribute, "item": asked.attribute}.get(kind, asked.options.get(kind))
    right = [name for name, meaning in meanings.items() if meaning == sought]
    makers = {f"click[{hit.asin}]": hit.title.partition(" ")[0] for hit in hits}
    taken = [makers.get(action, "") if kind == "maker" else action.partition("[")[2][:-1] for action in actions]
    return Doubt(
        kind,
        meanings,
        next(iter(right), None),
        next((name for name in reversed(taken) if name in meanings), None),
    )


def rule_reflection(observation: str) -> str:
    """Returns the reflection that the rules derive from the text of a failed trial.

    If the pages tell nothing of names, as in WebShop's own data, it is to open a product that was not opened yet: the
    one whose title has most words of the instruction.
    """
    choices = [(each.kind, each.right, each.meanings[each.right]) for each in doubts_in(observation) if each.right]
    if choices:
        return advise(choices)
    told = set(words_of(instruction_of(found.group()) if (found := _TASK.search(observation)) else ""))
    turns = turns_in(observation)
    opened = {action for action, _ in turns}
    hits = [hit for _, seen in turns for hit in hits_on(seen) if f"click[{hit.asin}]" not in opened]
    best = max(hits, key=lambda hit: len(told.intersection(words_of(hit.title))), default=None)
    return advise([("item", best.asin, "")]) if best else "Search for fewer words of the instruction."
