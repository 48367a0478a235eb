"""WebShop's reward of a purchase: r_type · (attributes + options + price) / (their number).

The formula is that of the published code (Yao et al. 2022), including its edge cases. One part is replaced: WebShop
finds the nouns of a title with a language model of 600 MB (spaCy's en_core_web_lg). See :func:`nouns`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from rapidfuzz import fuzz, utils

from retro_gym_envs.webshop.catalog import Goal, Product

__all__ = ["Score", "normalize_color", "nouns", "score", "similarity"]

_SIMILAR = 85  # a higher similarity is a match
_EXACT_OPTIONS = frozenset({"size"})  # options whose values must be equal

# The set of colours and their order are part of the formula.
_COLOR_LIST = """
    alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo
    caramel champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream crystal
    dark denim eggplant elephant espresso fuchsia gold granite grape graphite grass gray green grey heather indigo ivory
    ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor
    mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal rust sand
    sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger turquoise violet walnut
    wheat white wine yellow
"""
_COLORS = tuple(_COLOR_LIST.split())

_NAME_WORD = re.compile(r"[^\W\d_](?:[\w'’&]|\.(?=\w))*")
_FUNCTION_WORDS = """
    a about above after all also an and any are as at be been before best between both but by can each easy every few
    for free from full further good great has have high how i if in into is it its just large less little long low many
    may medium more most much my natural new no nor not of off old on one only or other our out over own per perfect
    plus real same short slim small so soft some such super than that the their them then there these they this those
    three through to top two under until up upon us use very via was we were what when where which while who wide will
    with within without you your
"""
_CLOSED_CLASS = frozenset(_FUNCTION_WORDS.split())
_ADJECTIVE_OR_VERB = re.compile(r".{2,}(?:able|ible|ful|less|ous|ive|ish|proof|(?<!e)ed|ly)$")


@dataclasses.dataclass(frozen=True)
class Score:
    """The score of a purchase and its parts."""

    reward: float
    """From 0; 1.0 is success. As published it can exceed 1 if two options of a product match one wanted value."""
    r_type: float
    """1, 0.5, 0.1 or 0: whether the product type matches the goal's."""
    title_score: float
    """Share of the nouns of the wanted title that occur in the bought product's title."""
    attributes: int
    """Number of wanted attributes that the product has."""
    options: int
    """Number of chosen options that were wanted."""
    price: bool
    """Whether the price is within the limit."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Score:
        return self


def score(product: Product, goal: Goal, options: Mapping[str, str]) -> Score:
    """Scores a purchase.

    Args:
        product: the product bought.
        goal: the goal.
        options: name and value of each chosen option.
    """
    r_type, title_score = _type_reward(product, goal)
    attributes = sum(_has_attribute(product, wanted) for wanted in goal.attributes)
    wanted = [normalize_color(value) for value in goal.options]
    chosen = sum(_is_wanted(product, name, normalize_color(value), wanted) for name, value in options.items())
    price = product.price <= goal.price_upper
    parts = len(goal.attributes) + len(goal.options) + 1
    return Score((attributes + chosen + price) / parts * r_type, r_type, title_score, attributes, chosen, price)


def _type_reward(product: Product, goal: Goal) -> tuple[float, float]:
    """Returns r_type and the title score."""
    same_query = product.query == goal.query
    same_category = len(_categories(product.product_category) & _categories(goal.product_category)) >= 2
    wanted = nouns(goal.name)
    title_score = len(set(wanted) & set(nouns(product.name))) / len(wanted) if wanted else 0.2
    if title_score == 0.0:
        return 0.0, title_score
    if title_score < 0.1:
        return 0.1, title_score
    return (1.0 if same_query or same_category or title_score > 0.2 else 0.5), title_score


def _categories(path: str) -> set[str]:
    return {part.strip() for part in path.split("›")}


def _has_attribute(product: Product, wanted: str) -> bool:
    return any(similarity(each, wanted) > _SIMILAR for each in product.attributes) or _is_said(product, wanted)


def _is_wanted(product: Product, name: str, value: str, wanted: list[str]) -> bool:
    if name.lower() in _EXACT_OPTIONS:
        matched = value in wanted
    else:
        matched = any(similarity(each, value) > _SIMILAR for each in wanted)
    return matched or _is_said(product, value)


def _is_said(product: Product, text: str) -> bool:
    texts = (product.name, " ".join(product.bullets), product.description)
    return any(text in each.lower() for each in texts)


def similarity(first: str, second: str) -> int:
    """Similarity of two texts, from 0 to 100: the token set ratio, rounded as in thefuzz.

    >>> similarity("cool powder snow", "powder snow"), similarity("teal", "navy")
    (100, 25)
    """
    return round(fuzz.token_set_ratio(_processed(first), _processed(second)))


def _processed(text: str) -> str:
    """Converts to lower case and keeps only words, without the non-ASCII letters of Latin-1 (thefuzz drops them)."""
    if not text.isascii():
        text = "".join(char for char in text if not 0x80 <= ord(char) < 0x100)
    return utils.default_process(text)


def normalize_color(value: str) -> str:
    """Returns the first colour of WebShop's list that the value contains; the value itself if it contains none.

    >>> normalize_color("dark heather grey"), normalize_color("3 ounce")
    ('dark', '3 ounce')
    """
    return next((color for color in _COLORS if color in value), value)


def nouns(name: str) -> list[str]:
    """Returns the words of a title that count as nouns, in lower case, with repetitions.

    WebShop uses spaCy's tags for nouns and proper nouns. In a product title nearly every content word has one of them.
    Here every word counts that begins with a letter, except function words, some common adjectives, and words with a
    typical ending of adjectives, adverbs or participles (waterproof, washable, listed). So a rare adjective without
    such an ending counts as a noun (velvet shoe: two), and a noun with such an ending does not (vegetable, family). A
    number never counts, while spaCy tags some as proper nouns (4K). Both titles are treated alike, so r_type differs
    only if they share almost no other words.

    >>> nouns("Velmora 2-Pack Waterproof Hiking Backpack for Men")
    ['velmora', 'pack', 'hiking', 'backpack', 'men']
    """
    return [
        word
        for word in _NAME_WORD.findall(name.lower())
        if len(word) > 1 and word not in _CLOSED_CLASS and not _ADJECTIVE_OR_VERB.match(word)
    ]
