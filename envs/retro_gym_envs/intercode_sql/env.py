"""InterCodeSQL-v0: questions about a database, answered with SQL."""

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
_MAX_SHOWN = 25  # rows, as in InterCode; the reward uses all rows


class InterCodeSQLEnv(GameEnv[SQLTask]):
    """Questions about a database that must be explored first, answered with SQL.

    ## Description
    The answer to a question is the result of a query (InterCode, Yang et al. 2023, on the questions of Spider, Yu et
    al. 2018). Instead of MySQL in a container, each statement runs in its own in-memory SQLite database, behind a
    translation that knows the columns' types. The dialect is MySQL 8: a string used as a number is compared, added and
    averaged by its leading number (``'18abc'`` is 18, ``'abc'`` 0); string comparison ignores case, accents and, in
    columns, trailing spaces; times and strings are compared as times; ``/`` is true division, ``||`` is OR. SHOW, DESC,
    USE, ``information_schema``, ROLLUP, ``GROUP_CONCAT``, ANY and ALL, window functions, WITH, REGEXP and its variants,
    and MySQL's usual functions are supported, and error messages have MySQL's wording. The database is read-only, so
    every trial finds the same data; in the original, an actor's deletions persist.

    Remaining differences from MySQL, because of which scores are close to the original's but not equal:

    - Sums, averages and other decimals are Python numbers; dates and times are strings, instead of ``Decimal`` and
      ``datetime`` objects. Integers are signed 64-bit.
    - FLOAT columns hold the number written in the dump; MySQL's hold the nearest single-precision float, so that
      ``percentage = 52.4`` matches no rows there but does here.
    - A space before the bracket of an aggregate (``MAX (x)``) is accepted. So are reserved words as column names, and
      as aliases without AS, except those that actors often use (``rank``, ``groups``), which are refused.
    - A subquery with several rows is refused only when its value is evaluated. The time zone is UTC
      (``UNIX_TIMESTAMP``). ``0x41`` is a string, even where MySQL uses it as a number.
    - Columns that are neither grouped nor aggregated are accepted (no ONLY_FULL_GROUP_BY); the value of any row is
      returned. A query in FROM needs no alias, and WHERE may use an alias of SELECT.
    - Without ORDER BY, the rows of GROUP BY, UNION, INTERSECT and EXCEPT are sorted, and of equal strings in a UNION
      the last one is kept. ENUM is ordered as a string.
    - USING and NATURAL compare a string column with a number as SQLite does; ON compares them as numbers.
    - A string that is not a valid time is compared with a time as a string, where MySQL refuses it or gives NULL. An
      impossible date (``2001-00-00``) has no year.
    - ``ß`` and letters with several code points are compared in Unicode's upper case. GROUP_CONCAT is not truncated at
      1,024 bytes. REGEXP refuses back-references, look-arounds, nested repetitions, and patterns that may be too slow.
    - Not supported: functions that depend on the clock, on randomness or on the user (NOW, RAND, USER), variables,
      ``b'101'``, VALUES, INTERSECT ALL, LATERAL, INTERVAL of two units (``DAY_HOUR``), JSON, full-text and spatial
      functions, and EXPLAIN of a query.

    A statement fails if it exceeds 10 million steps of SQLite's virtual machine, 10 s, 10,000 bytes in a value or a
    row, 20,000 rows, or 512 MB of memory (``hard_heap_limit``, which applies to all SQLite connections of the process;
    a limit that the program has already set is kept).

    **The built-in world.** Each task has a database of its own. Its tables, columns and stored codes have coined names
    that a question never uses; what they stand for is in the comments of tables and columns
    (``information_schema``) and in a table of codes (columns ``meaning`` and ``code``). Questions have five forms (a
    list, an aggregate, the highest or lowest row, the people of the rows, the rows of a person) and name a table, a
    filter column, a value, and a numeric column or a role by such phrases. The scripted actor looks at all comments
    that it needs. It joins them with the names by CONCAT, so that a name directly follows what it stands for:
    ``('int price in winter hilokum',)``. But it understands only the head of a phrase (``price``) and overlooks the
    qualifier (``in winter``). It fails where five names have the same head, and takes one of them by chance.

    Causes of failure (``failure_cause``), each equally frequent among those that a form has; 20 % of the tasks have
    two. All five candidates are seen in every trial, in random order. Of a table, M is the qualifier alone (``on
    loan``), since all tables hold the same things:

    | cause | seen in | the reflection says (M is what X stands for) |
    |---|---|---|
    | ``table`` | the tables' comments | Query the table M X. |
    | ``measure`` | the columns' comments (numeric) | Select the M X. |
    | ``filter`` | the columns' comments (text) | Filter on the M X. |
    | ``value`` | the table of codes | Use the value M X. |
    | ``key`` | the columns' comments (references) | Join on the M X. |

    A name that a reflection speaks for is used, one that it speaks against is avoided. If it speaks for more than two
    names for one part of the query, or for and against more than three, the actor is confused and takes the first.
    Descriptions without a name do not help it: it has the question's words already.

    Success at trial 1 in % (200 test tasks, two seeds, scripted actor at temperature 1; solved at trial 0 counts), and
    the share of the reflections that contain the answer, as ``benchmarks/attacks.py`` measures them. A candidate is
    one of the five names that fit a part of the query; one is advised for each such part:

    | policy | success | leak |
    |---|---|---|
    | ``none`` (a plain retry); ``vague``; ``outcome`` | 32.2 each | 0 |
    | ``oracle``; ``rule``; ``told`` (the answer) | 100 each | 0; 0; 100 |
    | ``noisy`` | 43.5 | 0 |
    | ``task_only``; the task's text | 32.2 each | 0 |
    | ``copy``; the observation's first 300; 600; 1,000 characters | 32.2 each | 0 |
    | its last 300; 600; 1,000 characters | 32.2 each | 0 |
    | ``actions``; the same as a mere list | 18.0 each | 0 |
    | ``shotgun``; every name of the trial | 31.5 each | 0 |
    | one; two; three names of the trial at random | 31.8; 29.8; 33.2 | 0 |
    | the last name; the most frequent name | 31.0; 29.2 | 0 |
    | the first; second; third; last candidate | 31.5; 35.0; 31.0; 33.2 | 0 |
    | a candidate at random; two; one that was not tried | 31.0; 33.0; 34.8 | 0 |
    | a candidate at random, with what the trial says of it | 31.2 | 0 |
    | all candidates; each by itself; each "if it is right" | 31.5 each | 0 |
    | "do not" with what was tried; with the oracle's advice | 34.5; 18.2 | 0 |
    | ``lookup``; the same by the failures; ``shuffled`` | 32.2 each | 0 |
    | "Use the right columns: …" with the task's text | 32.2 | 0 |

    Solved at trial 0, in %: 18.0; by cause: filter 27.4, key 26.9, measure 16.7, table 15.1, two 6.5, value 19.1. The
    observation of a failure has 1,456 characters on average, at most 1,807.

    On all 22,000 tasks the splits share no name of a table, column or row, no code, question, wording or gold query,
    and no kind of thing in the main table. They share the English of the comments.

    On InterCode's public tasks there are no comments. The actor guesses by the words that question and names share,
    and follows what reflections say of tables, joins, columns, conditions, groups and orders. The
    oracle says what the gold query consists of as far as simple words go, and ``told`` the query itself. On the 861
    tasks of 100 to 1033 whose answer has rows: ``none`` 5.5, ``rule`` 8.4, ``oracle`` 63.8 (no leak), ``told`` 100 (all
    leak).

    ## Observation
    ``UnicodeText(8000)``. First ``Question: …``, then the result of each action:

    - execute: at most 25 rows as a list of tuples, ``None`` for a statement without rows, or
      ``Error executing query: …`` truncated to 350 characters.
    - submit: ``STATUS: OK`` or ``STATUS: FAIL``. The correct answer is never shown.

    ## Action
    ``UnicodeText(1000)``: ``execute[SQL]`` (the first statement is run; surrounding text is ignored, as in the
    published harness) or ``submit``; their case, a full stop at the end, and white space, quotes or a ``>`` around the
    action are ignored. Any other text is answered by an error and costs a turn.

    ## Rewards
    InterCode's reward at submit, 0 before. The rows of the last execute (no rows after an error) and those of the gold
    query are compared as multisets of strings: intersection over union, times Kendall's τ of the common rows' order
    if it is defined, rounded to two digits. It can be negative. Order counts even if the question asks for none.
    Success is a reward of exactly 1.

    ## Starting state
    The task ``options["task_id"]``, or one drawn from split train with ``np_random``.

    ``info`` always holds ``task_id``, ``db``, ``hardness`` and ``success``.

    ## Episode end
    Terminated by submit, truncated after ``max_turns`` turns. A truncated trial submits nothing.

    ## Arguments
    - ``tasks``: a file in the public schema (``ic_spider_dev.json``; JSON or JSONL), or files by split
      (``{"train": …, "test": …}``); the built-in world by default. With one file **every split is the whole file**.
      A task's id is its database and its position in the file, such as ``dog_kennels-1``.
    - ``databases``: the MySQL dump of the databases (``ic_spider_dbs.sql``); required with ``tasks``.
    - ``keep_empty``: keeps tasks whose gold query returns no rows. By default they are left out, because any empty
      answer solves them.
    - ``world_seed``: the seed of the built-in world.
    - ``fold``: ``(i, n)`` divides one file into train, validation and test, for cross-validation; see ``load_tasks``.
    - ``max_turns``: maximum turns of a trial; 10 by default, as published.

    ## Version history
    * v0: first release. Before it, the built-in world was made anew: coined names with comments instead of names that
      questions use, splits without common questions, a scripted actor with a temperature that follows names. Comments
      of columns and tables are in ``information_schema``, SHOW FULL COLUMNS and SHOW CREATE TABLE.
    """

    prompt = INTERCODE_SQL_PROMPT
    max_turns = 10
    blocking = False
    any_thread = True
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

    # -- database, actor and teacher -------------------------------------------------------------------------------

    def database(self, task_id: str) -> Database:
        """Returns the database of a task.

        Raises:
            UnknownTaskError: no such task.
        """
        return self._tasks.database(checked_task_id(task_id))

    def scripted_actor(self, *, temperature: float = 1.0, thoughts: bool = False) -> Actor:
        """Returns an actor that reads only the prompt, overlooks qualifiers, and follows what reflections name."""
        from retro_gym_envs.intercode_sql.actor import ScriptedSQLActor

        return ScriptedSQLActor(temperature, thoughts=thoughts)

    @property
    def teacher(self) -> Teacher:
        """A teacher that knows which names the actor fails to find, and on public tasks the gold query."""
        from retro_gym_envs.intercode_sql.teacher import SQLTeacher

        return SQLTeacher(self._tasks)
