"""BM25 over lists of words, from bm25s."""

from __future__ import annotations

import logging
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["Index", "bm25_index"]


class Index(Protocol):
    """The part of ``bm25s.BM25`` that is used here."""

    vocab_dict: dict[str, int]

    def get_scores(self, query: list[str], /) -> NDArray[np.float32]:
        """Returns the score of every document; all words must be in the vocabulary."""
        ...


def bm25_index(documents: list[list[str]]) -> Index:
    """Builds an index of documents, at least one of which has a word."""
    import bm25s  # the import takes 0.1 s, and many trials never search

    logger = logging.getLogger("bm25s")
    if logger.level == logging.DEBUG:  # set by bm25s at import: it would log a line per index
        logger.setLevel(logging.WARNING)
    index = bm25s.BM25(backend="numpy")
    index.index(documents, show_progress=False)
    return cast("Index", index)
