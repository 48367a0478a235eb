"""Makes the notebook of the tutorial from its page, ``docs/first_policy.md``: run it as a script."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat

SOURCE = Path(__file__).parent / "first_policy.md"
NOTEBOOK = SOURCE.with_suffix(".ipynb")
_PRINTED = re.compile(r"(?<=\n```\n)\n```text\n.*?\n```\n", re.DOTALL)
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def render() -> str:
    """The notebook as JSON: a cell for each block of code, without what the page shows as its output."""
    page = SOURCE.read_text(encoding="utf-8")
    page = page.replace(f" It is also a\nnotebook: [{NOTEBOOK.name}]({NOTEBOOK.name}).", "")
    notebook = jupytext.reads(_PRINTED.sub("", page), fmt="md")
    notebook.metadata = nbformat.from_dict({"kernelspec": _KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # those of jupytext are random
        cell["metadata"] = nbformat.from_dict({})
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(render(), encoding="utf-8", newline="\n")
