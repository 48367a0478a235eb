"""Puts a public task's gold query into words: which tables, columns, conditions and functions it needs."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from retro_gym_envs.intercode_sql.steps import AGGREGATES, COUNT, Steps, spelled_out

__all__ = ["in_words"]

_NAMES = {function: name for name, function in AGGREGATES.items()}
_RELATIONS: dict[type[object], str] = {
    exp.EQ: "equal to",
    exp.NEQ: "other than",
    exp.GT: "above",
    exp.LT: "below",
    exp.GTE: "at least",
    exp.LTE: "at most",
}


def in_words(gold: str) -> str:
    """Returns a reflection that names what a query consists of.

    Parts that need more than simple words (nested queries, alternatives, a third table) are left out.
    """
    try:
        query = sqlglot.parse_one(gold, read="mysql")
    except SqlglotError:
        return "Look at the tables and columns that the question needs."
    if isinstance(query, exp.SetOperation):
        query = query.left
    select = query if isinstance(query, exp.Select) else query.find(exp.Select)
    return spelled_out(_steps(select)) if select is not None else ""


def _steps(select: exp.Select) -> Steps:
    source = select.args.get("from_") or select.args.get("from")
    table = source.this.name.lower() if source is not None and isinstance(source.this, exp.Table) else None
    columns: list[str] = []
    aggregates: list[tuple[str, str]] = []
    count = False
    for each in select.expressions:
        inner = each.unalias()
        function = _NAMES.get(inner.sql_name()) if isinstance(inner, exp.AggFunc) else None
        column = inner.find(exp.Column)
        if isinstance(inner, exp.Column):
            columns.append(inner.name.lower())
        elif function == "number" and inner.find(exp.Distinct) is None:
            count = True
        elif function and column is not None:
            aggregates.append((function, column.name.lower()))
    group, order = select.args.get("group"), select.args.get("order")
    grouped = group.find(exp.Column) if group else None
    ordered = order.expressions[0] if order else None
    by, limit = _ordered_by(ordered), select.args.get("limit")
    direction = "descending" if ordered is not None and ordered.args.get("desc") else "ascending"
    return Steps(
        table=table,
        join=_join(select),
        rows=_conditions(select),
        absent=_absent(select),
        group=grouped.name.lower() if grouped is not None else None,
        select=tuple(dict.fromkeys(columns)),
        aggregate=tuple(aggregates),
        count=count,
        order=(by, direction) if by else None,
        first=int(limit.expression.name) if limit is not None else 0,
    )


def _ordered_by(ordered: exp.Ordered | None) -> str:
    if ordered is not None and isinstance(ordered.this, exp.Column):
        return str(ordered.this.name).lower()
    return COUNT if ordered is not None and isinstance(ordered.this, exp.Count) else ""


def _join(select: exp.Select) -> tuple[str, str, str] | None:
    joins = select.args.get("joins") or []
    condition = joins[0].args.get("on") if len(joins) == 1 else None
    if not isinstance(condition, exp.EQ) or not isinstance(joins[0].this, exp.Table):
        return None
    other = joins[0].this
    left, right = condition.this, condition.expression
    if not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
        return None
    if left.table.lower() == other.alias_or_name.lower():
        left, right = right, left
    return other.name.lower(), left.name.lower(), right.name.lower()


def _conditions(select: exp.Select) -> tuple[tuple[str, str, str], ...]:
    where = select.args.get("where")
    if where is None:
        return ()
    parts = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    return tuple(
        (part.this.name.lower(), _RELATIONS[type(part)], part.expression.name)
        for part in parts
        if type(part) in _RELATIONS and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Literal)
    )


def _absent(select: exp.Select) -> tuple[str, str] | None:
    """Returns the column and the table of NOT IN, if the column has the same name there."""
    denied = select.find(exp.Not)
    inside = denied.this if denied is not None else None
    if not isinstance(inside, exp.In) or not isinstance(inside.this, exp.Column):
        return None
    nested = inside.find(exp.Select)
    source = nested.find(exp.Table) if nested is not None else None
    column = nested.expressions[0] if nested is not None else None
    if source is None or column is None or column.name.lower() != inside.this.name.lower():
        return None
    return inside.this.name.lower(), source.name.lower()
