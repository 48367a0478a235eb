"""Who may import whom: the table of CONTRIBUTING.md, read from the sources; and that what is imported is declared."""

import ast
import re
import sys
import tomllib
from dataclasses import dataclass

import pytest

FOLDERS = {
    "retro_gym": "retro_gym",
    "retro_gym_envs": "envs/retro_gym_envs",
    "retro_gym_agents": "agents/retro_gym_agents",
}
FORBIDDEN = {  # nowhere, not even inside a function
    "retro_gym": {"retro_gym_envs", "retro_gym_agents"},
    "retro_gym_envs": {"retro_gym_agents", "torch", "transformers", "peft"},
    "retro_gym_agents": {"retro_gym_envs"},
}
FORBIDDEN_AT_IMPORT = {  # a function that needs one may import it
    "retro_gym": {"torch", "transformers", "peft", "openai", "matplotlib", "tensorboard", "rich", "tyro", "bm25s"},
    "retro_gym_envs": set(),
    "retro_gym_agents": set(),
}


@dataclass(frozen=True)
class Import:
    name: str
    line: int
    at_import: bool
    """Whether it runs when the module is imported: outside of functions and of ``if TYPE_CHECKING``."""


def imports_of(source):
    """Every import in a source, relative ones left out."""
    return list(_walk(ast.parse(source), at_import=True))


def _walk(node, at_import):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_import) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and not child.level and child.module:
            yield Import(child.module, child.lineno, at_import)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).split(".")[-1] in ("import_module", "__import__"):
            named = child.args[0] if child.args else None
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield Import(named.value, child.lineno, at_import)
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        yield from _walk(child, at_import and not later)


def offences(package, source):
    everywhere, at_import = FORBIDDEN[package], FORBIDDEN[package] | FORBIDDEN_AT_IMPORT[package]
    return [
        found
        for found in imports_of(source)
        if found.name.partition(".")[0] in (at_import if found.at_import else everywhere)
    ]


@pytest.mark.parametrize("package", FOLDERS)
def test_packages_keep_to_their_side_of_the_border(package, root):
    files = sorted((root / FOLDERS[package]).rglob("*.py"))
    assert files
    broken = [
        f"{path.relative_to(root)}:{found.line} imports {found.name}"
        for path in files
        for found in offences(package, path.read_text(encoding="utf-8"))
    ]
    assert broken == []


OTHERWISE_NAMED = {"fast_downward": "fast-downward-textworld"}  # imports whose distribution has another name


def distributions(requirements):
    """The names that requirements begin with, as indexes spell them."""
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in requirements}


def foreign_imports(path):
    """The distributions that a source imports anywhere, other than Python's own and the project's."""
    own = {*sys.stdlib_module_names, *FOLDERS, "tests", "benchmarks"}
    names = {found.name.partition(".")[0] for found in imports_of(path.read_text(encoding="utf-8"))}
    return {OTHERWISE_NAMED.get(name, name.replace("_", "-")) for name in names - own}


@pytest.mark.parametrize("folder", [*FOLDERS.values(), "tests", "examples", "benchmarks", "docs"])
def test_every_library_that_is_imported_is_declared(folder, root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    open_to = [lines for extra, lines in extras.items() if extra != "dev" or folder not in FOLDERS.values()]
    declared = distributions(sum(open_to, project["dependencies"]))
    files = sorted((root / folder).rglob("*.py"))
    assert files
    missing = {(name, path.name) for path in files for name in foreign_imports(path) - declared}
    assert missing == set()


def test_a_library_that_is_not_declared_is_noticed(tmp_path):
    source = tmp_path / "module.py"
    source.write_text("import os.path\ndef f():\n    import httpx2.thing\n    from stable_baselines3 import PPO\n")
    assert foreign_imports(source) == {"httpx2", "stable-baselines3"}
    assert distributions(["openai[aiohttp]>=3", "ruff>=1", "a_b"]) == {"openai", "ruff", "a-b"}


@pytest.mark.parametrize("folder", ["envs", "agents"])
def test_the_folders_are_no_packages(folder, root):
    # A top-level package of the name `agents` would shadow others of that name.
    assert not (root / folder / "__init__.py").exists()


@pytest.mark.parametrize(
    ("package", "source", "count"),
    [
        ("retro_gym", "import torch", 1),
        ("retro_gym", "import torch.nn as nn, numpy", 1),
        ("retro_gym", "from torch import nn", 1),
        ("retro_gym", "def f():\n    import torch", 0),
        ("retro_gym", "if TYPE_CHECKING:\n    import torch", 0),
        ("retro_gym", "try:\n    import torch\nexcept ImportError:\n    pass", 1),
        ("retro_gym", "class A:\n    import torch", 1),
        ("retro_gym", "def f():\n    from retro_gym_envs.x import y", 1),
        ("retro_gym", "if TYPE_CHECKING:\n    import retro_gym_agents", 1),
        ("retro_gym", "importlib.import_module('retro_gym_envs.x')", 1),
        ("retro_gym", "import retro_gym.env, torchless", 0),
        ("retro_gym_envs", "def f():\n    import torch", 1),
        ("retro_gym_envs", "from retro_gym import TaskEnv", 0),
        ("retro_gym_agents", "import torch, retro_gym", 0),
        ("retro_gym_agents", "def f():\n    import retro_gym_envs", 1),
        ("retro_gym_agents", "from .x import retro_gym_envs", 0),
    ],
)
def test_the_reader_of_imports_sees_what_matters(package, source, count):
    assert len(offences(package, source)) == count
