"""sqlglot's MySQL parser without knowledge of functions, and its SQLite with names in back-ticks only. Needs sqlglot.

Functions stay calls by name; their translation is ours (see ``signatures``).
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import ErrorLevel, ParseError, TokenError
from sqlglot.parsers.mysql import MySQLParser

__all__ = ["ParseFailedError", "parse", "write"]

_OWN_SYNTAX = ("CAST", "CHAR", "CONVERT", "EXTRACT", "GROUP_CONCAT", "POSITION", "SUBSTR", "SUBSTRING", "TRIM")


class ParseFailedError(Exception):
    """A text that cannot be parsed from ``position`` on."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class _MySQL(MySQL):
    class Parser(MySQLParser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {key: MySQLParser.FUNCTION_PARSERS[key] for key in _OWN_SYNTAX}

        def _warn_unsupported(self) -> None:  # it would log that unsupported parts are kept unchanged
            self.raise_error("No query")


class _SQLite(SQLite):
    class Tokenizer(SQLite.Tokenizer):
        IDENTIFIERS = ["`"]  # noqa: RUF012 - in double quotes an unknown name would be a text


_READER, _WRITER = _MySQL(), _SQLite()


def parse(text: str) -> exp.Expr:
    """Parses a statement.

    Args:
        text: one line.

    Raises:
        ParseFailedError: it is not a valid statement.
        RecursionError: it is nested too deeply.
    """
    try:
        trees = _READER.parser(error_level=ErrorLevel.IMMEDIATE).parse(_READER.tokenize(text), text)
    except TokenError:
        raise ParseFailedError(len(text)) from None
    except ParseError as error:
        found = error.errors[0] if error.errors else {}
        end, said = found.get("col"), found.get("highlight") or ""
        position = len(text) if end is None or _is_missing(found) else end - len(said)
        raise ParseFailedError(position) from None
    if len(trees) != 1 or trees[0] is None:
        raise ParseFailedError(0)
    return trees[0]


def _is_missing(found: dict[str, object]) -> bool:
    """Whether the statement ends before it is complete."""
    return not found.get("end_context") and "Required keyword" in str(found.get("description"))


def write(tree: exp.Expr) -> str:
    """Returns the statement in SQLite's dialect."""
    return _WRITER.generator(
        identify=True, normalize_functions=False, unsupported_level=ErrorLevel.IGNORE, comments=False
    ).generate(tree, copy=False)
