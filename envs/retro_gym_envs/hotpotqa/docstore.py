"""The local substitute for Wikipedia: pages found by title, and the titles most similar to a search term."""

from __future__ import annotations

import dataclasses
import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from retro_gym_envs.bm25 import Index, bm25_index

__all__ = ["DocStore", "Page"]

_SIMILAR = 5  # number of titles returned
_TITLE_WEIGHT = 3  # one occurrence in the title counts as three in the text
_QUERY_CHARS = 300  # characters of a term that are used; no title is that long
_WORD = re.compile(r"\w+")
_BRACKETS_AND_QUOTES = " \t\"'[]“”‘’«»"


@dataclasses.dataclass(frozen=True)
class Page:
    """A title and its sentences."""

    title: str
    sentences: tuple[str, ...]
    """Single-spaced; each contains a visible character."""

    @property
    def text(self) -> str:
        """The sentences joined into one paragraph."""
        return " ".join(self.sentences)

    def find(self, term: str) -> list[str]:
        """Returns the sentences that contain a term, ignoring case; none for a blank term.

        >>> Page("Velmora", ("Velmora is a town.", "It lies on the Sarn.")).find(" sarn")
        ['It lies on the Sarn.']
        """
        wanted = " ".join(term.casefold().split())
        return [sentence for sentence in self.sentences if wanted and wanted in sentence.casefold()]

    def __deepcopy__(self, memo: dict[int, Any]) -> Page:
        return self


class DocStore:
    """Pages by title, with a ranking of similar titles.

    Paragraphs with the same title are merged into one page. The ranking is BM25 over the words of title and text; its
    index is built at the first failed search: about 1 ms for ten paragraphs, 0.1 ms for each further one.

    Args:
        paragraphs: titles and their sentences.

    >>> store = DocStore([("Velmora", ["Velmora is a town."]), ("Velmora Bridge", ["It crosses the Sarn."])])
    >>> store.page("velmora").text
    'Velmora is a town.'
    >>> store.page("the Sarn"), store.similar("the Sarn")
    (None, ['Velmora Bridge'])
    """

    def __init__(self, paragraphs: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._pages: dict[str, tuple[str, ...]] = {}
        for title, sentences in paragraphs:
            known = self._pages.get(title)
            if known is None:
                self._pages[title] = tuple(sentences)
            elif known != tuple(sentences):  # many questions of a file share a paragraph, which is stored once
                self._pages[title] = known + tuple(text for text in sentences if text not in known)
        self._titles: dict[str, str] = {}  # by normalised key; the first title wins
        for title in self._pages:
            if key := _key(title):  # a title of quotes only has no key and is found by exact match
                self._titles.setdefault(key, title)

    def __len__(self) -> int:
        return len(self._pages)

    def page(self, term: str) -> Page | None:
        """Returns the page with that title; case, accents, outer quotes and spacing may differ."""
        title = term if term in self._pages else self._titles.get(_key(term))
        if title is None:
            return None
        sentences = (" ".join(sentence.split()) for sentence in self._pages[title])
        # Zero-width characters are not white space, but invisible too.
        return Page(
            title, tuple(sentence for sentence in sentences if any(map(str.isprintable, sentence.replace(" ", ""))))
        )

    def similar(self, term: str) -> list[str]:
        """Returns at most five titles of pages that share a word with the term, best first; ties in file order."""
        if self._index is None:
            return []
        words = [word for word in dict.fromkeys(_words(term[:_QUERY_CHARS])) if word in self._index.vocab_dict]
        if not words:
            return []
        scores = self._index.get_scores(words)
        found = np.flatnonzero(scores > 0)
        best = found[np.argsort(-scores[found], kind="stable")[:_SIMILAR]]
        titles = list(self._pages)
        return [titles[i] for i in best]

    @cached_property
    def _index(self) -> Index | None:
        """None if no page contains a word."""
        documents = [
            _words(title) * _TITLE_WEIGHT + _words(" ".join(sentences)) for title, sentences in self._pages.items()
        ]
        return bm25_index(documents) if any(documents) else None

    def __deepcopy__(self, memo: dict[int, Any]) -> DocStore:
        return self


def _key(title: str) -> str:
    return " ".join(_plain(html.unescape(title)).replace("_", " ").split()).strip(_BRACKETS_AND_QUOTES)


def _words(text: str) -> list[str]:
    return _WORD.findall(_plain(text))


def _plain(text: str) -> str:
    """Removes case and accents."""
    text = text.casefold()
    if text.isascii():
        return text
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
