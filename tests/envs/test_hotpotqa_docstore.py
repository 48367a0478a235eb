"""Titles, similar titles, and sentences that contain a term."""

from __future__ import annotations

import copy
import logging

import pytest

from retro_gym_envs.hotpotqa.docstore import DocStore, Page

PARAGRAPHS = [
    ("Velmora", ["Velmora is a town.", " It lies on the Sarn.", " ", "The Sarn is  cold."]),
    ("Velmora Bridge", ["Velmora Bridge crosses the Sarn."]),
    ('"Café Noir"', ["It is a song by Zoë Ard."]),
    ("Smith &amp; Sons", ["A firm in Velmora."]),
    ("VELMORA", ["A ship."]),
]


@pytest.fixture
def store():
    return DocStore(PARAGRAPHS)


@pytest.mark.parametrize(
    ("term", "title"),
    [
        ("Velmora", "Velmora"),
        ("VELMORA", "VELMORA"),  # exact comes first
        ("velmora", "Velmora"),  # of two with the same key, the first of the file
        ("  velmora   bridge ", "Velmora Bridge"),
        ("Velmora_Bridge", "Velmora Bridge"),
        ("cafe noir", '"Café Noir"'),
        ("[“Cafe\u0301 Noir”]", '"Café Noir"'),
        ("Smith & Sons", "Smith &amp; Sons"),
        ("Velmor", None),
        ("", None),
        ("[]", None),
        ("🙂", None),
        ("x" * 1_000_000, None),
    ],
)
def test_a_page_is_found_by_its_title(store, term, title):
    page = store.page(term)
    assert (page.title if page else None) == title


def test_text_is_single_spaced(store):
    assert store.page("Velmora").text == "Velmora is a town. It lies on the Sarn. The Sarn is cold."


@pytest.mark.parametrize(
    ("term", "titles"),
    [
        ("the bridge of Velmora", ["Velmora Bridge", "Velmora", "VELMORA", "Smith &amp; Sons"]),
        ("zoe", ['"Café Noir"']),  # a word of the text, without its accent
        ("nothing like it", ['"Café Noir"', "Velmora"]),  # "it" is all that they share; the shorter page first
        ("unknown words", []),
        ("", []),
        ("?!", []),
        ("🙂", []),
        ("\ud800", []),
        ("Velmora " * 100_000, ["VELMORA", "Velmora", "Velmora Bridge", "Smith &amp; Sons"]),
    ],
)
def test_similar_titles_are_ranked(store, term, titles):
    assert sorted(store.similar(term)) == sorted(titles)
    assert store.similar(term)[:1] == titles[:1]


def test_at_most_five_similar_titles_and_ties_in_the_order_of_the_file():
    store = DocStore((f"Town {i}", ["A place."]) for i in range(9))
    assert store.similar("a town") == [f"Town {i}" for i in range(5)]


def test_the_same_title_twice_makes_one_page():
    store = DocStore([("A", ["One.", "Two."]), ("B", ["Three."]), ("A", ["Two.", "Four."]), ("A", ["One.", "Two."])])
    assert len(store) == 2
    assert store.page("A") == Page("A", ("One.", "Two.", "Four."))


def test_pages_without_words():
    store = DocStore([("!", []), ("?", ["…"])])
    assert store.similar("!") == []
    assert store.page("!") == Page("!", ())
    assert DocStore([]).similar("a") == []


def test_find():
    page = Page("Velmora", ("Velmora is a town.", "It lies on the Sarn.", "Straße (old) ends here."))
    assert page.find("SARN") == ["It lies on the Sarn."]
    assert page.find("  on   the ") == ["It lies on the Sarn."]
    assert page.find("i") == ["Velmora is a town.", "It lies on the Sarn."]
    assert page.find("STRASSE (") == ["Straße (old) ends here."]
    assert page.find("") == page.find(" ") == page.find("x" * 1_000_000) == []


def test_copies_are_shared(store):
    assert copy.deepcopy(store) is store
    page = store.page("Velmora")
    assert copy.deepcopy(page) is page


def test_the_ranking_is_silent(capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        DocStore(PARAGRAPHS).similar("sarn")
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
