"""HotpotQA tasks: the public schema, validated on reading, and sets of tasks read from files."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from retro_gym.errors import DataError, UnknownTaskError, did_you_mean, one_line
from retro_gym_envs.hotpotqa.docstore import DocStore
from retro_gym_envs.hotpotqa.metrics import normalize_answer
from retro_gym_envs.json_rows import read_rows
from retro_gym_envs.row_checks import check_keys, check_texts, checked_object, wrong
from retro_gym_envs.shared import Shared
from retro_gym_envs.task_files import FileKey, Fold, TaskFiles, by_fold, checked_fold, file_key, paths_by_split
from retro_gym_envs.task_sources import SPLITS, ListedTasks, TaskSource

__all__ = ["SPLITS", "HotpotTask", "HotpotTasks", "TaskFiles", "TaskSet", "load_tasks"]

_KEYS = ("_id", "question", "answer", "type", "level", "supporting_facts", "context")
_JUDGED_BY = ("answer", "supporting_facts")
_REMEDY = "Use the files from hotpotqa.github.io (not the columns of a data set hub), or write what to_json returns."


@dataclasses.dataclass(frozen=True)
class HotpotTask(Shared):
    """One question with its answer and its paragraphs. Compared by value; deep copies are shared."""

    task_id: str
    """``_id`` in the public schema."""
    question: str
    answer: str
    type: str
    """``bridge`` or ``comparison``; files of similar data sets have other types."""
    level: str
    """``easy``, ``medium`` or ``hard``."""
    supporting_facts: tuple[tuple[str, int], ...]
    """Title and sentence index of each supporting sentence. Some indices of the public data lie beyond the
    paragraph's last sentence; they are kept unchanged."""
    context: tuple[tuple[str, tuple[str, ...]], ...]
    """Title and sentences of each paragraph; sentences after the first may begin with a space."""

    def __hash__(self) -> int:
        return hash(self.task_id)

    def to_json(self) -> dict[str, Any]:
        """Returns a new dict in the public schema."""
        return {
            "_id": self.task_id,
            "question": self.question,
            "answer": self.answer,
            "type": self.type,
            "level": self.level,
            "supporting_facts": [list(fact) for fact in self.supporting_facts],
            "context": [[title, list(sentences)] for title, sentences in self.context],
        }

    @classmethod
    def from_json(cls, row: object, where: str = "a task") -> HotpotTask:
        """Validates a row of the public schema. Keys other than the seven of the schema are ignored.

        Args:
            row: what the JSON parser returned.
            where: file and record number, for the error message.

        Raises:
            DataError: a key is missing, or a value violates the schema.
        """
        row = checked_object(row, where, _KEYS)
        unjudged = [key for key in _JUDGED_BY if key not in row]
        if unjudged and {"_id", "question", "context"} <= row.keys():
            raise DataError(
                f"{where}: {unjudged[0]!r} is missing. Without answer and supporting_facts a task cannot be judged; "
                "the hidden-test files have neither. Use a train or dev file of the distractor setting."
            )
        check_keys(row, where, _KEYS, f"Each record is one task with the keys {', '.join(_KEYS)}. {_REMEDY}")
        check_texts(row, where, _KEYS[:5])
        context = _context(row["context"], where)
        facts = _facts(row["supporting_facts"], context, where)
        return cls(row["_id"], row["question"], row["answer"], row["type"], row["level"], facts, context)


def _context(value: object, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    rule = "a list of paragraphs [title, [sentence, …]]"
    if not isinstance(value, list) or not value:
        raise wrong(where, "context", value, f"{rule}, with at least one", _REMEDY)
    for number, paragraph in enumerate(value):
        match paragraph:
            case [str(title), [*sentences]] if title.strip() and all(isinstance(text, str) for text in sentences):
                continue
        raise wrong(where, f"context[{number}]", paragraph, "[title, [sentence, …]], all text", _REMEDY)
    if not any(text.strip() for _, sentences in value for text in sentences):
        raise wrong(where, "context", value, f"{rule} with text in them", "Delete the record.")
    return tuple((title, tuple(sentences)) for title, sentences in value)


def _facts(value: object, context: tuple[tuple[str, tuple[str, ...]], ...], where: str) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, list) or not value:
        raise wrong(where, "supporting_facts", value, "a list of [title, sentence index], with at least one", _REMEDY)
    titles = {title for title, _ in context}
    for number, fact in enumerate(value):
        field = f"supporting_facts[{number}]"
        match fact:
            case [str(title), int(index)] if index >= 0 and not isinstance(index, bool):
                if title not in titles:
                    raise DataError(
                        f"{where}: {field} names {one_line(title)}, which is not the title of a paragraph of the "
                        f"context.{did_you_mean(title[:200], titles)} In fullwiki files this is common: use the "
                        "distractor setting. Otherwise correct the title, or delete the record."
                    )
                continue
        raise wrong(where, field, fact, "[title, sentence index], the index a whole number from 0 up", _REMEDY)
    return tuple((title, index) for title, index in value)


class HotpotTasks(TaskSource[HotpotTask]):
    """Tasks, and the paragraphs of all of them."""

    @abstractmethod
    def store(self, task_id: str) -> DocStore:
        """Returns the paragraphs of all tasks of the file, or of the split, that a task comes from.

        Raises:
            UnknownTaskError: no such task.
        """


@dataclasses.dataclass(frozen=True, eq=False)
class _TaskFile:
    """One file, read and validated."""

    path: str
    size: int
    """In bytes."""
    tasks: dict[str, HotpotTask]

    @cached_property
    def store(self) -> DocStore:
        return DocStore(paragraph for task in self.tasks.values() for paragraph in task.context)


class TaskSet(ListedTasks[HotpotTask], HotpotTasks):
    """The tasks of one or more files. Made by :func:`load_tasks`; shared by all environments of a process.

    A pickle holds only the paths: unpickling reads the files again, which must exist unchanged.
    """

    def __init__(self, files: Mapping[str, _TaskFile], fold: Fold | None, spec: str | dict[str, str]) -> None:
        self._files = dict(files)
        self._fold = fold
        self._spec = spec
        self._ids = {split: tuple(files[split].tasks) for split in SPLITS if split in files}
        if fold is not None:  # a fold requires one file, which all splits share
            self._ids = by_fold({task_id: _marks(task) for task_id, task in files["train"].tasks.items()}, fold)
        self._homes: dict[str, str] = {}  # task id to the split that it belongs to
        for split, ids in self._ids.items():
            for task_id in ids:
                home = self._homes.setdefault(task_id, split)
                if files[home] is not files[split]:
                    raise DataError(
                        f"task {one_line(task_id)} is in both {files[home].path} ({home}) and {files[split].path} "
                        f"({split}). Splits must not share tasks: delete it from one of the files."
                    )

    def __len__(self) -> int:
        return len(self._homes)

    def get(self, task_id: str) -> HotpotTask:
        """Returns the task with this id."""
        return self._files[self.task_split(task_id)].tasks[task_id]

    def task_split(self, task_id: str) -> str:
        """Returns the split of a task; if several contain it, the first of train, validation, test."""
        try:
            return self._homes[task_id]
        except KeyError:
            raise UnknownTaskError(
                f"task {one_line(task_id)} is not in {self._spec}. Its ids look like {next(iter(self._homes))!r}."
            ) from None

    def store(self, task_id: str) -> DocStore:
        """Returns the paragraphs of all tasks of the file that a task comes from, whatever their splits."""
        return self._files[self.task_split(task_id)].store

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._spec, self._fold, {split: file.size for split, file in self._files.items()})

    def __repr__(self) -> str:
        return f"TaskSet({self._spec!r}, fold={self._fold}, {len(self)} tasks)"


def _marks(task: HotpotTask) -> list[str]:
    """Returns what folds must not share, to prevent leakage: the question and the titles of its supporting pages.

    The other paragraphs of the context do not count: most pages of a large file are a distractor somewhere.
    """
    titles = {" ".join(title.casefold().split()) for title, _ in task.supporting_facts}
    return [f"question {normalize_answer(task.question)}", *(f"title {title}" for title in sorted(titles))]


def load_tasks(tasks: TaskFiles, fold: Fold | None = None) -> TaskSet:
    """Reads task files in the official schema: one JSON array, or JSONL.

    A file is read record by record, and once per process unless it changes.

    Args:
        tasks: one path, or paths by split (``{"train": …, "test": …}``). Task files do not define splits: with one path
            **every split is the whole file**, so evaluation would use the training tasks. Use ``fold`` or several
            files to avoid this.
        fold: ``(i, n)``, with one path, for cross-validation over n >= 3 folds: test is fold i, validation fold i + 1
            (modulo n), train the others. Tasks with the same question, or with supporting pages of the same title, are
            in the same fold; otherwise the folds are as even as possible.

    Raises:
        DataError: a file cannot be used, or two files share a task.
        ConfigError: ``tasks`` or ``fold`` is invalid, or there are too few independent groups of tasks for n folds.
    """
    paths = paths_by_split(tasks, fold)
    keys = {path: file_key(path) for path in set(paths.values())}
    return _load(tuple((split, keys[path]) for split, path in paths.items()), checked_fold(fold))


@lru_cache(maxsize=16)
def _load(keys: tuple[tuple[str, FileKey], ...], fold: Fold | None) -> TaskSet:
    files = {split: _read(*key) for split, key in keys}
    paths = {split: key[0] for split, key in keys}
    one_path = len(paths) == len(SPLITS) and len(set(paths.values())) == 1
    return TaskSet(files, fold, paths["train"] if one_path else paths)


@lru_cache(maxsize=4)
def _read(path: str, mtime: int, size: int) -> _TaskFile:
    """Reads a file; ``mtime`` and ``size`` are part of the cache key, so that a changed file is read again."""
    tasks: dict[str, HotpotTask] = {}
    for where, row in read_rows(path):
        task = HotpotTask.from_json(row, where)
        if task.task_id in tasks:
            number = 1 + list(tasks).index(task.task_id)
            raise DataError(
                f"{where}: _id {one_line(task.task_id)} is that of record {number} already. Delete one of them."
            )
        tasks[task.task_id] = task
    return _TaskFile(path, size, tasks)


def _restore(spec: str | dict[str, str], fold: Fold | None, sizes: dict[str, int]) -> TaskSet:
    """Unpickles a task set."""
    try:
        tasks = load_tasks(spec, fold)
    except DataError as error:
        raise DataError(f"a pickled environment needs its task file: {error}") from error
    for split, size in sizes.items():
        file = tasks._files[split]
        if file.size != size:
            raise DataError(
                f"{file.path} has {file.size} bytes; it had {size} when the environment was pickled. Restore the file."
            )
    return tasks
