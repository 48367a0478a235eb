"""Parses observations and questions for the scripted actor and the noisy teacher."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

__all__ = ["Schema", "mentions", "read_schema", "words_of"]


@dataclasses.dataclass(frozen=True)
class Schema:
    """The part of the database's schema that the actor has seen. All names are in lower case."""

    tables: tuple[str, ...] = ()
    """In the order in which they were listed."""
    columns: dict[str, tuple[tuple[str, str], ...]] = dataclasses.field(default_factory=dict)
    """Name and type of each column, by table, in the order in which the tables were described."""

    @property
    def all_columns(self) -> set[str]:
        """The names of all columns."""
        return {name for columns in self.columns.values() for name, _ in columns}

    def names(self, table: str) -> list[str]:
        """Returns the columns of a table."""
        return [name for name, _ in self.columns.get(table, ())]


_TABLE_ROW = re.compile(r"\('(?:[^']* )?([^' ]+)',\)")  # a comment may precede the name
_COLUMN_ROW = re.compile(r"\('([^']+)', '([^']+)', '(?:YES|NO)', ")
_SHOW = re.compile(
    r"execute\[(?:SHOW TABLES|SELECT .*table_name\)? FROM information_schema\.tables);?\]", re.IGNORECASE
)
_DESC = re.compile(r"execute\[(?:DESC|DESCRIBE|SHOW COLUMNS FROM) `?(\w+)`?;?\]", re.IGNORECASE)


def read_schema(turns: Iterable[tuple[str, str]]) -> Schema:
    """Parses tables and columns from actions and their observations.

    >>> read_schema([("execute[SHOW TABLES]", "[('wines',)]"), ("execute[DESC wines]", "[('Age', 'int', 'NO', ''…")])
    Schema(tables=('wines',), columns={'wines': (('age', 'int'),)})
    """
    tables: tuple[str, ...] = ()
    columns: dict[str, tuple[tuple[str, str], ...]] = {}
    for action, seen in turns:
        described = _DESC.fullmatch(action)
        if _SHOW.fullmatch(action):
            tables = tuple(name.lower() for name in _TABLE_ROW.findall(seen))
        elif described:
            columns[described[1].lower()] = tuple((name.lower(), type_) for name, type_ in _COLUMN_ROW.findall(seen))
    return Schema(tables, columns)


_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_SMALL_WORDS = "a an and by for from has have id in is it of on or ref s the to was with"
_SMALL = frozenset(_SMALL_WORDS.split())


def words_of(text: str) -> list[str]:
    """Returns the words of a text or an identifier, in lower case and singular.

    >>> words_of("Num_of_Cities"), words_of("How many wines?")
    (['num', 'of', 'city'], ['how', 'many', 'wine'])
    """
    return [_singular(word.lower()) for word in _WORD.findall(re.sub(r"([a-z])([A-Z])", r"\1 \2", text))]


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def mentions(names: Iterable[str], words: list[str], *, partly: bool = True) -> list[str]:
    """Returns the tables or columns that a question mentions: fully named ones first, then in the question's order.

    Args:
        names: identifiers.
        words: the question's words, from :func:`words_of`.
        partly: whether names of which only some words occur count as well.
    """
    found = []
    for place, name in enumerate(names):
        parts = [part for part in words_of(name) if part not in _SMALL] or words_of(name)
        named = [part for part in parts if part in words]
        if named and (partly or len(named) == len(parts)):
            share = len(named) / len(parts)
            found.append((share < 1, min(words.index(part) for part in named), -len(named), place, name))
    return [name for *_, name in sorted(found)]
