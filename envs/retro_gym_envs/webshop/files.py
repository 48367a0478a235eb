"""WebShop's own products and goals, read from its data files."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from retro_gym.errors import ConfigError, DataError, UnknownTaskError, did_you_mean, one_line
from retro_gym.seeding import derive_seed
from retro_gym_envs.json_rows import read_rows
from retro_gym_envs.task_files import FileKey, file_key
from retro_gym_envs.task_sources import SPLITS, ListedTasks
from retro_gym_envs.webshop import schema
from retro_gym_envs.webshop.catalog import Catalog, Goal, Product
from retro_gym_envs.webshop.json_entries import read_entries
from retro_gym_envs.webshop.tasks import ShopTasks

__all__ = ["OFFICIAL_CUT", "ShopFiles", "ShopPaths", "load_shop", "split_ids"]

ShopPaths: TypeAlias = "str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]"
"""A folder, or a mapping from kinds of files to paths."""

OFFICIAL_CUT = (500, 1_500)
"""Where WebShop divides its goals into test, validation and train."""

_NAMES = {
    "products": ("items_shuffle.json", "items_shuffle_1000.json"),
    "attributes": ("items_ins_v2.json", "items_ins_v2_1000.json"),
    "human_goals": ("items_human_ins.json",),
    "reviews": ("reviews.json",),
}
_NEEDED = ("products", "attributes")
_SHUFFLE_SEED = 233  # WebShop's own: with the same files, goal i is WebShop's session fixed_i
_NO_LIMIT = 1_000_000.0  # dollars
_LIMITS = [10.0 * i for i in range(1, 100)]
_MAX_COMBINATIONS = 100_000  # of one product's options; each combination is a synthetic goal


class ShopFiles(ListedTasks[Goal], ShopTasks):
    """The products and goals of one set of files. Made by :func:`load_shop`; shared by all environments of a process.

    A pickle holds only the paths: unpickling reads the files again, which must exist unchanged.
    """

    def __init__(self, files: Mapping[str, FileKey], catalog: Catalog, goals: Sequence[Goal]) -> None:
        self._files = dict(files)
        self._paths = {name: key[0] for name, key in files.items()}
        self._catalog = catalog
        self._goals = {goal.task_id: goal for goal in goals}
        self._ids = split_ids(len(goals))

    def __len__(self) -> int:
        return len(self._goals)

    def get(self, task_id: str) -> Goal:
        """Returns the goal with this id."""
        try:
            return self._goals[task_id]
        except KeyError:
            raise UnknownTaskError(
                f"task {one_line(task_id)} is not in {self._paths.get('human_goals', self._paths['products'])}. "
                f"Its ids run from 'fixed_0' to 'fixed_{len(self) - 1}'."
            ) from None

    def catalog(self, task_id: str) -> Catalog:
        """Returns all products of the files."""
        self.get(task_id)
        return self._catalog

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._files,)

    def __repr__(self) -> str:
        return f"ShopFiles({self._paths!r}, {len(self._catalog)} products, {len(self)} goals)"


def split_ids(count: int) -> dict[str, tuple[str, ...]]:
    """Returns the ids of ``count`` goals by split: divided as in WebShop, or all in every split if there are too few.

    >>> {split: len(ids) for split, ids in split_ids(12_087).items()}
    {'train': 10587, 'validation': 1000, 'test': 500}
    """
    ids = tuple(f"fixed_{i}" for i in range(count))
    test, validation = OFFICIAL_CUT
    if count <= validation:
        return dict.fromkeys(SPLITS, ids)
    return {"train": ids[validation:], "validation": ids[test:validation], "test": ids[:test]}


def load_shop(tasks: ShopPaths) -> ShopFiles:
    """Reads WebShop's data files, once per process unless they change.

    Args:
        tasks: the folder with the files under their original names (``items_shuffle.json`` and ``items_ins_v2.json``,
            or the smaller ones with ``_1000``; optionally ``items_human_ins.json`` and ``reviews.json``), or paths by
            ``products``, ``attributes``, ``human_goals`` and ``reviews``. With ``human_goals``, the goals are the
            human-written ones, otherwise those that WebShop builds from templates.

    Raises:
        ConfigError: neither a path nor such a mapping.
        DataError: a file is missing or cannot be used.
    """
    if isinstance(tasks, str | os.PathLike):
        paths = _in_folder(Path(tasks))
    elif isinstance(tasks, Mapping):
        unknown = [key for key in tasks if key not in _NAMES]
        missing = [key for key in _NEEDED if key not in tasks]
        if unknown or missing:
            raise ConfigError(
                f"tasks has the keys {one_line(list(tasks))}; it needs {list(_NEEDED)} and may have 'human_goals' and "
                f"'reviews'.{did_you_mean(unknown[0], _NAMES) if unknown else ''}"
            )
        paths = dict(tasks)
    else:
        raise ConfigError(f"tasks is {one_line(tasks)}; give a folder, or a dict of paths by {list(_NAMES)}.")
    for path in paths.values():
        if not isinstance(path, str | os.PathLike):
            raise ConfigError(f"tasks holds {one_line(path)}; each value is the path of a file.")
    return _load(tuple((name, file_key(path)) for name, path in paths.items()))


def _in_folder(folder: Path) -> dict[str, str | os.PathLike[str]]:
    if not folder.is_dir():
        raise DataError(
            f"{one_line(str(folder), 200)} is not a folder. WebShop's tasks are several files: give the folder that "
            f"holds {_NAMES['products'][0]} and {_NAMES['attributes'][0]}, or a dict of paths."
        )
    found: dict[str, str | os.PathLike[str]] = {}
    for key, names in _NAMES.items():
        path = next((folder / name for name in names if (folder / name).exists()), None)
        if path is not None:
            found[key] = path
        elif key in _NEEDED:
            raise DataError(f"{folder} holds neither {' nor '.join(names)}. Download WebShop's data, see its README.")
    return found


@lru_cache(maxsize=2)
def _load(keys: tuple[tuple[str, FileKey], ...]) -> ShopFiles:
    paths = {name: key[0] for name, key in keys}
    notes = {key: schema.notes(value, where) for where, key, value in read_entries(paths["attributes"])}
    said = {}
    if "reviews" in paths:
        said = dict(schema.reviews(row, where) for where, row in read_rows(paths["reviews"]))
    products: dict[str, Product] = {}
    for where, row in read_rows(paths["products"]):
        product = schema.product(row, where, notes, said)
        if product is not None:
            products.setdefault(product.asin, product)  # of products with the same id WebShop keeps the first
    if "human_goals" in paths:
        written = {key: schema.human_goals(value, where) for where, key, value in read_entries(paths["human_goals"])}
        goals = list(_human_goals(products, written))
    else:
        goals = list(_synthetic_goals(products, notes, paths["products"]))
    if not goals:
        source = paths.get("human_goals", paths["attributes"])
        raise DataError(f"{source} has no goal for any product of {paths['products']}. Use files that belong together.")
    random.Random(_SHUFFLE_SEED).shuffle(goals)
    numbered = [dataclasses.replace(goal, task_id=f"fixed_{i}") for i, goal in enumerate(goals)]
    return ShopFiles(dict(keys), Catalog(products.values()), numbered)


def _human_goals(
    products: Mapping[str, Product], written: Mapping[str, tuple[schema.HumanGoal, ...]]
) -> Iterator[Goal]:
    for asin, product in products.items():
        for number, goal in enumerate(written.get(asin, ())):
            yield _goal(product, goal.instruction.strip("."), goal.attributes, goal.options, f"{asin} {number}")


def _synthetic_goals(products: Mapping[str, Product], notes: Mapping[str, schema.Notes], source: str) -> Iterator[Goal]:
    for asin, product in products.items():
        noted = notes.get(asin)
        if noted is None or noted.instruction is None or not noted.instruction_attributes:
            continue
        names = sorted(name for name, _ in product.options)
        values = dict(product.options)
        if math.prod(len(values[name]) for name in names) > _MAX_COMBINATIONS:
            raise DataError(
                f"{source}: product {asin} has more than {_MAX_COMBINATIONS:,} combinations of options, each a goal. "
                "Shorten its customization_options, or give human_goals."
            )
        for combination in itertools.product(*(values[name] for name in names)):
            told = ", and ".join(f"{name}: {value}" for name, value in zip(names, combination, strict=True))
            text = noted.instruction + (f" with {told}" if told else "")
            yield _goal(product, text, noted.instruction_attributes, combination, f"{asin} {told}")


def _goal(product: Product, text: str, attributes: tuple[str, ...], options: tuple[str, ...], name: str) -> Goal:
    """Makes a goal with its price limit: the larger of two draws from the next four multiples of ten.

    WebShop draws them before it sets its seed, so they differ in every run. Here product and goal determine them.
    """
    above = [limit for limit in _LIMITS if limit > product.price][:4]
    upper = _NO_LIMIT
    if len(above) >= 2:
        upper = max(random.Random(derive_seed("limit", name)).sample(above, 2))
        text += f", and price lower than {upper:.2f} dollars"
    return Goal(
        "", text, product.asin, product.query, product.name, product.product_category, attributes, options, upper
    )


def _restore(files: dict[str, FileKey]) -> ShopFiles:
    """Unpickles a shop."""
    try:
        shop = load_shop({name: key[0] for name, key in files.items()})
    except DataError as error:
        raise DataError(f"a pickled environment needs its data files: {error}") from error
    changed = [key[0] for key in files.values() if file_key(key[0]) != key]
    if changed:
        raise DataError(f"{changed[0]} has changed since the environment was pickled. Restore it.")
    return shop
