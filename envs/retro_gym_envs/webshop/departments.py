"""The vocabulary of the built-in shops: product types, words of titles, attributes and options.

The words are chosen so that the reward's fuzzy matching confuses no two of them (a test checks this), and so that most
of them are a single token for a small language model.
"""

from __future__ import annotations

import dataclasses

__all__ = ["ATTRIBUTES", "DEPARTMENTS", "OPTIONS", "Department"]

_COLORS = "teal black navy beige olive coral white brown grey pink purple yellow"
_FLAVORS = "vanilla chocolate mint lemon cherry caramel ginger maple"

OPTIONS: dict[str, tuple[str, ...]] = {
    "color": tuple(_COLORS.split()),
    "size": ("mini", "small", "medium", "large", "x-large"),
    "finish": ("matte", "glossy", "satin", "brushed", "varnished"),
    "flavor": tuple(_FLAVORS.split()),
    "scent": ("lavender", "citrus", "rose", "jasmine", "eucalyptus", "unscented"),
    "set": ("single", "pair", "trio", "quartet", "dozen"),
    "plug": ("european", "british", "american", "australian", "japanese"),
    "shape": ("round", "square", "oval", "hexagonal", "crescent"),
}
"""Names of options, and the values that a product may offer for each."""


@dataclasses.dataclass(frozen=True)
class Department:
    """A department of the shop."""

    category: str
    """``category`` in the public schema, which has five."""
    path: tuple[str, ...]
    """The beginning of ``product_category``; the product type comes last."""
    kinds: tuple[str, ...]
    """Product types: the last word of a title."""
    materials: tuple[str, ...]
    attributes: tuple[str, ...]
    """Attributes that a goal may ask for; each must read well after "that is"."""
    options: tuple[str, ...]
    """Names of options, in the order of the page."""


def _department(category: str, path: str, kinds: str, materials: str, attributes: str, options: str) -> Department:
    return Department(
        category,
        tuple(path.split(" › ")),
        tuple(kinds.split()),
        tuple(materials.split()),
        tuple(attributes.split(", ")),
        tuple(options.split()),
    )


DEPARTMENTS: tuple[Department, ...] = (
    _department(
        "fashion",
        "Travel Goods › Bags",
        "backpack tote duffel satchel rucksack briefcase handbag suitcase wallet pouch",
        "canvas leather nylon felt suede jute",
        "waterproof, lightweight, foldable, padded, lockable, washable, expandable, handmade",
        "color size",
    ),
    _department(
        "fashion",
        "Apparel › Tops",
        "shirt sweater jacket hoodie blouse cardigan vest dress skirt pullover",
        "cotton linen wool fleece viscose jersey",
        "breathable, stretchy, windproof, quilted, hooded, reversible, fitted, crease free",
        "color size",
    ),
    _department(
        "fashion",
        "Apparel › Footwear",
        "sneaker sandal boot loafer slipper clog moccasin pump trainer espadrille",
        "mesh rubber cork velvet suede canvas",
        "slip resistant, cushioned, vegan, waterproof, insulated, ventilated, orthopedic, handmade",
        "size color",
    ),
    _department(
        "garden",
        "Home › Furniture",
        "chair stool desk shelf bench cabinet table ottoman dresser nightstand",
        "oak pine bamboo metal rattan glass",
        "stackable, adjustable, sturdy, collapsible, upholstered, wheeled, rustproof, handmade",
        "finish color",
    ),
    _department(
        "garden",
        "Home › Textiles",
        "pillow blanket duvet quilt cushion curtain rug towel bedspread tablecloth",
        "cotton linen bamboo microfiber silk wool",
        "hypoallergenic, washable, weighted, cooling, reversible, absorbent, fade resistant, handmade",
        "color size",
    ),
    _department(
        "garden",
        "Home › Kitchenware",
        "kettle pan mug teapot skillet bowl grater tray jug saucepan",
        "steel ceramic copper enamel glass porcelain",
        "ovenproof, insulated, stackable, unbreakable, dripless, engraved, lightweight, dishwasher safe",
        "color set",
    ),
    _department(
        "grocery",
        "Pantry › Snacks",
        "cookie granola cracker popcorn cereal nougat biscuit muffin wafer pretzel",
        "oat almond rice corn wheat coconut",
        "sugar free, gluten free, vegan, organic, kosher, low sodium, crunchy, individually wrapped",
        "flavor set",
    ),
    _department(
        "beauty",
        "Beauty › Skin and Hair",
        "shampoo lotion serum soap balm mask cleanser toner conditioner scrub",
        "herbal mineral clay aloe argan oatmeal",
        "cruelty free, paraben free, oil free, vegan, soothing, hydrating, fast absorbing, organic",
        "scent set",
    ),
    _department(
        "electronics",
        "Electronics › Accessories",
        "headphone speaker keyboard charger webcam microphone router monitor tablet projector",
        "bluetooth wired solar optical stereo digital",
        "noise cancelling, fast charging, waterproof, rechargeable, portable, foldable, backlit, shockproof",
        "color plug",
    ),
    _department(
        "garden",
        "Garden › Outdoor",
        "planter hose shovel lantern trellis birdhouse sprinkler rake hammock wheelbarrow",
        "teak metal clay resin bamboo rope",
        "weatherproof, rustproof, collapsible, lightweight, hanging, solar powered, frost resistant, handmade",
        "color shape",
    ),
    _department(
        "fashion",
        "Toys › Play",
        "puzzle kite robot doll drum yoyo scooter trampoline marionette abacus",
        "wooden plush foam plastic magnetic paper",
        "washable, educational, musical, glowing, foldable, shatterproof, battery free, handmade",
        "color shape",
    ),
    _department(
        "garden",
        "Pets › Supplies",
        "leash collar harness crate feeder scratcher aquarium birdcage kennel perch",
        "nylon rope leather wicker mesh steel",
        "chewproof, reflective, adjustable, padded, escapeproof, odorless, washable, foldable",
        "color size",
    ),
)
"""Twelve departments with ten product types each."""

ATTRIBUTES: tuple[str, ...] = tuple(sorted({name for each in DEPARTMENTS for name in each.attributes}))
"""All attributes that a goal of a built-in shop may ask for."""
