"""The pages that are made from the code are what the code would make today."""

from __future__ import annotations

import runpy

import pytest


@pytest.mark.parametrize(
    ("script", "page", "sections"),
    [("records", "records.md", 9), ("errors", "errors.md", 1), ("notebook", "first_policy.ipynb", 0)],
)
def test_a_page_is_up_to_date(root, script, page, sections):
    made = runpy.run_path(str(root / "docs" / f"render_{script}.py"))
    text = (root / "docs" / page).read_text(encoding="utf-8")
    assert text == made["render"](), f"run: python docs/render_{script}.py"
    assert text.count("\n##") >= sections


def test_every_environment_has_its_page(root):
    pages = runpy.run_path(str(root / "docs" / "render_environments.py"))["render"]()
    folder = root / "docs" / "environments"
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    assert written == pages, "run: python docs/render_environments.py"
    overview = (root / "docs" / "environments.md").read_text(encoding="utf-8")
    for name, text in pages.items():
        assert f"(environments/{name})" in overview
        assert text.count("\n## ") >= 7, name


def test_every_error_says_what_to_do(root):
    from retro_gym import errors

    page = runpy.run_path(str(root / "docs" / "render_errors.py"))
    classes = {name for name in errors.__all__ if name[0].isupper()}
    assert set(page["REMEDIES"]) == classes
    text = page["render"]()
    assert all(f"| `{name}`" in text for name in classes)


def test_messages_are_read_from_the_sources(root):
    found = runpy.run_path(str(root / "docs" / "error_messages.py"))["messages"]
    assert list(found('f(ConfigError("a is " + str(b) + ", not " f"{c}: leave it out."))')) == [
        ("ConfigError", "a is …, not …: leave it out.")
    ]
    assert list(found("raise ConfigError(text)\nraise ValueError('none of ours, whatever it says')")) == []
    said = list(found((root / "retro_gym" / "first_trials.py").read_text(encoding="utf-8")))
    assert ("NoFailureError", "… holds no failure of split ….") in said


def test_the_help_of_each_command_is_shown(root):
    page = runpy.run_path(str(root / "docs" / "command_help.py"))
    commands = page["_commands"]()
    assert {"train", "evaluate", "reward-model", "envs"} <= set(commands)
    text = page["help_of"]("export")
    assert text.startswith("usage: retro-gym export")
    assert "--format" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
