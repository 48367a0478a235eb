"""The vocabulary of the built-in databases: a dozen domains, and the columns of their tables.

Each domain has entities (``wines``), the people who make or keep them (``growers``) and events (``tastings``). Columns
come from common pools, so that a question's words refer to a column in the same way in every domain.
"""

from __future__ import annotations

import dataclasses

__all__ = ["AGGREGATES", "ATTRIBUTES", "DOMAINS", "PERSON_CATEGORIES", "PERSON_NUMBERS", "Attribute", "Domain"]


@dataclasses.dataclass(frozen=True)
class Attribute:
    """The meaning of a column, and how questions refer to it without naming it."""

    name: str
    """The column's name, also used by questions that name it."""
    low: int = 0
    high: int = 0
    """Range of a numeric column; a category has none."""
    asks: str = ""
    """A question for it that does not name it; ``{it}`` is the entity."""
    most: str = ""
    """The word for the entity with the highest value."""
    least: str = ""
    """The word for the entity with the lowest value."""

    @property
    def is_number(self) -> bool:
        """Whether it is numeric; otherwise it is a category."""
        return self.high > 0


@dataclasses.dataclass(frozen=True)
class Domain:
    """Three tables: entities, people, events."""

    database: str
    thing: str
    person: str
    event: str
    numbers: tuple[str, ...]
    """Numeric columns that its entities can have."""
    categories: tuple[str, ...]
    """Categories that its entities can have."""

    @property
    def nouns(self) -> tuple[str, str, str]:
        """The singular of each table's name."""
        return self.thing, self.person, self.event


ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute("price", 5, 95, "How much does {it} cost?", "most expensive", "cheapest"),
        Attribute("weight", 100, 990, "How heavy is {it}?", "heaviest", "lightest"),
        Attribute("length", 20, 99, "How long is {it}?", "longest", "shortest"),
        Attribute("speed", 30, 300, "How fast is {it}?", "fastest", "slowest"),
        Attribute("height", 100, 450, "How tall is {it}?", "tallest", "least tall"),
        Attribute("size", 100, 900, "How big is {it}?", "biggest", "smallest"),
        Attribute("year", 1900, 2020, "When did {it} first appear?", "newest", "oldest"),
        Attribute("rating", 1, 60, "How well liked is {it}?", "most liked", "least liked"),
        Attribute("color", asks="What does {it} look like?"),
        Attribute("region", asks="Which part of the land does {it} belong to?"),
        Attribute("material", asks="What is {it} made of?"),
        Attribute("age", 20, 75, "How old is {it}?", "eldest", "youngest"),
        Attribute("salary", 1_000, 9_000, "How much does {it} earn?", "best paid", "worst paid"),
        Attribute("city", asks="Where does {it} live?"),
        Attribute("school", asks="Where was {it} trained?"),
        Attribute("guests", 10, 400, "How well attended is {it}?", "best attended", "least attended"),
        Attribute("place", asks="Where is {it} held?"),
    )
}

AGGREGATES: dict[str, tuple[str, tuple[str, ...]]] = {
    "average": ("AVG", ("average", "typical")),
    "total": ("SUM", ("total", "combined")),
    "highest": ("MAX", ("highest", "maximum")),
    "lowest": ("MIN", ("lowest", "minimum")),
    "number": ("COUNT", ("different",)),
}
"""By its name in reflections: SQL's name of an aggregate, and the words of questions that ask for it."""

PERSON_NUMBERS = ("age", "salary")
PERSON_CATEGORIES = ("city", "school")

DOMAINS: tuple[Domain, ...] = (
    Domain("vineyard", "wine", "grower", "tasting", ("price", "year", "rating"), ("color", "region")),
    Domain("harbour", "ship", "captain", "voyage", ("length", "speed", "weight", "year"), ("color", "material")),
    Domain("stage", "play", "director", "premiere", ("length", "rating", "year"), ("region",)),
    Domain("wildlife", "animal", "keeper", "feeding", ("weight", "speed", "height"), ("region", "color")),
    Domain("press", "novel", "author", "reading", ("price", "length", "year", "rating"), ("region", "color")),
    Domain("railway", "train", "driver", "trip", ("speed", "length", "price", "year"), ("color", "region")),
    Domain("bakery", "cake", "baker", "sale", ("price", "weight", "size", "rating"), ("color",)),
    Domain("workshop", "car", "mechanic", "repair", ("speed", "weight", "price", "year"), ("color", "material")),
    Domain("gallery", "statue", "sculptor", "loan", ("height", "weight", "price", "year"), ("material", "region")),
    Domain("nursery", "tree", "gardener", "visit", ("height", "price", "size"), ("region", "color")),
    Domain("cycling", "bike", "rider", "race", ("price", "weight", "size", "speed"), ("color", "material")),
    Domain("studio", "song", "singer", "concert", ("length", "rating", "year", "price"), ("region",)),
)
