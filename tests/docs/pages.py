"""The pages of the documentation, taken apart: their code blocks, headings and links."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
"""Every page whose commands, snippets and links must hold."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: str
    line: int
    language: str
    section: str
    """The heading of the first or second level above it."""
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def tokens(path: Path):
    return tuple(MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8")))


def blocks(path: Path) -> Iterator[Block]:
    """The code blocks of a page in order."""
    section = ""
    for before, token in zip((None, *tokens(path)), tokens(path), strict=False):
        if before is not None and before.type == "heading_open" and before.tag in ("h1", "h2"):
            section = token.content
        if token.type == "fence":
            page = path.relative_to(ROOT).as_posix()
            yield Block(page, token.map[0] + 1, token.info.strip(), section, token.content)


def headings(path: Path) -> list[str]:
    """The anchors of a page's headings, as hosts of repositories and Sphinx make them."""
    found: list[str] = []
    for before, token in zip((None, *tokens(path)), tokens(path), strict=False):
        if before is not None and before.type == "heading_open":
            words = "".join(part.content for part in token.children if part.type in ("text", "code_inline"))
            anchor = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return found


def inline(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Line and text of each link or inline code."""
    for token in tokens(path):
        for part in token.children or []:
            if kind == "link" and part.type in ("link_open", "image"):
                yield token.map[0] + 1, str(part.attrGet("href") or part.attrGet("src"))
            if kind == "code" and part.type == "code_inline":
                yield token.map[0] + 1, part.content


def commands(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Place and words of each command in the blocks without a language, which hold commands for a shell."""
    for block in blocks(path):
        if block.language:
            continue
        lines = block.text.replace("\\\n", " ").splitlines()
        for line in lines:
            words: list[str] = []
            for word in [*shlex.split(line, comments=True), "&&"]:
                if word != "&&":
                    words.append(word)
                elif words:
                    yield block.place, tuple(words)
                    words = []
