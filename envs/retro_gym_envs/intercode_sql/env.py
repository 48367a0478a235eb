"""InterCodeSQL-v0: questions on a database, to be answered by SQL."""

from __future__ import annotations

import os
import re
from typing import Any

from retro_gym.actors import Actor
from retro_gym.errors import ConfigError, one_line
from retro_gym.task_env import checked_task_id
from retro_gym.teacher import Teacher
from retro_gym_envs.actions import argument_end, bare
from retro_gym_envs.game_env import GameEnv
from retro_gym_envs.intercode_sql.mysql.database import Database
from retro_gym_envs.intercode_sql.mysql.engine import Result, execute
from retro_gym_envs.intercode_sql.prompt import INTERCODE_SQL_PROMPT
from retro_gym_envs.intercode_sql.reward import score
from retro_gym_envs.intercode_sql.tasks import SQLTask, SQLTasks, TaskFiles, load_tasks
from retro_gym_envs.intercode_sql.world import BuiltinTasks

__all__ = ["InterCodeSQLEnv"]

_EXECUTE = re.compile(r"execute\[", re.IGNORECASE)
_ERROR = "Error executing query: "
_NO_CODE = f"{_ERROR}Your last `execute` action did not contain sql code"
_MAX_ERROR = 350  # characters, as in InterCode
_MAX_SHOWN = 25  # rows, as in InterCode; all of them count


class InterCodeSQLEnv(GameEnv[SQLTask]):
    """Questions on a database that must be explored first, to be answered by SQL.

    ## Description
    A question is to be answered by the rows of a query (InterCode, Yang et al. 2023, on the questions of Spider, Yu et
    al. 2018). In place of MySQL in a container each statement runs on a SQLite of its own in memory, behind a
    translation that knows the columns' types. It speaks MySQL 8: a text that meets a number is compared, added and
    averaged by its leading number (``'18abc'`` is 18, ``'abc'`` 0); texts are alike whatever their case, accents and,
    in columns, spaces at their end; times are compared with texts as times; ``/`` is true division, ``||`` is OR.
    SHOW, DESC, USE, ``information_schema``, ROLLUP, ``GROUP_CONCAT``, ANY and ALL, windows, WITH, REGEXP and its kin,
    and MySQL's usual functions are there, and errors are worded as MySQL words them. It can only be read, so every
    trial finds the database as the last one did; the original keeps what its actors delete.

    What still differs from MySQL, so that scores are near those of the original but not the same:

    - Sums, averages and other decimals are Python numbers, dates and times are texts, in place of ``Decimal`` and
      ``datetime`` objects. Whole numbers have 64 bits with a sign.
    - FLOAT columns hold the number that the dump writes; MySQL's hold the nearest single-precision float, so that
      ``percentage = 52.4`` finds nothing there and rows here.
    - A space before the bracket of an aggregate (``MAX (x)``) is taken. So are reserved words as names of columns, and
      as names without AS unless actors are fond of them (``rank``, ``groups``).
    - A subquery of several rows is refused only once its value is asked for. The time zone is UTC (``UNIX_TIMESTAMP``).
      ``0x41`` is a text, also where MySQL takes it for a number.
    - Columns that are neither grouped nor aggregated are not refused (ONLY_FULL_GROUP_BY); any row's value is given.
      A query in FROM needs no alias, and WHERE may use one that SELECT gives.
    - Without ORDER BY, the rows of GROUP BY, UNION, INTERSECT and EXCEPT come sorted, and of texts that are alike in a
      UNION the last one is kept. ENUM is ordered as text.
    - USING and NATURAL compare a text column with a number as SQLite does; ON compares them by number.
    - A text that is no time is compared with a time as text, where MySQL refuses it or gives NULL. An impossible date
      (``2001-00-00``) has no year.
    - ``ß`` and letters of several parts are compared by Unicode's upper case. GROUP_CONCAT is not cut at 1,024 bytes.
      REGEXP refuses back-references, look-arounds, repetitions of repetitions, and what may take too long.
    - Unknown are what depends on the clock, on chance or on the user (NOW, RAND, USER), variables, ``b'101'``, VALUES,
      INTERSECT ALL, LATERAL, INTERVAL of two units (``DAY_HOUR``), JSON, full-text and spatial functions, and EXPLAIN
      of a query.

    A statement ends with an error when it takes more than 10 million steps of SQLite's machine, 10 s, values or rows
    of more than 10,000 bytes, 20,000 rows, or 512 MB of memory (``hard_heap_limit``, which holds for all SQLite of the
    process; one that the program has set is left as it is).

    ## Observation
    ``UnicodeText(8000)``. First ``Question: …``, then what each action gives:

    - execute: at most 25 rows as a list of tuples, ``None`` for a statement without rows, or
      ``Error executing query: …`` cut to 350 characters.
    - submit: ``STATUS: OK`` or ``STATUS: FAIL``. The right answer is never shown.

    ## Action
    ``UnicodeText(1000)``: ``execute[SQL]`` (its first statement is run; text around it is ignored, as in the published
    harness) or ``submit``; their case, a full stop at the end, and white space, quotes or a ``>`` around them do not
    matter. Any other text is answered by an error and costs a turn.

    ## Rewards
    At submit, 0 before: InterCode's. The rows of the last execute (no rows after an error) and the right ones as
    multisets of texts: intersection over union, times Kendall's τ of the common rows' order where they have one,
    rounded to two digits. It may be below 0. Order counts even where the question asks for none. Success is a reward of
    exactly 1.

    ## Starting state
    The task ``options["task_id"]``, or one of split train, drawn by ``np_random``.

    ``info`` always holds ``task_id``, ``db``, ``hardness`` and ``success``.

    ## Episode end
    Terminated by submit, truncated after ``max_turns`` turns. Nothing is submitted then.

    ## Arguments
    - ``tasks``: a file in the public schema (``ic_spider_dev.json``; JSON or JSONL), or files by split
      (``{"train": …, "test": …}``); the built-in world by default. With one file **every split is the whole file**.
      A task's id is its database and its place in the file, such as ``dog_kennels-1``.
    - ``databases``: the MySQL dump of the databases (``ic_spider_dbs.sql``); needed with ``tasks``.
    - ``keep_empty``: keeps tasks whose right answer has no rows: any empty answer solves them, so they are left out.
    - ``world_seed``: of the built-in world.
    - ``fold``: ``(i, n)`` divides one file into train, validation and test, for cross-validation; see ``load_tasks``.
    - ``max_turns``: turns of a trial; 10 by default, as published.

    ## Version history
    * v0: first release
    """

    prompt = INTERCODE_SQL_PROMPT
    max_turns = 10
    blocking = False
    data = "built in; tasks=FILE with databases=FILE: InterCode's JSON and MySQL dump"
    _tasks: SQLTasks

    def __init__(
        self,
        *,
        tasks: TaskFiles | None = None,
        databases: str | os.PathLike[str] | None = None,
        keep_empty: bool = False,
        world_seed: int = 0,
        fold: tuple[int, int] | None = None,
        max_turns: int | None = None,
    ) -> None:
        super().__init__(max_turns)
        if (tasks is None) != (databases is None):
            raise ConfigError(
                f"tasks is {one_line(tasks)} and databases {one_line(databases)}; a task file needs the dump of its "
                "databases, such as tasks='ic_spider_dev.json', databases='ic_spider_dbs.sql'. Give both or neither."
            )
        if tasks is None or databases is None:
            if fold is not None or keep_empty:
                raise ConfigError("fold and keep_empty are for task files; the built-in world has no use for them.")
            self._tasks = BuiltinTasks(world_seed)
        else:
            self._tasks = load_tasks(tasks, databases, fold, keep_empty=keep_empty)

    def _begin(self, task_id: str) -> str:
        self._task = self.task(task_id)
        self._last: Result | None = None
        self._success = False
        return f"Question: {' '.join(self._task.query.split())}"

    def _play(self, action: str) -> tuple[str, float, bool]:
        action = bare(action)
        if action.lower() == "submit":
            reward = score(self._last, execute(self.database(self._task.task_id), self._task.gold))
            self._success = reward == 1.0
            return f"STATUS: {'OK' if self._success else 'FAIL'}", reward, True
        start = _EXECUTE.search(action)
        end = argument_end(action, start.end()) if start else -1
        said = self._execute(action[start.end() : end]) if start and start.end() <= end else _NO_CODE
        return said, 0.0, False

    def _execute(self, sql: str) -> str:
        self._last = execute(self.database(self._task.task_id), sql)
        if self._last.error is not None:
            return f"{_ERROR}{self._last.error}"[:_MAX_ERROR]
        return str(None if self._last.rows is None else list(self._last.rows[:_MAX_SHOWN]))

    def _info(self) -> dict[str, Any]:
        task = self._task
        return {"task_id": task.task_id, "db": task.db, "hardness": task.hardness, "success": self._success}

    # -- beside the game -------------------------------------------------------------------------------------------

    def database(self, task_id: str) -> Database:
        """The database of a task.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.database(checked_task_id(task_id))

    def scripted_actor(self) -> Actor:
        """An actor that reads the prompt only, guesses columns by words, and does what a specific reflection says."""
        from retro_gym_envs.intercode_sql.actor import ScriptedSQLActor

        return ScriptedSQLActor()

    @property
    def teacher(self) -> Teacher:
        """Knows what the first query lacks, and on public tasks the query itself."""
        from retro_gym_envs.intercode_sql.teacher import SQLTeacher

        return SQLTeacher(self._tasks)
