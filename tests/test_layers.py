"""What is imported is declared, and what is heavy is imported late. Who may import whom stands in pyproject.toml, and
`make lint` holds it (import-linter)."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest

FOLDERS = {
    "retro_gym": "retro_gym",
    "retro_gym_envs": "envs/retro_gym_envs",
    "retro_gym_agents": "agents/retro_gym_agents",
}
# Imports whose distribution has another name.
OTHERWISE_NAMED = {"fast_downward": "fast-downward-textworld", "markdown_it": "markdown-it-py", "yaml": "pyyaml"}


def imported(source):
    """The top-level names of all absolute imports in a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def distributions(requirements):
    """The names that requirements begin with, as indexes spell them."""
    return {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in requirements}


def foreign_imports(path):
    """The distributions that a source imports anywhere, other than Python's own and the project's."""
    own = {*sys.stdlib_module_names, *FOLDERS, "tests", "benchmarks"}
    names = set(imported(path.read_text(encoding="utf-8"))) - own
    return {OTHERWISE_NAMED.get(name, name.replace("_", "-")) for name in names}


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


HEAVY = ["torch", "transformers", "peft", "openai", "matplotlib", "tensorboard", "rich", "tyro", "bm25s"]
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))  # an import of one of these is an error now
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def import_all(package, absent):
    return subprocess.run([sys.executable, "-c", IMPORT_ALL, package, *absent], capture_output=True, text=True)


@pytest.mark.parametrize(("package", "absent"), [("retro_gym", HEAVY), ("retro_gym_envs", HEAVY[:3])])
def test_every_module_is_imported_without_heavy_libraries(package, absent):
    done = import_all(package, absent)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_heavy_library_at_the_top_of_a_module_is_noticed():
    assert "import of torch halted" in import_all("retro_gym_agents.lm", ["torch"]).stderr


@pytest.mark.parametrize("folder", ["envs", "agents"])
def test_the_folders_are_no_packages(folder, root):
    # A top-level package of the name `agents` would shadow others of that name.
    assert not (root / folder / "__init__.py").exists()
