"""MySQL on SQLite: language, comparisons, messages, and what SHOW and DESC give."""

import pytest

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.engine import MAX_ROWS, execute
from retro_gym_envs.intercode_sql.mysql.functions.registry import compare
from retro_gym_envs.intercode_sql.mysql.translation.dialect import SQLError, first_statement, text_of
from retro_gym_envs.intercode_sql.mysql.translation.translate import to_sqlite

SYNTAX = (
    "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version for the "
    "right syntax to use near '{}' at line 1"
)


@pytest.fixture(scope="module")
def shop():
    wines = Table(
        "wines",
        (
            Column("Wine_ID", "int", False, "PRI", None, "auto_increment"),
            Column("Title", "varchar(20)"),
            Column("Price", "int", True, "", "0"),
            Column("Since", "datetime"),
            Column("18_Rating", "double"),
        ),
        ((1, "Élan ", 5, "2019-03-04 10:00:00", 1.5), (2, "brut", 6, None, 2.0), (3, "BRUT", 7, "2020-01-31", None)),
    )
    notes = Table("notes", (Column("wine_id", "int"), Column("text", "text")), ((1, "it's 5% \\ fine"), (1, None)))
    return Database("Shop", (wines, notes))


def rows(database, sql):
    result = execute(database, sql)
    assert result.error is None, result.error
    return list(result.rows)


# -- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT title FROM wines", [("Élan ",), ("brut",), ("BRUT",)]),
        ("select TITLE from WINES where wine_id = '2'", [("brut",)]),
        ("SELECT Title FROM `wines` WHERE `Price` = 5;", [("Élan ",)]),
        ("SELECT w.title FROM shop.wines w WHERE w.price > 6", [("BRUT",)]),
        ("SELECT shop.wines.title FROM wines LIMIT 1", [("Élan ",)]),
        ('SELECT price FROM wines WHERE title = "brut"', [(6,), (7,)]),
        ("SELECT price FROM wines WHERE title = 'elan'", [(5,)]),
        ("SELECT title, COUNT(*) FROM wines GROUP BY title ORDER BY title", [("brut", 2), ("Élan ", 1)]),
        ("SELECT COUNT(DISTINCT title) FROM wines", [(2,)]),
        ("SELECT title FROM wines WHERE title LIKE '%RU%'", [("brut",), ("BRUT",)]),
        ("SELECT text FROM notes WHERE text LIKE '%5\\%%'", [("it's 5% \\ fine",)]),
        ("SELECT COUNT(*) FROM notes WHERE text LIKE '5\\%'", [(0,)]),
        ("SELECT price / 2, price % 2, -price FROM wines WHERE price = 5", [(2.5, 1, -5)]),
        ("SELECT 7 / 2 / 2, 1 + 6 / 4, 1 / 0", [(1.75, 2.5, None)]),
        ("SELECT AVG(price), SUM(price), MAX(18_rating) FROM wines", [(6.0, 18, 2.0)]),
        ("SELECT price FROM wines LIMIT 1, 2", [(6,), (7,)]),
        ("SELECT 1 || 0, 1 && 0, NULL <=> NULL", [(1, 0, 1)]),
        ("SELECT 'it''s', 'it\\'s', \"say \"\"hi\"\"\", 'a\\nb'", [("it's", "it's", 'say "hi"', "a\nb")]),
        ("SELECT count (*) -- how many?\nFROM wines # all\n /* of them */", [(3,)]),
        ("SELECT 5--3", [(8,)]),
        ("SELECT 1; DROP TABLE wines", [(1,)]),
        (";;SELECT 2", [(2,)]),
        ("SELECT title AS 'x' FROM wines ORDER BY price DESC LIMIT 1", [("BRUT",)]),
        ("SELECT concat(title, '-', price), CONCAT(title, NULL) FROM wines WHERE price = 6", [("brut-6", None)]),
        ("SELECT LEFT('abc', 2), RIGHT('abc', 2), RIGHT('abc', 0), LEFT(NULL, 1)", [("ab", "bc", "", None)]),
        ("SELECT IF(1 > 2, 'a', 'b'), IFNULL(NULL, 3), length('é'), char_length('é')", [("b", 3, 2, 1)]),
        (
            "SELECT YEAR(since), MONTH(since), DAY(since), DATE(since) FROM wines WHERE price = 5",
            [(2019, 3, 4, "2019-03-04")],
        ),
        ("SELECT DATEDIFF('2020-03-01', '2020-02-28'), YEAR('never')", [(2, None)]),
        ("SELECT DATABASE(), UCASE('a'), reverse('ab')", [("shop", "A", "ba")]),
        ("SELECT concat_ws('-', 1, NULL, 2)", [("1-2",)]),
        ("SELECT COUNT(*) FROM wines WHERE since > '2019-06-01'", [(1,)]),
        ("SELECT title FROM wines WHERE wine_id NOT IN (SELECT wine_id FROM notes)", [("brut",), ("BRUT",)]),
        ("SELECT wine_id FROM wines INTERSECT SELECT wine_id FROM notes", [(1,)]),
        ("WITH w AS (SELECT 1 x) SELECT COUNT(*) FROM w, w AS v", [(1,)]),
        ("SELECT RANK() OVER (ORDER BY price DESC) FROM wines", [(1,), (2,), (3,)]),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()", [("wines",), ("notes",)]),
        (
            "SELECT COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'NOTES'",
            [("wine_id", "int"), ("text", "text")],
        ),
        ("SELECT 9223372036854775807 + 1, 1e400", [(9.223372036854776e18, float("inf"))]),
    ],
)
def test_queries(shop, sql, expected):
    assert rows(shop, sql) == expected


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nme FROM wines", "Unknown column 'nme' in 'field list'"),
        ("SELECT w.nme FROM wines w", "Unknown column 'w.nme' in 'field list'"),
        ("SELECT title FROM wines WHERE nme = 1", "Unknown column 'nme' in 'where clause'"),
        ("SELECT title FROM wines JOIN notes ON nme = 1", "Unknown column 'nme' in 'on clause'"),
        ("SELECT title FROM wines GROUP BY nme", "Unknown column 'nme' in 'group statement'"),
        ("SELECT title FROM wines ORDER BY nme", "Unknown column 'nme' in 'order clause'"),
        ("SELECT `none such` FROM wines", "Unknown column 'none such' in 'field list'"),
        ("SELECT * FROM Nope", "Table 'shop.nope' doesn't exist"),
        ("SELECT * FROM other.wines", "Table 'other.wines' doesn't exist"),
        ("SELECT wine_id FROM wines JOIN notes", "Column 'wine_id' in field list is ambiguous"),
        ("SELECT title FROM wines WHERE MAX(price) > 1", "Invalid use of group function"),
        ("SELECT nope(title) FROM wines", "FUNCTION shop.nope does not exist"),
        ("SELECT LEFT(title) FROM wines", "Incorrect parameter count in the call to native function 'LEFT'"),
        ("SELECT 1 UNION SELECT 1, 2", "The used SELECT statements have a different number of columns"),
        ("SELECT (SELECT 1, 2)", "Operand should contain 1 column(s)"),
        ("SELEC 1", SYNTAX.format("SELEC 1")),
        ("SELECT title FRO wines", SYNTAX.format("wines")),
        ("SELECT title FROM wines WHERE", SYNTAX.format("")),
        ("SELECT 'open", SYNTAX.format("'open")),
        ("SELECT [title] FROM wines", SYNTAX.format("[title] FROM wines")),
        ("SELECT ?", SYNTAX.format("?")),
        ("", "Query was empty"),
        (" ; -- nothing", "Query was empty"),
        ("USE other", "Unknown database 'other'"),
        ("SHOW TABLES FROM other", "Unknown database 'other'"),
        ("SHOW TABLES LIKE 5", SYNTAX.format("LIKE 5")),
        ("SHOW", SYNTAX.format("SHOW")),
        ("SHOW GRANTS", SYNTAX.format("GRANTS")),
        ("SHOW COLUMNS FROM nope", "Table 'shop.nope' doesn't exist"),
        ("DESC other.wines", "Unknown database 'other'"),
        ("DESC 5", SYNTAX.format("5")),
        ("EXPLAIN SELECT 1", "EXPLAIN command denied to user 'agent'@'localhost'"),
    ],
)
def test_errors_are_worded_as_mysql_words_them(shop, sql, error):
    result = execute(shop, sql)
    assert (result.rows, result.error) == (None, error)


WINE_ROWS = [
    ("Wine_ID", "int", "NO", "PRI", None, "auto_increment"),
    ("Title", "varchar(20)", "YES", "", None, ""),
    ("Price", "int", "YES", "", "0", ""),
    ("Since", "datetime", "YES", "", None, ""),
    ("18_Rating", "double", "YES", "", None, ""),
]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SHOW TABLES", [("notes",), ("wines",)]),
        ("show full tables from shop;", [("notes", "BASE TABLE"), ("wines", "BASE TABLE")]),
        ("SHOW TABLES LIKE '%ote%'", [("notes",)]),
        ("SHOW TABLES IN `shop` LIKE 'wine%'", [("wines",)]),
        ("SHOW DATABASES", [("shop",)]),
        ("DESC wines", WINE_ROWS),
        ("DESCRIBE `WINES`", WINE_ROWS),
        ("EXPLAIN Shop.wines", WINE_ROWS),
        ("SHOW COLUMNS FROM wines", WINE_ROWS),
        ("SHOW FIELDS IN wines", WINE_ROWS),
        ("DESC wines title", WINE_ROWS[1:2]),
        ("SHOW INDEX FROM wines", [("Wine_ID", "PRI")]),
        ("SHOW CREATE TABLE notes", [("notes", "CREATE TABLE `notes` (\n  `wine_id` int,\n  `text` text\n)")]),
    ],
)
def test_statements_about_the_database(shop, sql, expected):
    assert rows(shop, sql) == expected


def test_use_has_no_rows(shop):
    result = execute(shop, "USE shop")
    assert (result.rows, result.error) == (None, None)


def test_the_number_of_rows_is_limited(shop):
    count = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {}) SELECT n FROM r"
    assert len(rows(shop, count.format(MAX_ROWS))) == MAX_ROWS
    assert "too large" in execute(shop, count.format(MAX_ROWS + 1)).error


def test_a_table_named_as_its_database():
    database = Database("singer", (Table("singer", (Column("name", "text"),), (("Ann",),)),))
    for sql in ("SELECT singer.name FROM singer", "SELECT singer.singer.name FROM singer.singer"):
        assert rows(database, sql) == [("Ann",)]


def test_odd_names_of_columns_and_tables():
    names = ('a"b', "c d", "select", "é")
    database = Database("odd", (Table('t"1', tuple(Column(name, "text") for name in names), (("1", "2", "3", "4"),)),))
    assert rows(database, 'SELECT `a"b`, `c d`, `select`, é FROM `t"1`') == [("1", "2", "3", "4")]


# -- the pieces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [
        ("a", "A", 0),
        ("a ", "a", 0),
        (" a", "a", -1),
        ("é", "E", 0),
        ("a", "b", -1),
        ("B", "a", 1),
        ("", "  ", 0),
        ("ß", "x", -1),
    ],
)
def test_compare(left, right, sign):
    assert compare(left, right) == sign
    assert compare(right, left) == -sign


@pytest.mark.parametrize(
    ("sql", "translated", "values"),
    [
        ("SELECT price / 2 FROM wines", "SELECT CAST(`price` AS REAL) / 2 FROM `wines`", {}),
        ('SELECT "it\'s"', "SELECT 'it''s' COLLATE general_ci", {}),
        ("SELECT `a``b`", "SELECT `a``b`", {}),
        ("SELECT left FROM wines", "SELECT `left` FROM `wines`", {}),
        ("SELECT 2nd", "SELECT `2nd`", {}),
        ("SELECT price FROM wines WHERE title > 3", "SELECT `price` FROM `wines` WHERE CAST(`title` AS REAL) > 3", {}),
        ("SELECT 1 FROM wines WHERE title = 'a'", "SELECT 1 FROM `wines` WHERE `title` = :s7", {"s7": "a"}),
    ],
)
def test_to_sqlite(shop, sql, translated, values):
    query = to_sqlite(first_statement(sql), sql, "shop", shop.schema)
    assert (query.text, query.values) == (translated, values)


def test_with_parts_may_be_used_now_and_again(shop):
    sql = "WITH a AS (SELECT 1 x), b (y) AS (SELECT x FROM a) SELECT * FROM b, b c, a"
    assert to_sqlite(first_statement(sql), sql, "shop", shop.schema)
    sql += ", a" * 400 + ", b" * 400
    with pytest.raises(SQLError, match="complex"):
        to_sqlite(first_statement(sql), sql, "shop", shop.schema)


def test_text_of_a_string_undoes_escapes():
    (token,) = first_statement(r"'\\ \' \" \n \t \0 \% \_ \q'")
    assert text_of(token) == "\\ ' \" \n \t \0 \\% \\_ q"
