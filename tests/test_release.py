"""What a release needs: one version everywhere, and hooks and workflows that call what there is."""

import re
import runpy

import pytest
import yaml

VERSIONS = ("3.11", "3.12", "3.13")


@pytest.fixture
def problems(root):
    return runpy.run_path(str(root / ".ci" / "check_release.py"))["problems"]


def project(folder, version="0.2.0", heading="## [0.2.0] - 2026-01-31"):
    """The files of a project that the check looks at."""
    (folder / "dist").mkdir()
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## [Unreleased]\n\n{heading}\n")
    for name in (f"retro_gym-{version}-py3-none-any.whl", f"retro_gym-{version}.tar.gz"):
        (folder / "dist" / name).touch()
    return folder


def test_a_release_that_agrees(problems, tmp_path):
    assert problems("v0.2.0", project(tmp_path)) == []


@pytest.mark.parametrize(
    ("tag", "options", "words"),
    [
        ("v0.3.0", {}, "the tag is v0.3.0, but pyproject.toml has version 0.2.0"),
        ("0.2.0", {}, "Tag v0.2.0"),
        ("v0.2.0", {"heading": "## [0.2.0]"}, "no dated section"),
        ("v0.2.0", {"heading": "## [0.1.0] - 2026-01-31"}, "no dated section"),
    ],
)
def test_a_release_that_does_not(problems, tmp_path, tag, options, words):
    (found,) = problems(tag, project(tmp_path, **options))
    assert words in found


def test_old_files_are_not_published(problems, tmp_path):
    (project(tmp_path) / "dist" / "retro_gym-0.1.0.tar.gz").touch()
    (found,) = problems("v0.2.0", tmp_path)
    assert "make wheel" in found


def test_the_versions_of_python_are_those_that_are_tested(root):
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert tuple(re.findall(r"Programming Language :: Python :: (3\.\d+)", text)) == VERSIONS
    assert f'requires-python = ">={VERSIONS[0]}"' in text
    jobs = yaml.safe_load((root / ".github/workflows/test.yml").read_text(encoding="utf-8"))["jobs"]
    assert tuple(jobs["test"]["strategy"]["matrix"]["python"]) == VERSIONS


def test_workflows_and_hooks_call_what_there_is(root):
    targets = set(re.findall(r"^([a-z0-9-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    files = sorted((root / ".github/workflows").glob("*.yml"))
    jobs = [job for path in files for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()]
    runs = [step["run"] for job in jobs for step in job.get("steps", []) if "run" in step]
    called = {word for text in runs if text.startswith("make ") for word in text.split()[1:] if "=" not in word}
    assert {"test", "test-lowest", "test-slow", "wheel"} <= called <= targets
    actions = [step["uses"] for job in jobs for step in job.get("steps", []) if "uses" in step]
    assert [each for each in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []
    hooks = yaml.safe_load((root / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert {hook["repo"] for hook in hooks} == {"local"}  # nothing is fetched
