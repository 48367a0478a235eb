"""The schemas of WebShop's data files: each row is validated on reading."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Sequence
from typing import Any

from retro_gym.errors import one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.row_checks import check_keys, wrong
from retro_gym_envs.webshop.catalog import Product

__all__ = ["HumanGoal", "Notes", "human_goals", "notes", "product", "reviews"]

_DEFAULT_PRICE = 100.0  # price of products without one, as in WebShop
_MAX_ID = 10  # characters; WebShop skips products with longer ids
_KEYS = ("asin", "name", "category", "query", "product_category")
_SCHEMA = "Use WebShop's own file, such as items_shuffle_1000.json, or write the same keys."


@dataclasses.dataclass(frozen=True)
class Notes:
    """The annotations of a product in ``items_ins_v2.json``."""

    attributes: tuple[str, ...]
    instruction: str | None
    """The instruction of the synthetic goals; most products have none."""
    instruction_attributes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class HumanGoal:
    """A human-written instruction for a product (``items_human_ins.json``)."""

    instruction: str
    attributes: tuple[str, ...]
    options: tuple[str, ...]


def product(row: object, where: str, notes_of: dict[str, Notes], reviews_of: dict[str, Any]) -> Product | None:
    """Parses a row of ``items_shuffle.json``; None if WebShop skips the product because of its id.

    Args:
        row: what the JSON parser returned.
        where: file and record number, for error messages.
        notes_of: annotations of products, by id.
        reviews_of: rating and reviews of products, by id.

    Raises:
        DataError: a key is missing, or a value violates the schema.
    """
    if not isinstance(row, dict):
        raise wrong(where, "the record", row, "a JSON object, one product", _SCHEMA)
    check_keys(row, where, _KEYS, _SCHEMA)
    for key in _KEYS:
        if not isinstance(row[key], str):
            raise wrong(where, key, row[key], "text", _SCHEMA)
    asin = row["asin"]
    if asin == "nan" or len(asin) > _MAX_ID:
        return None
    if not asin.strip() or not row["name"].strip():
        raise wrong(where, "asin or name", (asin, row["name"]), "text that is not blank", "Delete the record.")
    prices = _prices(row.get("pricing"), where)
    rating, said = reviews_of.get(asin, ("N.A.", ()))
    noted = notes_of.get(asin)
    return Product(
        asin=asin,
        name=" ".join(row["name"].split()),
        category=row["category"],
        query=row["query"].lower().strip(),
        product_category=row["product_category"],
        description=_text(row.get("full_description"), where, "full_description"),
        bullets=_bullets(row.get("small_description"), where),
        attributes=noted.attributes if noted else ("DUMMY_ATTR",),  # WebShop's placeholder, which matches nothing
        options=_options(row.get("customization_options"), where),
        price=prices[0] if len(prices) == 1 else _within(asin, prices[0], prices[1]),
        price_tag=" to ".join(f"${price}" for price in prices[:2]),
        rating=rating,
        reviews=said,
    )


def notes(value: object, where: str) -> Notes:
    """Parses an entry of ``items_ins_v2.json``.

    Raises:
        DataError: a value violates the schema.
    """
    if not isinstance(value, dict):
        raise wrong(where, "the entry", value, "an object with the key 'attributes'", _NOTES)
    instruction = value.get("instruction")
    if instruction is not None and not isinstance(instruction, str):
        raise wrong(where, "instruction", instruction, "text or null", _NOTES)
    return Notes(
        _texts(value["attributes"], where, "attributes", _NOTES) if "attributes" in value else ("DUMMY_ATTR",),
        instruction,
        _texts(value.get("instruction_attributes") or [], where, "instruction_attributes", _NOTES),
    )


_NOTES = "Use WebShop's own items_ins_v2.json."
_HUMAN = "Use WebShop's own items_human_ins.json."


def human_goals(value: object, where: str) -> tuple[HumanGoal, ...]:
    """Parses an entry of ``items_human_ins.json``; instructions without attributes are skipped, as in WebShop.

    Raises:
        DataError: a value violates the schema.
    """
    if not isinstance(value, list):
        raise wrong(where, "the entry", value, "a list of instructions", _HUMAN)
    goals = []
    for number, each in enumerate(value):
        field = f"[{number}]"
        match each:
            case {"instruction": str(text), "instruction_attributes": wanted, **rest} if text.strip():
                attributes = _texts(wanted, where, f"{field}.instruction_attributes", _HUMAN)
                options = _texts(rest.get("instruction_options") or [], where, f"{field}.instruction_options", _HUMAN)
                options = tuple(map(_plain, options))
            case _:
                raise wrong(where, field, each, "an object with 'instruction' and 'instruction_attributes'", _HUMAN)
        if attributes:
            goals.append(HumanGoal(" ".join(text.split()), attributes, options))
    return tuple(goals)


def reviews(row: object, where: str) -> tuple[str, tuple[str, tuple[tuple[str, str, str], ...]]]:
    """Parses a row of ``reviews.json``: id, and rating with reviews.

    Raises:
        DataError: a value violates the schema.
    """
    match row:
        case {"asin": str(asin), "reviews": [*said], **rest} if all(isinstance(each, dict) for each in said):
            told = (
                (
                    str(each.get("title", "")),
                    str(each.get("score", each.get("stars", ""))),
                    str(each.get("body", each.get("review", ""))),
                )
                for each in said
            )
            return asin, (str(rest.get("average_rating", "N.A.")), tuple(told))
    raise wrong(where, "the record", row, "an object with 'asin' and a list 'reviews'", "Leave reviews.json out.")


def _plain(text: str) -> str:
    return " ".join(text.split())


def _text(value: object, where: str, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(where, field, value, "text or null", _SCHEMA)
    return value


def _texts(value: object, where: str, field: str, remedy: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong(where, field, value, "a list of texts", remedy)
    return tuple(value)


def _bullets(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str) or value is None:
        return (value,) if value else ()
    return _texts(value, where, "small_description", _SCHEMA)


def _prices(value: object, where: str) -> tuple[float, ...]:
    """Parses the first two prices of ``$12.99$15.99``, or returns the default."""
    if not value:
        return (_DEFAULT_PRICE,)
    if not isinstance(value, str):
        raise wrong(where, "pricing", value, 'text such as "$12.99", or null', _SCHEMA)
    try:
        prices = tuple(float(re.sub(r"[^\d.]", "", part)) for part in value.split("$")[1:][:2])
    except ValueError:
        prices = ()
    if not prices:
        raise wrong(where, "pricing", value, 'prices in dollars, such as "$12.99"', "Correct it, or set it to null.")
    return prices


def _within(asin: str, low: float, high: float) -> float:
    """Returns the price of a product with a price range. WebShop draws it in every run; here the id determines it."""
    return random.Random(derive_seed("price", asin)).uniform(low, high)


def _options(value: object, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not value:
        return ()
    if not isinstance(value, dict):
        raise wrong(where, "customization_options", value, "an object of options by name, or null", _SCHEMA)
    options = {}
    for name, contents in value.items():
        if contents is None:
            continue
        field = f"customization_options[{one_line(name)}]"
        if not isinstance(contents, list):
            raise wrong(where, field, contents, 'a list of {"value": …}, or null', _SCHEMA)
        options[name.lower()] = _values(contents, where, field)  # if names differ only in case, the last one wins
    return tuple(options.items())


def _values(contents: Sequence[object], where: str, field: str) -> tuple[str, ...]:
    values = []
    for each in contents:
        match each:
            case {"value": str(value)}:
                values.append(_plain(value.replace("/", " | ").lower()))
            case _:
                raise wrong(where, field, each, 'an object with the text "value"', _SCHEMA)
    return tuple(value for value in values if value)
