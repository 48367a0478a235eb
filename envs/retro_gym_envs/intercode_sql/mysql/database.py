"""Databases as plain data (tables, columns, rows), and the SQLite image that queries run on.

Both the dump reader and the built-in world's generator create them.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from functools import cached_property
from typing import Any

from retro_gym_envs.intercode_sql.mysql.functions.registry import COLLATION, register_collations
from retro_gym_envs.intercode_sql.mysql.functions.values import Value
from retro_gym_envs.intercode_sql.mysql.translation.kinds import Kind, Schema, base_type, kind_of_type

__all__ = ["Column", "Database", "Table", "quoted"]

_AFFINITIES = {
    Kind.INT: "INTEGER",
    Kind.DECIMAL: "REAL",
    Kind.REAL: "REAL",
    Kind.TEXT: f"TEXT COLLATE {COLLATION}",
}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column as MySQL describes it."""

    name: str
    type: str
    """As in the dump: ``int``, ``varchar(20)``."""
    nullable: bool = True
    key: str = ""
    """``PRI``, ``UNI``, ``MUL`` or empty."""
    default: str | None = None
    extra: str = ""
    comment: str = ""

    @property
    def described(self) -> tuple[str, str, str, str, str | None, str]:
        """The row of DESC: Field, Type, Null, Key, Default, Extra."""
        return self.name, self.type, "YES" if self.nullable else "NO", self.key, self.default, self.extra

    @property
    def base_type(self) -> str:
        """The type without length and signs."""
        return base_type(self.type)

    @property
    def kind(self) -> Kind:
        """The kind of its values in MySQL."""
        return kind_of_type(self.type)

    @property
    def declared(self) -> str:
        """The column's definition in SQLite. Only strings use MySQL's collation; dates are ISO strings."""
        return f"{quoted(self.name)} {_AFFINITIES.get(self.kind, 'TEXT')}"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with its rows."""

    name: str
    """In lower case, as on the original's server (``lower_case_table_names=1``)."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    comment: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Database:
    """A database. Immutable; deep copies are the object itself."""

    name: str
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table | None:
        """Returns the table with this name, ignoring case."""
        return self._by_name.get(name.lower())

    @cached_property
    def _by_name(self) -> dict[str, Table]:
        return {table.name: table for table in self.tables}

    @cached_property
    def schema(self) -> Schema:
        """Names and kinds, which the translation of queries needs."""
        return tuple(
            (table.name, tuple((column.name, column.kind) for column in table.columns)) for table in self.tables
        )

    @cached_property
    def image(self) -> bytes:
        """The database as a SQLite file. Without keys and indices, so that rows keep the order of the dump."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            register_collations(connection)
            connection.execute("PRAGMA page_size = 1024")  # most tables are tiny
            connection.execute("BEGIN")
            for table in self.tables:
                columns = ", ".join(column.declared for column in table.columns)
                connection.execute(f"CREATE TABLE {quoted(table.name)} ({columns})")
                places = ", ".join("?" * len(table.columns))
                connection.executemany(f"INSERT INTO {quoted(table.name)} VALUES ({places})", table.rows)
            connection.execute("COMMIT")
            return connection.serialize()
        finally:
            connection.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Database:
        return self


def quoted(name: str) -> str:
    """Quotes an identifier for SQLite, whatever its characters."""
    return '"' + name.replace('"', '""') + '"'
