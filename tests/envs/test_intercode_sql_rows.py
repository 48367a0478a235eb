"""Subqueries that stand for a value or a row, and rows compared with each other, as MySQL answers them."""

import re

import pytest

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.engine import execute

MANY = "Subquery returns more than 1 row"


@pytest.fixture(scope="module")
def shop():
    cars = ((1, "Alpha", 3), (2, "beta", 3), (3, "BETA ", 1))
    makers = ((1, "europe"), (3, "Asia"), (4, "nil"))
    columns = (Column("id", "int", False, "PRI"), Column("name", "varchar(20)"), Column("maker", "int"))
    label = (Column("id", "int", False, "PRI"), Column("label", "text"))
    return Database("shop", (Table("cars", columns, cars), Table("makers", label, makers)))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (SELECT id FROM cars)",
        "SELECT id FROM cars WHERE id = (SELECT id FROM makers)",
        "SELECT id FROM cars WHERE (SELECT id FROM makers) < id",
        "SELECT 1 + (SELECT id FROM cars UNION SELECT 9)",
        "SELECT CASE WHEN (SELECT id FROM cars) > 1 THEN 1 END",
        "SELECT IFNULL((SELECT id FROM cars LIMIT 2), 1)",
        "SELECT (SELECT id FROM cars) BETWEEN 1 AND 2",
        "SELECT 1 IN (2, (SELECT id FROM cars))",
        "SELECT (SELECT id FROM cars) IN (1)",
        "SELECT (SELECT id FROM cars) IS NULL",
        "SELECT label FROM makers m WHERE 'x' = (SELECT name FROM cars c WHERE c.maker = m.id)",
        "SELECT label, (SELECT name FROM cars WHERE maker = makers.id) FROM makers",
        "SELECT maker FROM cars GROUP BY maker HAVING COUNT(*) > (SELECT COUNT(*) FROM cars GROUP BY maker)",
        "SELECT id FROM cars ORDER BY (SELECT id FROM makers)",
        "SELECT (SELECT MAX(id) OVER () FROM cars)",
        "SELECT (SELECT COUNT(*) FROM cars GROUP BY id WITH ROLLUP)",
        "WITH q AS (SELECT id FROM cars) SELECT (SELECT id FROM q)",
        "SELECT SUM((SELECT id FROM cars)) FROM makers",
        "SELECT (1, 'x') = (SELECT id, name FROM cars)",
    ],
)
def test_a_subquery_of_several_rows_is_no_value(shop, sql):
    assert execute(shop, sql).error == MANY


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT (SELECT id FROM cars WHERE id > 9)", [(None,)]),
        ("SELECT (SELECT id FROM cars ORDER BY id DESC LIMIT 1)", [(3,)]),
        ("SELECT (SELECT id FROM cars LIMIT 1, 1)", [(2,)]),
        ("SELECT (SELECT MAX(id) FROM cars), (SELECT COUNT(*) FROM cars HAVING COUNT(*) > 9)", [(3, None)]),
        ("SELECT (SELECT * FROM (SELECT id FROM cars) t WHERE id = 2)", [(2,)]),
        ("SELECT (WITH q AS (SELECT id FROM cars) SELECT id FROM q WHERE id = 1)", [(1,)]),
        ("SELECT (SELECT LOWER(name) FROM cars WHERE id = 3) = 'Beta'", [(1,)]),
        (
            "SELECT c.id, (SELECT label FROM makers m WHERE m.id = c.maker) FROM cars c WHERE id > 1",
            [(2, "Asia"), (3, "europe")],
        ),
        ("SELECT id FROM cars c WHERE id > (SELECT id FROM makers m WHERE m.id = c.maker)", [(3,)]),
        (
            "SELECT EXISTS (SELECT id FROM cars), 1 = ANY (SELECT id FROM cars), 1 IN ((SELECT id FROM cars))",
            [(1, 1, 1)],
        ),
        # rows
        ("SELECT (1, 2) < (1, 3), (1, 2) < (1, 2), (1, 2) <= (1, 2), (2, 1) > (1, 9)", [(1, 0, 1, 1)]),
        ("SELECT (1, NULL) < (2, 1), (1, NULL) < (1, 1), (1, 2, 3) >= (1, 2, 4)", [(1, None, 0)]),
        ("SELECT (1, 'ALPHA') = (SELECT id, name FROM cars WHERE id = 1)", [(1,)]),
        ("SELECT (SELECT id, maker FROM cars WHERE id = 1) < (1, 4)", [(1,)]),
        ("SELECT (1, 2) <> (SELECT id, maker FROM cars WHERE id > 9)", [(None,)]),
    ],
)
def test_a_subquery_of_one_row_is_its_value(shop, sql, expected):
    result = execute(shop, sql)
    assert result.error is None
    assert list(result.rows) == expected


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT (1, 2)", 1),
        ("SELECT 1 = (1, 2)", 1),
        ("SELECT (1, 2) = 3", 2),
        ("SELECT (1, 2) < (1, 2, 3)", 2),
        ("SELECT (1, 2) = (SELECT id FROM cars)", 2),
        ("SELECT (SELECT id, name FROM cars)", 1),
    ],
)
def test_rows_of_other_lengths_are_refused(shop, sql, columns):
    assert execute(shop, sql).error == f"Operand should contain {columns} column(s)"


def test_subqueries_within_each_other_go_deep(shop):
    sql = "SELECT MAX(id) FROM cars"
    for _ in range(8):
        sql = f"SELECT MAX(id) FROM cars WHERE id <= ({sql})"
    assert execute(shop, sql).rows == ((3,),)


def test_the_second_row_ends_a_long_subquery(shop):
    endless = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    assert re.search("more than 1 row|maximum statement", execute(shop, f"SELECT ({endless})").error)
    assert execute(shop, "SELECT (SELECT a.id FROM cars a, cars b, cars c, cars d, cars e, cars f)").error == MANY
