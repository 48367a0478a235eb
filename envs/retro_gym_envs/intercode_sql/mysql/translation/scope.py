"""Name resolution in a query. Needs sqlglot."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError
from retro_gym_envs.intercode_sql.mysql.translation.kinds import Kind

__all__ = ["NAMELESS", "Output", "Scope", "Source", "UnreadableError"]


NAMELESS = "my rows"
"""The name given to a query in FROM without an alias. MySQL requires one; some public gold queries have none."""


class UnreadableError(Exception):
    """A part of a statement that sqlglot accepts and MySQL does not, such as a missing operand."""

    def __init__(self, node: exp.Expr | None) -> None:
        super().__init__(type(node).__name__)
        within = node.walk() if node is not None else ()
        places = (each.meta["start"] for each in within if "start" in each.meta)
        self.position = int(next(places, 0))
        """The position of its first name in the parsed text."""


@dataclasses.dataclass(frozen=True)
class Output:
    """A column of a table or of a query's result."""

    name: str
    kind: Kind
    by_column: bool = False
    """Whether SQLite knows its collation."""


@dataclasses.dataclass(frozen=True)
class Source:
    """An item of FROM."""

    name: str
    """Its alias, or the table's name; in lower case."""
    outputs: tuple[Output, ...]
    common: frozenset[str] = frozenset()
    """Columns, in lower case, that USING or NATURAL merges with those of earlier sources."""


class Scope:
    """The names visible in one SELECT, including those of enclosing SELECTs.

    Args:
        database: the name of the database in the query, in lower case.
        outer: the enclosing SELECT.
        parts: the WITH parts, by name in lower case.
    """

    def __init__(self, database: str, outer: Scope | None, parts: Mapping[str, tuple[Output, ...]]) -> None:
        self.database = database
        self.outer = outer
        self.parts = dict(parts)
        self.sources: list[Source] = []
        self.selected: Sequence[Output] = ()
        """The SELECT's own columns, once they are known: ORDER BY, GROUP BY and HAVING may name them."""
        self.prefers_selected = False
        """Whether they hide the sources' columns, as in ORDER BY."""
        self.aggregated = False
        """Whether an aggregate reduces its rows to one value."""

    def add(self, source: Source) -> None:
        """Adds an item of FROM.

        Raises:
            SQLError: another item has the same name.
        """
        if source.name != NAMELESS and any(source.name == each.name for each in self.sources):
            raise SQLError(f"Not unique table/alias: '{source.name}'")
        self.sources.append(source)

    def find(self, name: str, table: str) -> Output | None:
        """Returns the column with this name; None if there is none, in which case SQLite reports it."""
        wanted, home = name.lower(), table.lower()
        own = (output for output in self.selected if not home and output.name.lower() == wanted)
        if self.prefers_selected and (found := next(own, None)):
            return found
        found = self._of_sources(wanted, home)
        return found or next(own, None) or (self.outer.find(name, table) if self.outer else None)

    def aggregates(self, call: exp.Expr) -> bool:
        """Whether an aggregate is over this SELECT's rows: it names one of its columns, or no column at all."""
        named = list(call.find_all(exp.Column))
        return not named or any(self._of_sources(each.name.lower(), each.table.lower()) for each in named)

    def _of_sources(self, wanted: str, home: str) -> Output | None:
        for source in self.sources:
            if home in ("", source.name):
                for output in source.outputs:
                    if output.name.lower() == wanted:
                        return output
        return None

    def rename_database(self, node: exp.Column | exp.Table) -> None:
        """Replaces a database qualifier by the name that SQLite uses."""
        home = node.args.get("db")
        if isinstance(home, exp.Identifier) and home.name.lower() == self.database:
            node.set("db", exp.Identifier(this="main", quoted=True))

    def everything(self, table: str) -> Iterator[tuple[str, Output]]:
        """Yields the columns that ``*`` or ``table.*`` stands for with their sources, in MySQL's order."""
        sources = [source for source in self.sources if table.lower() in ("", source.name)]
        common: list[str] = []
        if not table:
            for place, source in reversed(list(enumerate(sources))):
                before = [o.name.lower() for earlier in sources[:place] for o in earlier.outputs]
                common = [n for n in dict.fromkeys(before) if n in source.common and n not in common] + common
            for shared in dict.fromkeys(common):
                yield next((s.name, o) for s in sources for o in s.outputs if o.name.lower() == shared)
        for source in sources:
            yield from ((source.name, output) for output in source.outputs if output.name.lower() not in common)
