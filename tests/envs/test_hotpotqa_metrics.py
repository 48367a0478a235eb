"""EM and F1 against values worked out by hand from the definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym_envs.hotpotqa.metrics import exact_match, f1_score, normalize_answer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Beatles", "beatles"),
        ("U.S. Route 66!", "us route 66"),
        ("an apple a day", "apple day"),
        ("theatre", "theatre"),  # an article inside a word stays
        ("A.N. Other", "other"),  # punctuation goes first, so that this becomes an article
        ("half-a-dozen", "halfadozen"),
        ("the", ""),
        ("naïve “quotes”", "naïve “quotes”"),  # only ASCII punctuation is dropped
        ("tab\tand\nnewline", "tab and newline"),
    ],
)
def test_normal_form(text, normal):
    assert normalize_answer(text) == normal


@pytest.mark.parametrize(
    ("prediction", "gold", "em", "f1"),
    [
        ("Jimmy Ellis", "jimmy ellis", True, 1.0),
        ("the Bears", "The Bears!", True, 1.0),
        ("Ellis", "Jimmy Ellis", False, 2 / 3),  # P 1, R 1/2
        ("in the village of Aldenham", "Aldenham", False, 2 / 5),  # in village of aldenham: P 1/4, R 1
        ("red red blue", "red blue blue", False, 2 / 3),  # multisets: 2 of 3 in common
        ("London", "Paris", False, 0.0),
        ("Yes.", "yes", True, 1.0),
        ("yes", "no", False, 0.0),
        ("yes it was", "yes", False, 0.0),
        ("yes", "yes it was", False, 0.0),
        ("noanswer", "no answer", False, 0.0),
        ("no way", "no way home", False, 0.8),  # neither side is a bare no
        ("", "Paris", False, 0.0),
        ("the", "a", False, 0.0),  # nothing is left of either, but they are not the same
        ("The The", "The The", True, 1.0),
        ("the the.", "The The", True, 1.0),
        ("the", "The The", False, 0.0),
        ("???", "The The", False, 0.0),
        ("The The", "???", False, 0.0),
        ("???", "???", True, 1.0),
        ("??", "???", False, 0.0),
        (" ? ? ", "? ?", True, 1.0),
        ("…", "...", False, 0.0),
        ("“”", "“”", True, 1.0),
        ("", "The The", False, 0.0),
        ("", "???", False, 0.0),
        ("The The", "The Who", False, 0.0),
        ("???", "yes", False, 0.0),
        ("A", "a!", True, 1.0),
        ("NoAnswer!", "noanswer", True, 1.0),
    ],
)
def test_scores(prediction, gold, em, f1):
    assert exact_match(prediction, gold) is em
    assert f1_score(prediction, gold) == pytest.approx(f1)


@given(st.text(), st.text())
def test_f1_is_symmetric_and_bounded(prediction, gold):
    score = f1_score(prediction, gold)
    assert 0.0 <= score <= 1.0
    assert score == pytest.approx(f1_score(gold, prediction))
    assert (score == 1.0) >= exact_match(prediction, gold)
    assert f1_score(gold, gold) == 1.0


@given(st.text(alphabet="aAnthe?!. “", max_size=8), st.text(alphabet="aAnthe?!. “", max_size=8))
def test_only_answers_that_share_a_word_or_are_the_same_earn_anything(prediction, gold):
    assert exact_match(prediction, gold) is exact_match(gold, prediction)
    words = set(normalize_answer(prediction).split()) & set(normalize_answer(gold).split())
    assert (f1_score(prediction, gold) > 0.0) is (bool(words) or exact_match(prediction, gold))
