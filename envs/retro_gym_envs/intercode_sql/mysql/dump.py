"""Converts a MySQL dump (``mysqldump``'s output, several databases in one file) to databases as plain data.

It reads CREATE DATABASE, USE, CREATE TABLE and INSERT INTO … VALUES, and ignores everything else (locks, settings,
version-specific comments). The public dump takes about half a second, so nothing is cached on disk.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from retro_gym.errors import DataError, did_you_mean, one_line
from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.functions.values import Value
from retro_gym_envs.task_files import FileKey, file_key

__all__ = ["load_databases", "read_dump"]

_MAX_BYTES = 200_000_000
_REMEDY = "Use InterCode's ic_spider_dbs.sql, or the output of mysqldump --databases."

_STRING = r"'(?:[^'\\]|\\.|'')*'"
_PIECE = re.compile(
    rf"""{_STRING} | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*` | --[^\n]* | \#[^\n]* | /\*.*?\*/ | ; | ['"`]""",
    re.VERBOSE | re.DOTALL,
)
_NAME = r"(?:`(?:[^`]|``)+`|[\w$]+)"
_DATABASE = re.compile(rf"CREATE\s+(?:DATABASE|SCHEMA)\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME})", re.IGNORECASE)
_USE = re.compile(rf"USE\s+({_NAME})", re.IGNORECASE)
_CREATE = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME})\s*\(", re.IGNORECASE)
_INSERT = re.compile(rf"INSERT\s+(?:IGNORE\s+)?INTO\s+({_NAME})\s*(?:\(([^()]*)\)\s*)?VALUES\s*", re.IGNORECASE)
_COLUMN = re.compile(rf"({_NAME})\s+(\w+(?:\s*\((?:[^()']|{_STRING})*\))?(?:\s+(?:unsigned|zerofill))*)(.*)", re.DOTALL)
_KEY = re.compile(
    rf"(PRIMARY\s+KEY|UNIQUE(?:\s+KEY|\s+INDEX)?|KEY|INDEX)\s*(?:{_NAME}\s*)?\(\s*({_NAME})[^,)]*\)?(.*)",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_ITEMS = re.compile(r"(?:CONSTRAINT|FOREIGN\s+KEY|FULLTEXT|SPATIAL|CHECK)\b", re.IGNORECASE)
_COMMENT = re.compile(rf"\bCOMMENT\s+({_STRING})", re.IGNORECASE)
_TABLE_COMMENT = re.compile(rf"\)[^()']*\bCOMMENT\s*=?\s*({_STRING})[^()']*\Z", re.IGNORECASE)
_DEFAULT = re.compile(rf"\bDEFAULT\s+({_STRING}|[\w.+-]+)", re.IGNORECASE)
_VALUE = re.compile(
    rf"""\s*(?:
        (?P<string>(?:_\w+\s+)?{_STRING})
      | (?P<hex>0x[0-9A-Fa-f]+)
      | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<word>NULL|TRUE|FALSE)
    )\s*(?P<after>[,)])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_WORDS: dict[str, int | None] = {"null": None, "true": 1, "false": 0}
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}
_INTEGER = (-(2**63), 2**63 - 1)


def load_databases(path: str | os.PathLike[str]) -> dict[str, Database]:
    """Returns the databases of a dump by lower-case name. A file is read once per process unless it changes.

    Raises:
        DataError: the file cannot be read, or is not such a dump.
    """
    return _load(file_key(path))


@lru_cache(maxsize=4)
def _load(key: FileKey) -> dict[str, Database]:
    where, _, size = key
    try:
        if Path(where).exists() and not Path(where).is_file():
            raise DataError(f"{where} is a folder or a device, not a file. {_REMEDY}")
        if size > _MAX_BYTES:
            raise DataError(f"{where} has {size:,} bytes; a dump may have {_MAX_BYTES:,}. Dump fewer tables.")
        text = Path(where).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 (byte {error.start}). {_REMEDY}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{one_line(where, 200)} cannot be opened: {reason}. Check the path.") from error
    return read_dump(text, where)


def read_dump(text: str, where: str = "the dump") -> dict[str, Database]:
    """Parses the databases of a dump.

    Args:
        text: the dump.
        where: the file's name, for error messages.

    Raises:
        DataError: it holds no table, is truncated, or a statement cannot be read; the message gives the line.
    """
    builder = _Builder()
    for start, statement in _statements(text, where):
        try:
            builder.add(statement)
        except _DumpError as error:
            line = text.count("\n", 0, start) + 1
            raise DataError(f"{where}, line {line}: {error} {_REMEDY}") from None
    databases = builder.databases()
    if not databases:
        raise DataError(f"{where} holds no table{'' if text.strip() else ': it is empty'}. {_REMEDY}")
    return databases


class _DumpError(Exception):
    """A statement that cannot be read; the caller adds the position."""


def _statements(text: str, where: str) -> Iterator[tuple[int, str]]:
    """Yields position and text of each statement, without comments."""
    parts: list[str] = []
    start = position = 0
    for match in _PIECE.finditer(text):
        if not parts and not text[position : match.start()].strip():
            start = match.start()
        parts.append(text[position : match.start()])
        position = match.end()
        piece = match.group()
        if piece in ("'", '"', "`"):
            line = text.count("\n", 0, match.start()) + 1
            raise DataError(
                f"{where}, line {line}: it breaks off within a quotation that begins there. Get a whole copy."
            )
        if piece == ";":
            yield _begin(text, start, position), "".join(parts).strip()
            parts, start = [], position
        elif piece[0] in "'\"`":
            parts.append(piece)
    parts.append(text[position:])
    rest = "".join(parts).strip()
    if rest:
        line = text.count("\n", 0, _begin(text, start, len(text))) + 1
        raise DataError(f"{where}, line {line}: it breaks off within a statement: {one_line(rest)}. Get a whole copy.")


def _begin(text: str, start: int, end: int) -> int:
    """Returns the position of a statement after leading blanks."""
    return start + len(text[start:end]) - len(text[start:end].lstrip())


class _Builder:
    """Processes the statements of a dump sequentially."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, tuple[Column, ...]]] = {}
        self._rows: dict[tuple[str, str], list[tuple[Value, ...]]] = {}
        self._comments: dict[tuple[str, str], str] = {}
        self._current = ""

    def add(self, statement: str) -> None:
        """Processes one statement.

        Raises:
            _DumpError: it cannot be read.
        """
        if match := _DATABASE.match(statement):
            self._columns.setdefault(_name(match[1]), {})
        elif match := _USE.match(statement):
            self._current = _name(match[1])
            self._columns.setdefault(self._current, {})
        elif match := _CREATE.match(statement):
            self._create(_name(match[1]).lower(), statement[match.end() :])
        elif match := _INSERT.match(statement):
            self._insert(_name(match[1]).lower(), match[2], statement[match.end() :])

    def _create(self, name: str, body: str) -> None:
        self._check_current(name)
        columns: dict[str, Column] = {}
        keys: dict[str, str] = {}
        for item in _items(body):
            if match := _KEY.match(item):
                kind = match[1].upper().split()[0]
                several = "," in match[2] + match[3]
                names = re.findall(_NAME, item[match.start(2) :]) if kind == "PRIMARY" else [match[2]]
                for column in names:
                    mark = "PRI" if kind == "PRIMARY" else "UNI" if kind == "UNIQUE" and not several else "MUL"
                    keys.setdefault(_name(column), mark)
            elif _OTHER_ITEMS.match(item):
                continue
            elif match := _COLUMN.match(item):
                column = _column(match)
                if column.name.lower() in {known.lower() for known in columns}:
                    raise _DumpError(f"table {name!r} has the column {column.name!r} twice.")
                columns[column.name] = column
            else:
                raise _DumpError(f"table {name!r} has a column that cannot be read: {one_line(item)}.")
        if not columns:
            raise _DumpError(f"table {name!r} has no columns.")
        self._columns[self._current][name] = tuple(
            dataclasses.replace(c, nullable=c.nullable and keys.get(c.name) != "PRI", key=keys.get(c.name, ""))
            for c in columns.values()
        )
        comment = _TABLE_COMMENT.search(body)
        self._comments[self._current, name] = _unquoted(comment[1]) if comment else ""
        self._rows[self._current, name] = []

    def _insert(self, name: str, listed: str | None, body: str) -> None:
        self._check_current(name)
        columns = self._columns[self._current].get(name)
        if columns is None:
            known = self._columns[self._current]
            raise _DumpError(f"rows for table {name!r}, which was not created.{did_you_mean(name, known)}")
        places = range(len(columns))
        if listed:
            names = [column.name.lower() for column in columns]
            try:
                places = [names.index(_name(each).lower()) for each in re.findall(_NAME, listed)]  # type: ignore[assignment]
            except ValueError:
                raise _DumpError(f"rows for columns that {name!r} does not have: {one_line(listed)}.") from None
        rows = self._rows[self._current, name]
        for values in _rows(body):
            if len(values) != len(places):
                raise _DumpError(f"a row of {len(values)} values for {len(places)} columns of {name!r}.")
            if listed:
                row: list[Value] = [None] * len(columns)
                for place, value in zip(places, values, strict=True):
                    row[place] = value
                values = row
            rows.append(tuple(values))

    def _check_current(self, table: str) -> None:
        if not self._current:
            raise _DumpError(f"table {table!r} comes before any USE statement, so its database is unknown.")

    def databases(self) -> dict[str, Database]:
        """Returns the databases by lower-case name; those without a table are left out."""
        return {
            name.lower(): Database(
                name,
                tuple(
                    Table(table, columns, tuple(self._rows[name, table]), self._comments[name, table])
                    for table, columns in tables.items()
                ),
            )
            for name, tables in self._columns.items()
            if tables
        }


def _name(written: str) -> str:
    return written[1:-1].replace("``", "`") if written.startswith("`") else written


def _items(body: str) -> Iterator[str]:
    """Yields the parts of a CREATE TABLE between its outer commas, up to its closing bracket."""
    depth, start = 1, 0
    for match in re.finditer(rf"{_STRING}|`(?:[^`]|``)*`|[(),]", body, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth == 0 or (depth == 1 and match.group() == ","):
            item = body[start : match.start()].strip()
            if item:
                yield item
            start = match.end()
        if depth == 0:
            return
    raise _DumpError(f"the brackets of a table's definition do not close: {one_line(body)}.")


def _column(match: re.Match[str]) -> Column:
    commented = _COMMENT.search(match[3])
    comment = _unquoted(commented[1]) if commented else ""
    rest = _COMMENT.sub("", match[3])
    default = _DEFAULT.search(rest)
    value = None if default is None or default[1].upper() == "NULL" else _unquoted(default[1])
    extra = "auto_increment" if re.search(r"\bAUTO_INCREMENT\b", rest, re.IGNORECASE) else ""
    if value == "CURRENT_TIMESTAMP":
        extra = "DEFAULT_GENERATED"
    nullable = re.search(r"\bNOT\s+NULL\b", rest, re.IGNORECASE) is None
    return Column(_name(match[1]), match[2].lower(), nullable, "", value, extra, comment)


def _rows(body: str) -> Iterator[list[Value]]:
    """Yields the rows after VALUES."""
    position = 0
    while True:
        opened = re.compile(r"\s*\(").match(body, position)
        if opened is None:
            raise _DumpError(f"rows cannot be read from here on: {one_line(body[position : position + 80])}.")
        position = opened.end()
        values: list[Value] = []
        while True:
            match = _VALUE.match(body, position)
            if match is None:
                raise _DumpError(f"a value cannot be read: {one_line(body[position : position + 80])}.")
            values.append(_value(match))
            position = match.end()
            if match["after"] == ")":
                break
        yield values
        rest = re.compile(r"\s*(,|\Z|ON\s+DUPLICATE)", re.IGNORECASE).match(body, position)
        if rest is None:
            raise _DumpError(f"rows cannot be read from here on: {one_line(body[position : position + 80])}.")
        if rest[1] != ",":
            return
        position = rest.end()


def _value(match: re.Match[str]) -> Value:
    if match["string"] is not None:
        return _unquoted(match["string"][match["string"].index("'") :])
    if match["hex"] is not None:
        digits = match["hex"][2:]
        return bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")
    if match["number"] is not None:
        written: str = match["number"]
        whole = int(written) if re.fullmatch(r"[+-]?[0-9]{1,20}", written) else None
        return whole if whole is not None and _INTEGER[0] <= whole <= _INTEGER[1] else float(written)
    return _WORDS[match["word"].lower()]


def _unquoted(written: str) -> str:
    if not written.startswith("'"):
        return written
    body = written[1:-1].replace("''", "'")
    if "\\" not in body:
        return body
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), body, flags=re.DOTALL)
