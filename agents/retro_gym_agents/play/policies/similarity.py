"""Similarity of texts by their words (BM25), for policies that remember training tasks."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TextIndex"]


class TextIndex:
    """Texts, indexed by their words.

    Args:
        texts: T of them.

    >>> TextIndex(["the red barn", "a blue lake"]).scores("Find the blue lake.").argmax().item()
    1
    """

    def __init__(self, texts: Sequence[str]) -> None:
        words = list(map(_words, texts))
        self._size = len(words)
        self._bm25 = _bm25(words) if any(words) else None

    def scores(self, text: str) -> NDArray[np.float32]:
        """Returns the BM25 score (T) of each text for the words of another one; zeros if none is known."""
        known = [] if self._bm25 is None else [word for word in _words(text) if word in self._bm25.vocab_dict]
        if self._bm25 is None or not known:
            return np.zeros(self._size, np.float32)
        scores: NDArray[np.float32] = self._bm25.get_scores(known)
        return scores


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _bm25(documents: list[list[str]]) -> Any:
    """Returns a ``bm25s.BM25``, which has no types."""
    import bm25s  # the import takes 0.1 s

    logger = logging.getLogger("bm25s")
    if logger.level == logging.DEBUG:  # set by bm25s at import: it would log a line per index
        logger.setLevel(logging.WARNING)
    index = bm25s.BM25(backend="numpy")
    index.index(documents, show_progress=False)
    return index
