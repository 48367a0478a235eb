"""The pages that are made from the code are what the code would make today."""

from __future__ import annotations

import runpy


def test_the_page_of_environments_is_up_to_date(root):
    made = runpy.run_path(str(root / "docs" / "render_environments.py"))
    page = (root / "docs" / "environments.md").read_text(encoding="utf-8")
    assert page == made["render"](), "run: python docs/render_environments.py"
    assert page.count("\n## ") > 6
