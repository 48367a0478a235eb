"""Every Python snippet of the documentation runs, after those above it on its page."""

import dataclasses
import re
import sys
import types

import gymnasium as gym
import pytest

import retro_gym  # noqa: F401 - registers the ids
from tests.docs.pages import PAGES, blocks

ELSEWHERE = {
    ("docs/foreign_environments.md", "Recipes"): "tests/core/foreign/test_recipes.py",
    ("docs/first_policy.md", ""): "tests/docs/test_tutorial.py",
    ("docs/loops.md", "Recipes"): "tests/agents/bridges/test_loops.py",
    ("docs/share.md", ""): "tests/agents/share/test_plain_clients.py",
}
"""Sections of pages, or whole pages, whose snippets another test runs."""

GIVEN = {
    "docs/errors.md": "import gymnasium as gym\nimport retro_gym\n",
    "docs/foreign_environments.md": "from tests.coin import CoinEnv as make_my_game\nyour_env = make_my_game()\n",
    "docs/loops.md": (
        "import numpy as np\n"
        "import gymnasium as gym\n"
        "import retro_gym\n"
        "from retro_gym import TokenEnv\n"
        "from retro_gym_agents import Reflector, token_options\n"
        "options = token_options(Reflector.load('tiny'))\n"
        "observation, infos = TokenEnv(gym.make('RetroIdentity-v0'), 'tiny', **options).reset(seed=0)\n"
        "n = 4\n"
    ),
    "docs/records.md": (
        "from retro_gym import RetroEnv, RecordWriter, RunHeader\n"
        "env = RetroEnv('Identity-v0', records=RecordWriter('records.jsonl', RunHeader(policy='mine', seed=0)))\n"
        "env.reset(seed=0)\n"
        "env.step('Say something.')\n"
        "env.close()\n"
    ),
}
"""What a page takes for granted."""

OPTIONAL = {"minari", "ray", "tensordict", "tianshou", "torchrl"}
"""Packages of others that no extra installs. What needs one is skipped without it."""

LESS = {
    ("docs/own_learner.md", "Stable-Baselines3"): (
        ("num_envs=32", "num_envs=2"),
        ("32 * 96", "2 * 4"),
        ('"n_steps": 96', '"n_steps": 4'),
        ("20 * ", "2 * "),
    ),
}
"""Snippets that train for minutes, and by which replacements they do less. They run in the slow tests."""


def snippets(path):
    """The snippets of a page that run here."""
    return [
        block
        for block in blocks(path)
        if block.language == "python" and not {(block.page, block.section), (block.page, "")} & ELSEWHERE.keys()
    ]


FOUND = {found[0].page: found for path in PAGES if (found := snippets(path))}


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """The names of a module in an empty folder; ids that a snippet registers are gone afterwards."""
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType("page_of_the_documentation")
    monkeypatch.setitem(sys.modules, page.__name__, page)  # so that what it defines can be pickled
    known = set(gym.registry)
    yield vars(page)
    for name in set(gym.registry) - known:
        del gym.registry[name]


def run(found, space, less=()):
    for block in found:
        text = block.text
        for long, short in less:
            assert long in text, f"{block.place} has changed: see LESS"
            text = text.replace(long, short)
        try:
            exec(compile(text, block.place, "exec"), space)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in OPTIONAL:
                raise
            pytest.skip(f"{block.place} needs {error.name}")


@pytest.mark.parametrize("page", FOUND)
def test_the_snippets_of_a_page_run(page, somewhere):
    exec(GIVEN.get(page, ""), somewhere)
    run([block for block in FOUND[page] if (page, block.section) not in LESS], somewhere)


def test_the_readme_shows_a_reflection_that_helps(somewhere, capsys):
    (first, *_) = FOUND["README.md"]
    run([first], somewhere)
    printed = capsys.readouterr().out
    assert printed.endswith("\n1.0 True\n")
    assert printed.count("This attempt failed.") == 1
    run([dataclasses.replace(first, text=re.sub(r"reflection = .*", 'reflection = ""', first.text))], somewhere)
    assert capsys.readouterr().out.count("This attempt failed.") > 1


@pytest.mark.slow
@pytest.mark.parametrize("part", LESS, ids=" ".join)
def test_a_long_snippet_runs(part, somewhere):
    found = [block for block in FOUND[part[0]] if block.section == part[1]]
    assert found
    run(found, somewhere, LESS[part])


def test_the_files_of_benchmarks_can_be_read(tmp_path):
    from retro_gym_agents.bench import load_config

    (found,) = [block for path in PAGES for block in blocks(path) if block.language == "yaml"]
    (tmp_path / "benchmark.yaml").write_text(found.text)
    for quick in (False, True):
        config = load_config(tmp_path / "benchmark.yaml", quick=quick)
        assert config.seeds == ((0,) if quick else (0, 1, 2))
        assert len(config.arms) >= 5


def test_every_block_is_of_a_kind_that_is_tested():
    """Blocks without a language are commands; ``text`` shows what is printed, or a drawing."""
    kinds = {"", "python", "yaml", "text", "{toctree}", "{eval-rst}"}
    assert {block.place for path in PAGES for block in blocks(path) if block.language not in kinds} == set()


def test_a_wrong_snippet_is_noticed(somewhere):
    (first, *_) = FOUND["README.md"]
    with pytest.raises(NameError):
        run([dataclasses.replace(first, text=f"{first.text}\nnowhere")], somewhere)
    assert len(FOUND) >= 8
