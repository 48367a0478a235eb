"""What the scripted actors understand of English, for names of all kinds."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retro_gym_envs.english.stance import Stance, read_clauses
from retro_gym_envs.english.wishes import Wishes, read_wishes
from tests.envs.english.familiar_sentences import FAMILIAR
from tests.envs.english.held_back_sentences import HELD_BACK
from tests.envs.english.more_reflections import MORE_REFLECTIONS
from tests.envs.english.once_misread import ASKED_AND_STATED, ONCE_MISREAD
from tests.envs.english.reflections import REFLECTIONS, WORLDS
from tests.envs.english.retracted_sentences import RETRACTED
from tests.envs.english.taken_back_sentences import MEANT, TAKEN_BACK

ANYTHING = re.compile("")
NAMES = (
    ("Grurikor Union", "Taskin Brelum"),
    ("drawer 12", "drawer 1"),
    ("B02649", "K3"),
    ("yr_est", "founding_dt"),
    ("dark blue", "mug 1"),
    ("Not Without Hope", "The Wrong Way to Stop"),  # no word of a name is read as English
)


def with_names(template, names):
    by_letter = {"X": names[0], "Y": names[1], "x": names[0].lower()}
    return re.sub(r"\b[XYx]\b", lambda match: by_letter[match[0]], template)


def letters(wishes, names):
    """Returns wishes as the tables write them: ``+X -Y``."""
    sides = []
    for sign, found in (("+", wishes.wanted), ("-", wishes.shunned), ("?", wishes.contradicted)):
        if found:
            sides.append(sign + "".join(sorted("XY"[names.index(name)] for name in found)))
    return " ".join(sides) or "."


@pytest.mark.parametrize(("expected", "template"), FAMILIAR + HELD_BACK + ONCE_MISREAD + RETRACTED)
def test_a_sentence_is_read_as_it_is_meant(expected, template):
    for names in NAMES:
        assert letters(read_wishes(with_names(template, names), names, about=ANYTHING), names) == expected, names


@pytest.mark.parametrize("template", TAKEN_BACK)
def test_what_is_taken_back_is_not_wanted(template):
    for names in NAMES:
        assert names[0] not in read_wishes(with_names(template, names), names, about=ANYTHING).wanted, names


@pytest.mark.parametrize("template", MEANT)
def test_what_only_looks_as_if_it_were_taken_back_is_wanted(template):
    for names in NAMES:
        assert names[0] in read_wishes(with_names(template, names), names, about=ANYTHING).wanted, names


@pytest.mark.parametrize(("expected", "template"), ASKED_AND_STATED)
def test_what_is_asked_for_outweighs_what_is_stated(expected, template):
    for names in NAMES:
        asked = read_wishes(with_names(template, names), names, about=ANYTHING).asked(names)
        assert {"XY"[names.index(name)] for name in asked} == set(expected), names


@pytest.mark.parametrize("name", ["abandoned_yn", "broken_at", "Not Without Hope", "no_stock", "never again"])
def test_a_word_of_a_name_is_not_read_as_english(name):
    for template in ("I should have used X.", "Select X, not Y.", "Y is wrong; X is right."):
        text = with_names(template, (name, "Taskin Brelum"))
        found = [clause for clause in read_clauses(text, (name, "Taskin Brelum")) if name in clause.names]
        assert [clause.stance for clause in found] == [Stance.FOR], text


@pytest.mark.parametrize(("world", "wanted", "shunned", "text"), REFLECTIONS + MORE_REFLECTIONS)
def test_a_reflection_on_a_task_is_read_as_it_is_meant(world, wanted, shunned, text):
    wishes = read_wishes(text, WORLDS[world], about=ANYTHING)
    assert sorted(wishes.wanted) == sorted(filter(None, wanted.split(";")))
    assert sorted(wishes.shunned) == sorted(filter(None, shunned.split(";")))
    assert not wishes.contradicted


_LISTED = """
Search for X. | Open X. | Look at X first. | Go to X and open it. | Use X. | Read X carefully. | Buy X.
Click X, then Y. | Take X from Y. | Check X or Y. | Look up X before anything else. | Start with X.
Choose X because it is the right one.
Try X again. | Open X and read Y. | Visit X at once. | Join on X. | Filter by X. | Put Y in X.
Search X, read Y and answer. | First open X, then Y. | Begin at X; it is the right one.
"""
IMPERATIVES = [line.strip() for line in _LISTED.replace("|", "\n").splitlines() if line.strip()]
PREFIXES = ["Do not ", "Don't ", "Never ", "do not ", "Please do not ", "You must not ", "Do not: "]


@pytest.mark.parametrize("template", IMPERATIVES)
@pytest.mark.parametrize(
    "prefix", ["Do not ", "Don't ", "Never ", "do not ", "Please do not ", "You must not ", "Do not: "]
)
def test_a_negated_imperative_is_never_wanted(template, prefix):
    for names in NAMES:
        assert "+" in letters(read_wishes(with_names(template, names), names, about=ANYTHING), names)
        wishes = read_wishes(prefix + with_names(template[0].lower() + template[1:], names), names, about=ANYTHING)
        assert names[0] not in wishes.wanted


UNQUOTED = [row for row in FAMILIAR if '"' not in row[1] and "**" not in row[1]][::3]


@pytest.mark.parametrize("quote", ['"{}"', "'{}'", "`{}`", "“{}”", "‘{}’", "«{}»", "**{}**", "*{}*", "_{}_"])
@pytest.mark.parametrize(("expected", "template"), UNQUOTED)
def test_quoting_a_name_changes_nothing(expected, template, quote):
    for names in NAMES:
        plain = with_names(template, names)
        quoted = with_names(template, [quote.format(name) for name in names])
        assert read_wishes(quoted, names, about=ANYTHING) == read_wishes(plain, names, about=ANYTHING), quoted


WORDS = """
do not never open search X Y and or but then instead of because if I had the it is was empty wrong , . : ; ? ( ) " '
` [ ] - -> before without X X Y
"""


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=1_000) | st.lists(st.sampled_from([*WORDS.split(), "\n"]), max_size=200).map(" ".join))
def test_any_text_is_read(text):
    names = ("X", "Y", "drawer 1", "")
    assert isinstance(read_wishes(text, names, about=ANYTHING), Wishes)
    for clause in read_clauses(text, names):
        assert set(clause.names) <= set(names)
        assert clause.text


UNITS = [
    *("\"'[(`*_:a \n\u0130"), "not ", "drawer 1, 2, 3 and ", "do not open X and ", "- ", "1. ", "X ", "instead of ",
    "''", "search[X]\n", "Action 1: a ", "drawer drawer ", "1, ", "x_", "if I had ", "- - ", ", ", "and ",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_thousand_characters_take_no_time(unit):
    text = (unit * 1_000)[:1_000]
    names = ("X", "drawer 1", "drawer 2", "a b c", "not open")
    took = []
    for attempt in range(3):
        start = time.process_time()
        read_wishes(text + " " * attempt, names, about=ANYTHING)
        took.append(time.process_time() - start)
    assert min(took) < 0.05


@pytest.mark.parametrize("unit", ["X, ", "not ", "which ", '"X ', "drawer 1, 2, ", "- X\n"])
def test_the_time_of_reading_grows_with_the_length(unit):
    start = time.process_time()
    read_wishes((unit * 20_000)[:20_000], ("X", "drawer 1", "drawer 2"), about=ANYTHING)
    assert time.process_time() - start < 3
