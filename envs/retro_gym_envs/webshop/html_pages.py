"""Parses the HTML of a WebShop server into the same pages as the local shop has."""

from __future__ import annotations

from html.parser import HTMLParser

from retro_gym_envs.webshop.pages import BUY, NEXT, PREVIOUS, SUB_PAGES, TO_SEARCH, Page, PageKind, done_page

__all__ = ["read_page"]

_UNSEEN = frozenset({"style", "script", "head", "title", "meta"})
_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"})  # have no closing tag
_SCORE = "Your score (min 0.0, max 1.0)"
_OLDER_PREVIOUS = ("< Back to Results", "< Back to Item Page")
_BUTTONS = (TO_SEARCH, NEXT, PREVIOUS, BUY, *SUB_PAGES)  # other buttons have no page here


class _Reader(HTMLParser):
    """Collects options, and texts with the tags that enclose them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[tuple[str, str]] = []
        """Each with its tag: "link" for links to products, "instruction" within the instruction."""
        self.options: list[tuple[str, str]] = []
        self.has_search_bar = False
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("id") == "search_input":
            self.has_search_bar = True
        if tag == "input" and values.get("type") == "radio":
            self.options.append((values.get("name", "").lower(), values.get("value", "")))
        if tag not in _VOID:
            mark = "link" if "product-link" in values.get("class", "").split() else tag
            inside = values.get("id") == "instruction-text" or any(each == "instruction" for _, each in self._open)
            self._open.append((tag, "instruction" if inside else mark))

    def handle_endtag(self, tag: str) -> None:
        tags = [name for name, _ in self._open]
        if tag in tags:  # WebShop closes h4 with h5: unmatched tags are ignored
            del self._open[len(tags) - 1 - tags[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not any(tag in _UNSEEN for tag, _ in self._open):
            self.texts.append((text, self._open[-1][1] if self._open else ""))


def read_page(kind: PageKind, html: str) -> Page | None:
    """Parses a page from its HTML; None if it is not a page of this kind.

    Args:
        kind: the kind of page that was requested.
        html: the response.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    nodes = [text for text, _ in reader.texts]
    if kind == "done":
        return _done(nodes)
    if kind == "search":
        return Page("search", tuple(nodes)) if reader.has_search_bar else None
    texts = [(_renamed(text), mark) for text, mark in reader.texts if mark != "instruction"]
    buttons = tuple(text for text, mark in texts if mark == "button" and text in _BUTTONS)
    if TO_SEARCH not in buttons or (kind == "item" and BUY not in buttons):
        return None
    return Page(
        kind,
        tuple(text for text, _ in texts),
        buttons,
        tuple(text for text, mark in texts if mark == "link"),
        tuple(reader.options) if kind == "item" else (),
    )


def _renamed(button: str) -> str:
    return PREVIOUS if button in _OLDER_PREVIOUS else button


def _done(nodes: list[str]) -> Page | None:
    if _SCORE not in nodes or nodes.index(_SCORE) + 1 >= len(nodes):
        return None
    try:
        return done_page(float(nodes[nodes.index(_SCORE) + 1]))
    except ValueError:
        return None
