"""A name and the adjective that is said of it, in an order that no English sentence has."""

import pytest

from retro_gym_envs.intercode_sql.advice import read_advice
from retro_gym_envs.misplaced import misplaced_with
from retro_gym_envs.webshop.advice import Advice, advice_on

NAMES = ("B12771", "B20402")


@pytest.mark.parametrize(
    "text",
    [
        "Open B12771 the soothing.",
        "open b12771 the soothing",
        "Open soothing the B12771.",
        'Open cruelty free the "B12771".',
    ],
)
def test_an_adjective_on_the_wrong_side_is_no_advice(text):
    assert advice_on([text], NAMES) == Advice()


@pytest.mark.parametrize(
    "text",
    [
        "Open the soothing B12771.",
        "Open B12771, the soothing one.",
        "Open B12771 the soothing one.",
        "Open B12771, it is soothing.",
        "Open the B12771 soothing cream.",
        "open soothing b12771",
        "Open B20402 the vegan. Open B12771.",
        "The customer wants it soothing. The B12771 is right.",
    ],
)
def test_what_is_in_order_is_followed(text):
    assert advice_on([text], NAMES).wanted == ("B12771",)


def test_shades_of_a_database():
    assert not read_advice(["Use value dark the Graroma."], ["Graroma"]).told
    assert read_advice(["Use the value dark Graroma."], ["Graroma"]).told == ("Graroma",)


def test_only_the_sentence_is_taken_out():
    taken_out = misplaced_with(["vegan"])
    assert taken_out("Think. Open A1 vegan the B1; open B2.", ("A1", "B1", "B2")) == "Think. ; open B2."
    assert taken_out("Open B1 the vegan and B2 the vegan", ("B1", "B2")) == " "
    assert taken_out("\u0130 Open B1 the vegan.", ("B1",)) == "\u0130 Open B1 the vegan."
