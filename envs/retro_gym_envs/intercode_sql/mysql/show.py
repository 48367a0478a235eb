"""MySQL's statements about the database itself: SHOW, DESC, USE. SQLite has none of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.functions.patterns import like
from retro_gym_envs.intercode_sql.mysql.functions.registry import COLLATION
from retro_gym_envs.intercode_sql.mysql.functions.values import Value
from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError, Token, syntax_error, text_of
from retro_gym_envs.intercode_sql.mysql.translation.kinds import Kind, Schema

__all__ = ["INFORMATION_SCHEMA", "add_information_schema", "describe", "titles"]

_TABLES = "TABLE_SCHEMA TABLE_NAME TABLE_TYPE TABLE_ROWS TABLE_COMMENT"
_COLUMNS = """
    TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION COLUMN_DEFAULT IS_NULLABLE DATA_TYPE COLUMN_TYPE COLUMN_KEY
    EXTRA COLUMN_COMMENT
"""
INFORMATION_SCHEMA: Schema = tuple(
    (
        f"information_schema.{table}",
        tuple((name, Kind.INT if name in ("TABLE_ROWS", "ORDINAL_POSITION") else Kind.TEXT) for name in names.split()),
    )
    for table, names in (("tables", _TABLES), ("columns", _COLUMNS))
)
"""The information_schema tables, as far as actors use them."""

_Rows = tuple[tuple[Value, ...], ...]


def describe(database: Database, tokens: Sequence[Token], sql: str) -> _Rows | None:
    """Returns the rows of such a statement; None for a statement without rows (USE).

    Raises:
        SQLError: there is no such table or database, or it is another statement.
    """
    words = [token.text.lower() for token in tokens]
    rest = tokens[1:]
    match words:
        case ["show", "full", "tables", *_]:
            views = tuple((name, "BASE TABLE") for name in sorted(table.name for table in database.tables))
            return _liked(views, _inside(database, rest[2:]), sql)
        case ["show", "tables", *_]:
            rows = tuple((name,) for name in sorted(table.name for table in database.tables))
            return _liked(rows, _inside(database, rest[1:]), sql)
        case ["show", "databases" | "schemas", *_]:
            return _liked(((database.name.lower(),),), rest[1:], sql)
        case ["show", "full", "columns" | "fields", "from" | "in", _, *_]:
            table, after = _table(database, rest[3:], sql)
            return _liked(tuple(map(_in_full, table.columns)), _inside(database, after), sql)
        case ["show", "extended", *_]:
            return describe(database, [tokens[0], *tokens[2:]], sql)
        case ["show", "columns" | "fields", "from" | "in", _, *_]:
            table, after = _table(database, rest[2:], sql)
            return _liked(_described(table), _inside(database, after), sql)
        case ["show", "create", "table", _, *_]:
            table, after = _table(database, rest[2:], sql)
            return _liked(((table.name, _definition(table)),), after, sql)
        case ["show", "index" | "indexes" | "keys", "from" | "in", _, *_]:
            table, after = _table(database, rest[2:], sql)
            keys = tuple((column.name, column.key) for column in table.columns if column.key)
            return _liked(keys, _inside(database, after), sql)
        case ["desc" | "describe" | "explain", "select" | "with" | "analyze" | "format" | "(", *_]:
            raise SQLError("EXPLAIN command denied to user 'agent'@'localhost'")
        case ["desc" | "describe" | "explain", _, *_]:
            table, after = _table(database, rest, sql)
            if len(after) > 1 or (after and after[0].kind not in ("word", "name", "string")):
                raise syntax_error(sql[after[0].start :])
            return tuple(row for row in _described(table) if not after or like(str(row[0]), text_of(after[0]), "\\"))
        case ["use", _]:
            _check_database(database, tokens[1])
            return None
    raise syntax_error(sql[tokens[min(1, len(tokens) - 1)].start :])


def titles(database: Database, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Returns the column names of SHOW's result for ``SHOW … WHERE``; empty where no condition is allowed."""
    match [token.text.lower() for token in tokens[1:3]]:
        case ["full", "tables"]:
            return f"Tables_in_{database.name.lower()}", "Table_type"
        case ["tables", *_]:
            return (f"Tables_in_{database.name.lower()}",)
        case ["databases" | "schemas", *_]:
            return ("Database",)
        case ["full", "columns" | "fields"]:
            return "Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"
        case ["columns" | "fields", *_]:
            return "Field", "Type", "Null", "Key", "Default", "Extra"
    return ()


def _in_full(column: Column) -> tuple[Value, ...]:
    """Returns the row of SHOW FULL COLUMNS."""
    field, type_, *rest = column.described
    collation = "utf8mb4_general_ci" if column.kind is Kind.TEXT else None
    return field, type_, collation, *rest, "select", column.comment


def _described(table: Table) -> _Rows:
    return tuple(column.described for column in table.columns)


def add_information_schema(connection: sqlite3.Connection, database: Database) -> None:
    """Attaches the information_schema tables."""
    connection.execute("ATTACH ':memory:' AS information_schema")
    name = database.name.lower()
    rows: dict[str, list[tuple[Value, ...]]] = {
        "tables": [(name, table.name, "BASE TABLE", len(table.rows), table.comment) for table in database.tables],
        "columns": [],
    }
    for table in database.tables:
        for number, column in enumerate(table.columns, start=1):
            field, type_, null, key, default, extra = column.described
            rows["columns"].append(
                (name, table.name, field, number, default, null, column.base_type, type_, key, extra, column.comment)
            )
    for home, columns in INFORMATION_SCHEMA:
        declared = (f"{each} TEXT COLLATE {COLLATION}" if kind is Kind.TEXT else each for each, kind in columns)
        connection.execute(f"CREATE TABLE {home} ({', '.join(declared)})")
        places = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {home} VALUES ({places})", rows[home.partition(".")[2]])


def _inside(database: Database, rest: Sequence[Token]) -> Sequence[Token]:
    """Returns the tokens after an optional ``FROM database``."""
    if len(rest) >= 2 and rest[0].says("from", "in"):
        _check_database(database, rest[1])
        return rest[2:]
    return rest


def _liked(rows: _Rows, rest: Sequence[Token], sql: str) -> _Rows:
    """Returns the rows whose first column matches the pattern after LIKE; all rows if there is no LIKE."""
    if not rest:
        return rows
    if not rest[0].says("like") or len(rest) != 2 or rest[1].kind != "string":
        raise syntax_error(sql[rest[0].start :])
    return tuple(row for row in rows if like(str(row[0]), text_of(rest[1]), "\\"))


def _table(database: Database, tokens: Sequence[Token], sql: str) -> tuple[Table, Sequence[Token]]:
    """Returns the table at the beginning of the tokens (optionally ``database.table``), and the remaining tokens."""
    if tokens[0].kind not in ("word", "name"):
        raise syntax_error(sql[tokens[0].start :])
    if len(tokens) >= 3 and tokens[1].says("."):
        _check_database(database, tokens[0])
        tokens = tokens[2:]
    name = text_of(tokens[0])
    table = database.table(name)
    if table is None:
        raise SQLError(f"Table '{database.name.lower()}.{name.lower()[:64]}' doesn't exist")
    return table, tokens[1:]


def _check_database(database: Database, token: Token) -> None:
    if text_of(token).lower() != database.name.lower():
        raise SQLError(f"Unknown database '{text_of(token)[:64]}'")


def _definition(table: Table) -> str:
    lines = []
    for column in table.columns:
        line = f"  `{column.name}` {column.type}{'' if column.nullable else ' NOT NULL'}"
        lines.append(f"{line} {column.extra.upper()}".rstrip() + _comment(" COMMENT ", column.comment))
    keys = [f"`{column.name}`" for column in table.columns if column.key == "PRI"]
    if keys:
        lines.append(f"  PRIMARY KEY ({','.join(keys)})")
    return f"CREATE TABLE `{table.name}` (\n" + ",\n".join(lines) + "\n)" + _comment(" COMMENT=", table.comment)


def _comment(keyword: str, comment: str) -> str:
    escaped = comment.replace("'", "''")
    return f"{keyword}'{escaped}'" if comment else ""
