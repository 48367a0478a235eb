"""ALFWorld's own games: folders of ``game.tw-pddl`` files, validated on reading."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from retro_gym.errors import ConfigError, DataError, UnknownTaskError, did_you_mean, one_line
from retro_gym_envs.alfworld.world import TASK_TYPES
from retro_gym_envs.shared import Shared
from retro_gym_envs.task_sources import SPLITS, TaskSource

__all__ = ["FOLDERS", "GameFile", "GameFolders", "GamePaths", "load_games"]

GamePaths: TypeAlias = "str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]"
"""A folder of games, or a folder for each of some splits."""

FOLDERS = {"train": "train", "validation": "valid_seen", "test": "valid_unseen"}
"""Splits, and the corresponding folders of ALFWorld's data. A folder's name is accepted as the name of its split."""

_FILE = "game.tw-pddl"
_MAX_BYTES = 4_000_000  # a game has about 100 kB
_TAIL = 8_192  # bytes at the end of a file, which contain the generator's solvable flag
_UNSOLVABLE = re.compile(rb'"solvable":\s*false')
_TASK = re.compile(r"Your task is to: ([^\"\n]+)")
_TEXTS = ("pddl_domain", "grammar", "pddl_problem")
_REMEDY = "Get it again: alfworld-download."


@dataclasses.dataclass(frozen=True)
class GameFile(Shared):
    """A game on disk."""

    task_id: str
    """The game's folder, relative to the data folder."""
    path: str
    type: str
    """One of ALFWorld's six types of tasks."""

    @cached_property
    def data(self) -> dict[str, Any]:
        """Returns the content of the file.

        Raises:
            DataError: it cannot be used.
        """
        return _read(self.path)

    @property
    def goal(self) -> str:
        """The task in words."""
        found = _TASK.search(self.data["grammar"])
        return found[1] if found else ""

    @property
    def walkthrough(self) -> tuple[str, ...]:
        """Commands that solve the game."""
        return tuple(self.data.get("walkthrough") or ())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "data"}


def _read(path: str) -> dict[str, Any]:
    try:
        size, raw = os.path.getsize(path), b""
        if size <= _MAX_BYTES:
            raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    if size > _MAX_BYTES:
        raise DataError(f"{path} has {size:,} bytes; no game has more than {_MAX_BYTES:,}. {_REMEDY}")
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}. {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON, or cut short ({one_line(str(error), 120)}). {_REMEDY}") from error
    if not isinstance(data, dict):
        raise DataError(f"{path}: is of type {type(data).__name__}; a game is a JSON object. {_REMEDY}")
    for key in _TEXTS:
        value = data.get(key)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{path}: {key} is {one_line(value)}; it must be a text that is not blank. {_REMEDY}")
    commands = data.get("walkthrough")
    if commands is not None and not (isinstance(commands, list) and all(isinstance(c, str) for c in commands)):
        raise DataError(f"{path}: walkthrough is {one_line(commands)}; it must be a list of commands. {_REMEDY}")
    return data


class GameFolders(TaskSource[GameFile]):
    """Games by split."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        self._folders = dict(folders)
        self._splits: dict[str, tuple[str, ...]] = {}
        self._games: dict[str, GameFile] = {}
        listed: dict[str, tuple[str, ...]] = {}
        root = os.path.commonpath([os.path.dirname(folder) for folder in self._folders.values()])
        for split, folder in self._folders.items():
            if folder not in listed:
                games = _games_in(folder, root)
                listed[folder] = tuple(games)
                self._games.update(games)
            self._splits[split] = listed[folder]

    def ids(self, split: str) -> Sequence[str]:
        """Returns the ids of a split's games, sorted."""
        if split in self._splits:
            return self._splits[split]
        aliases = {name: split for split, name in FOLDERS.items() if split in self._splits}
        if split in aliases:
            return self._splits[aliases[split]]
        raise UnknownTaskError(
            f"split {one_line(split)} has no games. There are {', '.join(self._splits)} "
            f"({', '.join(sorted(set(self._folders.values())))}).{did_you_mean(split, self._splits)}"
        )

    def get(self, task_id: str) -> GameFile:
        """Returns the game with this id."""
        try:
            return self._games[task_id]
        except KeyError:
            example = next(iter(self._games))
            raise UnknownTaskError(f"game {one_line(task_id)} is not there. Ids look like {example!r}.") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return load_games, (self._folders,)

    def __repr__(self) -> str:
        return f"GameFolders({self._folders})"


def _games_in(folder: str, root: str) -> dict[str, GameFile]:
    """Finds the games below a folder, by id. Task types other than the six are skipped, as in ALFWorld."""
    games = {}
    for where, _, files in os.walk(folder):
        if _FILE not in files or "movable" in where or "Sliced" in where:
            continue
        parts = Path(where).parts
        type_ = next((name for part in parts for name in TASK_TYPES if part.startswith(f"{name}-")), "")
        path = os.path.join(where, _FILE)
        if type_ and not _is_unsolvable(path):
            task_id = Path(os.path.relpath(where, root)).as_posix()
            games[task_id] = GameFile(task_id, path, type_)
    if not games:
        raise DataError(
            f"{folder} holds no game: no {_FILE} in a folder that is named after one of {', '.join(TASK_TYPES)}. "
            "Give the folder json_2.1.1 of ALFWorld's data, or one of the folders in it (alfworld-download)."
        )
    return dict(sorted(games.items()))


def _is_unsolvable(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _TAIL))
            return _UNSOLVABLE.search(file.read()) is not None
    except OSError:
        return False  # reading the file later raises the error


def load_games(games: GamePaths) -> GameFolders:
    """Finds the games of a folder, once per process.

    Args:
        games: ALFWorld's ``json_2.1.1``, whose folders are the splits; its parent; any other folder, which then serves
            as every split; or folders by split. Variables such as ``$ALFWORLD_DATA`` and ``~`` are expanded.

    Raises:
        DataError: a folder does not exist, or holds no game.
        ConfigError: ``games`` is neither a path nor paths by split.
    """
    if isinstance(games, Mapping):
        known = [*FOLDERS, *FOLDERS.values()]
        unknown = [key for key in games if key not in known]
        if unknown or not games:
            hint = did_you_mean(str(unknown[0]), known) if unknown else ""
            raise ConfigError(f"games has the keys {list(games)}; a mapping goes from split to folder, {known}.{hint}")
        return _load(tuple((split, str(_folder(path))) for split, path in games.items()))
    folder = _folder(games)
    if (folder / "json_2.1.1").is_dir():
        folder = folder / "json_2.1.1"
    found = {split: folder / name for split, name in FOLDERS.items() if (folder / name).is_dir()}
    return _load(tuple((split, str(path)) for split, path in (found or dict.fromkeys(SPLITS, folder)).items()))


def _folder(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ConfigError(f"games is {one_line(path)}; give a folder, or folders by split.")
    expanded = os.path.expanduser(os.path.expandvars(os.fspath(path)))
    if isinstance(expanded, str) and expanded.startswith("$"):
        raise DataError(f"{expanded}: that variable is not set. Set it, or give a folder.")
    try:
        folder = Path(str(expanded)).absolute()
        if not folder.is_dir():
            rule = "is not a folder" if folder.exists() else "does not exist"
            raise DataError(f"{one_line(str(folder), 200)} {rule}. Give the folder json_2.1.1 of ALFWorld's data.")
    except ValueError as error:  # the path contains a NUL
        raise DataError(f"{one_line(path, 200)} is no path: {error}.") from error
    return folder


@lru_cache(maxsize=16)
def _load(folders: tuple[tuple[str, str], ...]) -> GameFolders:
    return GameFolders(dict(folders))


assert set(FOLDERS) == set(SPLITS)
