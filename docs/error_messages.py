"""What the errors of the packages say, read from the sources: the directive ``error-messages``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from retro_gym import errors

__all__ = ["ErrorMessages", "messages", "setup"]

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (ROOT / "retro_gym", ROOT / "envs", ROOT / "agents")
_KINDS = {name for name in errors.__all__ if name[0].isupper()}
_SHORTEST = 12  # characters that a message has of its own


def setup(app: Sphinx) -> ExtensionMetadata:
    """Adds the directive; called by Sphinx."""
    app.add_directive("error-messages", ErrorMessages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class ErrorMessages(SphinxDirective):
    """Lists the messages of each class of errors."""

    def run(self) -> list[nodes.Node]:
        """Returns a heading and a list for each class."""
        found: dict[str, set[str]] = {}
        for folder in SOURCES:
            for path in sorted(folder.rglob("*.py")):
                self.env.note_dependency(str(path))
                for kind, text in messages(path.read_text(encoding="utf-8")):
                    found.setdefault(kind, set()).add(text)
        made: list[nodes.Node] = []
        for kind in (name for name in errors.__all__ if name in found):
            listed = nodes.bullet_list()
            for text in sorted(found[kind]):
                listed += nodes.list_item("", nodes.paragraph(text, text))
            made += [nodes.rubric("", "", nodes.literal(kind, kind)), listed]
        return made


def messages(source: str) -> Iterator[tuple[str, str]]:
    """Yields the class and the text of each message in a source, with … for what is filled in.

    >>> list(messages('raise ConfigError(f"n is {n}; it must be " "above 0.") from error'))
    [('ConfigError', 'n is …; it must be above 0.')]
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KINDS and node.args:
            text = " ".join(_text(node.args[0]).split())
            if len(text.replace("…", "")) >= _SHORTEST:
                yield node.func.id, text


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "…"
