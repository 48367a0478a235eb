"""Expressions with their kinds, and MySQL's conversions before comparisons. Needs sqlglot."""

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
    """An expression in SQLite's dialect, and its kind in MySQL."""

    node: exp.Expr
    kind: Kind
    by_column: bool = False
    """Whether SQLite applies MySQL's collation by itself, because the expression is a column of a table."""
    constant: bool = False
    """Whether it contains no column."""


def own(function: str, *arguments: exp.Expr) -> exp.Expr:
    """Makes a call of one of our own functions."""
    return exp.Anonymous(this=OWN_PREFIX + function, expressions=list(arguments))


def name(text: str) -> exp.Identifier:
    """Makes an identifier."""
    return exp.Identifier(this=text, quoted=True)


def column(text: str) -> exp.Column:
    """Makes a column without a table name."""
    return exp.Column(this=name(text))


def text(said: str) -> exp.Expr:
    """Makes a string."""
    return exp.Literal.string(said)


def whole(number: int) -> exp.Expr:
    """Makes an integer."""
    return exp.Literal.number(number)


def aliased(node: exp.Expr, title: str) -> exp.Expr:
    """Makes ``node AS title``."""
    return exp.Alias(this=node, alias=name(title))


def derived(query: exp.Expr, title: str) -> exp.Expr:
    """Makes ``(query) AS title``."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name(title)))


def selected(fields: list[exp.Expr], source: exp.Expr) -> exp.Select:
    """Makes ``SELECT fields FROM source``."""
    return exp.Select(expressions=fields, from_=exp.From(this=source))


def joined(operator: type[exp.Expr], parts: Sequence[exp.Expr]) -> exp.Expr:
    """Joins the parts with AND or OR, each in brackets if necessary."""
    made = bracketed(parts[0])
    for part in parts[1:]:
        made = operator(this=made, expression=bracketed(part))
    return exp.Paren(this=made)


def real(node: exp.Expr) -> exp.Expr:
    """Casts to REAL: a number, or a string's leading number or 0. SQLite's CAST does the same as MySQL."""
    return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.DOUBLE))


def bracketed(node: exp.Expr) -> exp.Expr:
    """Adds brackets to a node if it needs them within another."""
    return node if isinstance(node, _ATOMS) else exp.Paren(this=node)


def as_number(value: Typed) -> exp.Expr:
    """Makes MySQL's implicit conversion to a number: a string's leading number, or 0; a date's digits."""
    if value.kind in TEXTS:
        return real(value.node)
    if value.kind in MOMENTS or value.kind is Kind.TIME:
        return own("digits", value.node)
    return value.node


def as_text(value: Typed) -> exp.Expr:
    """Makes MySQL's implicit conversion to a string."""
    return own("char", value.node) if value.kind in NUMBERS else value.node


def collated(value: Typed) -> exp.Expr:
    """Adds the collation that MySQL compares the value by, if SQLite would use another one."""
    if value.kind is Kind.TEXT and not value.by_column:
        return _collate(value.node, COLLATION)
    return value.node


def _collate(node: exp.Expr, collation: str) -> exp.Expr:
    if isinstance(node, exp.Collate):
        return node
    return exp.Collate(this=bracketed(node), expression=exp.Var(this=collation))


def aligned(values: Sequence[Typed]) -> list[exp.Expr]:
    """Converts values as MySQL does to compare them with each other. The first is the left side of the comparison.

    Numbers and strings are compared as numbers, times and strings as times, strings by their collation.
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
    """Adds the collation of a comparison of strings to the first one.

    Trailing spaces of columns are ignored, according to their collation in the public data (``utf8mb4_general_ci``);
    in comparisons among constants they count (the server's ``utf8mb4_0900_ai_ci``).
    """
    nodes = [value.node for value in values]
    if any(value.kind is Kind.BINARY for value in values):
        nodes[0] = _collate(nodes[0], "BINARY")
    elif not any(value.by_column for value in values):
        nodes[0] = _collate(nodes[0], NO_PAD if all(value.constant for value in values) else COLLATION)
    return nodes


def merged_values(values: Sequence[Typed]) -> tuple[list[exp.Expr], Kind]:
    """Converts alternative values (CASE, IFNULL) to their common kind. Numbers among strings become strings."""
    kind = merged(value.kind for value in values)
    if kind in TEXTS:
        return [as_text(value) for value in values], kind
    return [value.node for value in values], kind
