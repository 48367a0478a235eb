"""Metrics of an answer: exact match and token F1, as defined by HotpotQA's official evaluation."""

from __future__ import annotations

import re
import string
from collections import Counter

__all__ = ["exact_match", "f1_score", "normalize_answer"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)  # ASCII only, as in the official evaluation
_CLOSED_ANSWERS = frozenset({"yes", "no", "noanswer"})


def normalize_answer(text: str) -> str:
    """Converts to lower case; removes punctuation, articles and extra spaces.

    >>> normalize_answer("  The Eiffel-Tower, a  landmark. ")
    'eiffeltower landmark'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(prediction: str, gold: str) -> bool:
    """Whether both are equal after normalisation.

    If normalisation leaves an answer empty, a weaker one is used: officially all such answers match one another.

    >>> exact_match("the Beatles", "Beatles!"), exact_match("the the", "The The."), exact_match("???", "The The")
    (True, True, False)
    """
    return _compared(prediction) == _compared(gold)


def f1_score(prediction: str, gold: str) -> float:
    """Harmonic mean of token precision and recall, over multisets of normalised tokens; in [0, 1].

    For yes, no and noanswer there is no partial credit: if either side is one of them and the sides differ, the score
    is 0. Answers that match exactly score 1, even if no token is left of them (officially 0).

    >>> f1_score("Barack Obama", "Barack Hussein Obama")
    0.8
    >>> f1_score("yes it is", "yes")
    0.0
    """
    if exact_match(prediction, gold):
        return 1.0
    predicted, wanted = normalize_answer(prediction), normalize_answer(gold)
    if predicted in _CLOSED_ANSWERS or wanted in _CLOSED_ANSWERS:
        return 0.0
    predicted_tokens, wanted_tokens = predicted.split(), wanted.split()
    common = sum((Counter(predicted_tokens) & Counter(wanted_tokens)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(predicted_tokens), common / len(wanted_tokens)
    return 2 * precision * recall / (precision + recall)


def _compared(text: str) -> str:
    """Returns the text to compare: normalised; if that is empty, with articles; if still empty, with punctuation."""
    plain = text.lower()
    forms = (normalize_answer(text), plain.translate(_NO_PUNCTUATION), plain)
    return next((form for form in (" ".join(each.split()) for each in forms) if form), "")
