"""Translates a query to SQLite's dialect; queries that differ only in their string constants share one translation.

sqlglot parses and writes SQL; the semantics of MySQL are implemented here. String constants become parameters, so that
the translation for one question is reused for similar ones.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError, Token, syntax_error, text_of
from retro_gym_envs.intercode_sql.mysql.translation.kinds import Schema
from retro_gym_envs.intercode_sql.mysql.translation.rules import check_grammar

__all__ = ["Query", "to_sqlite"]

_MAX_EXPANSION = 1_000  # maximum copies of WITH parts that SQLite may have to make
_MAX_DEPTH = 40  # levels of nested brackets and CASEs
_TOO_DEEP = "Expression tree is too large (maximum depth 100)"  # SQLite's own message
_OPENS = {"(": 1, "case": 1, ")": -1, "end": -1}
_VALUES_FOLLOW = "= < > <= >= <> != <=> ( , like in between and or not when then else where"
_HEX = re.compile("0x[0-9a-fA-F]+")
_CHARACTER_SETS = ("_ascii", "_latin1", "_utf8", "_utf8mb3", "_utf8mb4")
_BEFORE_VALUES = frozenset(_VALUES_FOLLOW.split())


@dataclasses.dataclass(frozen=True)
class Query:
    """A query in SQLite's dialect."""

    text: str
    values: dict[str, str]
    """The string constants, by parameter name."""


def to_sqlite(tokens: Sequence[Token], sql: str, database: str, schema: Schema) -> Query:
    """Translates a query to SQLite's dialect.

    Args:
        tokens: the query's tokens.
        sql: the source text of the query, for error messages.
        database: the name of the database in the query, in lower case.
        schema: the database's tables.

    >>> from retro_gym_envs.intercode_sql.mysql.translation.dialect import first_statement
    >>> from retro_gym_envs.intercode_sql.mysql.translation.kinds import Kind
    >>> sql = 'SELECT name FROM shop.t WHERE weight > 3 OR name = "y";'
    >>> schema = (("t", (("name", Kind.TEXT), ("weight", Kind.TEXT))),)
    >>> query = to_sqlite(first_statement(sql), sql, "shop", schema)
    >>> query.text
    'SELECT `name` FROM `main`.`t` WHERE (CAST(`weight` AS REAL) > 3) OR (`name` = :s13)'
    >>> query.values
    {'s13': 'y'}

    Raises:
        SQLError: MySQL would refuse it, it is nested too deeply, or it refers to its WITH parts so often that preparing
            it could take too long.
    """
    tokens = _plainly(tokens, sql)
    check_grammar(tokens, sql)
    words = ["" if token.kind == "string" else text_of(token).lower() for token in tokens]
    _check_size(tokens, words)
    pieces: list[str] = []
    starts: list[int] = []
    values: dict[str, str] = {}
    length = 0
    for number, token in enumerate(tokens):
        piece = _piece(token, tokens[number - 1] if number else None, number, values)
        starts.append(length)
        pieces.append(piece)
        length += len(piece) + 1
    try:
        return Query(_translated(" ".join(pieces), database, _named(tokens, words, schema)), values)
    except _UnreadableError as error:
        place = max((n for n, start in enumerate(starts) if start <= error.position), default=0)
        rest = sql[tokens[place].start :] if error.position < length - 1 else ""
        raise syntax_error(rest) from None


def _plainly(tokens: Sequence[Token], sql: str) -> list[Token]:
    """Simplifies ``N'a'`` and ``_utf8mb4'a'`` to ``'a'``, ``x'41'`` to ``0x41``, and ``ROW(1, 2)`` to ``(1, 2)``."""
    made: list[Token] = []
    for token in tokens:
        before = made[-1] if made and (token.kind == "string" or token.text == "(") else None
        if before is not None and token.kind == "string" and before.start + 1 == token.start and before.says("x"):
            digits = text_of(token)
            if len(digits) % 2 or not _HEX.fullmatch(f"0x{digits}"):
                raise syntax_error(sql[before.start :])
            token = Token("word", f"0x{digits}", before.start)
            made.pop()
        elif before is not None and _goes_without_saying(before, token):
            made.pop()
        made.append(token)
    return made


def _goes_without_saying(before: Token, token: Token) -> bool:
    """Whether the word before a string or a bracket only states its type."""
    if token.kind == "string":
        return before.says(*_CHARACTER_SETS) or (before.says("n") and before.start + 1 == token.start)
    return token.says("(") and before.says("row")


def _piece(token: Token, before: Token | None, number: int, values: dict[str, str]) -> str:
    """Converts a token for sqlglot. A string that can only be a value becomes a parameter."""
    if token.kind == "string":
        said = text_of(token).replace("\0", "")
        if before is not None and before.says(*_BEFORE_VALUES):
            values[f"s{number}"] = said
            return f":s{number}"
        return "'" + said.replace("\\", "\\\\").replace("'", "''") + "'"
    if token.kind == "word" and _HEX.fullmatch(token.text):
        return f"UNHEX('{token.text[2:]}')"
    if token.kind == "word" and token.text[0].isdigit():  # names in MySQL may begin with a digit
        return f"`{token.text}`"
    return token.text


def _named(tokens: Sequence[Token], words: Sequence[str], schema: Schema) -> Schema:
    """Returns the part of the schema that the query names, so that similar databases share the translation."""
    named = set(words)
    whole = any(token.text == "*" and before.text != "(" for before, token in pairwise(tokens))
    return tuple(
        (table, tuple((name, kind) for name, kind in columns if whole or name.lower() in named))
        for table, columns in schema
        if table.rpartition(".")[2] in named
    )


class _UnreadableError(Exception):
    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


@lru_cache(maxsize=4_096)
def _translated(text: str, database: str, schema: Schema) -> str:
    from retro_gym_envs.intercode_sql.mysql.translation.grammar import (  # importing sqlglot takes 0.1 s
        ParseFailedError,
        parse,
        write,
    )
    from retro_gym_envs.intercode_sql.mysql.translation.scope import UnreadableError
    from retro_gym_envs.intercode_sql.mysql.translation.statements import rewritten

    try:
        return write(rewritten(parse(text), database, schema))
    except ParseFailedError as error:
        raise _UnreadableError(error.position) from None
    except UnreadableError as error:
        raise _UnreadableError(error.position) from None
    except RecursionError:
        raise SQLError(_TOO_DEEP) from None


def _check_size(tokens: Sequence[Token], words: Sequence[str]) -> None:
    """Limits copies of WITH parts: SQLite makes one per reference, nested parts multiply, and nothing interrupts it."""
    copies = 1
    depth = 0
    for number in range(len(tokens)):
        depth += _OPENS.get(words[number], 0)
        if depth > _MAX_DEPTH:
            raise SQLError(_TOO_DEEP)
        if words[number] != "as" or not 0 < number < len(tokens) - 1:
            continue
        if not tokens[number + 1].says("(", "not", "materialized"):
            continue
        before = number - 1
        if tokens[before].says(")"):  # skip a list of columns between name and AS
            while before and not tokens[before].says("("):
                before -= 1
            before -= 1
        copies *= max(1, words.count(words[before]) - 1)
        if copies > _MAX_EXPANSION:
            raise SQLError("Query is too complex")
