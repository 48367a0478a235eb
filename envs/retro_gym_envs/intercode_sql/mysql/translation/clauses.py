"""Rewrites MySQL's clauses that SQLite lacks: HAVING with SELECT's aliases or without groups; ROLLUP. Needs sqlglot."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError
from retro_gym_envs.intercode_sql.mysql.translation.scope import UnreadableError
from retro_gym_envs.intercode_sql.mysql.translation.signatures import AGGREGATES
from retro_gym_envs.intercode_sql.mysql.translation.typed import aliased, column, derived, joined, selected, whole

__all__ = ["spell_out_having", "spell_out_rollup"]


def spell_out_having(tree: exp.Select) -> None:
    """Replaces aliases in HAVING by the SELECT's expressions; without groups, HAVING becomes part of WHERE.

    In MySQL's HAVING, aliases of SELECT take precedence over columns, and GROUP BY is optional.

    Raises:
        SQLError: without groups, HAVING names a column that is not selected.
    """
    having = tree.args.get("having")
    if having is None:
        return
    fields, group, order = tree.expressions, tree.args.get("group"), tree.args.get("order")
    grouped = {each.name.lower() for each in group.expressions if isinstance(each, exp.Column)} if group else set()
    named = {each.alias.lower(): each.this for each in fields if isinstance(each, exp.Alias)}
    keys = order.expressions if order is not None else []
    by_row = group is None and not any(map(_has_aggregate, (having, *fields, *keys)))
    plain = {each.name.lower() for each in fields if isinstance(each, exp.Column)}
    star = any(each.is_star for each in fields)
    for each in list(_outside_queries(having, exp.Column)):
        title = each.name.lower()
        if title in named and not each.args.get("table") and title not in grouped:
            each.replace(exp.Paren(this=named[title].copy()))
        elif by_row and not star and title not in plain:
            raise SQLError(f"Unknown column '{each.sql(dialect='mysql').replace('`', '')}' in 'having clause'")
    if by_row:
        where = tree.args.get("where")
        conditions = [having.this] if where is None else [where.this, having.this]
        tree.set("having", None)
        tree.set("where", exp.Where(this=joined(exp.And, conditions)))


def _has_aggregate(node: exp.Expr) -> bool:
    called = (str(call.this).lower() for call in _outside_queries(node, exp.Anonymous))
    return any(name in AGGREGATES for name in called) or any(True for _ in _outside_queries(node, exp.GroupConcat))


def _outside_queries(node: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Yields the nodes of a kind, except those inside nested queries and windows."""
    walk = node.walk(prune=lambda each: isinstance(each, exp.Query | exp.Window))
    return (each for each in walk if isinstance(each, kind))


def spell_out_rollup(tree: exp.Select) -> exp.Select:
    """Rewrites ``GROUP BY a, b WITH ROLLUP`` as a UNION of groups by (a, b), by (a), and of all rows.

    A row of totals comes after the rows that it summarises, and has NULL for the keys it is not grouped by. Other
    queries are returned unchanged.

    Raises:
        UnreadableError: a group is given by position, or is neither a column nor a field of the SELECT.
    """
    group = tree.args.get("group")
    if group is None or not group.args.get("rollup"):
        return tree
    named = {each.alias.lower(): each.this for each in tree.expressions if isinstance(each, exp.Alias)}
    keys = [
        named.get(key.name.lower(), key) if isinstance(key, exp.Column) and not key.args.get("table") else key
        for key in group.expressions
    ]
    if any(isinstance(key, exp.Literal) for key in keys) or any(each.is_star for each in tree.expressions):
        raise UnreadableError(group)
    titles = [f"my field {place}" for place, _ in enumerate(tree.expressions)]
    levels = [_level(tree, keys, count, titles) for count in range(len(keys), -1, -1)]
    union = levels[0]
    for level in levels[1:]:
        union = exp.Union(this=union, expression=level, distinct=False)
    fields = [
        aliased(column(title), each.alias_or_name or each.sql(dialect="mysql", normalize_functions=False))
        for title, each in zip(titles, tree.expressions, strict=True)
    ]
    made = selected(fields, derived(union, "my rows"))
    order = tree.args.get("order")
    for each in order.expressions if order is not None else ():
        place = next((place for place, field in enumerate(tree.expressions) if each.this == field.unalias()), None)
        if place is not None:
            each.set("this", exp.Literal.number(place + 1))
    places = [f"my {what} {place}" for place, _ in enumerate(keys) for what in ("total", "key")]
    made.set("order", order or exp.Order(expressions=[exp.Ordered(this=column(place)) for place in places]))
    for clause in ("limit", "offset", "with_"):
        made.set(clause, tree.args.get(clause))
    return made


def _level(tree: exp.Select, keys: list[exp.Expr], count: int, titles: list[str]) -> exp.Expr:
    """Returns the SELECT grouped by the first keys only; outside of aggregates, the other keys are NULL."""
    made = tree.copy()
    for clause in ("order", "limit", "offset", "with_"):
        made.set(clause, None)
    gone = keys[count:]
    asked = [each.this if isinstance(each, exp.Alias) else each for each in made.expressions]
    fields = [aliased(_totalled(each, gone), title) for each, title in zip(asked, titles, strict=True)]
    for place, key in enumerate(keys):
        total = place >= count
        fields.append(aliased(whole(int(total)), f"my total {place}"))
        fields.append(aliased(exp.Null() if total else key.copy(), f"my key {place}"))
    made.set("expressions", fields)
    made.set("group", exp.Group(expressions=[key.copy() for key in keys[:count]] or [exp.Null()]))
    if made.args.get("having") is not None:
        made.args["having"].set("this", _totalled(made.args["having"].this, gone))
    return made


def _totalled(node: exp.Expr, gone: list[exp.Expr]) -> exp.Expr:
    """Returns the node with NULL in place of the keys that a row of totals is not grouped by."""
    function = str(node.this).lower() if isinstance(node, exp.Anonymous) else ""
    if function == "grouping":
        return whole(int(all(each in gone for each in node.expressions)))
    if function in AGGREGATES or isinstance(node, exp.GroupConcat):
        return node
    if node in gone:
        return exp.Null()
    for each in list(node.iter_expressions()):
        changed = _totalled(each, gone)
        if changed is not each:
            each.replace(changed)
    return node
