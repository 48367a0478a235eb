"""Rewrites calls of MySQL's functions for SQLite, including those with special syntax. Needs sqlglot."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Sequence

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.functions.registry import OWN_PREFIX
from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError
from retro_gym_envs.intercode_sql.mysql.translation.kinds import EXACT, MOMENTS, NUMBERS, Kind
from retro_gym_envs.intercode_sql.mysql.translation.scope import Output, Scope, UnreadableError
from retro_gym_envs.intercode_sql.mysql.translation.signatures import AGGREGATES, Given, Signature, Wants, signature
from retro_gym_envs.intercode_sql.mysql.translation.typed import (
    Typed,
    aligned,
    as_number,
    collated,
    merged_values,
    own,
    real,
    same_text,
    text,
)

__all__ = ["Calls"]

_DAYS = ("day", "week", "month", "quarter", "year")
_UNITS = (*_DAYS, "hour", "minute", "second")
_CLOCK_UNITS = ("hour", "minute", "second", "microsecond")
_SPANS = [f"{first}_{last}" for place, first in enumerate(("day", *_CLOCK_UNITS)) for last in _CLOCK_UNITS[place:]]
_PARTS = frozenset((*_UNITS, "microsecond", "year_month", *_SPANS))
_SHIFTS = {"date_add": False, "adddate": False, "date_sub": True, "subdate": True}
_DISTINCT = ("count", "sum", "avg", "min", "max")
_CASTS = {
    "CHAR": ("char", Kind.TEXT),
    "NCHAR": ("char", Kind.TEXT),
    "VARCHAR": ("char", Kind.TEXT),
    "TEXT": ("char", Kind.TEXT),
    "CHARACTER_SET": ("char", Kind.TEXT),
    "BINARY": ("char", Kind.BINARY),
    "BIGINT": ("signed", Kind.INT),
    "INT": ("signed", Kind.INT),
    "YEAR": ("signed", Kind.INT),
    "UBIGINT": ("unsigned", Kind.INT),
    "UINT": ("unsigned", Kind.INT),
    "DECIMAL": ("decimal", Kind.DECIMAL),
    "DATE": ("date", Kind.DATE),
    "DATETIME": ("timestamp", Kind.DATETIME),
    "TIMESTAMP": ("timestamp", Kind.DATETIME),
    "TIMESTAMPTZ": ("timestamp", Kind.DATETIME),
    "TIME": ("time", Kind.TIME),
}

Subquery = Callable[[exp.Expr, Scope], tuple[exp.Expr, tuple[Output, ...]]]


class Calls(abc.ABC):
    """Rewrites calls.

    Args:
        subquery: rewrites a query within an expression, and returns its columns.
    """

    def __init__(self, subquery: Subquery) -> None:
        self.subquery = subquery

    @abc.abstractmethod
    def value(self, node: exp.Expr, scope: Scope) -> Typed:
        """Rewrites any expression."""

    def values(self, nodes: Sequence[exp.Expr], scope: Scope) -> list[Typed]:
        """Rewrites several expressions."""
        return [self.value(node, scope) for node in nodes]

    def nodes(self, nodes: Sequence[exp.Expr], scope: Scope) -> list[exp.Expr]:
        """Rewrites several expressions and discards their kinds."""
        return [self.value(node, scope).node for node in nodes]

    # -- plain calls -----------------------------------------------------------------------------------------------

    def called(self, node: exp.Expr, scope: Scope) -> Typed:
        """Rewrites a function call."""
        written, arguments = str(node.this), list(node.expressions)
        function = written.lower()
        if function in _SHIFTS:
            return self._date_arithmetic(written, arguments, scope, back=_SHIFTS[function])
        if function in ("timestampdiff", "timestampadd"):
            return self._by_unit(written, arguments, scope)
        if function == "mod" and len(arguments) == 2:
            return self.value(exp.Mod(this=arguments[0], expression=arguments[1]), scope)
        found = signature(function)
        if found is None:
            raise SQLError(f"FUNCTION {scope.database}.{written[:64]} does not exist")
        if function in AGGREGATES and scope.aggregates(node):
            scope.aggregated = True
        distinct = bool(arguments) and isinstance(arguments[0], exp.Distinct)
        if distinct:
            if function not in _DISTINCT:
                raise UnreadableError(node)
            arguments = arguments[0].expressions
        if function == "count":
            return self._count(arguments, scope, distinct=distinct)
        if not found.takes(len(arguments)):
            raise _wrong_count(written)
        made, kind = self._converted(function, found, self.values(arguments, scope))
        if function == "isnull":
            return Typed(exp.Paren(this=exp.Is(this=made[0].node, expression=exp.Null())), kind)
        if function == "nullif":
            same = exp.If(this=exp.EQ(this=made[0].node, expression=made[1].node), true=exp.Null())
            return Typed(exp.Case(ifs=[same], default=self.value(arguments[0].copy(), scope).node), kind)
        given = [value.node for value in made]
        if distinct:
            given = [exp.Distinct(expressions=given)]
        constant = function not in AGGREGATES and all(value.constant for value in made)
        target = found.target
        if function == "round" and kind is Kind.REAL:
            target = OWN_PREFIX + "round_float"
        return Typed(exp.Anonymous(this=target, expressions=given), kind, constant=constant)

    def _converted(self, function: str, found: Signature, values: list[Typed]) -> tuple[list[Typed], Kind]:
        """Converts the arguments for the function, and returns them with the kind of the result."""
        kind = found.gives if isinstance(found.gives, Kind) else Kind.NULL
        given = list(values)
        if found.wants is Wants.NUMBERS:
            given = [_number(value) for value in values]
        elif found.wants is Wants.EQUALS:
            given = [_renewed(value, node) for value, node in zip(values, aligned(values), strict=True)]
        elif found.wants is Wants.LIKES:
            nodes, kind = merged_values(values)
            given = [_renewed(value, node) for value, node in zip(values, nodes, strict=True)]
            if function in ("greatest", "least") and kind is Kind.TEXT:
                given[0] = _renewed(given[0], same_text([Typed(given[0].node, kind), *values[1:]])[0])
        else:
            given = [_renewed(value, collated(value)) if function in AGGREGATES else value for value in values]
        if found.gives is Given.FIRST:
            kind = values[0].kind if found.wants is Wants.EQUALS else given[0].kind
        elif found.gives is Given.NUMBER:
            kind = _common(given)
        elif found.gives is Given.FRACTION:
            kind = Kind.DECIMAL if _common(given) in EXACT else Kind.REAL
        return given, kind

    def _count(self, arguments: list[exp.Expr], scope: Scope, *, distinct: bool) -> Typed:
        if len(arguments) == 1 and isinstance(arguments[0], exp.Star) and not distinct:
            return Typed(exp.Anonymous(this="count", expressions=arguments), Kind.INT)
        values = self.values(arguments, scope)
        if not values or (len(values) > 1 and not distinct):
            raise _wrong_count("COUNT")
        counted = collated(values[0]) if len(values) == 1 else own("row_key", *(value.node for value in values))
        if distinct:
            counted = exp.Distinct(expressions=[counted])
        return Typed(exp.Anonymous(this="count", expressions=[counted]), Kind.INT)

    def group_concat(self, node: exp.Expr, scope: Scope) -> Typed:
        """``GROUP_CONCAT(DISTINCT … ORDER BY … SEPARATOR …)``."""
        inner, order, flags = node.this, [], "-"
        if isinstance(inner, exp.Order):
            inner, order = inner.this, inner.expressions
        if isinstance(inner, exp.Distinct):
            inner, flags = next(iter(inner.expressions), None), "d"
        if inner is None:
            raise UnreadableError(node)
        flags += "".join("d" if each.args.get("desc") else "a" for each in order)
        keys = self.nodes([each.this for each in order], scope)
        separator = node.args.get("separator")
        between = text(",") if separator is None else self.value(separator, scope).node
        return Typed(own("group_concat", text(flags), between, self.value(inner, scope).node, *keys), Kind.TEXT)

    def window(self, node: exp.Expr, scope: Scope) -> Typed:
        """Rewrites a window function."""
        if not isinstance(node.this, exp.Anonymous):
            raise UnreadableError(node)
        aggregated = scope.aggregated
        function = self.value(node.this, scope)
        scope.aggregated = aggregated  # window functions keep every row
        self.window_parts(node, scope)
        node.set("this", function.node)
        return Typed(node, function.kind)

    def window_parts(self, node: exp.Expr, scope: Scope) -> None:
        """Rewrites the parts of a window in place."""
        parts = node.args.get("partition_by") or []
        node.set("partition_by", [collated(value) for value in self.values(parts, scope)])
        for each in node.args["order"].expressions if node.args.get("order") else ():
            each.set("this", collated(self.value(each.this, scope)))

    # -- calls with special syntax ---------------------------------------------------------------------------------

    def concat(self, node: exp.Expr, scope: Scope) -> Typed:
        """Rewrites the concatenation of strings."""
        return Typed(own("concat", *self.nodes(node.expressions, scope)), Kind.TEXT)

    def cast(self, node: exp.Expr, scope: Scope) -> Typed:
        """``CAST(x AS …)`` and ``CONVERT``."""
        inner, wanted = self.value(node.this, scope), node.args["to"]
        target = getattr(wanted.this, "name", "")
        if target in ("DOUBLE", "FLOAT"):
            return Typed(real(inner.node), Kind.REAL, constant=inner.constant)
        if target not in _CASTS:
            raise UnreadableError(node)
        function, kind = _CASTS[target]
        asked = inner.node
        if function in ("signed", "unsigned") and inner.kind in MOMENTS:
            asked = as_number(inner)
        elif function in ("signed", "unsigned") and inner.kind is Kind.REAL:
            asked = own("round_float", asked)
        sizes = [size.this for size in wanted.expressions] if target != "CHARACTER_SET" else []
        if function == "decimal":
            sizes = sizes[1:] or [exp.Literal.number(0)]
        elif function != "char":
            sizes = []
        return Typed(own(function, asked, *sizes), kind, constant=inner.constant)

    def extract(self, node: exp.Expr, scope: Scope) -> Typed:
        """``EXTRACT(YEAR FROM x)``."""
        unit = node.this.name.lower()
        if unit not in _PARTS:
            raise UnreadableError(node)
        asked = self.value(node.expression, scope).node
        call = own(unit, asked) if unit in ("week", "quarter") else own("extract", text(unit), asked)
        return Typed(call, Kind.INT)

    def substring(self, node: exp.Expr, scope: Scope) -> Typed:
        """``SUBSTRING(x, 2, 3)`` and ``SUBSTRING(x FROM 2 FOR 3)``."""
        parts = [node.this, node.args.get("start"), node.args.get("length")]
        if parts[1] is None:
            raise _wrong_count("SUBSTRING")
        return Typed(own("substr", *self.nodes([part for part in parts if part is not None], scope)), Kind.TEXT)

    def trim(self, node: exp.Expr, scope: Scope) -> Typed:
        """``TRIM(LEADING 'x' FROM y)``."""
        what = node.args.get("expression")
        gone = text(" ") if what is None else self.value(what, scope).node
        side = str(node.args.get("position") or "both").lower()
        return Typed(own("trim", self.value(node.this, scope).node, gone, text(side)), Kind.TEXT)

    def position(self, node: exp.Expr, scope: Scope) -> Typed:
        """``POSITION('a' IN x)``."""
        return Typed(own("locate", *self.nodes([node.args["substr"], node.this], scope)), Kind.INT)

    def characters(self, node: exp.Expr, scope: Scope) -> Typed:
        """``CHAR(65, 66)``."""
        return Typed(own("chars", *self.nodes(node.expressions, scope)), Kind.TEXT)

    def no_clock(self, node: exp.Expr, scope: Scope) -> Typed:
        """Refuses functions that depend on the clock or the user."""
        written = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(node).__name__).lower()
        raise SQLError(f"FUNCTION {scope.database}.{written} does not exist")

    # -- times -----------------------------------------------------------------------------------------------------

    def shifted(self, base: exp.Expr, interval: exp.Expr, scope: Scope, *, back: bool) -> Typed:
        """Rewrites a time plus or minus an INTERVAL."""
        unit = interval.args.get("unit")
        named = unit.name.lower() if unit is not None else ""
        if named not in _UNITS:
            raise UnreadableError(interval)
        return self._moved(self.value(base, scope), self.value(interval.this, scope), named, back=back)

    def _moved(self, base: Typed, amount: Typed, unit: str, *, back: bool) -> Typed:
        kind = base.kind if base.kind is not Kind.DATE or unit in _DAYS else Kind.DATETIME
        number = as_number(amount)
        if back:
            number = exp.Neg(this=exp.Paren(this=number))
        return Typed(own("shift", base.node, number, text(unit)), Kind.TEXT if kind in NUMBERS else kind)

    def _date_arithmetic(self, written: str, arguments: list[exp.Expr], scope: Scope, *, back: bool) -> Typed:
        if len(arguments) != 2:
            raise _wrong_count(written)
        base, amount = arguments
        if isinstance(amount, exp.Interval):
            return self.shifted(base, amount, scope, back=back)
        if written.lower().startswith("date_"):
            raise UnreadableError(amount)
        return self._moved(self.value(base, scope), self.value(amount, scope), "day", back=back)

    def _by_unit(self, written: str, arguments: list[exp.Expr], scope: Scope) -> Typed:
        """Rewrites TIMESTAMPDIFF and TIMESTAMPADD, whose first argument is a unit."""
        if len(arguments) != 3:
            raise _wrong_count(written)
        unit = arguments[0].name.lower().removeprefix("sql_tsi_")
        if unit not in _UNITS:
            raise UnreadableError(arguments[0])
        first, second = self.values(arguments[1:], scope)
        if written.lower() == "timestampadd":
            return self._moved(second, first, unit, back=False)
        return Typed(own("timestampdiff", text(unit), first.node, second.node), Kind.INT)

    # -- rules -----------------------------------------------------------------------------------------------------

    def refuse_limit(self, query: exp.Expr) -> None:
        """Refuses LIMIT in a subquery of IN, ANY or ALL, which MySQL does not support."""
        if query.args.get("limit") is not None:
            raise SQLError("This version of MySQL doesn't yet support 'LIMIT & IN/ALL/ANY/SOME subquery'")


def _renewed(value: Typed, node: exp.Expr) -> Typed:
    return Typed(node, value.kind, value.by_column, value.constant)


def _number(value: Typed) -> Typed:
    """Converts to a number; values of other kinds become REAL."""
    kind = value.kind if value.kind in NUMBERS or value.kind in (Kind.NULL, Kind.UNKNOWN) else Kind.REAL
    return Typed(as_number(value), kind, value.by_column, value.constant)


def _common(values: Sequence[Typed]) -> Kind:
    """Returns the kind of an arithmetic result: integer, exact, or float if any value is not exact."""
    kinds = {value.kind for value in values}
    return Kind.INT if kinds == {Kind.INT} else Kind.DECIMAL if kinds <= EXACT else Kind.REAL


def _wrong_count(written: str) -> SQLError:
    return SQLError(f"Incorrect parameter count in the call to native function '{written}'")
