"""Rewrites MySQL's queries for SQLite: sources, clauses, set operations, WITH. Needs sqlglot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.translation.clauses import spell_out_having, spell_out_rollup
from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError
from retro_gym_envs.intercode_sql.mysql.translation.expressions import Expressions
from retro_gym_envs.intercode_sql.mysql.translation.kinds import NUMBERS, TEXTS, Kind, Schema, merged
from retro_gym_envs.intercode_sql.mysql.translation.scope import NAMELESS, Output, Scope, Source, UnreadableError
from retro_gym_envs.intercode_sql.mysql.translation.typed import (
    Typed,
    aliased,
    as_text,
    collated,
    derived,
    name,
    selected,
)

__all__ = ["rewritten"]

_Outputs = tuple[Output, ...]
_Parts = Mapping[str, _Outputs]
_Query = tuple[exp.Expr, _Outputs]

_KNOWN = "expressions distinct from_ joins where group having windows order limit offset with_"
_CLAUSES = frozenset(_KNOWN.split())
_ASIDES = ("locks", "hint", "operation_modifiers")  # these affect the execution, not the result
_TABLE = frozenset(("this", "alias", "db", "joins"))
_JOIN = frozenset(("this", "on", "using", "side", "kind", "method"))
_KINDS_OF_JOINS = (None, "", "INNER", "OUTER", "CROSS", "STRAIGHT_JOIN")
_SET = frozenset(("this", "expression", "distinct", "order", "limit", "offset", "with_"))


def rewritten(tree: exp.Expr, database: str, schema: Schema) -> exp.Expr:
    """Returns a query in SQLite's dialect.

    Args:
        tree: the query in MySQL's dialect; is modified.
        database: the name of the database in the query, in lower case.
        schema: the tables that the query may read.

    Raises:
        SQLError: MySQL would refuse the query as well.
        UnreadableError: the query contains something that MySQL does not have.
    """
    return _Statements(database, schema).query(tree, None, {})[0]


class _Statements:
    """Rewrites the queries of one statement."""

    def __init__(self, database: str, schema: Schema) -> None:
        self._database = database
        self._tables = {
            table: tuple(Output(column, kind, kind is Kind.TEXT) for column, kind in columns)
            for table, columns in schema
        }
        self._expressions = Expressions(lambda node, scope: self.query(node, scope, scope.parts))

    def query(self, tree: exp.Expr, outer: Scope | None, parts: _Parts) -> _Query:
        """Rewrites a SELECT, a UNION, or either in brackets; returns it with the columns of its result.

        Args:
            tree: the query; is modified.
            outer: the enclosing SELECT.
            parts: the WITH parts that it may name.
        """
        if isinstance(tree, exp.DML):
            raise SQLError("Command denied to user 'agent'@'localhost'")
        parts = dict(parts)
        if tree.args.get("with_") is not None:
            self._with(tree.args["with_"], outer, parts)
        if isinstance(tree, exp.Select):
            return self._select(tree, outer, parts)
        if isinstance(tree, exp.SetOperation):
            return self._union(tree, outer, parts)
        if isinstance(tree, exp.Subquery) and tree.args.get("alias") is None:
            return self._in_brackets(tree, outer, parts)
        raise UnreadableError(tree)

    def _with(self, with_: exp.Expr, outer: Scope | None, parts: dict[str, _Outputs]) -> None:
        for part in with_.expressions:
            title = part.alias.lower()
            named = [each.name for each in part.args["alias"].args.get("columns") or ()]
            query = part.this
            if with_.args.get("recursive") and isinstance(query, exp.SetOperation):
                parts[title] = _renamed(self.query(query.this.copy(), outer, parts)[1], named)
            made, outputs = self.query(query, outer, parts)
            part.set("this", made)
            parts[title] = _renamed(outputs, named)
            _check_titles(parts[title])

    # -- SELECT ----------------------------------------------------------------------------------------------------

    def _select(self, tree: exp.Select, outer: Scope | None, parts: _Parts) -> _Query:
        for aside in _ASIDES:
            tree.set(aside, None)
        if not tree.expressions or any(value and clause not in _CLAUSES for clause, value in tree.args.items()):
            raise UnreadableError(tree)
        spell_out_having(tree)
        by_levels = spell_out_rollup(tree)
        if by_levels is not tree:
            return self._select(by_levels, outer, parts)
        scope = Scope(self._database, outer, parts)
        self._from(tree, scope)
        where = tree.args.get("where")
        if where is not None:
            where.set("this", self._expressions.value(where.this, scope).node)
        outputs = self._fields(tree, scope)
        scope.selected = outputs
        self._group(tree, scope)
        for window in tree.args.get("windows") or ():
            self._expressions.window_parts(window, scope)
        having = tree.args.get("having")
        if having is not None:
            having.set("this", self._expressions.value(having.this, scope).node)
        self._order(tree, scope)
        tree.meta["one row"] = scope.aggregated and tree.args.get("group") is None
        return tree, outputs

    def _from(self, tree: exp.Select, scope: Scope) -> None:
        from_, joins = tree.args.get("from_"), tree.args.get("joins") or []
        if from_ is None:
            return
        if isinstance(from_.this, exp.Table) and from_.this.name.lower() == "dual" and not joins:
            tree.set("from_", None)
            return
        from_.set("this", self._source(from_.this, scope))
        self._joins(joins, scope)

    def _joins(self, joins: Sequence[exp.Expr], scope: Scope) -> None:
        for join in joins:
            extra = {clause for clause, value in join.args.items() if value} - _JOIN
            if extra or join.args.get("kind") not in _KINDS_OF_JOINS or join.args.get("side") == "FULL":
                raise UnreadableError(join)
            if join.args.get("kind") in ("STRAIGHT_JOIN", "OUTER"):
                join.set("kind", None)
            before = {output.name.lower() for source in scope.sources for output in source.outputs}
            first = len(scope.sources)
            join.set("this", self._source(join.this, scope))
            common = {each.name.lower() for each in join.args.get("using") or ()}
            if join.args.get("method") == "NATURAL":
                common = before & {each.name.lower() for each in scope.sources[first].outputs}
            scope.sources[first] = Source(scope.sources[first].name, scope.sources[first].outputs, frozenset(common))
        for join in joins:
            if join.args.get("on") is not None:
                join.set("on", self._expressions.value(join.args["on"], scope).node)

    def _source(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        """Rewrites a table, or a query or tables in brackets, and adds its columns to the scope."""
        alias = node.args.get("alias")
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            node.set("hints", None)
            if {clause for clause, value in node.args.items() if value} - _TABLE:
                raise UnreadableError(node)
            scope.rename_database(node)
            scope.add(Source((alias or node).name.lower(), self._table(node, scope)))
            self._joins(node.args.get("joins") or [], scope)
            return node
        if not isinstance(node, exp.Subquery):
            raise UnreadableError(node)
        if isinstance(node.this, exp.Table) and alias is None:
            return exp.Paren(this=self._source(node.this, scope))
        query, outputs = self.query(node.this, scope.outer, scope.parts)
        title = NAMELESS if alias is None else alias.name
        titles = alias.args.get("columns") if alias is not None else None
        if titles:
            outputs = _renamed(outputs, [each.name for each in titles])
            part = exp.CTE(this=query, alias=exp.TableAlias(this=name("my part"), columns=titles))
            query = selected([exp.Star()], exp.Table(this=name("my part")))
            query.set("with_", exp.With(expressions=[part]))
        _check_titles(outputs)
        scope.add(Source(title.lower(), outputs))
        return derived(query, title)

    def _table(self, node: exp.Table, scope: Scope) -> _Outputs:
        home, title = node.db.lower(), node.name.lower()
        if not home and title in scope.parts:
            return scope.parts[title]
        found = self._tables.get(f"{home}.{title}" if home not in ("", "main") else title)
        if found is None:
            raise SQLError(f"Table '{(home if home not in ('', 'main') else self._database)}.{title}' doesn't exist")
        return found

    # -- clauses ---------------------------------------------------------------------------------------------------

    def _fields(self, tree: exp.Select, scope: Scope) -> _Outputs:
        distinct = tree.args.get("distinct")
        if distinct is not None and distinct.args.get("on") is not None:
            raise UnreadableError(distinct)
        inner = tree.parent is not None
        fields: list[exp.Expr] = []
        outputs: list[Output] = []
        for node in tree.expressions:
            if isinstance(node, exp.Star | exp.Column) and node.is_star:
                made, found = _star(node, scope)
            else:
                made, found = self._field(node, scope, inner=inner)
            fields += made
            outputs += found
        tree.set("expressions", fields)
        return tuple(outputs)

    def _field(self, node: exp.Expr, scope: Scope, *, inner: bool) -> tuple[list[exp.Expr], list[Output]]:
        """Rewrites a result column with its collation; enclosing queries may name it as it is written."""
        title, asked = node.name if isinstance(node, exp.Column) else "", node
        if isinstance(node, exp.Alias):
            title, asked = node.alias, node.this
        elif inner and not title:
            title = node.sql(dialect="mysql", normalize_functions=False)
        value = self._expressions.value(asked, scope)
        made = collated(value)
        if title and not (asked is node and isinstance(made, exp.Column)):
            made = aliased(made, title)
        return [made], [Output(title, value.kind, value.by_column)]

    def _group(self, tree: exp.Select, scope: Scope) -> None:
        group = tree.args.get("group")
        if group is None:
            return
        if any(value and clause != "expressions" for clause, value in group.args.items()):
            raise UnreadableError(group)
        group.set("expressions", [self._key(each, scope, "group statement") for each in group.expressions])

    def _order(self, tree: exp.Expr, scope: Scope) -> None:
        """Rewrites LIMIT and ORDER BY, where the SELECT's own columns take precedence."""
        scope.prefers_selected = True
        order = tree.args.get("order")
        for each in order.expressions if order is not None else ():
            each.set("this", self._key(each.this, scope, "order clause"))
        for clause in ("limit", "offset"):
            limit = tree.args.get(clause)
            if limit is not None and not (isinstance(limit.expression, exp.Literal) and limit.expression.is_int):
                raise UnreadableError(limit)

    def _key(self, node: exp.Expr, scope: Scope, clause: str) -> exp.Expr:
        """Rewrites a key of GROUP BY or ORDER BY; a number is the position of a column."""
        if isinstance(node, exp.Literal) and node.is_int and not 1 <= int(node.name) <= len(scope.selected):
            raise SQLError(f"Unknown column '{node.name}' in '{clause}'")
        return node if isinstance(node, exp.Literal) else collated(self._expressions.value(node, scope))

    # -- UNION and brackets ----------------------------------------------------------------------------------------

    def _union(self, tree: exp.SetOperation, outer: Scope | None, parts: _Parts) -> _Query:
        extra = {clause for clause, value in tree.args.items() if value} - _SET
        if extra or not (tree.args.get("distinct") or isinstance(tree, exp.Union)):
            raise UnreadableError(tree)
        left, first = self._operand(tree.this, outer, parts)
        right, second = self._operand(tree.expression, outer, parts)
        if isinstance(right, exp.SetOperation):
            right = selected([exp.Star()], derived(right, "my rows"))
        if len(first) != len(second):
            raise SQLError("The used SELECT statements have a different number of columns")
        outputs = []
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            kind = merged((one.kind, other.kind))
            if kind in TEXTS:
                for side, output in ((left, one), (right, other)):
                    if output.kind in NUMBERS:
                        _make_text(side, place, output)
            outputs.append(Output(one.name, kind))
        tree.set("this", left)
        tree.set("expression", right)
        return self._ordered(tree, tuple(outputs), outer, parts)

    def _operand(self, node: exp.Expr, outer: Scope | None, parts: _Parts) -> _Query:
        """Rewrites an operand of a UNION: SQLite allows no brackets, ORDER BY or LIMIT there."""
        query, outputs = self.query(node, outer, parts)
        if any(query.args.get(clause) is not None for clause in ("order", "limit", "with_")):
            query = selected([exp.Star()], derived(query, "my rows"))
        return query, outputs

    def _in_brackets(self, tree: exp.Subquery, outer: Scope | None, parts: _Parts) -> _Query:
        query, outputs = self.query(tree.this, outer, parts)
        around = {clause: value for clause, value in tree.args.items() if value and clause != "this"}
        if not around:
            return query, outputs
        if not around.keys() <= {"order", "limit", "offset", "with_"}:
            raise UnreadableError(tree)
        whole = selected([exp.Star()], derived(query, "my rows"))
        for clause, value in around.items():
            whole.set(clause, value)
        return self._ordered(whole, outputs, outer, parts)

    def _ordered(self, tree: exp.Expr, outputs: _Outputs, outer: Scope | None, parts: _Parts) -> _Query:
        """Rewrites ORDER BY and LIMIT of a whole query, which can name only its result columns."""
        order = tree.args.get("order")
        keys = [each.this for each in order.expressions] if order is not None else []
        if isinstance(tree, exp.SetOperation):
            _check_keys(keys, outputs)
        if isinstance(tree, exp.SetOperation) and not all(isinstance(key, exp.Column | exp.Literal) for key in keys):
            clauses = {clause: tree.args.get(clause) for clause in ("order", "limit", "offset")}
            for clause in clauses:
                tree.set(clause, None)
            tree = selected([exp.Star()], derived(tree, "my rows"))
            for clause, value in clauses.items():
                tree.set(clause, value)
        scope = Scope(self._database, outer, parts)
        scope.selected = outputs
        self._order(tree, scope)
        return tree, outputs


def _star(node: exp.Expr, scope: Scope) -> tuple[list[exp.Expr], list[Output]]:
    """Rewrites ``*``: unchanged, unless USING moves some columns to the front."""
    home = node.table if isinstance(node, exp.Column) else ""
    if not any(home.lower() in ("", source.name) for source in scope.sources):
        raise SQLError(f"Unknown table '{home}'" if home else "No tables used")
    found = list(scope.everything(home))
    outputs = [output for _, output in found]
    if not any(source.common for source in scope.sources):
        return [node], outputs
    return [exp.Column(this=name(output.name), table=name(source)) for source, output in found], outputs


def _check_keys(keys: Sequence[exp.Expr], outputs: _Outputs) -> None:
    """Refuses ORDER BY of a UNION by columns that are not in its result."""
    for key in keys:
        if isinstance(key, exp.Column) and key.table:
            raise SQLError(f"Table '{key.table}' from one of the SELECTs cannot be used in global ORDER clause")
        if isinstance(key, exp.Column) and all(key.name.lower() != output.name.lower() for output in outputs):
            raise SQLError(f"Unknown column '{key.name}' in 'order clause'")


def _check_titles(outputs: _Outputs) -> None:
    """Refuses a derived table with two columns of the same name."""
    seen: set[str] = set()
    for output in outputs:
        if output.name.lower() in seen:
            raise SQLError(f"Duplicate column name '{output.name}'")
        seen.add(output.name.lower())


def _renamed(outputs: _Outputs, names: Sequence[str]) -> _Outputs:
    if not names:
        return outputs
    return tuple(Output(each, output.kind, output.by_column) for each, output in zip(names, outputs, strict=False))


def _make_text(side: exp.Expr, place: int, output: Output) -> None:
    """Converts a numeric column to strings, in every SELECT of an operand."""
    if isinstance(side, exp.SetOperation):
        _make_text(side.this, place, output)
        _make_text(side.expression, place, output)
        return
    fields = list(side.expressions)
    if any(field.is_star for field in fields):
        return
    field = fields[place]
    inner = field.this if isinstance(field, exp.Alias) else field
    fields[place] = aliased(as_text(Typed(inner, output.kind)), output.name or "x")
    side.set("expressions", fields)
