"""MySQL's dialect: tokenises a statement, and words errors as MySQL does."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

from retro_gym_envs.intercode_sql.mysql.functions.registry import OWN_PREFIX

__all__ = ["SQLError", "Token", "first_statement", "mysql_error", "syntax_error", "text_of", "tokenize"]

_MAX_LENGTH = 10_000  # characters of a statement
_NEAR = 80  # characters of the statement that a syntax error quotes

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<name>`(?:[^`]|``)+`)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!\w))
    | (?P<word>[^\W\d]\w*|[0-9]+[^\W\d]\w*)
    | (?P<operator><=>|<=|>=|<>|!=|\|\||&&|[-+*/%=<>(),.;&|~^!])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}
_CLAUSES = {
    "select": "field list",
    "where": "where clause",
    "on": "on clause",
    "group": "group statement",
    "order": "order clause",
    "having": "having clause",
}


class SQLError(Exception):
    """A statement that the server refuses; its text is MySQL's message."""


@dataclasses.dataclass(frozen=True)
class Token:
    """A token of a statement."""

    kind: str
    """``string``, ``name`` (in back-ticks), ``number``, ``word`` or ``operator``."""
    text: str
    """The source text."""
    start: int

    def says(self, *words: str) -> bool:
        """Whether it is one of these words or operators, ignoring case."""
        return self.kind in ("word", "operator") and self.text.lower() in words


def tokenize(sql: str) -> Iterator[Token]:
    """Yields the statement's tokens without blanks and comments.

    Raises:
        SQLError: a character that belongs to no token, or an unterminated quotation.
    """
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise syntax_error(sql[position:])
        position = match.end()
        if match.lastgroup and match.lastgroup != "space":
            yield Token(match.lastgroup, match.group(), match.start())


def first_statement(sql: str) -> list[Token]:
    """Returns the tokens of the first statement: those before the first ``;``.

    Raises:
        SQLError: it is too long, cannot be stored as text, or ends within a quotation.
    """
    if len(sql) > _MAX_LENGTH:
        raise SQLError("Got a packet bigger than 'max_allowed_packet' bytes")
    if "\0" in sql or any("\ud800" <= char <= "\udfff" for char in sql):
        raise SQLError("Invalid utf8mb4 character string in the statement")
    tokens: list[Token] = []
    for token in tokenize(sql):
        if token.says(";"):
            if tokens:
                break
            continue
        tokens.append(token)
    if not tokens:
        raise SQLError("Query was empty")
    return tokens


def text_of(token: Token) -> str:
    r"""Returns the content of a string or of a name in back-ticks; the source text of other tokens.

    >>> [text_of(token) for token in tokenize("'it''s' `a b` \"5\\\" long\" x")]
    ["it's", 'a b', '5" long', 'x']
    """
    if token.kind == "name":
        return token.text[1:-1].replace("``", "`")
    if token.kind != "string":
        return token.text
    quote, body = token.text[0], token.text[1:-1]
    body = body.replace(quote * 2, quote)
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), body, flags=re.DOTALL)


def syntax_error(rest: str) -> SQLError:
    """Returns MySQL's error for a statement that cannot be parsed from ``rest`` on."""
    return SQLError(
        "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for "
        f"the right syntax to use near '{rest[:_NEAR]}' at line 1"
    )


def mysql_error(message: str, tokens: Sequence[Token], sql: str, database: str) -> str:
    """Converts SQLite's error message to MySQL's wording.

    >>> tokens = first_statement("SELECT nme FROM t")
    >>> mysql_error("no such column: nme", tokens, "SELECT nme FROM t", "shop")
    "Unknown column 'nme' in 'field list'"
    """
    subject = re.sub(r".*?: ?", "", message, count=1)
    if message.startswith("no such column"):
        return f"Unknown column '{subject}' in '{_clause(subject, tokens)}'"
    if message.startswith("no such table"):
        name = subject.removeprefix("main.").lower()
        return f"Table '{name if '.' in name else f'{database.lower()}.{name}'}' doesn't exist"
    if message.startswith("ambiguous column name"):
        return f"Column '{subject}' in {_clause(subject, tokens)} is ambiguous"
    if message.startswith("misuse of aliased"):
        name = message.split()[-1]
        return f"Unknown column '{name}' in '{_clause(name, tokens)}'"
    if message.startswith("cannot join using column"):
        return f"Unknown column '{message.split()[4]}' in 'from clause'"
    if message.startswith(("misuse of aggregate", "aggregate functions are not")) or "misuse of window" in message:
        return "Invalid use of group function"
    if message.startswith("no such function"):
        return f"FUNCTION {database.lower()}.{subject.removeprefix(OWN_PREFIX)} does not exist"
    if message.startswith("wrong number of arguments"):
        name = message.split()[-1].removesuffix("()").removeprefix(OWN_PREFIX)
        return f"Incorrect parameter count in the call to native function '{name}'"
    if "do not have the same number of result columns" in message:
        return "The used SELECT statements have a different number of columns"
    if message.startswith("sub-select returns"):
        return "Operand should contain 1 column(s)"
    near = re.match(r'near "(.*)": syntax error', message, re.DOTALL)
    if near or "incomplete input" in message:
        found = [token.start for token in tokens if near and token.text == near[1]]
        return str(syntax_error(sql[found[-1] :] if found else near[1] if near else ""))
    return message[:1].upper() + message[1:]


def _clause(name: str, tokens: Sequence[Token]) -> str:
    """Returns the clause in which a column is last named."""
    clause = found = "field list"
    wanted = name.split(".")[-1].lower()
    for token in tokens:
        if token.kind == "word" and token.text.lower() in _CLAUSES:
            clause = _CLAUSES[token.text.lower()]
        elif token.kind in ("word", "name") and text_of(token).lower() == wanted:
            found = clause
    return found
