"""The built-in world: HotpotQA-style tasks without end, in the public data set's own schema.

Task i of a split is generated from (world seed, split, i) when it is first asked for. Each has its own ten
paragraphs about things with fresh names; names of different splits never meet (see :mod:`retro_gym_envs.coined_names`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from retro_gym.errors import UnknownTaskError, one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.coined_names import SPLITS, NameMaker
from retro_gym_envs.hotpotqa.relations import ATTRIBUTES, KINDS, ROLES, Attribute
from retro_gym_envs.hotpotqa.tasks import HotpotTask

__all__ = ["SIZES", "BuiltinTasks"]

SIZES = {"train": 20_000, "validation": 1_000, "test": 1_000}
"""Tasks per split."""

_T = TypeVar("_T")

_PARAGRAPHS = 10
_BRIDGE_SHARE = 0.8
_ASIDE_SHARE = 0.5  # of bridge questions, whose first page happens to mention the answer
_CANDIDATES = 3  # of a comparison: with two, "not that one" would be an answer
_SUBJECTS = tuple(kind for kind in KINDS.values() if kind.roles)
_COMPARED = tuple(
    (kind.name, name)
    for kind in KINDS.values()
    for name in kind.attributes
    if ATTRIBUTES[name].least or ATTRIBUTES[name].most
)


class BuiltinTasks:
    """The generated tasks of one world.

    Args:
        world_seed: another seed is another world.

    >>> tasks = BuiltinTasks(0)
    >>> task = tasks.get("test-00003")
    >>> len(task.context), task == BuiltinTasks(0).get("test-00003")
    (10, True)
    """

    def __init__(self, world_seed: int = 0) -> None:
        self.world_seed = world_seed

    def ids(self, split: str) -> Sequence[str]:
        """``split-00000`` and so on.

        Raises:
            UnknownTaskError: no such split.
        """
        return _ids(split)

    def get(self, task_id: str) -> HotpotTask:
        """The task of that id.

        Raises:
            UnknownTaskError: no such task.
        """
        return _generate(self.world_seed, task_id)

    def task_split(self, task_id: str) -> str:
        """The split that a task belongs to.

        Raises:
            UnknownTaskError: no such task.
        """
        split, _, number = task_id.rpartition("-")
        if split not in SPLITS or not number.isdecimal() or len(number) != 5 or int(number) >= SIZES[split]:
            raise UnknownTaskError(
                f"task {one_line(task_id)} is not in the built-in world. Its ids run from 'train-00000' to "
                f"'train-{SIZES['train'] - 1}', and so on for {SPLITS}."
            )
        return split

    def __deepcopy__(self, memo: dict[int, object]) -> BuiltinTasks:
        return self


@lru_cache(maxsize=len(SPLITS))
def _ids(split: str) -> tuple[str, ...]:
    if split not in SPLITS:
        raise UnknownTaskError(f"split {split!r} is not one of {SPLITS}.")
    return tuple(f"{split}-{i:05d}" for i in range(SIZES[split]))


@lru_cache(maxsize=4_096)
def _generate(world_seed: int, task_id: str) -> HotpotTask:
    split = BuiltinTasks(world_seed).task_split(task_id)
    rng = np.random.default_rng(derive_seed(world_seed, task_id))
    scribe = _Scribe(NameMaker(split, rng), rng)
    return scribe.bridge(task_id) if rng.random() < _BRIDGE_SHARE else scribe.comparison(task_id)


@dataclasses.dataclass
class _Page:
    """A thing and what its page says."""

    kind: str
    title: str
    values: dict[str, str]
    """Attribute name to value."""
    sentences: list[str]

    def paragraph(self) -> tuple[str, tuple[str, ...]]:
        """Title and sentences as the public schema has them: later sentences begin with a space."""
        return self.title, (self.sentences[0], *(f" {sentence}" for sentence in self.sentences[1:]))

    def sentence_with(self, text: str) -> int:
        """The index of the sentence that states something."""
        return next(i for i, sentence in enumerate(self.sentences) if text in sentence)


class _Scribe:
    """Writes one task."""

    def __init__(self, names: NameMaker, rng: np.random.Generator) -> None:
        self._names = names
        self._rng = rng

    def bridge(self, task_id: str) -> HotpotTask:
        kind = self._pick(_SUBJECTS)
        linked = {role: self._page(ROLES[role].target) for role in kind.roles}
        role = self._pick(kind.roles)
        target = linked[role]
        attribute = ATTRIBUTES[self._pick(tuple(target.values))]
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
            pages.append(self._page(self._pick(tuple(KINDS))))
        supporting = (
            (subject.title, subject.sentence_with(stating.removesuffix("."))),
            (target.title, target.sentence_with(answer)),
        )
        return self._task(task_id, question, answer, "bridge", supporting, pages)

    def comparison(self, task_id: str) -> HotpotTask:
        kind, name = self._pick(_COMPARED)
        attribute = ATTRIBUTES[name]
        candidates = [self._page(kind) for _ in range(_CANDIDATES)]
        while len({_number(page.values[name]) for page in candidates}) < _CANDIDATES:
            candidates = [self._page(kind) for _ in range(_CANDIDATES)]
        least = bool(attribute.least) and (not attribute.most or self._rng.random() < 0.5)
        forms = attribute.least if least else attribute.most
        best = (min if least else max)(candidates, key=lambda page: _number(page.values[name]))
        titles = [page.title for page in candidates]
        form = self._pick(forms)
        word = "and" if form.startswith("Which of") else "or"
        question = form.format(list=f"{', '.join(titles[:-1])} {word} {titles[-1]}")
        supporting = tuple((page.title, page.sentence_with(page.values[name])) for page in candidates)
        pages = list(candidates)
        while len(pages) < _PARAGRAPHS:
            pages.append(self._page(self._pick(tuple(KINDS))))
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
        """A new thing of a kind, with all its attributes stated in random order."""
        kind = KINDS[kind_name]
        title = self._pick(kind.titles)
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

    def _pick(self, options: Sequence[_T]) -> _T:
        return options[int(self._rng.integers(len(options)))]

    def _say(self, forms: Sequence[str], **fields: str) -> str:
        return self._pick(forms).format(**fields)


def _number(value: str) -> int:
    return int(value.replace(",", ""))
