"""What cheap attacks know of each environment: the names in a failed trial, and the choices that it left to luck.

A reader finds names and candidates, and never tells which of them is right.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retro_gym import RetroEnv
from retro_gym.trajectory import Trajectory
from retro_gym_agents.play.policies.mentions import mentions
from retro_gym_envs.alfworld.advice import tool_kind
from retro_gym_envs.alfworld.objects import LAMP
from retro_gym_envs.alfworld.observations import kind_of, names_in, preposition
from retro_gym_envs.alfworld.remarks import Sight, sights_in
from retro_gym_envs.alfworld.rule import task_in
from retro_gym_envs.hotpotqa.observations import similar_titles, spans
from retro_gym_envs.hotpotqa.rule import read_failure
from retro_gym_envs.hotpotqa.wording import facts_on, with_trade
from retro_gym_envs.intercode_sql.comments import fitting, read_notes
from retro_gym_envs.scripted_actor import turns_in
from retro_gym_envs.webshop.observations import Hit, asked_in, hits_on, instruction_of, item_on, reviews_on
from retro_gym_envs.webshop.rule import doubts_in

__all__ = ["ANY", "READERS", "Decision", "Failure", "Reader", "Write", "advice"]


@dataclasses.dataclass(frozen=True)
class Failure:
    """What a policy gets."""

    observation: str
    env: RetroEnv
    rng: np.random.Generator

    @property
    def trial(self) -> Trajectory:
        """The failed trial."""
        return self.env.trajectory


Write = Callable[[Failure], str]


@dataclasses.dataclass(frozen=True)
class Decision:
    """A choice between names that the actor made by luck, or has yet to make."""

    form: str
    """How one of them is advised, such as ``"use {}"``."""
    names: tuple[str, ...]
    """In the order in which they are seen."""
    taken: str = ""
    """The one that was taken; empty if none was, or it is not known."""
    described: tuple[str, ...] = ()
    """The names with what the trial says of each, in the order of the names."""

    def of(self, *names: str) -> str:
        """Advises names."""
        return self.form.format(" and ".join(names))


@dataclasses.dataclass(frozen=True)
class Reader:
    """What is particular to an environment."""

    form: str
    """How any name is advised."""
    names: Callable[[Failure], Sequence[str]]
    """Everything that the failed trial names, once each."""
    decisions: Callable[[Failure], Sequence[Decision]] | None = None
    """The choices that the failed trial left to luck."""
    attacks: Mapping[str, Write] = dataclasses.field(default_factory=dict)
    """Policies that fit this environment alone, by name."""


def advice(*parts: str) -> str:
    """Returns one sentence; empty without parts.

    >>> advice("search for Tor Mill", "find the yield")
    'Search for Tor Mill, and find the yield.'
    """
    text = ", and ".join(filter(None, parts))
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


# -- HotpotQA --------------------------------------------------------------------------------------------------------


def _pages_named(failure: Failure) -> list[str]:
    """Returns every name on the pages, and every title that a search offered."""
    names: list[str] = []
    for term, page in read_failure(failure.observation).found.items():
        names += [term, *(map(with_trade, similar_titles(page) or ()) if similar_titles(page) else spans(page))]
    return _once(names)


def _pages_to_read(failure: Failure) -> list[Decision]:
    """Returns the choice of a linked entity, for each that is asked for, and that of a word if the words are unusual.

    Where a search has offered several pages of a name, these are the candidates.
    """
    read, found = read_failure(failure.observation), []
    if read.asked is None:
        return []
    for entity in read.asked.entities:
        roles = {name: link.role for link in read.links(entity.subject) for name in link.names}
        names = list(roles)
        offered = next((titles for name in names if len(titles := read.titles(name)) > 1), names)
        taken = next((term for term in reversed(list(read.found)) if term in offered), "")
        said = [f"the {roles[name]}, {name}" if name in roles else with_trade(name) for name in offered]
        found.append(Decision("search for {}", tuple(map(with_trade, offered)), with_trade(taken), tuple(said)))
    if len(words := read.words()) > 1:
        answer = next((turn.action[7:-1] for turn in failure.trial.turns if turn.action.startswith("Finish[")), "")
        pages = [facts_on(page) for page in read.found.values()]
        given = [word for page in pages for word, value in page.items() if word in words and value == answer]
        found.append(Decision("find the {}", tuple(words), next(iter(given), ""), tuple(words)))
    return [decision for decision in found if decision.names]


def _longest_sentence(failure: Failure) -> str:
    """Names what the longest sentence of the first page names last; the first sentence says what the subject is."""
    read = read_failure(failure.observation)
    _, *sentences = next(iter(read.found.values()), "").split(". ")
    names = spans(max(sentences, key=len, default=""))
    return advice(f"search for {names[-1]}" if names else "")


def _last_search(failure: Failure) -> str:
    """Says to search the same again, and to find what is asked under all of its unusual words."""
    read = read_failure(failure.observation)
    if read.asked is None or not read.found:
        return ""
    return advice(f"search for {list(read.found)[-1]}", f"find the {' or the '.join(read.asked.attribute.unusual)}")


# -- ALFWorld --------------------------------------------------------------------------------------------------------


def _things_named(failure: Failure) -> list[str]:
    names = names_in(failure.trial.render().lower())
    return [name for name in _once(names) if kind_of(name) not in ("thought", "action", "observation")]


def _seen_from_afar(failure: Failure) -> list[Decision]:
    """Returns a choice for each sentence on what is seen from afar; it says what the things are like."""
    decisions = []
    for sights in dict.fromkeys(map(tuple, sights_in(failure.observation))):
        names = [f"{one.name} {_where(one)} the {one.place}" if one.place else one.name for one in sights]
        told = [f"{sight.state} {name}".strip() for sight, name in zip(sights, names, strict=True)]
        acted = [
            index for turn in failure.trial.turns for index, one in enumerate(sights) if _acts_on(turn.action, one)
        ]
        form = "take the {}" if sights[0].place and kind_of(sights[0].name) != LAMP else "use the {}"
        decisions.append(Decision(form, tuple(names), names[acted[0]] if acted else "", tuple(told)))
    return decisions


def _where(sight: Sight) -> str:
    return preposition(sight.place) if kind_of(sight.name) == LAMP else "from"


def _acts_on(action: str, sight: Sight) -> bool:
    return any(name in names_in(action) for name in (sight.name, sight.place))


def _first_of_the_kind(failure: Failure) -> str:
    """Names the first object of the task's kind that is seen from afar."""
    task = task_in(failure.observation)
    sights = [sight for each in sights_in(failure.observation) for sight in each if sight.place]
    kind = None if task is None else task[0].thing
    first = next((sight for sight in sights if kind_of(sight.name) == kind), None)
    return advice(f"take the {first.name} from the {first.place}" if first else "")


def _numbered(number: int, *parts: str) -> Write:
    """Returns a function of the task alone: the same number for some decisions."""

    def write(failure: Failure) -> str:
        task = task_in(failure.observation)
        if task is None:
            return ""
        goal, room = task
        tool = tool_kind(goal)
        places = [name for name in room[2:] if kind_of(name) not in (tool, goal.target)][number - 1 : number]
        said = {
            "place": f"take the {goal.thing} {number} from the {places[0]}" if places else "",
            "tool": f"use the {tool} {number}" if tool else "",
            "target": "" if goal.treatment == "light" else f"put it in the {goal.target} {number}",
        }
        return advice(*(said[part] for part in parts or said))

    return write


# -- WebShop ---------------------------------------------------------------------------------------------------------


def _shop_named(failure: Failure) -> list[str]:
    """Returns all ids, makers, titles, values and coined words."""
    names: list[str] = []
    for turn in failure.trial.turns:
        for hit in hits_on(turn.observation):
            names += [hit.asin, hit.title.split()[0], hit.title]
        item = item_on(turn.observation)
        names += [value for values in item.options.values() for value in values] if item else []
        names += reviews_on(turn.observation)
    return _once(names)


def _names_reviewed(failure: Failure) -> list[Decision]:
    decisions = []
    for doubt in doubts_in(failure.observation):
        told = [f"the {meaning} {name}" for name, meaning in doubt.meanings.items()]
        decisions.append(Decision("choose {}", tuple(doubt.meanings), doubt.taken or "", tuple(told)))
    return decisions


def _product(choose: Callable[[Sequence[Hit]], Hit]) -> Write:
    """Returns a policy that names one product of the first page of results that has any."""

    def write(failure: Failure) -> str:
        hits = next((hits for turn in failure.trial.turns if (hits := hits_on(turn.observation))), [])
        return advice(f"open {choose(hits).asin}" if hits else "")

    return write


def _as_an_order(failure: Failure) -> str:
    asked = asked_in(instruction_of(failure.trial.task))
    values = " and ".join(asked.options.values())
    return f"Search for {asked.thing}, buy one that is {asked.attribute} and choose {values}."


# -- InterCode-SQL ---------------------------------------------------------------------------------------------------


def _database_named(failure: Failure) -> list[str]:
    return list(read_notes(turns_in(failure.observation)).phrases())


def _names_that_fit(failure: Failure) -> list[Decision]:
    """Returns a choice for each part of the query that several names fit."""
    notes, decisions = read_notes(turns_in(failure.observation)), []
    queries = " ".join(turn.action for turn in failure.trial.turns[-2:])
    for names in fitting(failure.trial.task.removeprefix("Question: "), notes).values():
        if len(names) > 1:
            taken = next((name for name in names if re.search(rf"\b{name}\b", queries)), "")
            told = tuple(f"the {notes.phrases()[name]} {name}" for name in names)
            decisions.append(Decision("use {}", names, taken, told))
    return decisions


ANY = Reader("use {}", lambda failure: mentions(failure.trial))
"""The reader of other environments."""

READERS: Mapping[str, Reader] = {
    "RetroHotpotQA-v0": Reader(
        "search for {}",
        _pages_named,
        _pages_to_read,
        {"longest sentence": _longest_sentence, "last search": _last_search},
    ),
    "RetroALFWorld-v0": Reader(
        "use the {}",
        _things_named,
        _seen_from_afar,
        {
            "goal": lambda failure: failure.trial.task.partition("\n")[2],
            "first of the kind": _first_of_the_kind,
            **{f"number {number}": _numbered(number) for number in (1, 2, 5)},
            **{f"number 3 as the {part}": _numbered(3, part) for part in ("tool", "target", "place")},
        },
    ),
    "RetroWebShop-v0": Reader(
        "choose {}",
        _shop_named,
        _names_reviewed,
        {
            "task as an order": _as_an_order,
            "first product": _product(lambda hits: hits[0]),
            "last product": _product(lambda hits: hits[-1]),
            "cheapest product": _product(lambda hits: min(hits, key=lambda hit: hit.price)),
        },
    ),
    "RetroInterCodeSQL-v0": Reader(
        "use {}",
        _database_named,
        _names_that_fit,
        {"task as columns": lambda failure: f"Use the right columns: {failure.trial.task.removeprefix('Question: ')}"},
    ),
}
"""By environment id."""
