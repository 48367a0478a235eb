"""Recipes in pages of the documentation: each is a section with a block of code, for a package of others."""

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest


def recipes(page: Path) -> dict[str, str]:
    """The code of each recipe by its heading."""
    text = page.read_text(encoding="utf-8").partition("\n## Recipes\n")[2]
    return dict(re.findall(r"\n### ([^\n]+)\n(?:(?!\n### ).)*?```python\n(.*?)```", text, re.DOTALL))


@contextmanager
def imported(
    page: Path, packages: Mapping[str, tuple[str, str]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], ModuleType]]:
    """Yields a function that imports a recipe as a module, or skips the test where its package is missing.

    Args:
        page: the page.
        packages: by a recipe's heading, the module that it needs, and its name for pip.
        folder: where modules are written.
        monkeypatch: puts the folder on the path.
    """
    modules = []

    def load(heading: str) -> ModuleType:
        module, package = packages[heading]
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs pip install {package}")
        name = f"recipe_{module}"
        (folder / f"{name}.py").write_text(recipes(page)[heading], encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        modules.append(name)
        return importlib.import_module(name)

    yield load
    for name in modules:
        sys.modules.pop(name, None)
