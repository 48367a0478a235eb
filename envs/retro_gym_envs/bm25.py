"""BM25 over lists of words, by bm25s."""

from __future__ import annotations

import logging
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["Index", "bm25_index"]


class Index(Protocol):
    """What is used of ``bm25s.BM25``."""

    vocab_dict: dict[str, int]

    def get_scores(self, query: list[str], /) -> NDArray[np.float32]:
        """The score of every document; all words must be in the vocabulary."""
        ...


def bm25_index(documents: list[list[str]]) -> Index:
    """An index of documents, at least one of which has a word."""
    import bm25s  # takes a tenth of a second, and many trials never search

    logger = logging.getLogger("bm25s")
    if logger.level == logging.DEBUG:  # which it sets at import: a line per index in any program that logs
        logger.setLevel(logging.WARNING)
    index = bm25s.BM25(backend="numpy")
    index.index(documents, show_progress=False)
    return cast("Index", index)
