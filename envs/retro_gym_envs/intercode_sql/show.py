"""MySQL's statements about the database itself: SHOW, DESC, USE. SQLite has none of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from retro_gym_envs.intercode_sql.database import Database, Table
from retro_gym_envs.intercode_sql.dialect import SQLError, Token, syntax_error, text_of
from retro_gym_envs.intercode_sql.functions import COLLATION, Value

__all__ = ["add_information_schema", "describe"]

_Rows = tuple[tuple[Value, ...], ...]


def describe(database: Database, tokens: Sequence[Token], sql: str) -> _Rows | None:
    """The rows that such a statement gives; None for one that gives none (USE).

    Raises:
        SQLError: there is no such table or database, or the statement is none of these.
    """
    words = [token.text.lower() for token in tokens]
    rest = tokens[1:]
    match words:
        case ["show", "tables", *_]:
            rows = tuple((name,) for name in sorted(table.name for table in database.tables))
            return _like(database, rows, rest[1:], sql)
        case ["show", "databases" | "schemas"]:
            return ((database.name.lower(),),)
        case ["show", "full" | "extended", *_]:
            return describe(database, [tokens[0], *tokens[2:]], sql)
        case ["show", "columns" | "fields", "from" | "in", _, *_]:
            return tuple(column.described for column in _table(database, rest[2:], sql).columns)
        case ["show", "create", "table", _, *_]:
            table = _table(database, rest[2:], sql)
            return ((table.name, _definition(table)),)
        case ["show", "index" | "indexes" | "keys", "from" | "in", _, *_]:
            keyed = (column for column in _table(database, rest[2:], sql).columns if column.key)
            return tuple((column.name, column.key) for column in keyed)
        case ["desc" | "describe" | "explain", "select" | "with" | "analyze" | "format", *_]:
            raise SQLError("EXPLAIN command denied to user 'agent'@'localhost'")
        case ["desc" | "describe" | "explain", _, *_]:
            table_columns = _table(database, rest, sql).columns
            named = [text_of(token).lower() for token in rest[1:] if token.kind in ("word", "name", "string")]
            return tuple(
                column.described
                for column in table_columns
                if len(rest) == 1 or rest[1].says(".") or column.name.lower() in named
            )
        case ["use", _]:
            _check_database(database, tokens[1])
            return None
    raise syntax_error(sql[tokens[min(1, len(tokens) - 1)].start :])


def add_information_schema(connection: sqlite3.Connection, database: Database) -> None:
    """Attaches the tables in which MySQL describes the database, as far as actors ask for them."""
    connection.execute("ATTACH ':memory:' AS information_schema")
    text = f"TEXT COLLATE {COLLATION}"
    name = database.name.lower()
    connection.execute(
        "CREATE TABLE information_schema.tables "
        f"(TABLE_SCHEMA {text}, TABLE_NAME {text}, TABLE_TYPE {text}, TABLE_ROWS)"
    )
    connection.executemany(
        "INSERT INTO information_schema.tables VALUES (?, ?, ?, ?)",
        [(name, table.name, "BASE TABLE", len(table.rows)) for table in database.tables],
    )
    connection.execute(
        f"CREATE TABLE information_schema.columns (TABLE_SCHEMA {text}, TABLE_NAME {text}, COLUMN_NAME {text}, "
        f"ORDINAL_POSITION, COLUMN_DEFAULT {text}, IS_NULLABLE {text}, DATA_TYPE {text}, COLUMN_TYPE {text}, "
        f"COLUMN_KEY {text}, EXTRA {text})"
    )
    for table in database.tables:
        for number, column in enumerate(table.columns, start=1):
            field, type_, null, key, default, extra = column.described
            connection.execute(
                f"INSERT INTO information_schema.columns VALUES ({', '.join('?' * 10)})",
                (name, table.name, field, number, default, null, column.base_type, type_, key, extra),
            )


def _like(database: Database, rows: _Rows, rest: Sequence[Token], sql: str) -> _Rows:
    """``SHOW TABLES FROM … LIKE '…'``: by the pattern's ends only, which is what actors write."""
    if len(rest) >= 2 and rest[0].says("from", "in"):
        _check_database(database, rest[1])
        rest = rest[2:]
    if not rest:
        return rows
    if not rest[0].says("like") or len(rest) != 2 or rest[1].kind != "string":
        raise syntax_error(sql[rest[0].start :])
    pattern = text_of(rest[1]).lower()
    wanted = pattern.strip("%")
    return tuple(
        row
        for row in rows
        if (wanted in str(row[0]))
        and (pattern.startswith("%") or str(row[0]).startswith(wanted))
        and (pattern.endswith("%") or str(row[0]).endswith(wanted))
    )


def _table(database: Database, tokens: Sequence[Token], sql: str) -> Table:
    """The table that is named at the head of these pieces, perhaps behind the database and a dot."""
    if tokens[0].kind not in ("word", "name"):
        raise syntax_error(sql[tokens[0].start :])
    if len(tokens) >= 3 and tokens[1].says("."):
        _check_database(database, tokens[0])
        tokens = tokens[2:]
    name = text_of(tokens[0])
    table = database.table(name)
    if table is None:
        raise SQLError(f"Table '{database.name.lower()}.{name.lower()[:64]}' doesn't exist")
    return table


def _check_database(database: Database, token: Token) -> None:
    if text_of(token).lower() != database.name.lower():
        raise SQLError(f"Unknown database '{text_of(token)[:64]}'")


def _definition(table: Table) -> str:
    lines = []
    for column in table.columns:
        line = f"  `{column.name}` {column.type}{'' if column.nullable else ' NOT NULL'}"
        lines.append(f"{line} {column.extra.upper()}".rstrip())
    keys = [f"`{column.name}`" for column in table.columns if column.key == "PRI"]
    if keys:
        lines.append(f"  PRIMARY KEY ({','.join(keys)})")
    return f"CREATE TABLE `{table.name}` (\n" + ",\n".join(lines) + "\n)"
