"""What the scripted actors of HotpotQA and ALFWorld understand of a reflection, without a trial."""

import time

import pytest

from retro_gym_envs.alfworld.advice import read_reflections
from retro_gym_envs.alfworld.observations import Goal
from retro_gym_envs.hotpotqa.advice import wish_for_name, wish_for_word
from tests.envs import alfworld_sentences, hotpotqa_sentences

PAGE, OTHER, WORD, OTHER_WORD = "Womosock Brilutum", "Cravin Ulat", "crossing", "cradle"
PAGES = [OTHER, PAGE, "Tor Gramex", "Brena Skol", "Udit Fal"]
WORDS = [OTHER_WORD, WORD, "debut", "first light", "birth year"]
KINDS = {"drawer": 9, "microwave": 5, "fridge": 5, "sinkbasin": 3, "sidetable": 4, "diningtable": 2, "countertop": 1}
ROOM = [f"{kind} {number}" for kind, most in KINDS.items() for number in range(1, most + 1)]


def read_pages(form):
    """Returns the wanted pages, and the wanted words of the right page."""
    text = form.format(n=PAGE, x=OTHER, w=WORD, o=OTHER_WORD)
    others = [page for page in PAGES if page != PAGE]
    return wish_for_name([text], PAGES).wanted, wish_for_word([text], PAGE, others, WORDS).wanted


def read_household(text):
    """Returns all names that a reflection wants."""
    said = text.lower()
    treatment = "clean" if "sink" in said else "cool" if "cool" in said or "fridge" in said else "heat"
    advice = read_reflections([text], Goal("bowl", "drawer", "cool" if "refrig" in said else treatment), ROOM)
    return {*advice.wanted, *advice.searched}


@pytest.mark.parametrize("form", hotpotqa_sentences.FOLLOWED)
def test_page_and_word_are_understood(form):
    assert read_pages(form) == ((PAGE,), (WORD,))


@pytest.mark.parametrize("form", hotpotqa_sentences.NOT_FOLLOWED)
def test_what_is_not_meant_wants_no_page(form):
    pages, words = read_pages(form)
    assert PAGE not in pages
    assert not words


@pytest.mark.parametrize("names", alfworld_sentences.FOLLOWED)
def test_things_and_places_are_understood(names):
    for text in alfworld_sentences.FOLLOWED[names]:
        assert read_household(text) == set(names.split(", ")), text


@pytest.mark.parametrize("text", alfworld_sentences.NOT_FOLLOWED)
def test_what_is_not_meant_wants_no_thing(text):
    assert not read_household(text)


@pytest.mark.parametrize(
    "text",
    [
        "no page other than ", "not drawer 5; ", "which what where ", "all but ", "it is not ", "those who ", "(",
        "the last page ", "what i need from drawer 5 ", "not drawer 5 but ", "drawer no. ", "if i had drawer 5 and ",
        "don't guess: ",
        "sink basin # ", "every one of the ", "too late to ", "stop opening drawer 5 and ", "a ", "drawer (",
    ],
)  # fmt: skip
def test_a_long_reflection_is_read_quickly(text):
    long = (text * 4_000)[:4_000]
    read_household("put it in drawer 5")
    took = []
    for space in ("", " ", "  "):  # the quickest of three: another process may share the core
        start = time.process_time()
        read_household(long + space)
        wish_for_name([long + space], PAGES)
        took.append(time.process_time() - start)
        if took[-1] < 0.4:
            break
    assert min(took) < 0.4
