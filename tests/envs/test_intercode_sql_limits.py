"""Queries and patterns that could take forever or fill the stack, and the public queries."""

import json
import re
import time

import pytest

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.dump import load_databases
from retro_gym_envs.intercode_sql.mysql.engine import execute
from retro_gym_envs.intercode_sql.mysql.functions import patterns
from retro_gym_envs.intercode_sql.mysql.translation import translate
from tests.envs.sql_shop import COLUMNS, make_shop, rows


@pytest.fixture(scope="module")
def shop():
    return make_shop()


# -- bounds ------------------------------------------------------------------------------------------------------------

LONG = "REPEAT('a', 5000)"


@pytest.mark.parametrize(
    "expression",
    [
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' REGEXP '(a+)+$'",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' REGEXP '(x(a|a))*$'",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' REGEXP '((a)a?)*$'",
        f"{LONG} REGEXP 'a*a*a*a*b'",
        f"'aaaaaaaaaaaaaaaaaaaaaaaaaaaa' REGEXP '{'a?' * 40}b'",
        f"{LONG} REGEXP '(a)\\\\1b'",
    ],
)
def test_a_pattern_that_may_take_forever_is_refused(shop, expression):
    start = time.perf_counter()
    assert execute(shop, f"SELECT {expression}").error == "Timeout exceeded in regular expression match."
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "expression",
    [f"{LONG} LIKE '{'%a' * 90}b'", "REPEAT('ab', 1e9)", "LPAD('a', 1e9, 'bc')", f"CONCAT({LONG}, {LONG}, {LONG})"],
)
def test_what_is_long_ends_soon(shop, expression):
    start = time.perf_counter()
    result = execute(shop, f"SELECT {expression}")
    assert result.rows == ((0,),) or "too large" in result.error
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 40,
        "SELECT " + "IF(1, " * 39 + "1" + ", 2)" * 39,
        "SELECT " + "NOT " * 2000 + "1",
        "SELECT " + "1 + " * 2000 + "1",
        "CASE WHEN " * 60,
    ],
)
def test_nesting_ends_with_an_error_or_an_answer(shop, sql):
    start = time.perf_counter()
    execute(shop, sql)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("abc", "a%c", True),
        ("abc", "%", True),
        ("", "%", True),
        ("", "_", False),
        ("abcbc", "a%bc", True),
        ("abab", "%ab", True),
        ("aab", "%ab%b", False),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("50%", "50\\%", True),
        ("a\\", "a\\", True),
    ],
)
def test_like(text, pattern, found):
    assert patterns.like(text, pattern, "\\") is found


# -- the data ----------------------------------------------------------------------------------------------------------


def leading(text):
    match = re.match(r"[+-]?(\d+\.?\d*|\.\d+)", text.strip())
    return float(match[0]) if match else 0.0


@pytest.fixture(scope="module")
def public(shared_data):
    folder = shared_data / "intercode_sql"
    tasks = json.loads((folder / "ic_spider_dev_100_1033.json").read_text())
    return load_databases(folder / "ic_spider_dbs.sql"), tasks


def column_of(database, table, name):
    found = database.table(table)
    place = [column.name.lower() for column in found.columns].index(name)
    return [row[place] for row in found.rows if row[place] is not None]


def test_public_columns_of_texts_by_number(public):
    databases, _ = public
    cars = databases["car_1"]
    power, mpg = (column_of(cars, "cars_data", name) for name in ("horsepower", "mpg"))
    strong = sum(leading(text) > 150 for text in power)
    assert rows(cars, "SELECT COUNT(*) FROM cars_data WHERE horsepower > 150") == [(strong,)] == [(10,)]
    thrifty = sum(leading(text) > 9 for text in mpg)
    assert rows(cars, "SELECT COUNT(*) FROM cars_data WHERE mpg > 9") == [(thrifty,)] == [(22,)]
    between = sum(90 <= leading(text) <= 110 for text in power)
    assert rows(cars, "SELECT COUNT(*) FROM cars_data WHERE horsepower BETWEEN 90 AND 110") == [(between,)]
    assert rows(cars, "SELECT SUM(mpg) FROM cars_data") == [(pytest.approx(sum(map(leading, mpg))),)]
    assert rows(cars, "SELECT MAX(horsepower) FROM cars_data") == [(max(power),)]


def test_public_gold_queries_that_compare_texts_with_numbers(public):
    """Of all gold queries with such a comparison, worked out from the dump's rows."""
    databases, tasks = public
    golds = {" ".join(task["gold"].lower().split()): databases[task["db"].lower()] for task in tasks}
    by_gold = {gold: rows(database, gold) for gold, database in golds.items()}
    power = column_of(databases["car_1"], "cars_data", "horsepower")
    assert by_gold["select count(*) from cars_data where horsepower > 150;"] == [
        (sum(leading(p) > 150 for p in power),)
    ]
    opened = [leading(year) for year in column_of(databases["museum_visit"], "museum", "open_year")]
    expected = sum(year > 2013 or year < 2008 for year in opened)
    assert by_gold["select count(*) from museum where open_year > 2013 or open_year < 2008"] == [(expected,)]
    ages = [leading(age) for age in column_of(databases["dog_kennels"], "dogs", "age")]
    mean = sum(ages) / len(ages)
    assert by_gold["select avg(age) from dogs"] == [(pytest.approx(mean),)]
    young = sum(age < mean for age in ages)
    assert by_gold["select count(*) from dogs where age < ( select avg(age) from dogs )"] == [(young,)]
    dates = column_of(databases["student_transcripts_tracking"], "transcripts", "transcript_date")
    digits = [int(re.sub(r"\D", "", date)) for date in dates]
    assert by_gold["select avg(transcript_date) from transcripts"] == [(pytest.approx(sum(digits) / len(digits)),)]


def test_every_public_gold_query_runs(public):
    databases, tasks = public
    errors = {task["gold"]: execute(databases[task["db"].lower()], task["gold"]).error for task in tasks}
    assert {gold: error for gold, error in errors.items() if error} == {}


def test_queries_that_differ_in_texts_and_other_columns_are_translated_once(shop):
    narrow = Database("shop", (Table("cars", COLUMNS[1:3], (("Alpha", "95"),)),))
    translate._translated.cache_clear()
    for database, title in ((shop, "alpha"), (narrow, "ALPHA"), (shop, "beta's")):
        found = rows(database, f'SELECT hp FROM cars WHERE name = "{title}" AND hp > 9')
        assert found == [("95" if title.lower() == "alpha" else "150",)] if "'" not in title else found == []
    assert (translate._translated.cache_info().misses, translate._translated.cache_info().hits) == (1, 2)
    other = Database("shop", (Table("cars", (Column("name", "int"), Column("hp", "int")), ((0, 95),)),))
    assert rows(other, 'SELECT hp FROM cars WHERE name = "alpha" AND hp > 9') == [(95,)]
    assert translate._translated.cache_info().misses == 2
