"""Names directly after what they stand for: in the rows that the actor asks for, and in the teacher's advice."""

import itertools
import random

import pytest

from retro_gym.trajectory import EndReason, Trajectory
from retro_gym_envs.intercode_sql.advice import FORMS, Wanted, read_advice, sentence
from retro_gym_envs.intercode_sql.comments import LOOK_AT_TABLES, look_at_codes, look_at_columns, read_notes
from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.observations import read_schema
from retro_gym_envs.intercode_sql.plans import SLOTS
from retro_gym_envs.intercode_sql.teacher import SQLTeacher
from retro_gym_envs.intercode_sql.vocabulary import (
    DUTIES,
    FEATURE_PARTS,
    FEATURES,
    GROUPS,
    MEASURES,
    OCCASIONS,
    ROLES,
    SHADES,
    THINGS,
)
from retro_gym_envs.intercode_sql.world import BuiltinTasks
from tests.envs.sql_shop import make_shop, rows

BOATS = Database(
    "port",
    (
        Table("brelum", (Column("meaning", "text"), Column("code", "text")), (("dark red", "Vikum"),), "codes"),
        Table(
            "dalor",
            (
                Column("helora", "text", comment="colour of the lid"),
                Column("mirakor", "int", comment="height when new"),
                Column("promudum", "text", comment="name"),
            ),
            (("Vikum", 12, "Zerel"),),
            "boats under repair",
        ),
    ),
)


def turn(database, statement):
    return f"execute[{statement}]", str(rows(database, statement))


# -- what the actor sees ---------------------------------------------------------------------------------------------


def test_a_name_stands_in_one_text_after_what_it_stands_for():
    assert rows(BOATS, LOOK_AT_TABLES) == [("codes brelum",), ("boats under repair dalor",)]
    assert rows(BOATS, look_at_columns("dalor")) == [
        ("text colour of the lid helora",),
        ("int height when new mirakor",),
        ("text name promudum",),
    ]
    assert rows(BOATS, look_at_codes("brelum")) == [("dark red Vikum",)]


def test_the_rows_are_read_again():
    statements = (LOOK_AT_TABLES, look_at_columns("dalor"), look_at_codes("brelum"))
    notes = read_notes(turn(BOATS, each) for each in statements)
    assert notes.tables == {"brelum": "codes", "dalor": "boats under repair"}
    assert notes.columns == {
        "helora": ("text", "colour of the lid"),
        "mirakor": ("int", "height when new"),
        "promudum": ("text", "name"),
    }
    assert notes.codes == {"Vikum": "dark red"}
    assert (notes.code_table, notes.label) == ("brelum", "promudum")


def test_without_comments_the_names_are_read_all_the_same():
    shop = make_shop()
    assert rows(shop, LOOK_AT_TABLES) == [(" cars",), (" makers",)]
    seen = [turn(shop, LOOK_AT_TABLES), turn(shop, look_at_columns("cars"))]
    assert read_notes(seen).tables == {"cars": "", "makers": ""}
    assert read_notes(seen).columns["hp"] == ("text", "")
    assert read_schema(seen).tables == ("cars", "makers")
    assert read_schema([turn(BOATS, LOOK_AT_TABLES)]).tables == ("brelum", "dalor")


# -- what the teacher says -------------------------------------------------------------------------------------------

MEANINGS = {
    "table": [f"{things} {group}" for split in THINGS.values() for things in split for group in GROUPS],
    "measure": [f"{measure} {occasion}" for measure in MEASURES for occasion in OCCASIONS],
    "filter": [f"{feature} {part}" for feature in FEATURES for part in FEATURE_PARTS],
    "value": [f"{shade} {word}" for words in FEATURES.values() for word in words for shade in SHADES],
    "key": [f"{role} {duty}" for role in ROLES for duty in DUTIES],
}
OPTIONS = {
    "table": ("zurerin", "grirazex", "himolock"),
    "measure": ("flimiror", "lalulum", "brumazin"),
    "filter": ("helora", "rilakith", "drarador"),
    "value": ("Belunum", "Soledum", "Dramudin"),
    "key": ("stamitor", "korelum", "vobarin"),
}
NAMES = tuple(itertools.chain.from_iterable(OPTIONS.values()))


def check_is_followed(meanings):
    """Each name is wanted, and nothing else, whether the actor knows the names of other slots or not."""
    names = {slot: OPTIONS[slot][1] for slot in meanings}
    said = sentence(names, {names[slot]: meaning for slot, meaning in meanings.items()})
    for slot, name in names.items():
        for known in (NAMES, OPTIONS[slot]):
            assert read_advice([said], OPTIONS[slot], known) == Wanted((name,)), said


@pytest.mark.parametrize("slot", SLOTS)
def test_every_meaning_is_followed(slot):
    for meaning in MEANINGS[slot]:
        check_is_followed({slot: meaning})


@pytest.mark.parametrize("slots", list(itertools.permutations(SLOTS, 2)))
def test_two_at_once_are_followed(slots):
    draw = random.Random(0)
    for _ in range(30):
        check_is_followed({slot: draw.choice(MEANINGS[slot]) for slot in slots})


def test_the_forms_are_those_of_the_manual():
    phrases = {"dalor": "boats under repair", "mirakor": "height when new", "Vikum": "dark red"}
    assert sentence({"table": "dalor", "value": "Vikum"}, phrases) == (
        "Query the table under repair dalor and use the value dark red Vikum."
    )
    assert sentence({"measure": "mirakor"}, phrases) == "Select the height when new mirakor."
    assert set(FORMS) == set(SLOTS)


@pytest.mark.parametrize(
    ("said", "well_formed"),
    [
        ("Query the table under repair dalor.", True),
        ("Filter on the colour of the lid helora and use the value dark red Vikum.", True),
        ("Join on the broker for travel dalor and query the table under repair dalor.", True),
        ("Filter on the colour of the lid helora, and use the value dark red Vikum.", False),
        ("Query the dalor.", False),
        ("Query the boats under repair dalor.", False),
        ("Query the boats and sing a song dalor.", False),
        ("Query the table under repair and.", False),
        ("Filter on the colour of the lid helora and use dark red Vikum.", False),
        ("For the boats under repair, query the table dalor.", False),
    ],
)
def test_the_teacher_recognises_its_clauses(said, well_formed):
    trajectory = Trajectory("t", 0, "Question: boats under repair?", (), 0.0, False, EndReason.FAILED)
    check = SQLTeacher(BuiltinTasks(0)).check_reflection(said, trajectory)
    assert (check.well_formed, check.grounded) == (well_formed, False)
