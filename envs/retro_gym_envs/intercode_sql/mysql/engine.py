"""Runs one arbitrary statement on a database, and answers as MySQL would.

Every statement gets its own in-memory SQLite database, loaded from the database's image, so it has no lasting effect.
An authorizer allows only reads of the database's own tables and deterministic functions; sizes, steps, rows, memory
and time are limited. The limit on steps does not depend on the machine; the time limit is a second safeguard, for
queries with few but very slow steps.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from functools import lru_cache
from typing import Any

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.functions.registry import (
    ALLOWED,
    OWN_PREFIX,
    register_collations,
    register_functions,
)
from retro_gym_envs.intercode_sql.mysql.functions.values import Value
from retro_gym_envs.intercode_sql.mysql.show import INFORMATION_SCHEMA, add_information_schema, describe, titles
from retro_gym_envs.intercode_sql.mysql.translation.dialect import (
    SQLError,
    Token,
    first_statement,
    mysql_error,
    syntax_error,
    text_of,
)
from retro_gym_envs.intercode_sql.mysql.translation.translate import Query, to_sqlite

__all__ = ["MAX_ROWS", "Result", "execute"]

MAX_ROWS = 20_000
"""Maximum rows of a result; more are an error."""

_STEPS = 10_000_000  # of SQLite's virtual machine; the slowest gold query of the public tasks takes 1.1 million
_STEPS_PER_CHECK = 500
_STEPS_PER_COMPARISON = 20  # of strings, with each other or with a pattern: implemented in Python
_SECONDS = 10.0
_BYTES = 10_000  # of a value or a row; the longest row of the public databases has about 700
_RESULT_BYTES = 10_000_000
_REMEMBERED_CELLS = 2_000  # larger results are not cached
_HEAP = 1 << 29  # bytes of all SQLite connections of the process
_SCHEMA = "information_schema"
_TOO_LONG = "Query execution was interrupted, maximum statement execution time exceeded"
_TOO_LARGE = "Query execution was interrupted, its result is too large"

_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 50_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 30,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 50_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 10_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_QUERIES = ("select", "with", "table", "(")
_DESCRIPTIONS = ("show", "desc", "describe", "explain", "use")
_WRITES = """
    alter analyze begin call commit create deallocate delete do drop execute flush grant handler insert kill load lock
    optimize prepare purge rename repair replace reset restore revoke rollback savepoint set shutdown start truncate
    unlock update
"""
_DENIED = frozenset(_WRITES.split())


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a statement: rows, an error, or neither. Deep copies are the object itself."""

    rows: tuple[tuple[Value, ...], ...] | None = None
    """None when the statement has no result set."""
    error: str | None = None
    """MySQL's message."""
    lasting: bool = True
    """Whether the statement would give the same result on another machine; False if time or memory ended it."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Result:
        return self


def execute(database: Database, sql: str) -> Result:
    """Runs the first statement of a text. Never raises because of the text, and never changes the database.

    Args:
        database: the database; not modified.
        sql: any text.
    """
    try:
        return _remembered(database, sql)
    except _NotRememberedError as found:
        return found.result


class _NotRememberedError(Exception):
    """Carries a result past the cache, which does not store exceptions."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


@lru_cache(maxsize=2_048)  # actors repeat the same statements in many trials
def _remembered(database: Database, sql: str) -> Result:
    result = _executed(database, sql)
    cells = sum(map(len, result.rows or ()))
    if not result.lasting or cells > _REMEMBERED_CELLS or len(sql) > _REMEMBERED_CELLS:
        raise _NotRememberedError(result)
    return result


def _executed(database: Database, sql: str) -> Result:
    try:
        tokens = first_statement(sql)
        head = tokens[0].text.lower()
        if head in _DESCRIPTIONS:
            return _description(database, tokens, sql)
        if head in _DENIED:
            return Result(error=_denial(head, tokens))
        if head not in _QUERIES:
            raise syntax_error(sql[tokens[0].start :])
        query = to_sqlite(tokens, sql, database.name.lower(), database.schema + INFORMATION_SCHEMA)
    except SQLError as error:
        return Result(error=str(error))
    return _query(database, query, tokens, sql)


def _description(database: Database, tokens: list[Token], sql: str) -> Result:
    """Returns the result of SHOW and similar statements, filtered by the condition after WHERE."""
    place = next((number for number, token in enumerate(tokens) if token.says("where")), len(tokens))
    names = titles(database, tokens) if tokens[0].says("show") else ()
    if place == len(tokens) or not names:
        return Result(describe(database, tokens, sql))
    columns = tuple(Column(name, "text") for name in names)
    shown = Table("my rows", columns, describe(database, tokens[:place], sql) or ())
    condition = sql[tokens[place].start : tokens[-1].start + len(tokens[-1].text)]
    return _executed(Database(database.name, (shown,)), f"SELECT * FROM `my rows` {condition}")


def _denial(verb: str, tokens: list[Token]) -> str:
    passed = ("table", "from", "into", "if", "exists", "not", "database", "view", "index")
    table = next((text_of(token) for token in tokens[1:] if not token.says(*passed)), "")
    return f"{verb.upper()} command denied to user 'agent'@'localhost' for table '{table[:64]}'"


def _query(database: Database, query: Query, tokens: list[Token], sql: str) -> Result:
    guard = _Guard(database)
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0, check_same_thread=False)
    try:
        guard.watch(connection, query.text)
        cursor = connection.execute(query.text, query.values)
        rows: list[tuple[Value, ...]] = []
        size = 0
        for row in cursor:
            rows.append(row)
            size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
            if len(rows) > MAX_ROWS or size > _RESULT_BYTES:
                return Result(error=_TOO_LARGE)
        if guard.spent:  # exhausted within the last steps, so that nothing has interrupted the query
            return Result(error=_TOO_LONG, lasting=not guard.late)
        return Result(tuple(rows) if cursor.description is not None else None)
    except MemoryError:
        return Result(error=_TOO_LARGE, lasting=False)
    except (sqlite3.Error, sqlite3.Warning, UnicodeError, OverflowError) as error:
        if guard.spent:
            return Result(error=_TOO_LONG, lasting=not guard.late)
        if guard.refused:
            return Result(error=guard.refused)
        message = str(error)
        if "too big" in message:
            return Result(error=_TOO_LARGE)
        return Result(error=mysql_error(message, tokens, sql, database.name))
    finally:
        connection.close()


class _Guard:
    """Enforces the limits of one query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._left = _STEPS
        self._deadline = time.monotonic() + _SECONDS
        self.refused = ""
        """Why the authorizer refused the query, if it did."""
        self.late = False
        """Whether the query exceeded the time limit."""

    @property
    def spent(self) -> bool:
        """Whether the query has used up its steps or its time."""
        return self.late or self._left < 0

    def watch(self, connection: sqlite3.Connection, query: str) -> None:
        """Loads the database's image into the connection, and then sets all limits."""
        connection.deserialize(self._database.image)
        register_collations(connection, self._charge)
        register_functions(connection, query, self._database.name.lower(), self._refuse, self._charge)
        if _SCHEMA in query.lower():
            add_information_schema(connection, self._database)
        _limit_heap(connection)
        connection.execute("PRAGMA temp_store = MEMORY")  # otherwise large sorts use temporary files
        connection.execute("PRAGMA query_only = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _BYTES)
        for category, limit in _LIMITS.items():
            connection.setlimit(category, limit)
        connection.set_progress_handler(self._progress, _STEPS_PER_CHECK)
        connection.set_authorizer(self._authorize)

    def _progress(self) -> bool:
        self._left -= _STEPS_PER_CHECK
        if time.monotonic() > self._deadline and self._left >= 0:
            self.late = True
        return self.spent

    def _charge(self) -> bool:
        """Counts a comparison and returns whether steps are left. Needed since a sort cannot be interrupted."""
        self._left -= _STEPS_PER_COMPARISON
        return self._left >= 0

    def _refuse(self, why: str) -> None:
        self.refused = self.refused or why

    def _authorize(self, action: int, first: str | None, second: str | None, home: str | None, _: object) -> int:
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                return sqlite3.SQLITE_OK
            case sqlite3.SQLITE_FUNCTION if second:
                if second.lower() in ALLOWED:
                    return sqlite3.SQLITE_OK
                name = second.removeprefix(OWN_PREFIX)
                self.refused = f"FUNCTION {self._database.name.lower()}.{name} does not exist"
            case sqlite3.SQLITE_READ if first is not None:
                if (home == _SCHEMA and not first.startswith("sqlite_")) or self._may_read(first, second or ""):
                    return sqlite3.SQLITE_OK
                self.refused = self.refused or f"Table '{self._database.name.lower()}.{first}' doesn't exist"
            case _:
                self.refused = self.refused or "Command denied to user 'agent'@'localhost'"
        return sqlite3.SQLITE_DENY

    def _may_read(self, table: str, column: str) -> bool:
        known = self._database.table(table)
        if known is None:  # defined by the query itself, or one of SQLite's own tables
            return not column and not table.lower().startswith(("sqlite_", "pragma_")) and table not in _modules()
        if column and all(column.lower() != each.name.lower() for each in known.columns):
            self.refused = f"Unknown column '{column.lower()}' in 'field list'"  # ROWID, which MySQL does not have
            return False
        return True


@lru_cache(maxsize=1)
def _modules() -> frozenset[str]:
    """Returns the tables built into this SQLite (``json_each``, ``dbstat``)."""
    connection = sqlite3.connect(":memory:")
    try:
        return frozenset(name for (name,) in connection.execute("PRAGMA module_list"))
    finally:
        connection.close()


def _limit_heap(connection: sqlite3.Connection) -> None:
    """Limits SQLite's memory in the whole process, unless the program has already set a limit."""
    if not connection.execute("PRAGMA hard_heap_limit").fetchone()[0]:
        connection.execute(f"PRAGMA hard_heap_limit = {_HEAP}")
