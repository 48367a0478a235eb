"""Links within the repository lead somewhere, and every page has a place in the navigation."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, blocks, headings, inline

DOCS = ROOT / "docs"


def broken(path, target):
    """Whether a relative link of a page leads nowhere."""
    file, _, anchor = target.partition("#")
    goal = (path.parent / file).resolve() if file else path
    if not goal.is_relative_to(ROOT) or not goal.exists():
        return True
    return bool(anchor) and (goal.suffix != ".md" or anchor not in headings(_shown(goal)))


def _shown(page):
    """The file that a page of the documentation stands for, whose headings it shows."""
    stands = re.search(r"The documentation shows \[[^\]]+\]\(([^)]+)\) here", page.read_text(encoding="utf-8"))
    return (page.parent / stands[1]).resolve() if stands and page.parent == DOCS else page


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_is_broken(path):
    targets = [(line, target) for line, target in inline(path, "link") if "://" not in target]
    assert [(line, target) for line, target in targets if broken(path, target)] == []


def test_broken_links_are_noticed():
    page = DOCS / "concepts.md"
    assert not broken(page, "environments.md#public-data")
    assert not broken(page, "contributing.md#words")
    for target in ("environment.md", "environments.md#private-data", "#nowhere", "../../elsewhere.md", "conf.py#x"):
        assert broken(page, target), target


def entries(page):
    """The pages that a page's navigation lists, with patterns."""
    for block in blocks(page):
        if block.language == "{toctree}":
            for line in block.text.splitlines():
                if line and not line.startswith(":"):
                    name = re.sub(r"^.* <(.+)>$", r"\1", line)
                    yield (page.parent / name).relative_to(DOCS).as_posix()


def test_every_page_is_in_the_navigation():
    listed = [entry for page in DOCS.rglob("*.md") for entry in entries(page)]
    assert len(listed) == len(set(listed)) > 30
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")} - {"index"}
    assert pages - set(listed) == set(), "give these pages a line in docs/index.md"
    assert set(listed) - pages == set()
