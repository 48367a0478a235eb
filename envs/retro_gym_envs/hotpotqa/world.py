"""The built-in world: an unlimited supply of HotpotQA-style tasks, in the schema of the public data set.

Task i of a split is generated from (world seed, split, i) when it is first requested. Each has its own ten paragraphs
about entities with new names; splits share no names (see :mod:`retro_gym_envs.coined_names`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import NameMaker
from retro_gym_envs.draws import pick
from retro_gym_envs.hotpotqa.docstore import DocStore
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES, Attribute
from retro_gym_envs.hotpotqa.tasks import HotpotTask, HotpotTasks
from retro_gym_envs.task_sources import GeneratedTasks

__all__ = ["BuiltinTasks"]

_PARAGRAPHS = 10
_BRIDGE_SHARE = 0.8
_ASIDE_SHARE = 0.5  # share of bridge questions whose first page already mentions the answer
_CANDIDATES = 3  # of a comparison; with two, excluding one would give the answer
_SUBJECTS = tuple(kind for kind in KINDS.values() if kind.roles)
_COMPARED = tuple(
    (kind.name, name)
    for kind in KINDS.values()
    for name in kind.attributes
    if ATTRIBUTES[name].least or ATTRIBUTES[name].most
)


class BuiltinTasks(GeneratedTasks[HotpotTask], HotpotTasks):
    """The generated tasks of one world.

    >>> tasks = BuiltinTasks(0)
    >>> task = tasks.get("test-00003")
    >>> len(task.context), task == BuiltinTasks(0).get("test-00003")
    (10, True)
    """

    def get(self, task_id: str) -> HotpotTask:
        """Returns the task with this id."""
        return _generate(self.world_seed, self.task_split(task_id), task_id)

    def store(self, task_id: str) -> DocStore:
        """Returns the paragraphs of all tasks of the split that a task belongs to."""
        return _split_store(self, self.task_split(task_id))


@lru_cache(maxsize=4_096)
def _generate(world_seed: int, split: str, task_id: str) -> HotpotTask:
    rng = np.random.default_rng(derive_seed(world_seed, task_id))
    scribe = _Scribe(NameMaker(split, rng), rng)
    return scribe.bridge(task_id) if rng.random() < _BRIDGE_SHARE else scribe.comparison(task_id)


@lru_cache(maxsize=2)
def _split_store(tasks: BuiltinTasks, split: str) -> DocStore:
    return DocStore(paragraph for task_id in tasks.ids(split) for paragraph in tasks.get(task_id).context)


@dataclasses.dataclass
class _Page:
    """An entity and its page."""

    kind: str
    title: str
    values: dict[str, str]
    """Attribute name to value."""
    sentences: list[str]

    def paragraph(self) -> tuple[str, tuple[str, ...]]:
        """Returns title and sentences in the public schema: all sentences but the first begin with a space."""
        return self.title, (self.sentences[0], *(f" {sentence}" for sentence in self.sentences[1:]))

    def sentence_with(self, text: str) -> int:
        """Returns the index of the sentence that contains a text."""
        return next(i for i, sentence in enumerate(self.sentences) if text in sentence)


class _Scribe:
    """Writes one task."""

    def __init__(self, names: NameMaker, rng: np.random.Generator) -> None:
        self._names = names
        self._rng = rng

    def bridge(self, task_id: str) -> HotpotTask:
        kind = pick(_SUBJECTS, self._rng)
        linked = {role: self._page(ROLES[role].target) for role in kind.roles}
        role = pick(kind.roles, self._rng)
        target = linked[role]
        attribute = ATTRIBUTES[pick(tuple(target.values), self._rng)]
        answer = target.values[attribute.name]

        subject = self._page(kind.name)
        told = [self._say(ROLES[r].sentences, b=page.title) for r, page in linked.items()]
        stating = self._say(ROLES[role].sentences, b=target.title)
        told[list(linked).index(role)] = stating
        if self._rng.random() < _ASIDE_SHARE:
            aside = attribute.aside.format(v=answer)
            subject.sentences.insert(1, f"{stating.removesuffix('.')}, {aside}.")
            told.remove(stating)
        subject.sentences[len(subject.sentences) :] = told
        self._shuffle_tail(subject, keep=2 if subject.sentences[1].startswith(stating.removesuffix(".")) else 1)

        described = self._say(ROLES[role].phrases, a=subject.title)
        question = self._say(attribute.questions, b=described)
        pages = [subject, *linked.values()]
        while len(pages) < _PARAGRAPHS:
            pages.append(self._page(pick(tuple(KINDS), self._rng)))
        supporting = (
            (subject.title, subject.sentence_with(stating.removesuffix("."))),
            (target.title, target.sentence_with(answer)),
        )
        return self._task(task_id, question, answer, "bridge", supporting, pages)

    def comparison(self, task_id: str) -> HotpotTask:
        kind, name = pick(_COMPARED, self._rng)
        attribute = ATTRIBUTES[name]
        candidates = [self._page(kind) for _ in range(_CANDIDATES)]
        while len({_number(page.values[name]) for page in candidates}) < _CANDIDATES:
            candidates = [self._page(kind) for _ in range(_CANDIDATES)]
        least = bool(attribute.least) and (not attribute.most or self._rng.random() < 0.5)
        forms = attribute.least if least else attribute.most
        best = (min if least else max)(candidates, key=lambda page: _number(page.values[name]))
        titles = [page.title for page in candidates]
        form = pick(forms, self._rng)
        word = "and" if form.startswith("Which of") else "or"
        question = form.format(list=f"{', '.join(titles[:-1])} {word} {titles[-1]}")
        supporting = tuple((page.title, page.sentence_with(page.values[name])) for page in candidates)
        pages = list(candidates)
        while len(pages) < _PARAGRAPHS:
            pages.append(self._page(pick(tuple(KINDS), self._rng)))
        return self._task(task_id, question, best.title, "comparison", supporting, pages)

    def _task(
        self,
        task_id: str,
        question: str,
        answer: str,
        type_: str,
        supporting: tuple[tuple[str, int], ...],
        pages: list[_Page],
    ) -> HotpotTask:
        context = tuple(pages[i].paragraph() for i in self._rng.permutation(len(pages)))
        return HotpotTask(task_id, question, answer, type_, "hard", supporting, context)

    def _page(self, kind_name: str) -> _Page:
        """Makes a new entity of a kind, with all its attributes stated in random order."""
        kind = KINDS[kind_name]
        title = pick(kind.titles, self._rng)
        while "{w}" in title:
            title = title.replace("{w}", self._names.word(), 1)
        values = {name: self._value(ATTRIBUTES[name]) for name in kind.attributes}
        page = _Page(kind_name, title, values, [self._say(kind.intro, a=title)])
        for name, value in values.items():
            page.sentences.append(self._say(ATTRIBUTES[name].sentences, b=title, v=value))
        self._shuffle_tail(page, keep=1)
        return page

    def _value(self, attribute: Attribute) -> str:
        match attribute.value, attribute.name:
            case "year", _:
                return str(self._rng.integers(1700, 2021))
            case "number", "length":
                return f"{self._rng.integers(60, 1_000)}"
            case "number", _:
                return f"{self._rng.integers(1_000, 900_000):,}"
            case "person", _:
                return self._names.person()
            case "name", "university":
                return f"{self._names.word()} College"
            case "name", _:
                return f"{self._names.word()} Medal"
            case _:
                return self._names.word()

    def _shuffle_tail(self, page: _Page, *, keep: int) -> None:
        tail = page.sentences[keep:]
        page.sentences[keep:] = [tail[i] for i in self._rng.permutation(len(tail))]

    def _say(self, forms: Sequence[str], **fields: str) -> str:
        return pick(forms, self._rng).format(**fields)


def _number(value: str) -> int:
    return int(value.replace(",", ""))
