"""The pages that are made from the code are what the code would make today."""

from __future__ import annotations

import runpy

import pytest


@pytest.mark.parametrize(("name", "sections"), [("environments", 7), ("records", 9)])
def test_a_page_is_up_to_date(root, name, sections):
    made = runpy.run_path(str(root / "docs" / f"render_{name}.py"))
    page = (root / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert page == made["render"](), f"run: python docs/render_{name}.py"
    assert page.count("\n##") >= sections
