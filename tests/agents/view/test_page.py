"""The page as a file: nothing of a model's text in it as HTML, nothing from outside, the same bytes each time."""

import base64
import gzip
import json
import re
import sys

import pytest

from retro_gym.errors import MissingExtraError
from retro_gym_agents.view import load_panels, render_page
from retro_gym_agents.view.page import SCRIPTS
from tests.agents.commands import refused, run
from tests.agents.view.conftest import HOSTILE

DATA = re.compile(r'<script type="application/octet-stream" id="([\w-]+)">([^<]*)</script>')


@pytest.fixture(scope="module")
def assets(root):
    return root / "agents/retro_gym_agents/view/assets"


def data(page):
    return {name: json.loads(gzip.decompress(base64.b64decode(text))) for name, text in DATA.findall(page)}


def test_the_page_holds_everything_once(files):
    (panel,) = load_panels([files / "one.json"])
    found = data(render_page([panel]))
    (index,) = found["index"]
    assert [tuple(row[:2]) for row in index["rows"]] == list(panel.failures)
    assert index["policies"] == panel.policies
    assert index["pair"] == [2, 0]  # of the baselines, the one that differs most from a plain retry
    blocks = [each for number in sorted({row[5] for row in index["rows"]}) for each in found[f"block-{number}"]]
    assert len(blocks) == len(panel.failures)
    first = next(iter(panel.failures.values()))
    assert blocks[0]["task"] == first.task
    assert [each["text"] for each in blocks[0]["tries"]] == [one.text for one in first.tries]
    assert first.task.lower() in found["words"][0][0]


def test_many_failures_are_divided_into_blocks(files, monkeypatch):
    monkeypatch.setattr("retro_gym_agents.view.document._BLOCK", 4_000)
    (panel,) = load_panels([files / "one.json"])
    found = data(render_page([panel]))
    numbers = [row[5] for row in found["index"][0]["rows"]]
    assert numbers == sorted(numbers)
    assert numbers[-1] > 2
    assert sum(len(found[f"block-{number}"]) for number in set(numbers)) == len(panel.failures)


def test_the_same_panels_give_the_same_page(files):
    paths = [files / "one.json", files / "two.jsonl"]
    assert render_page(load_panels(paths)) == render_page(load_panels(paths))


def test_no_hostile_text_is_html(hostile):
    page = render_page([hostile])
    page.encode()
    (title,) = re.findall(r"<title>(.*)</title>", page)
    assert title.startswith("&lt;/script&gt;&lt;script&gt;")
    assert not set("<>\"'") & set(title)
    assert "hacked" not in page.replace(title, "")
    assert page.count("<script") == page.count("</script>") == len(SCRIPTS) + 3  # index, words and one block
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", text) for _, text in DATA.findall(page))
    (index,) = data(page)["index"]
    assert index["policies"][0] == HOSTILE


def test_nothing_comes_from_outside(files):
    page = render_page(load_panels([files / "one.json"]))
    assert set(re.findall(r"https?://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"\b(src|href)=", page)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy


def test_the_scripts_never_make_html_of_text(assets):
    sources = {path.name: path.read_text(encoding="utf-8") for path in assets.iterdir()}
    assert sources.keys() == {*SCRIPTS, "page.css", "page.html"}
    for name, source in sources.items():
        assert len(source.splitlines()) <= 400, name
        assert not re.search(r"</(script|style)>.*</", source) or name == "page.html"
        found = re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|fetch\(", source)
        assert found is None, (name, found)
    assert not any("</script" in sources[name] for name in SCRIPTS)


def test_numbers_that_json_lacks_are_left_out(hostile):
    hostile.curves = [{"name": "run", "rows": [{"update": 1, "reward": float("nan"), "kl": float("inf"), "loss": 1.0}]}]
    (index,) = data(render_page([hostile]))["index"]
    assert index["curves"][0]["rows"] == [{"update": 1, "loss": 1.0}]


def test_the_command_writes_the_page(capsys, files, tmp_path):
    output = tmp_path / "made" / "page.html"
    code, out, _ = run(capsys, "view", files / "one.json", files / "other.json", "--output", output)
    assert code == 0
    assert "12 tasks" in out
    assert "policies none, noisy, oracle" in out
    assert "the evaluation seed is 7 in place of 0" in " ".join(out.split())
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in output.parent.iterdir()] == ["page.html"]


def test_wrong_usage_is_refused_in_one_line(capsys, files, tmp_path):
    assert "is a folder" in refused(capsys, "view", files / "one.json", "--output", tmp_path)
    empty = tmp_path / "empty.json"
    empty.touch()
    assert "is empty" in refused(capsys, "view", empty, "--output", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_missing_jinja2_names_its_extra(hostile, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[report\]"):
        render_page([hostile])
