"""Rewrites MySQL's expressions for SQLite, and makes MySQL's implicit conversions explicit. Needs sqlglot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.translation.calls import Calls
from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError
from retro_gym_envs.intercode_sql.mysql.translation.kinds import EXACT, NUMBERS, TEXTS, Kind
from retro_gym_envs.intercode_sql.mysql.translation.scope import Scope, UnreadableError
from retro_gym_envs.intercode_sql.mysql.translation.typed import (
    Typed,
    aliased,
    aligned,
    as_number,
    bracketed,
    column,
    derived,
    joined,
    merged_values,
    own,
    real,
    selected,
    text,
    whole,
)

__all__ = ["Expressions"]

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ)
_STRICT: dict[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.LT, exp.LTE: exp.LT, exp.GT: exp.GT, exp.GTE: exp.GT}
_TURNED: dict[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}
_BITS = (exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift)


class Expressions(Calls):
    """Rewrites expressions.

    Unknown nodes are refused, so that syntax of sqlglot's many other dialects is not accepted.
    """

    def value(self, node: exp.Expr, scope: Scope) -> Typed:
        """Returns the expression in SQLite's dialect, with its kind.

        Raises:
            SQLError: it calls an unknown function, or one with a wrong number of arguments.
            UnreadableError: MySQL has no such expression.
        """
        rewrite = self._REWRITES.get(type(node))
        if rewrite is None:
            raise UnreadableError(node)
        return rewrite(self, node, scope)

    # -- atoms -----------------------------------------------------------------------------------------------------

    def _literal(self, node: exp.Expr, scope: Scope) -> Typed:
        written = str(node.this)
        if node.args.get("is_string"):
            return Typed(node, Kind.TEXT, constant=True)
        exact = Kind.INT if written.isdigit() else Kind.DECIMAL
        return Typed(node, Kind.REAL if "e" in written.lower() else exact, constant=True)

    def _placeholder(self, node: exp.Expr, scope: Scope) -> Typed:
        return Typed(node, Kind.TEXT, constant=True)

    def _null(self, node: exp.Expr, scope: Scope) -> Typed:
        return Typed(node, Kind.NULL, constant=True)

    def _boolean(self, node: exp.Expr, scope: Scope) -> Typed:
        return Typed(whole(int(bool(node.this))), Kind.INT, constant=True)

    def _tuple(self, node: exp.Expr, scope: Scope) -> Typed:
        """Refuses a row outside of comparisons."""
        raise SQLError("Operand should contain 1 column(s)")

    def _column(self, node: exp.Expr, scope: Scope) -> Typed:
        assert isinstance(node, exp.Column)
        scope.rename_database(node)
        found = scope.find(node.name, node.table)
        return Typed(node, found.kind, found.by_column) if found else Typed(node, Kind.UNKNOWN)

    def _paren(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        return Typed(exp.Paren(this=inner.node), inner.kind, inner.by_column, inner.constant)

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def _arithmetic(self, node: exp.Expr, scope: Scope) -> Typed:
        for this, other in ((node.this, node.expression), (node.expression, node.this)):
            if isinstance(other, exp.Interval) and not isinstance(node, exp.Mul):
                return self.shifted(this, other, scope, back=isinstance(node, exp.Sub))
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        first, second = bracketed(as_number(left)), bracketed(as_number(right))
        integers = left.kind is right.kind is Kind.INT
        exact = left.kind in EXACT and right.kind in EXACT
        kind = Kind.INT if integers else Kind.DECIMAL if exact else Kind.REAL
        constant = left.constant and right.constant
        made: exp.Expr
        match node:
            case exp.Div():
                kind = Kind.DECIMAL if exact else Kind.REAL
                if left.kind not in (Kind.DECIMAL, Kind.REAL, *TEXTS):
                    first = real(first)
                made = exp.Div(this=first, expression=second, typed=True, safe=True)
            case exp.IntDiv() if integers:
                made = exp.Div(this=first, expression=second, typed=True, safe=True)
            case exp.IntDiv():
                made, kind = own("div", first, second), Kind.INT
            case exp.Mod() if not integers:
                made = own("mod", first, second)
            case exp.BitwiseXor():
                made, kind = own("bitxor", first, second), Kind.INT
            case _:
                made = type(node)(this=first, expression=second)
                kind = Kind.INT if isinstance(node, _BITS) else kind
        return Typed(made, kind, constant=constant)

    def _negative(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        exact = inner.kind if inner.kind in EXACT else Kind.REAL
        kind = Kind.INT if isinstance(node, exp.BitwiseNot) else exact
        return Typed(type(node)(this=bracketed(as_number(inner))), kind, constant=inner.constant)

    # -- conditions ------------------------------------------------------------------------------------------------

    def _logic(self, node: exp.Expr, scope: Scope) -> Typed:
        first, second = (bracketed(self.value(side, scope).node) for side in (node.this, node.expression))
        if isinstance(node, exp.Xor):
            sides = (exp.Paren(this=exp.Not(this=side)) for side in (first, second))
            return Typed(exp.NEQ(this=next(sides), expression=next(sides)), Kind.INT)
        return Typed(type(node)(this=first, expression=second), Kind.INT)

    def _not(self, node: exp.Expr, scope: Scope) -> Typed:
        return Typed(exp.Not(this=bracketed(self.value(node.this, scope).node)), Kind.INT)

    def _is(self, node: exp.Expr, scope: Scope) -> Typed:
        if not isinstance(node.expression, exp.Null | exp.Boolean):
            raise UnreadableError(node)
        inner = bracketed(self.value(node.this, scope).node)
        return Typed(exp.Is(this=inner, expression=node.expression), Kind.INT)

    def _compared(self, node: exp.Expr, scope: Scope) -> Typed:
        left, right = node.this, node.expression
        if isinstance(right, exp.Any | exp.All):
            return self._quantified(node, scope)
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
            return Typed(self._tuples_compared(type(node), left, right, scope), Kind.INT)
        if isinstance(left, exp.Subquery) and isinstance(right, exp.Tuple):
            node, left, right = _TURNED.get(type(node), type(node))(this=right, expression=left), right, left
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Subquery):
            return Typed(self._row_with_query(node, scope), Kind.INT)
        if isinstance(left, exp.Tuple):
            raise SQLError(f"Operand should contain {len(left.expressions)} column(s)")
        return Typed(self._comparison(type(node), self.value(left, scope), self.value(right, scope)), Kind.INT)

    def _comparison(self, operator: type[exp.Expr], left: Typed, right: Typed) -> exp.Expr:
        first, second = aligned([left, right])
        return operator(this=bracketed(first), expression=bracketed(second))

    def _tuples_compared(self, operator: type[exp.Expr], left: exp.Expr, right: exp.Expr, scope: Scope) -> exp.Expr:
        """Rewrites ``(a, b) = (c, d)``."""
        if len(left.expressions) != len(right.expressions):
            raise SQLError(f"Operand should contain {len(left.expressions)} column(s)")
        return self._rows_compared(
            operator, self.values(left.expressions, scope), self.values(right.expressions, scope)
        )

    def _rows_compared(self, operator: type[exp.Expr], left: list[Typed], right: list[Typed]) -> exp.Expr:
        """Compares rows of equal length pair by pair; the first unequal pair decides the order."""

        def compared(operator: type[exp.Expr], place: int) -> exp.Expr:
            pair = (dataclasses.replace(side[place], node=side[place].node.copy()) for side in (left, right))
            return self._comparison(operator, *pair)

        last = len(left) - 1
        if operator in _STRICT:
            made = compared(operator, last)
            for place in range(last - 1, -1, -1):
                rest = joined(exp.And, [compared(exp.EQ, place), made])
                made = joined(exp.Or, [compared(_STRICT[operator], place), rest])
            return made
        both = joined(exp.And, [compared(exp.EQ if operator is exp.NEQ else operator, n) for n in range(last + 1)])
        return exp.Not(this=both) if operator is exp.NEQ else both

    def _quantified(self, node: exp.Expr, scope: Scope) -> Typed:
        """Rewrites ``x > ALL (SELECT …)``: false if any row is false, else NULL if any is NULL, else true; also ANY."""
        quantifier = node.expression
        query, outputs = self.subquery(quantifier.this, scope)
        self.refuse_limit(query)
        if len(outputs) != 1:
            raise SQLError("Operand should contain 1 column(s)")
        inner = Typed(column("my element"), outputs[0].kind)
        elements = selected([aliased(column(outputs[0].name), "my element")], derived(query, "my rows"))
        compared = self._comparison(type(node), self.value(node.this, scope), inner)
        verdicts = selected([aliased(bracketed(compared), "my verdict")], derived(elements, "my elements"))
        verdict = column("my verdict")
        function, decided = ("min", 0) if isinstance(quantifier, exp.All) else ("max", 1)
        found = exp.EQ(this=exp.Anonymous(this=function, expressions=[verdict]), expression=whole(decided))
        unknown = exp.Anonymous(this="max", expressions=[exp.Is(this=verdict.copy(), expression=exp.Null())])
        case = exp.Case(
            ifs=[exp.If(this=found, true=whole(decided)), exp.If(this=unknown, true=exp.Null())],
            default=whole(1 - decided),
        )
        return Typed(exp.Subquery(this=selected([case], derived(verdicts, "my verdicts"))), Kind.INT)

    def _between(self, node: exp.Expr, scope: Scope) -> Typed:
        values = [self.value(part, scope) for part in (node.this, node.args["low"], node.args["high"])]
        this, low, high = map(bracketed, aligned(values))
        return Typed(exp.Between(this=this, low=low, high=high), Kind.INT)

    def _in(self, node: exp.Expr, scope: Scope) -> Typed:
        if node.args.get("query") is not None:
            return self._in_query(node, scope)
        if not node.expressions:
            raise UnreadableError(node)
        if isinstance(node.this, exp.Tuple):
            if not all(isinstance(row, exp.Tuple) for row in node.expressions):
                raise SQLError(f"Operand should contain {len(node.this.expressions)} column(s)")
            same = [self._tuples_compared(exp.EQ, node.this.copy(), row, scope) for row in node.expressions]
            return Typed(exp.Paren(this=joined(exp.Or, same)), Kind.INT)
        this = self.value(node.this, scope)
        items = [self.value(item, scope) for item in node.expressions]
        numbers = [item for item in items if item.kind in NUMBERS]
        others = [item for item in items if item.kind not in NUMBERS]
        groups = [items] if this.kind in NUMBERS else [group for group in (numbers, others) if group]
        parts = []
        for group in groups:
            first, *rest = aligned([this, *group])
            parts.append(exp.In(this=bracketed(first.copy()), expressions=rest))
        return Typed(parts[0] if len(parts) == 1 else exp.Paren(this=joined(exp.Or, parts)), Kind.INT)

    def _in_query(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = node.args["query"]
        query, outputs = self.subquery(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
        self.refuse_limit(query)
        asked = node.this.expressions if isinstance(node.this, exp.Tuple) else [node.this]
        if len(asked) != len(outputs):
            raise SQLError(f"Operand should contain {len(asked)} column(s)")
        left, right = [], []
        for each, output in zip(asked, outputs, strict=True):
            value = self.value(each, scope)
            first, second = aligned([value, Typed(column(output.name), output.kind)])
            left.append(first)
            right.append(second)
        if any(not isinstance(each, exp.Column) for each in right):
            query = selected(right, derived(query, "my rows"))
        this = exp.Tuple(expressions=left) if isinstance(node.this, exp.Tuple) else bracketed(left[0])
        return Typed(exp.In(this=this, query=exp.Subquery(this=query)), Kind.INT)

    def _exists(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        return Typed(exp.Exists(this=self.subquery(inner, scope)[0]), Kind.INT)

    def _scalar(self, node: exp.Expr, scope: Scope) -> Typed:
        query, outputs = self.subquery(node, scope)
        if len(outputs) != 1:
            raise SQLError("Operand should contain 1 column(s)")
        if not _has_one_row(query):
            query = selected([own("only_row", column(outputs[0].name))], derived(query, "my rows"))
        return Typed(exp.Subquery(this=query), outputs[0].kind)

    def _row_with_query(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        """Rewrites ``(a, b) = (SELECT …)``: compares with the query's only row; NULL if it has none."""
        query, outputs = self.subquery(node.expression, scope)
        asked = node.this.expressions
        if len(asked) != len(outputs):
            raise SQLError(f"Operand should contain {len(asked)} column(s)")
        titles = [f"my element {place}" for place, _ in enumerate(outputs)]
        right = [Typed(column(title), output.kind) for title, output in zip(titles, outputs, strict=True)]
        elements = [aliased(column(o.name), title) for o, title in zip(outputs, titles, strict=True)]
        verdict = self._rows_compared(type(node), self.values(asked, scope), right)
        verdicts = selected(
            [own("only_row", verdict)], derived(selected(elements, derived(query, "my rows")), "my row")
        )
        return exp.Subquery(this=verdicts)

    def _like(self, node: exp.Expr, scope: Scope) -> Typed:
        escape = text("\\")
        if isinstance(node, exp.Escape):
            node, escape = node.this, node.expression
        said, pattern = self.values([node.this, node.expression], scope)
        exact = Kind.BINARY in (said.kind, pattern.kind)
        made = own("like_binary" if exact else "like", said.node, pattern.node, escape)
        return Typed(exp.Not(this=made) if node.args.get("negate") else made, Kind.INT)

    def _regexp(self, node: exp.Expr, scope: Scope) -> Typed:
        return Typed(own("regexp_like", *self.nodes([node.this, node.expression], scope)), Kind.INT)

    def _collate(self, node: exp.Expr, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        exact = str(node.expression.name).lower().endswith(("_bin", "_cs"))
        return Typed(inner.node, Kind.BINARY if exact else inner.kind)

    # -- choices ---------------------------------------------------------------------------------------------------

    def _case(self, node: exp.Expr, scope: Scope) -> Typed:
        ifs, default = node.args["ifs"], node.args.get("default")
        results = [self.value(each.args["true"], scope) for each in ifs]
        if default is not None:
            results.append(self.value(default, scope))
        made, kind = merged_values(results)
        conditions = []
        for each in ifs:
            if node.this is None:
                conditions.append(self.value(each.this, scope).node)
            else:
                this = self.value(node.this.copy(), scope)
                conditions.append(self._comparison(exp.EQ, this, self.value(each.this, scope)))
        cases = [exp.If(this=condition, true=result) for condition, result in zip(conditions, made, strict=False)]
        return Typed(exp.Case(ifs=cases, default=made[-1] if default is not None else None), kind)

    def _if(self, node: exp.Expr, scope: Scope) -> Typed:
        if node.args.get("true") is None or node.args.get("false") is None:
            raise UnreadableError(node)
        case = exp.If(this=node.this, true=node.args["true"])
        return self._case(exp.Case(ifs=[case], default=node.args["false"]), scope)

    _REWRITES: dict[type[exp.Expr], Callable[[Expressions, exp.Expr, Scope], Typed]] = {  # noqa: RUF012
        exp.Literal: _literal,
        exp.Placeholder: _placeholder,
        exp.Null: _null,
        exp.Boolean: _boolean,
        exp.Column: _column,
        exp.Paren: _paren,
        exp.Tuple: _tuple,
        **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.BitwiseXor, *_BITS), _arithmetic),
        exp.Neg: _negative,
        exp.BitwiseNot: _negative,
        **dict.fromkeys((exp.And, exp.Or, exp.Xor), _logic),
        exp.Not: _not,
        exp.Is: _is,
        **dict.fromkeys(_COMPARISONS, _compared),
        exp.Between: _between,
        exp.In: _in,
        exp.Exists: _exists,
        exp.Subquery: _scalar,
        exp.Like: _like,
        exp.Escape: _like,
        exp.RegexpLike: _regexp,
        exp.Collate: _collate,
        exp.Case: _case,
        exp.If: _if,
        exp.Anonymous: Calls.called,
        exp.Window: Calls.window,
        exp.GroupConcat: Calls.group_concat,
        exp.Concat: Calls.concat,
        exp.Cast: Calls.cast,
        exp.Extract: Calls.extract,
        exp.Substring: Calls.substring,
        exp.Trim: Calls.trim,
        exp.StrPosition: Calls.position,
        exp.Chr: Calls.characters,
        exp.CurrentTimestamp: Calls.no_clock,
        exp.CurrentDate: Calls.no_clock,
        exp.CurrentTime: Calls.no_clock,
        exp.Localtime: Calls.no_clock,
        exp.Localtimestamp: Calls.no_clock,
        exp.CurrentUser: Calls.no_clock,
    }


def _has_one_row(query: exp.Expr) -> bool:
    """Whether a query obviously has at most one row."""
    if query.meta.get("one row"):
        return True
    limit = query.args.get("limit")
    if isinstance(limit, exp.Limit) and int(limit.expression.name) <= 1:
        return True
    return isinstance(query, exp.Select) and query.args.get("from_") is None
