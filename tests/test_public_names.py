"""Every module says what is public in it: ``__all__``, sorted, complete, importable."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARENTS = {"retro_gym": ROOT, "retro_gym_envs": ROOT / "envs", "retro_gym_agents": ROOT / "agents"}


def modules():
    """Dotted name and file of every module, those apart that are only run: ``__main__``."""
    for package, parent in PARENTS.items():
        for path in sorted((parent / package).rglob("*.py")):
            parts = path.relative_to(parent).with_suffix("").parts
            if parts[-1] != "__main__":
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def has_code(source):
    """Whether there is anything but a docstring."""
    module = ast.parse(source)
    return len(module.body) > (ast.get_docstring(module) is not None)


def public_definitions(source):
    """The functions and classes that a module defines at its top level without a leading underscore."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in ast.parse(source).body if isinstance(node, kinds) and not node.name.startswith("_")}


def order(name):
    """Constants, then classes, then functions, as ruff sorts them."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("name", MODULES)
def test_all_is_there_sorted_and_complete(name):
    path = MODULES[name]
    source = path.read_text(encoding="utf-8")
    if not has_code(source):
        assert path.name == "__init__.py"
        return
    module = importlib.import_module(name)
    public = module.__all__
    assert public == sorted(set(public), key=order)
    assert [each for each in public if not hasattr(module, each)] == []
    assert public_definitions(source) - set(public) == set()


@pytest.mark.parametrize("name", ["retro_gym"])
def test_a_star_import_brings_just_the_public_names(name):
    space = {}
    exec(f"from {name} import *", space)
    space.pop("__builtins__")
    assert sorted(space, key=order) == importlib.import_module(name).__all__


def test_the_reader_of_definitions_sees_what_matters():
    source = "class A: ...\ndef f(): ...\nasync def g(): ...\ndef _h(): ...\nX = 1\nif X:\n    def inner(): ..."
    assert public_definitions(source) == {"A", "f", "g"}
