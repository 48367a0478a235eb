"""What is removed before something is made public: keys, addresses, and paths of the machine that it was made on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from retro_gym.actors.secrets import mask, secrets_of, shareable

__all__ = ["Cleaner"]

# A path that begins at the root, at home or at a drive; not the slashes of an address or of "and/or".
_PATH = re.compile(r"(?<![\w./~\\])(?:~?/(?!/)|[A-Za-z]:\\)[^\s'\",;|(){}\[\]<>]+")
_WHOLE = re.compile(r"(?:~?/(?!/)|[A-Za-z]:[\\/])[^\n]*")


class Cleaner:
    """Cleans JSON values. Keys are those of the environment's variables and of fields that are named as such.

    >>> cleaner = Cleaner()
    >>> cleaner.about({"tasks": "/home/me/my data/dev.json", "policy": "planner:/runs/first@ab12", "url": "http://a/b"})
    {'tasks': 'dev.json', 'policy': 'planner:first@ab12', 'url': '[masked]'}
    >>> cleaner.text("The actor said: look in /usr/lib, and/or http://example.org/a.")
    'The actor said: look in /usr/lib, and/or http://example.org/a.'
    """

    def __init__(self) -> None:
        self._secrets = secrets_of()
        places = {str(Path.cwd()): "", str(Path.home()): "~"}
        self._places = {place: short for place, short in places.items() if len(place) > 1}

    def text(self, value: Any) -> Any:
        """Returns texts of an actor, a model or a task without keys and without the places of this machine.

        Other paths in them are left alone: a task may be about files.
        """
        return _mapped(mask(value, self._secrets), self._without_places)

    def about(self, value: Any) -> Any:
        """Returns settings without keys and addresses; of each absolute path the last part remains."""
        return _mapped(mask(shareable(value, addresses=False), self._secrets), _without_paths)

    def row(self, row: Mapping[str, Any], settings: Collection[str]) -> dict[str, Any]:
        """Returns a row of records, of which some columns are settings, also as JSON text, and the others texts."""
        return {name: self._setting(value) if name in settings else self.text(value) for name, value in row.items()}

    def _setting(self, value: Any) -> Any:
        if isinstance(value, str) and value[:1] in "{[" and value:
            try:
                return json.dumps(self.about(json.loads(value)), sort_keys=True)
            except ValueError:
                return self.about(value)
        return self.about(value)

    def _without_places(self, text: str) -> str:
        for place, short in self._places.items():
            text = re.sub(rf"{re.escape(place)}(?![\w.-])/?", short and f"{short}{os.sep}", text)
        return text


def _without_paths(text: str) -> str:
    if _WHOLE.fullmatch(text):
        return _name(text)
    return _PATH.sub(lambda found: _name_within(found[0]), text)


def _name_within(path: str) -> str:
    """Returns the name of a path in a text; what follows an @, as a version does, is no part of it."""
    path, at, version = path.partition("@")
    return f"{_name(path)}{at}{version}"


def _name(path: str) -> str:
    kind = PureWindowsPath if "\\" in path else PurePosixPath
    return kind(path.rstrip("/\\") or path).name


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(name) if isinstance(name, str) else name: _mapped(each, change) for name, each in value.items()}
    return type(value)(_mapped(each, change) for each in value) if isinstance(value, list | tuple) else value
