"""Expressions with their kinds, and what MySQL converts before it compares them. Needs sqlglot."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.functions.registry import COLLATION, NO_PAD, OWN_PREFIX
from retro_gym_envs.intercode_sql.mysql.translation.kinds import MOMENTS, NUMBERS, TEXTS, Kind, merged

__all__ = [
    "Typed",
    "aliased",
    "aligned",
    "as_number",
    "as_text",
    "bracketed",
    "collated",
    "column",
    "derived",
    "joined",
    "merged_values",
    "name",
    "own",
    "real",
    "same_text",
    "selected",
    "text",
    "whole",
]

_ATOMS = (exp.Column, exp.Literal, exp.Placeholder, exp.Anonymous, exp.Paren, exp.Subquery, exp.Cast, exp.Null)


@dataclasses.dataclass(frozen=True)
class Typed:
    """An expression in SQLite's language, and what MySQL takes it for."""

    node: exp.Expr
    kind: Kind
    by_column: bool = False
    """Whether SQLite takes MySQL's collation for it by itself, because it is a column of a table."""
    constant: bool = False
    """Whether it holds no column."""


def own(function: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of our own functions."""
    return exp.Anonymous(this=OWN_PREFIX + function, expressions=list(arguments))


def name(text: str) -> exp.Identifier:
    """An identifier."""
    return exp.Identifier(this=text, quoted=True)


def column(text: str) -> exp.Column:
    """A column by its name alone."""
    return exp.Column(this=name(text))


def text(said: str) -> exp.Expr:
    """A text."""
    return exp.Literal.string(said)


def whole(number: int) -> exp.Expr:
    """A whole number."""
    return exp.Literal.number(number)


def aliased(node: exp.Expr, title: str) -> exp.Expr:
    """``node AS title``."""
    return exp.Alias(this=node, alias=name(title))


def derived(query: exp.Expr, title: str) -> exp.Expr:
    """``(query) AS title``."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name(title)))


def selected(fields: list[exp.Expr], source: exp.Expr) -> exp.Select:
    """``SELECT fields FROM source``."""
    return exp.Select(expressions=fields, from_=exp.From(this=source))


def joined(operator: type[exp.Expr], parts: Sequence[exp.Expr]) -> exp.Expr:
    """The parts with AND or OR between them, in brackets."""
    made = bracketed(parts[0])
    for part in parts[1:]:
        made = operator(this=made, expression=bracketed(part))
    return exp.Paren(this=made)


def real(node: exp.Expr) -> exp.Expr:
    """A number, a text's leading number or 0, as a REAL: SQLite's CAST does as MySQL does."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def bracketed(node: exp.Expr) -> exp.Expr:
    """The node in brackets, if it needs them within another."""
    return node if isinstance(node, _ATOMS) else exp.Paren(this=node)


def as_number(value: Typed) -> exp.Expr:
    """What MySQL makes of a value where it wants a number: a text's leading number, or 0; a date's digits."""
    if value.kind in TEXTS:
        return real(value.node)
    if value.kind in MOMENTS or value.kind is Kind.TIME:
        return own("digits", value.node)
    return value.node


def as_text(value: Typed) -> exp.Expr:
    """What MySQL makes of a value where it wants a text."""
    return own("char", value.node) if value.kind in NUMBERS else value.node


def collated(value: Typed) -> exp.Expr:
    """The value with the collation that MySQL compares it by, where SQLite would take another one."""
    if value.kind is Kind.TEXT and not value.by_column:
        return _collate(value.node, COLLATION)
    return value.node


def _collate(node: exp.Expr, collation: str) -> exp.Expr:
    if isinstance(node, exp.Collate):
        return node
    return exp.Collate(this=bracketed(node), expression=exp.Var(this=collation))


def aligned(values: Sequence[Typed]) -> list[exp.Expr]:
    """The values as MySQL compares them with each other. The first stands on the left of the comparison.

    Numbers and texts are compared as numbers, times and texts as times, texts by their collation.
    """
    kinds = {value.kind for value in values} - {Kind.NULL}
    nodes = [value.node for value in values]
    if Kind.UNKNOWN in kinds or kinds <= NUMBERS or kinds <= {Kind.TIME, *TEXTS} - {Kind.TEXT}:
        return nodes
    if kinds <= {Kind.TIME, *TEXTS}:
        return same_text(values)
    if kinds <= MOMENTS | TEXTS:
        if len(kinds) == 1:
            return nodes
        wanted = Kind.DATETIME if Kind.DATETIME in kinds else Kind.DATE
        function = "datetime" if wanted is Kind.DATETIME else "day_of"
        return [value.node if value.kind is wanted else own(function, value.node) for value in values]
    return [as_number(value) for value in values]


def same_text(values: Sequence[Typed]) -> list[exp.Expr]:
    """Texts with the collation of their comparison on the first.

    Columns are padded with spaces, as their collation in the public data says (``utf8mb4_general_ci``); constants
    among themselves are not (the server's ``utf8mb4_0900_ai_ci``).
    """
    nodes = [value.node for value in values]
    if any(value.kind is Kind.BINARY for value in values):
        nodes[0] = _collate(nodes[0], "BINARY")
    elif not any(value.by_column for value in values):
        nodes[0] = _collate(nodes[0], NO_PAD if all(value.constant for value in values) else COLLATION)
    return nodes


def merged_values(values: Sequence[Typed]) -> tuple[list[exp.Expr], Kind]:
    """Values that stand for one another (CASE, IFNULL), and their common kind. Numbers among texts become texts."""
    kind = merged(value.kind for value in values)
    if kind in TEXTS:
        return [as_text(value) for value in values], kind
    return [value.node for value in values], kind
