"""The built-in world: an unlimited supply of HotpotQA-style tasks, in the schema of the public data set.

Task i of a split is generated from (world seed, split, i) when it is first requested. Each has its own paragraphs about
entities with new names; splits share no names (see :mod:`retro_gym_envs.coined_names`) and no forms of questions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick, shuffled
from retro_gym_envs.hotpotqa.docstore import DocStore
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES, SUBJECTS, Attribute, Kind, Role, attributes_of
from retro_gym_envs.hotpotqa.tasks import HotpotTask, HotpotTasks
from retro_gym_envs.hotpotqa.wording import (
    COMPARISONS,
    FORMS,
    LESS,
    NAMESAKES,
    QUESTIONS,
    RUMOURS,
    STATEMENTS,
    SUCCESSORS,
    Expression,
    Wanted,
    described,
)
from retro_gym_envs.task_sources import GeneratedTasks

__all__ = ["CAUSES", "BuiltinTasks"]

CAUSES = ("hop", "link", "successor", "namesake", "label", "two")
"""Why the actor fails; the manual (:class:`~retro_gym_envs.hotpotqa.env.HotpotQAEnv`) describes them."""

_PARAGRAPHS = 10  # at least
_COMPARISON_SHARE = 0.12
_NAMESAKES = 5  # entities of one name
_ANY, _LOW, _HIGH = (0.0, 1.0), (0.0, 0.5), (0.5, 1.0)  # parts of the range of years and numbers
_COMPARED = tuple(attribute for attribute in ATTRIBUTES.values() if attribute.sort in LESS)


class BuiltinTasks(GeneratedTasks[HotpotTask], HotpotTasks):
    """The generated tasks of one world.

    >>> tasks = BuiltinTasks(0)
    >>> task = tasks.get("test-00003")
    >>> len(task.context), task == BuiltinTasks(0).get("test-00003"), tasks.cause("test-00003") in CAUSES
    (10, True, True)
    """

    def get(self, task_id: str) -> HotpotTask:
        """Returns the task with this id."""
        return _generate(self.world_seed, self.task_split(task_id), task_id)[0]

    def cause(self, task_id: str) -> str:
        """Returns one of :data:`CAUSES`."""
        return _generate(self.world_seed, self.task_split(task_id), task_id)[1]

    def store(self, task_id: str) -> DocStore:
        """Returns the paragraphs of all tasks of the split that a task belongs to."""
        return _split_store(self, self.task_split(task_id))


@lru_cache(maxsize=4_096)
def _generate(world_seed: int, split: str, task_id: str) -> tuple[HotpotTask, str]:
    rng = np.random.default_rng(derive_seed(world_seed, task_id))
    compares = rng.random() < _COMPARISON_SHARE
    cause = pick(CAUSES, rng)
    attribute = pick(_COMPARED if compares else tuple(ATTRIBUTES.values()), rng)
    scribe = _Scribe(split, attribute, cause, rng)
    return (scribe.comparison(task_id) if compares else scribe.bridge(task_id)), cause


@lru_cache(maxsize=2)
def _split_store(tasks: BuiltinTasks, split: str) -> DocStore:
    return DocStore(paragraph for task_id in tasks.ids(split) for paragraph in tasks.get(task_id).context)


@dataclasses.dataclass(frozen=True)
class _Page:
    """An entity and its page."""

    title: str
    sentences: tuple[str, ...]
    facts: dict[str, str] = dataclasses.field(default_factory=dict)
    """Attribute name to value."""

    def paragraph(self) -> tuple[str, tuple[str, ...]]:
        """Returns title and sentences in the public schema: all sentences but the first begin with a space."""
        return self.title, (self.sentences[0], *(f" {sentence}" for sentence in self.sentences[1:]))

    def fact(self, text: str) -> tuple[str, int]:
        """Returns the title and the index of the sentence that ends in a text."""
        return self.title, next(i for i, sentence in enumerate(self.sentences) if sentence.endswith(f"{text}."))


@dataclasses.dataclass(frozen=True)
class _Side:
    """A subject, and the entity in one of its roles that the question describes."""

    wanted: Wanted
    subject: _Page
    target: _Page
    stated: str
    """The sentence that links them."""


class _Scribe:
    """Writes one task.

    Args:
        split: the task's split.
        attribute: what the question asks for.
        cause: one of :data:`CAUSES`.
        rng: the source of randomness.
    """

    def __init__(self, split: str, attribute: Attribute, cause: str, rng: np.random.Generator) -> None:
        self._split = split
        self._attribute = attribute
        self._cause = cause
        self._fault = pick(("successor", "namesake"), rng) if cause == "two" else cause
        self._rng = rng
        self._names = NameMaker(split, rng)
        self._range = _ANY
        self._values: set[str] = set()
        self._pages: list[_Page] = []
        self._words = {kind: self._vocabulary(kind) for kind in SUBJECTS}

    def bridge(self, task_id: str) -> HotpotTask:
        side = self._side(self._fault)
        question = self._asked(QUESTIONS, b=described(side.wanted))
        return self._task(task_id, question, side.target.facts[self._attribute.name], "bridge", (side,))

    def comparison(self, task_id: str) -> HotpotTask:
        self._range = _LOW  # the fault must matter: it concerns the entity with the lower value
        faulty = self._side(self._fault)
        self._range = _HIGH
        other = self._side("hop" if self._fault == "hop" else "")
        answer = faulty.target.facts[self._attribute.name]
        first, second = shuffled((faulty, other), self._rng)
        question = self._asked(COMPARISONS, b=described(first.wanted), c=described(second.wanted))
        return self._task(task_id, question, answer, "comparison", (first, second))

    def _asked(self, forms: dict[str, tuple[str, ...]], **entities: str) -> str:
        attribute = self._attribute
        frame = pick(forms[self._split], self._rng).replace("{direct}", attribute.direct)
        frame = frame.replace("{indirect}", attribute.indirect)
        question = frame.format(name=attribute.name, less=LESS.get(attribute.sort, ""), **entities)
        return question[0].upper() + question[1:]

    def _task(self, task_id: str, question: str, answer: str, type_: str, sides: Sequence[_Side]) -> HotpotTask:
        while len(self._pages) < _PARAGRAPHS:
            self._linked(pick(tuple(self._words), self._rng))
        supporting = tuple(
            fact
            for side in sides
            for fact in (
                side.subject.fact(side.stated.removesuffix(".")),
                side.target.fact(f": {side.target.facts[self._attribute.name]}"),
            )
        )
        context = tuple(page.paragraph() for page in shuffled(self._pages, self._rng))
        return HotpotTask(task_id, question, answer, type_, "hard", supporting, context)

    # -- one subject and its linked entities -------------------------------------------------------------------------

    def _side(self, fault: str) -> _Side:
        """Writes a subject's page and those of its linked entities.

        Args:
            fault: what makes the asked entity hard to find; empty for nothing.
        """
        kind = pick(SUBJECTS[self._attribute.kind], self._rng)
        title = self._title(kind)
        asked = pick(kind.roles, self._rng)
        wanted = Wanted(title, ROLES[asked], pick(FORMS, self._rng))
        sentences, target = [], None
        for name in kind.roles:
            role = ROLES[name]
            if name == asked:
                target, stated = self._asked_link(wanted, fault)
                sentences.append(stated)
            else:
                linked = self._linked(role.target)
                sentences.append(self._say(STATEMENTS, pick(FORMS, self._rng), role, b=linked.title))
        assert target is not None
        if fault == "hop":
            rumour = pick(RUMOURS, self._rng)
            sentences.append(rumour.format(name=self._attribute.name, v=self._value(self._attribute)))
        intro = pick(kind.intros, self._rng).format(a=title)
        subject = _Page(title, (intro, *shuffled(sentences, self._rng)))
        self._pages.append(subject)
        return _Side(wanted, subject, target, stated)

    def _asked_link(self, wanted: Wanted, fault: str) -> tuple[_Page, str]:
        """Returns the asked entity's page and the sentence that links to it."""
        role, expression = wanted.role, wanted.expression
        match fault:
            case "link":
                target = self._linked(role.target)
                other = FORMS[1 - FORMS.index(expression)]
                return target, self._say(STATEMENTS, other, role, b=target.title)
            case "successor":
                target, before = self._linked(role.target), self._linked(role.target)
                return target, self._say(SUCCESSORS, expression, role, b=target.title, x=before.title)
            case "namesake":
                kind = KINDS[role.target]
                name = self._title(kind)
                trades = shuffled(kind.trades, self._rng)[:_NAMESAKES]
                targets = [self._linked(role.target, f"{name} ({trade})") for trade in trades]
                return targets[0], self._say(NAMESAKES, expression, role, b=name, trade=trades[0])
            case _:
                target = self._linked(role.target)
                return target, self._say(STATEMENTS, expression, role, b=target.title)

    def _linked(self, kind_name: str, title: str = "") -> _Page:
        """Writes the page of a new entity."""
        kind = KINDS[kind_name]
        title = title or self._title(kind)
        words = self._words[kind_name]
        facts = {attribute.name: self._value(attribute) for attribute in words}
        lines = [f"{word[0].upper()}{word[1:]}: {facts[attribute.name]}." for attribute, word in words.items()]
        intro = pick(kind.intros, self._rng).format(a=title)
        page = _Page(title, (intro, *shuffled(lines, self._rng)), facts)
        self._pages.append(page)
        return page

    def _vocabulary(self, kind_name: str) -> dict[Attribute, str]:
        """Returns the attributes that pages of a kind state, each with its word."""
        if kind_name != self._attribute.kind:
            sort = pick([a.sort for a in ATTRIBUTES.values() if a.kind == kind_name], self._rng)
            return {attribute: attribute.name for attribute in attributes_of(kind_name, sort)}
        own = attributes_of(kind_name, self._attribute.sort)
        if self._cause in ("label", "two"):
            return {attribute: pick(attribute.unusual, self._rng) for attribute in own}
        return {attribute: attribute.name for attribute in own}

    def _title(self, kind: Kind) -> str:
        title = pick(kind.titles, self._rng)
        while "{w}" in title:
            title = title.replace("{w}", self._names.word(), 1)
        return title

    def _value(self, attribute: Attribute) -> str:
        """Returns a value within ``_range`` that occurs nowhere else in the task."""
        while True:
            match attribute.sort:
                case "year":
                    value = str(1700 + int(320 * self._rng.uniform(*self._range)))
                case "number":
                    value = f"{1_000 + int(899_000 * self._rng.uniform(*self._range)):,}"
                case "person":
                    value = self._names.person()
            if value not in self._values:
                self._values.add(value)
                return value

    def _say(self, forms: dict[Expression, tuple[str, ...]], expression: Expression, role: Role, **names: str) -> str:
        return pick(forms[expression], self._rng).format(noun=role.name, verb=role.verb, **names)
