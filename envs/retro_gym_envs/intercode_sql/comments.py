"""Reads what a trial has shown of a database with comments: what its tables, columns and codes stand for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from retro_gym_envs.intercode_sql.observations import words_of

__all__ = ["LOOK_AT_TABLES", "Notes", "fitting", "look_at_codes", "look_at_columns", "look_at_people", "read_notes"]

LOOK_AT_TABLES = "SELECT CONCAT(table_comment, ' ', table_name) FROM information_schema.tables"
"""The statement that shows the tables. In one text with its comment, a name directly follows what it stands for."""

_ROW = re.compile(r"\('([^']*)',\)")
_KEY = re.compile(r"\('(\w+)', 'int', 'NO', 'PRI'")
_LABEL = re.compile(r"\('(\w+)', 'text'")


def look_at_columns(table: str) -> str:
    """Returns the statement that shows the columns of a table with their comments."""
    shown = "CONCAT(data_type, ' ', column_comment, ' ', column_name)"
    return f"SELECT {shown} FROM information_schema.columns WHERE table_name = '{table}'"


def look_at_codes(table: str) -> str:
    """Returns the statement that shows the codes and their meanings."""
    return f"SELECT CONCAT(meaning, ' ', code) FROM {table}"


def look_at_people(table: str) -> str:
    """Returns the statement that shows the columns of the table of people."""
    return f"DESC {table}"


@dataclasses.dataclass(frozen=True)
class Notes:
    """What is known of a database, by name."""

    tables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The comments of tables."""
    columns: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Types and comments of the main table's columns; tables alike have the same."""
    codes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The meanings of codes."""
    people_key: str = ""
    people_label: str = ""
    """The key of the table of people, and the column with their names."""

    @property
    def code_table(self) -> str:
        """The table that explains the codes."""
        return next((name for name, comment in self.tables.items() if comment == "codes"), "")

    def people_table(self, question: str) -> str:
        """Returns the table of the people that a question asks for: its comment is one word of the question."""
        words = words_of(question)
        heads = ((name, words_of(comment)) for name, comment in self.tables.items() if name != self.code_table)
        return next((name for name, head in heads if len(head) == 1 and head[0] in words), "")

    @property
    def label(self) -> str:
        """The column that names a row."""
        return next((name for name, (_, comment) in self.columns.items() if comment == "name"), "")

    def phrases(self) -> dict[str, str]:
        """Returns what every name stands for."""
        return {**self.tables, **{name: comment for name, (_, comment) in self.columns.items()}, **self.codes}


def read_notes(turns: Iterable[tuple[str, str]]) -> Notes:
    """Parses actions and their observations.

    >>> read_notes([(f"execute[{LOOK_AT_TABLES}]", "[('wines on loan dalor',), ('codes brelum',)]")]).tables
    {'dalor': 'wines on loan', 'brelum': 'codes'}
    """
    notes = Notes()
    for action, seen in turns:
        statement = action.removeprefix("execute[").removesuffix("]")
        if statement == LOOK_AT_TABLES:
            notes = dataclasses.replace(notes, tables=_named(seen))
        elif statement.startswith(look_at_columns("").rstrip("'")):
            typed = {name: text.partition(" ") for name, text in _named(seen).items()}
            columns = {name: (type_, comment) for name, (type_, _, comment) in typed.items()}
            notes = dataclasses.replace(notes, columns=columns)
        elif notes.code_table and statement == look_at_codes(notes.code_table):
            notes = dataclasses.replace(notes, codes=_named(seen))
        elif statement.startswith("DESC ") and statement.removeprefix("DESC ") in notes.tables:
            key, label = _KEY.search(seen), _LABEL.search(seen)
            notes = dataclasses.replace(notes, people_key=key[1] if key else "", people_label=label[1] if label else "")
    return notes


def _named(seen: str) -> dict[str, str]:
    """Returns the last word of each row, a name, with the text before it."""
    split = (match[1].rpartition(" ") for match in _ROW.finditer(seen))
    return {name: text for text, _, name in split}


def fitting(question: str, notes: Notes) -> dict[str, tuple[str, ...]]:
    """Returns the names that fit the question by the head of what they stand for, by slot of the query.

    The head is the first word of a comment (``price`` of ``price when new``) and the last one of a code's meaning
    (``red`` of ``dark red``). Qualifiers are not looked at.

    >>> notes = Notes(tables={"dalor": "wines on loan", "vikum": "wines in stock", "brelum": "codes"})
    >>> fitting("List the price of all wines in stock.", notes)
    {'table': ('dalor', 'vikum')}
    """
    words = words_of(question)
    role = words_of(notes.tables.get(notes.people_table(question), ""))[:1]
    found: dict[str, list[str]] = {}
    for name, comment in notes.tables.items():
        if len(comment.split()) > 1 and words_of(comment)[0] in words:
            found.setdefault("table", []).append(name)
    for name, (type_, comment) in notes.columns.items():
        head = words_of(comment)[:1]
        if head and head[0] in words and comment != "name":
            slot = "filter" if type_ == "text" else "key" if head == role else "measure"
            found.setdefault(slot, []).append(name)
    for code, meaning in notes.codes.items():
        if words_of(meaning)[-1:] and words_of(meaning)[-1] in words:
            found.setdefault("value", []).append(code)
    return {slot: tuple(names) for slot, names in found.items()}
