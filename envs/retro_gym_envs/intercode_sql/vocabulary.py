"""The words of the built-in databases' comments: a head that several things share, and qualifiers that tell them apart.

Comments and questions refer to tables, columns and values by phrases such as ``price when new``: the head ``price`` and
a qualifier. Names in the databases are coined words, so no phrase resembles the name of what it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DUTIES", "FEATURES", "FEATURE_PARTS", "GROUPS", "MEASURES", "OCCASIONS", "ROLES", "SHADES", "THINGS"]

THINGS: Mapping[str, tuple[str, ...]] = {
    "train": (
        "wines",
        "ships",
        "statues",
        "bikes",
        "lamps",
        "clocks",
        "drums",
        "tents",
        "carpets",
        "trains",
        "boats",
        "guitars",
        "chairs",
        "mirrors",
        "kettles",
        "swords",
        "coats",
        "wagons",
        "pianos",
        "vases",
    ),
    "validation": ("benches", "violins", "lanterns", "barrels"),
    "test": ("helmets", "cabinets", "trumpets", "canoes"),
}
"""What the rows of the main table are, by split."""
GROUPS = ("on loan", "in stock", "on order", "for sale", "under repair", "in transit", "on display", "for rent")
"""Qualifiers of tables."""

MEASURES = ("price", "weight", "length", "height", "width", "value", "depth", "tax")
"""Heads of numeric columns."""
OCCASIONS = (
    "when new",
    "in winter",
    "in summer",
    "on arrival",
    "as declared",
    "as measured",
    "last year",
    "by contract",
)
"""Qualifiers of numeric columns."""

FEATURES: Mapping[str, tuple[str, ...]] = {
    "colour": ("red", "blue", "green", "grey", "brown"),
    "material": ("oak", "steel", "glass", "stone", "linen"),
    "pattern": ("stripes", "dots", "stars", "waves", "checks"),
}
"""Heads of coded columns, and of the codes' meanings."""
FEATURE_PARTS = (
    "of the lid",
    "of the base",
    "of the front",
    "of the back",
    "of the label",
    "of the edge",
    "of the handle",
    "of the lining",
)
"""Qualifiers of coded columns."""
SHADES = ("dark", "pale", "bright", "dull", "faded", "glossy", "plain", "rough")
"""Qualifiers of meanings, before the head."""

ROLES = ("agent", "clerk", "guard", "broker", "driver", "keeper")
"""Heads of columns that refer to a person."""
DUTIES = (
    "for customs",
    "for storage",
    "for travel",
    "for payment",
    "for safety",
    "for weekends",
    "for photos",
    "for training",
)
"""Qualifiers of columns that refer to a person."""
