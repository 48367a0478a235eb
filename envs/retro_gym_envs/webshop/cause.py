"""Whether a reflection names the cause of failure of a built-in goal, as the scripted actor would read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retro_gym_envs.teaching import as_noted, leads_to
from retro_gym_envs.webshop.advice import advice_on
from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.observations import verdicts_in

__all__ = ["names_cause"]


def names_cause(reflection: str, goal: Goal, product: Product, catalog: Catalog) -> bool:
    """Returns whether a reflection tells the right ones of the shop's coined names, and no wrong choice elsewhere.

    Args:
        reflection: the reflection.
        goal: a goal of a built-in shop.
        product: the product that it was made from.
        catalog: the shop's products.
    """
    notes = as_noted(reflection)
    for things, right, coined in _decisions(goal, product, catalog):
        advice = advice_on(notes, things)
        if not leads_to(right, advice.wanted, advice.shunned, needed=coined):
            return False
    return True


def _decisions(goal: Goal, product: Product, catalog: Catalog) -> Iterator[tuple[Mapping[str, str], str, bool]]:
    """Yields the things to choose between by name, the right one, and whether the instruction does not tell it."""
    makers = [each.name.split()[0] for each in catalog.products]
    ids = {each.asin: each.asin for each in catalog.products}
    ids |= {
        maker: each.asin
        for maker, each in zip(makers, catalog.products, strict=True)
        if makers.count(maker) == 1  # else the maker tells no product from the others
    }
    yield ids, goal.asin, "maker" in goal.cause or "item" in goal.cause
    if goal.cause == "word":
        words = verdicts_in(text for _, _, text in product.reviews)
        yield {word: word for word in words}, product.name.split()[1], True
    for ordinal, right in zip(("first", "second"), goal.options, strict=True):
        values = dict(product.options)[product.option_of(right)]
        yield {value: value for value in values}, right, f"{ordinal} option" in goal.cause
