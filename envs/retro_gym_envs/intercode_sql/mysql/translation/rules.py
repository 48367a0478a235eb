"""Refuses syntax of other dialects that sqlglot accepts and actors use, but MySQL does not have."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from retro_gym_envs.intercode_sql.mysql.translation.dialect import Token, syntax_error

__all__ = ["check_grammar"]

_TYPES = "binary char character date datetime decimal double float json nchar real signed time unsigned year"
_CAST_TYPES = frozenset(_TYPES.split())
_RESERVED = """
    add all alter and asc before between bigint both by case change check column condition create cross cube cume_dist
    database databases default delete dense_rank desc describe distinct div drop dual each else empty except exists
    exit explain false fetch first_value for force foreign from function generated get grant group grouping groups
    having if ignore in index inner insert int integer intersect interval into is join key keys kill lag last_value
    lateral lead leading leave left like limit lines load lock long loop match mod natural not nth_value ntile null
    of on optimize option or order out outer over partition percent_rank precision primary procedure purge range rank
    read reads recursive references regexp release rename repeat replace require restrict return revoke right rlike
    row row_number rows schema schemas select separator set show signal spatial specific sql starting system table
    terminated then to trailing trigger true undo union unique unlock update usage use using values varchar varying
    virtual when where while window with write xor
"""
_NEVER_NAMES = frozenset(_RESERVED.split())
_ALIASES = "condition cume_dist dense_rank function groups key keys lag lead option rank row_number"
_AS_NAMES = frozenset(_ALIASES.split())
_MATTER = _AS_NAMES | {"(", ")", ",", "as", "except", "intersect", "limit", "nulls", "offset", "order", "union"}


@dataclasses.dataclass
class _Bracket:
    """The state of an open bracket, or of the whole statement."""

    function: str = ""
    type_at: int = 0
    """The position where the type of a CAST or CONVERT begins."""
    ended: bool = False
    """Whether ORDER BY or LIMIT has ended the query in it."""


def check_grammar(tokens: Sequence[Token], sql: str) -> None:
    """Refuses what MySQL cannot parse.

    Args:
        tokens: the statement's tokens.
        sql: the statement, which the message quotes.

    Raises:
        SQLError: the statement violates MySQL's grammar.
    """
    brackets = [_Bracket()]
    for place, token in enumerate(tokens):
        if token.text.lower() not in _MATTER:
            continue
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        inner = brackets[-1]
        wrong: Token | None = None
        if token.says("("):
            before = tokens[place - 1] if place else None
            brackets.append(_Bracket(before.text.lower() if before and before.kind == "word" else ""))
        elif token.says(")") and len(brackets) > 1:
            brackets.pop()
            wrong = _wrong_type(tokens, inner)
        elif token.says("as") and inner.function == "cast":
            inner.type_at = place + 1
        elif token.says("as"):
            wrong = after if after is not None and after.says(*_NEVER_NAMES) else None
        elif token.says(",") and inner.function == "convert":
            inner.type_at = place + 1
        elif token.says(","):
            wrong = after if after is not None and after.says("*") else None
        elif token.says("union", "except", "intersect"):
            wrong = token if inner.ended else None
        elif token.says("limit") or (token.says("order") and after is not None and after.says("by")):
            inner.ended = True
            wrong = _wrong_limit(tokens, place) if token.says("limit") else None
        elif token.says("nulls") and after is not None and after.says("first", "last"):
            wrong = token
        elif token.says("offset") and after is not None and after.kind == "number":
            wrong = None if place >= 2 and tokens[place - 2].says("limit") else after
        elif token.says(*_AS_NAMES) and _is_bare_alias(tokens, place):
            wrong = token
        if wrong is not None:
            raise syntax_error(sql[wrong.start :])


def _wrong_type(tokens: Sequence[Token], bracket: _Bracket) -> Token | None:
    """Returns a type that ``CAST`` does not support, such as INT (MySQL's is SIGNED)."""
    if not bracket.type_at:
        return None
    said = tokens[bracket.type_at]
    return None if said.says(*_CAST_TYPES) else said


def _wrong_limit(tokens: Sequence[Token], place: int) -> Token | None:
    """Returns the token after LIMIT, its comma or its OFFSET if it is not an integer."""
    for number in range(place + 1, min(place + 4, len(tokens)), 2):
        if not tokens[number].text.isdigit():
            return tokens[number]
        if number + 1 < len(tokens) and not tokens[number + 1].says(",", "offset"):
            return None
    return None


def _is_bare_alias(tokens: Sequence[Token], place: int) -> bool:
    """Whether the word is an alias without AS."""
    before = tokens[place - 1] if place else None
    after = tokens[place + 1] if place + 1 < len(tokens) else None
    behind = before is not None and (before.kind in ("name", "number", "string") or before.says(")"))
    return behind and (after is None or after.says(",", "from"))
