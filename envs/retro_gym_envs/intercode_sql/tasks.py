"""InterCode-SQL tasks: the public schema, validated on reading, and sets of tasks read from files."""

from __future__ import annotations

import dataclasses
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from retro_gym.errors import ConfigError, DataError, UnknownTaskError, did_you_mean, one_line
from retro_gym_envs.intercode_sql.mysql.database import Database
from retro_gym_envs.intercode_sql.mysql.dump import load_databases
from retro_gym_envs.intercode_sql.mysql.engine import execute
from retro_gym_envs.intercode_sql.wording import in_words
from retro_gym_envs.json_rows import read_rows
from retro_gym_envs.row_checks import check_keys, check_texts, checked_object
from retro_gym_envs.shared import Shared
from retro_gym_envs.task_files import FileKey, Fold, TaskFiles, by_fold, checked_fold, file_key, paths_by_split
from retro_gym_envs.task_sources import SPLITS, ListedTasks, TaskSource

__all__ = ["SPLITS", "SQLTask", "SQLTasks", "TaskFiles", "TaskSet", "load_tasks"]

_KEYS = ("db", "query", "gold", "hardness")
_REMEDY = "Use InterCode's ic_spider_dev.json, or write what to_json returns."


@dataclasses.dataclass(frozen=True)
class SQLTask(Shared):
    """One question about a database, with its gold query."""

    task_id: str
    db: str
    """The database's name."""
    query: str
    """The question, in English (its name in the public schema)."""
    gold: str
    """The gold query, in SQL."""
    hardness: str
    """``easy``, ``medium``, ``hard`` or ``extra``."""

    def to_json(self, database: Database) -> dict[str, Any]:
        """Returns a new dict in the public schema. It has no ids: an id is the database and a position."""
        tables = {table.name: [column.name for column in table.columns] for table in database.tables}
        return {
            "db": self.db,
            "gold": self.gold,
            "query": self.query,
            "hardness": self.hardness,
            "db_tables": tables,
        }

    @classmethod
    def from_json(cls, row: object, number: int, where: str = "a task") -> SQLTask:
        """Validates a row of the public schema. Keys other than the four required ones are ignored.

        Args:
            row: what the JSON parser returned.
            number: the row's position in the file, from 0.
            where: file and record number, for the error message.

        Raises:
            DataError: a key is missing, or a value violates the schema.
        """
        row = checked_object(row, where, _KEYS)
        check_keys(row, where, _KEYS, _REMEDY)
        check_texts(row, where, _KEYS)
        return cls(f"{row['db']}-{number}", row["db"], row["query"], row["gold"], row["hardness"])


class SQLTasks(TaskSource[SQLTask]):
    """Tasks, and the database of each."""

    @abstractmethod
    def database(self, task_id: str) -> Database:
        """Returns the database of a task.

        Raises:
            UnknownTaskError: no such task.
        """

    @abstractmethod
    def advice(self, task_id: str) -> str:
        """Returns the oracle's reflection on a task.

        Raises:
            UnknownTaskError: no such task.
        """

    def cause(self, task_id: str) -> str:
        """Returns the cause of failure that a generated task was given; empty if it is not known."""
        return ""

    def choices(self, task_id: str) -> Mapping[str, Sequence[str]]:
        """Returns the names that fit each part of a generated task's query, the right one first; empty if not known."""
        return {}


class TaskSet(ListedTasks[SQLTask], SQLTasks):
    """The tasks of one or more files. Made by :func:`load_tasks`; shared by all environments of a process.

    A pickle holds only the paths: unpickling reads the files again, which must exist unchanged.
    """

    def __init__(
        self,
        files: Mapping[str, dict[str, SQLTask]],
        databases: dict[str, Database],
        empty: frozenset[str],
        arguments: _Arguments,
    ) -> None:
        self._databases = databases
        self._arguments = arguments
        self.empty_gold = empty
        """Ids of the tasks whose gold query returns no rows, whether or not they are left out."""
        self._tasks: dict[str, SQLTask] = {}
        for tasks in files.values():
            self._tasks |= tasks
        self._ids = {split: self._kept(files[split], split) for split in SPLITS if split in files}
        if arguments.fold is not None:  # a fold requires one file, which all splits share
            marks = {task_id: _marks(self._tasks[task_id]) for task_id in self._ids["train"]}
            self._ids = by_fold(marks, arguments.fold)

    def _kept(self, tasks: dict[str, SQLTask], split: str) -> tuple[str, ...]:
        kept = tuple(each for each in tasks if self._arguments.keep_empty or each not in self.empty_gold)
        if not kept:
            raise ConfigError(
                f"split {split!r} is left without a task: the right answers of all {len(tasks)} have no rows. "
                "Use another file, or keep_empty=True."
            )
        return kept

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, task_id: str) -> SQLTask:
        """Returns the task with this id, even if it is left out by default."""
        try:
            return self._tasks[task_id]
        except KeyError:
            raise UnknownTaskError(
                f"task {one_line(task_id)} is not in {self!r}. Its ids look like {next(iter(self._tasks))!r}."
            ) from None

    def database(self, task_id: str) -> Database:
        """Returns the database of a task."""
        return self._databases[self.get(task_id).db.lower()]

    def advice(self, task_id: str) -> str:
        """Returns what the gold query consists of, in words and as far as words are simple enough."""
        return in_words(self.get(task_id).gold)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._arguments,)

    def __repr__(self) -> str:
        paths = {split: key[0] for split, key in self._arguments.files}
        return f"TaskSet({paths}, {len(self)} tasks)"


def _marks(task: SQLTask) -> list[str]:
    """Returns what folds must not share, to prevent leakage: database and query (databases have tables in common)."""
    return [f"db {task.db.lower()}", f"gold {' '.join(task.gold.lower().split()).rstrip('; ')}"]


@dataclasses.dataclass(frozen=True)
class _Arguments:
    """The arguments that a task set was made from."""

    files: tuple[tuple[str, FileKey], ...]
    """Split and file."""
    databases: FileKey
    fold: Fold | None
    keep_empty: bool


def load_tasks(
    tasks: TaskFiles,
    databases: str | os.PathLike[str],
    fold: Fold | None = None,
    *,
    keep_empty: bool = False,
) -> TaskSet:
    """Reads task files in the public schema, and the dump of their databases.

    Files are read once per process unless they change. Every gold query is run once.

    Args:
        tasks: one path, or paths by split (``{"train": …, "test": …}``). With one path **every split is the whole
            file**; use ``fold`` or several files to avoid this.
        databases: the MySQL dump.
        fold: ``(i, n)``, with one path, for cross-validation over n >= 3 folds: test is fold i, validation fold i + 1
            (modulo n), train the others. All tasks on a database are in the same fold, and so are databases that share
            a gold query; otherwise the folds are as even as possible.
        keep_empty: keeps tasks whose gold query returns no rows, which any empty answer would solve.

    Raises:
        DataError: a file cannot be used, a task's database is not in the dump, or a gold query does not run.
        ConfigError: an argument is invalid.
    """
    paths = paths_by_split(tasks, fold)
    if not isinstance(databases, str | os.PathLike):
        raise ConfigError(f"databases is {one_line(databases)}; give the path of the dump.")
    if not isinstance(keep_empty, bool):
        raise ConfigError(f"keep_empty is {one_line(keep_empty)}; it must be True or False.")
    keys = tuple((split, file_key(path)) for split, path in paths.items())
    return _load(_Arguments(keys, file_key(databases), checked_fold(fold), keep_empty))


@lru_cache(maxsize=16)
def _load(arguments: _Arguments) -> TaskSet:
    databases = load_databases(arguments.databases[0])
    read = {split: _read(key, arguments.databases) for split, key in arguments.files}
    files = {split: tasks for split, (tasks, _) in read.items()}
    if len({key for _, key in arguments.files}) > 1:
        files = _apart(files)
    empty = frozenset(
        task_id for split, (tasks, hollow) in read.items() for task_id in _renamed(tasks, hollow, files[split])
    )
    return TaskSet(files, databases, empty, arguments)


def _apart(files: dict[str, dict[str, SQLTask]]) -> dict[str, dict[str, SQLTask]]:
    """Prefixes ids with their split, since each file numbers its rows from 0. Files must not share tasks."""
    homes: dict[tuple[str, str], str] = {}
    named: dict[str, dict[str, SQLTask]] = {}
    for split, tasks in files.items():
        named[split] = {}
        for task in tasks.values():
            home = homes.setdefault((task.db, task.query), split)
            if home != split:
                raise DataError(
                    f"the question {one_line(task.query)} on {task.db} is in both the files of {home} and of {split}. "
                    "Splits must not share tasks: delete it from one of them."
                )
            renamed = dataclasses.replace(task, task_id=f"{split}-{task.task_id}")
            named[split][renamed.task_id] = renamed
    return named


def _renamed(before: dict[str, SQLTask], ids: frozenset[str], after: dict[str, SQLTask]) -> list[str]:
    return [new for old, new in zip(before, after, strict=True) if old in ids]


@lru_cache(maxsize=4)
def _read(key: FileKey, databases_key: FileKey) -> tuple[dict[str, SQLTask], frozenset[str]]:
    """Returns the tasks of a file, and the ids of those whose gold query returns no rows."""
    databases = load_databases(databases_key[0])
    tasks: dict[str, SQLTask] = {}
    empty = set()
    for number, (where, row) in enumerate(read_rows(key[0])):
        task = SQLTask.from_json(row, number, where)
        database = databases.get(task.db.lower())
        if database is None:
            raise DataError(
                f"{where}: db is {one_line(task.db)}, which {databases_key[0]} does not hold."
                f"{did_you_mean(task.db.lower(), databases)} It has {one_line(sorted(databases), 200)}."
            )
        result = execute(database, task.gold)
        if result.rows is None:
            raise DataError(
                f"{where}: gold does not run on {task.db}: {result.error or 'it is no query'}. "
                "Correct it, or delete the record."
            )
        if not result.rows:
            empty.add(task.task_id)
        tasks[task.task_id] = task
    return tasks, frozenset(empty)


def _restore(arguments: _Arguments) -> TaskSet:
    """Unpickles a task set. Modification times may differ, as after a copy; sizes may not."""
    for path, _, size in (*(key for _, key in arguments.files), arguments.databases):
        now = file_key(path)[2]
        if now != size:
            raise DataError(
                f"a pickled environment needs its files: {path} {'is absent' if now < 0 else f'has {now} bytes'}; it "
                f"had {size} bytes when the environment was pickled. Restore the file."
            )
    files = tuple((split, file_key(key[0])) for split, key in arguments.files)
    return _load(dataclasses.replace(arguments, files=files, databases=file_key(arguments.databases[0])))
