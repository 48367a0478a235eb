"""The tutorial prints what its page shows, and the notebook has the same code."""

import json
import re

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "first_policy.md"
BLOCKS = list(blocks(PAGE))
CODE = [block for block in BLOCKS if block.language == "python"]


def shown_below(block):
    """What the page shows below a block of code: the text that follows it at once."""
    text = PAGE.read_text(encoding="utf-8")
    below = text[text.index(block.text) + len(block.text) :]
    found = re.match(r"```\n\n```text\n(.*?)```\n", below, re.DOTALL)
    return found[1] if found else ""


def test_it_prints_what_the_page_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "tutorial"}
    for block in CODE:
        exec(compile(block.text, block.place, "exec"), space)
        assert capsys.readouterr().out == shown_below(block), block.place
    assert list(tmp_path.iterdir()) == []


def differences(block):
    """The intervals that the page shows below a block, by policy."""
    found = re.findall(r"^(.+): .* \[([-+.\d]+), ([-+.\d]+)\]$", shown_below(block), re.MULTILINE)
    return {name: (float(low), float(high)) for name, low, high in found}


def test_what_the_page_says_of_the_figures():
    """What the page calls nothing has an interval with 0 in it, and what it believes has none."""
    by_hand, learned, control, tested = [found for block in CODE if (found := differences(block))]
    for low, high in (by_hand["first_of_each"], control["shuffled rewards"]):
        assert low <= 0 <= high
    assert learned["none"][1] < 0 < learned["trained"][0]
    assert all(low > 0 for low, _ in tested.values())
    assert len(tested) == 3


def test_the_notebook_is_the_page():
    cells = json.loads(PAGE.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code == [block.text.rstrip("\n") for block in CODE]
    assert not any("```text" in "".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize("library", ["torch", "sphinx"])
def test_it_needs_only_the_core(library):
    assert library not in " ".join(block.text for block in CODE)
