"""The documentation is built without a warning, and its links lead to pages and headings that are there."""

import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

import retro_gym
import retro_gym.errors
import retro_gym.records
import retro_gym.rewards
import retro_gym_agents


class Links(HTMLParser):
    """Collects the ids and the addresses of a page."""

    def __init__(self):
        super().__init__()
        self.ids, self.targets = set(), set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        for name in ("href", "src"):
            if given.get(name) and tag in ("a", "img", "link", "script", "source"):
                self.targets.add(given[name])


def links_of(path):
    parser = Links()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def broken(site):
    """Page and target of each link within a site that leads nowhere."""
    pages = {path.resolve(): links_of(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[goal].ids if goal in pages else None
            if not goal.exists() or (parts.fragment and known is not None and unquote(parts.fragment) not in known):
                yield path.relative_to(site).as_posix(), target


def test_broken_links_are_noticed(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#there">x</a><a href="#no">y</a><img src="c.png">')
    (tmp_path / "b.html").write_text('<p id="there"><a href="a.html">x</a><a href="https://x.example/">y</a>')
    assert sorted(broken(tmp_path)) == [("a.html", "#no"), ("a.html", "c.png")]


@pytest.mark.slow
def test_it_is_built_without_a_warning(root, tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-d", tmp_path / "trees"]
    done = subprocess.run(
        [*map(str, command), str(root / "docs"), str(site)], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(broken(site)) == []
    assert len(list(site.rglob("*.html"))) > 50
    documented = {name for page in (site / "api").glob("*.html") for name in links_of(page).ids}
    for package in (retro_gym, retro_gym.errors, retro_gym.records, retro_gym.rewards, retro_gym_agents):
        missing = {
            name for name in package.__all__ if not {f"{package.__name__}.{name}", f"retro_gym.{name}"} & documented
        }
        assert missing == set()
    for page in site.glob("*.html"):
        outside = [target for target in links_of(page).targets if target.startswith("http") and "cdn" in target]
        assert outside == [], "the site loads nothing from elsewhere"
