"""What the names in a query stand for. Needs sqlglot."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError
from retro_gym_envs.intercode_sql.mysql.translation.kinds import Kind

__all__ = ["NAMELESS", "Output", "Scope", "Source", "UnreadableError"]


NAMELESS = "my rows"
"""The name of a query in FROM that has none. MySQL demands one; some public gold queries have none."""


class UnreadableError(Exception):
    """A part of a statement that sqlglot can read and MySQL cannot; now and then it lets one pass that is missing."""

    def __init__(self, node: exp.Expr | None) -> None:
        super().__init__(type(node).__name__)
        within = node.walk() if node is not None else ()
        places = (each.meta["start"] for each in within if "start" in each.meta)
        self.position = int(next(places, 0))
        """Where its first name stands in the text that was read."""


@dataclasses.dataclass(frozen=True)
class Output:
    """A column of a table or of a query's result."""

    name: str
    kind: Kind
    by_column: bool = False
    """Whether SQLite knows its collation."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What stands in FROM."""

    name: str
    """Its alias, or the table's name; in lower case."""
    outputs: tuple[Output, ...]
    common: frozenset[str] = frozenset()
    """Columns, in lower case, that USING or NATURAL makes one with those of the sources before."""


class Scope:
    """The names that one SELECT knows, and those of the ones around it.

    Args:
        database: the name that the query may call the database by, in lower case.
        outer: the SELECT around it.
        parts: the parts of WITH, by names in lower case.
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
        """Whether an aggregate makes one value of its rows."""

    def add(self, source: Source) -> None:
        """Takes what stands in FROM.

        Raises:
            SQLError: another one has its name.
        """
        if source.name != NAMELESS and any(source.name == each.name for each in self.sources):
            raise SQLError(f"Not unique table/alias: '{source.name}'")
        self.sources.append(source)

    def find(self, name: str, table: str) -> Output | None:
        """The column of that name; None where there is none, in which case SQLite says so."""
        wanted, home = name.lower(), table.lower()
        own = (output for output in self.selected if not home and output.name.lower() == wanted)
        if self.prefers_selected and (found := next(own, None)):
            return found
        found = self._of_sources(wanted, home)
        return found or next(own, None) or (self.outer.find(name, table) if self.outer else None)

    def aggregates(self, call: exp.Expr) -> bool:
        """Whether a call of an aggregate is over this SELECT's rows: it names a column of theirs, or none at all."""
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
        """Gives the database in front of a name the name that SQLite knows it by."""
        home = node.args.get("db")
        if isinstance(home, exp.Identifier) and home.name.lower() == self.database:
            node.set("db", exp.Identifier(this="main", quoted=True))

    def everything(self, table: str) -> Iterator[tuple[str, Output]]:
        """The columns that ``*`` or ``table.*`` stands for, in MySQL's order, with the sources that have them."""
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
