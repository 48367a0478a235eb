"""Values of MySQL's functions and literals, and what its grammar refuses. The values are those of MySQL's manual."""

import re
import time

import pytest

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.engine import execute

COLUMNS = (
    Column("id", "int", False, "PRI"),
    Column("name", "varchar(20)"),
    Column("price", "double"),
    Column("cost", "decimal(4,1)"),
    Column("made", "date"),
)


@pytest.fixture(scope="module")
def shop():
    cars = ((1, "Alpha", 2.5, 2.5, "2008-02-20"), (2, "beta", 3.5, 3.5, "2008-12-31"))
    makers = Table("makers", (Column("id", "int", False, "PRI"), Column("label", "text")), ((1, "europe"),))
    return Database("shop", (Table("cars", COLUMNS, cars), makers))


def rows(database, sql):
    result = execute(database, sql)
    assert result.error is None, result.error
    return list(result.rows)


@pytest.mark.parametrize(
    ("calls", "values"),
    [
        # numbers
        ("MOD(10, 3), 10 % 3, MOD(10.5, 3), MOD(-5, 3), MOD(5, 0)", (1, 1, 1.5, -2, None)),
        ("ROUND(25E-1), ROUND(35E-1), ROUND(-25E-1), ROUND('2.5'), ROUND(125E0, -1)", (2, 4, -2, 2, 120)),
        ("ROUND(2.5), ROUND(-2.5), ROUND(5 / 2), ROUND(1.255, 2), ROUND(25, -1)", (3, -3, 3, 1.26, 30)),
        ("ROUND(1.255E0, 2), ROUND(PI(), 2), ROUND(2.5 * 1E0), ROUND(2.5 + '0')", (1.25, 3.14, 2, 2)),
        ("CAST('1e3' AS SIGNED), CAST(' -7.9x' AS SIGNED), CAST('1e3' AS UNSIGNED)", (1, -7, 1)),
        ("CAST(2.5 AS SIGNED), CAST(25E-1 AS SIGNED), CAST(DATE '2020-01-02' AS SIGNED)", (3, 2, 20200102)),
        ("CONV('a', 16, 2), CONV('6E', 18, 8), CONV(-17, 10, -18), CONV('9', 8, 10)", ("1010", "172", "-H", "0")),
        ("CONV(10 + '10', 20, 10), CONV(1, 1, 10), BIN(12), OCT(12), BIN(NULL)", ("40", None, "1100", "14", None)),
        ("HEX('abc'), HEX(255), HEX(-1), UNHEX('4D7953514C'), UNHEX('GG')", ("616263", "FF", "F" * 16, "MySQL", None)),
        ("ATAN2(-2, 2), ATAN(-2, 2), ATAN(1)", pytest.approx((-0.785398163, -0.785398163, 0.785398163))),
        ("COT(12), CRC32('MySQL'), ORD('2'), ORD('é')", (pytest.approx(-1.5726734063977), 3259397556, 50, 50089)),
        # texts
        ("MID('abcdef', 3), MID('abcdef', -3, 2)", ("cdef", "de")),
        (
            "MD5('testing'), SHA1('abc')",
            ("ae2b1fca515949e5d54fb22b8ed95575", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ),
        ("SOUNDEX('Hello'), SOUNDEX('Quadratically'), SOUNDEX('')", ("H400", "Q36324", "")),
        (r"QUOTE('Don\'t!'), QUOTE(NULL)", (r"'Don\'t!'", "NULL")),
        ("0x41, x'4142', N'a', _utf8mb4'b', _latin1 'c', 0x61 = 'a', 0x61 = 'A'", ("A", "AB", "a", "b", "c", 1, 0)),
        # patterns
        ("REGEXP_LIKE('abc', 'ABC'), REGEXP_LIKE('abc', 'ABC', 'c'), REGEXP_LIKE('a\nb', 'a.b', 'n')", (1, 0, 1)),
        (
            "REGEXP_REPLACE('a b c', 'b', 'X'), REGEXP_REPLACE('abc def ghi', '[a-z]+', 'X', 1, 3)",
            ("a X c", "abc def X"),
        ),
        ("REGEXP_REPLACE('ab ab', '(a)(b)', '$2$1'), REGEXP_REPLACE('a1', '[0-9]', '')", ("ba ba", "a")),
        ("REGEXP_SUBSTR('abc def ghi', '[a-z]+'), REGEXP_SUBSTR('abc def ghi', '[a-z]+', 1, 3)", ("abc", "ghi")),
        ("REGEXP_SUBSTR('abc', 'x'), REGEXP_INSTR('dog cat dog', 'dog'), REGEXP_INSTR('abc', 'x')", (None, 1, 0)),
        ("REGEXP_INSTR('dog cat dog', 'dog', 2), REGEXP_INSTR('aa aaa aaaa', 'a{4}')", (9, 8)),
        ("REGEXP_INSTR('ab', 'b', 1, 1, 1), REGEXP_INSTR('abab', 'B', 1, 2)", (3, 4)),
        # weeks
        ("WEEK('2008-02-20'), WEEK('2008-02-20', 0), WEEK('2008-02-20', 1), WEEK('2008-12-31', 1)", (7, 7, 8, 53)),
        ("WEEK('2000-01-01'), WEEK('2000-01-01', 2), WEEKOFYEAR('2008-02-20')", (0, 52, 8)),
        ("YEARWEEK('1987-01-01'), YEARWEEK('2000-01-01'), YEARWEEK('2008-12-31', 1)", (198652, 199952, 200901)),
        ("DATE_FORMAT('1999-01-01', '%X %V'), DATE_FORMAT('2008-12-31', '%u %v %U %x')", ("1998 52", "53 01 52 2009")),
        # times
        ("TIMEDIFF('10:00:00', '08:30:00'), TIMEDIFF('08:30', '10:00')", ("01:30:00", "-01:30:00")),
        ("TIMEDIFF('2008-12-31 23:59:59.000001', '2008-12-30 01:01:01.000002')", ("46:58:57.999999",)),
        (
            "TIMEDIFF('10:00:00', '2008-12-30 01:01:01'), TIME_TO_SEC('22:23:00'), TIME_TO_SEC(NULL)",
            (None, 80580, None),
        ),
        ("SEC_TO_TIME(2378), SEC_TO_TIME(-3661), SEC_TO_TIME(1e9)", ("00:39:38", "-01:01:01", "838:59:59")),
        ("ADDTIME('2007-12-31 23:59:59.999999', '1 1:1:1.000002')", ("2008-01-02 01:01:01.000001",)),
        ("ADDTIME('01:00:00.999999', '02:00:00.999998'), SUBTIME('10:00', '1:30')", ("03:00:01.999997", "08:30:00")),
        ("UNIX_TIMESTAMP('2015-11-13 10:20:19'), FROM_UNIXTIME(1447430881)", (1447410019, "2015-11-13 16:08:01")),
        ("PERIOD_ADD(200801, 2), PERIOD_DIFF(200802, 200703), PERIOD_ADD(200801, -1)", (200803, 11, 200712)),
        ("MICROSECOND('12:00:00.123456'), MAKETIME(12, 15, 30), MAKETIME(1, 60, 0)", (123456, "12:15:30", None)),
        (
            "EXTRACT(YEAR_MONTH FROM '2019-07-02 01:02:03'), EXTRACT(DAY_MINUTE FROM '2019-07-02 01:02:03')",
            (201907, 20102),
        ),
        ("EXTRACT(MICROSECOND FROM '2003-01-02 10:30:00.000123'), EXTRACT(WEEK FROM '2008-02-20')", (123, 7)),
        ("TIMESTAMP '2020-01-02 03:04:05', TIMESTAMP '2020-01-02' = DATE '2020-01-02'", ("2020-01-02 03:04:05", 1)),
        ("ROW(1, 2) = (1, 2)", (1,)),
    ],
)
def test_functions_and_literals(shop, calls, values):
    assert rows(shop, f"SELECT {calls}") == [values]


def test_columns_are_rounded_by_their_type(shop):
    assert rows(shop, "SELECT ROUND(price), ROUND(cost), ROUND(price + 0), ROUND(cost * 1) FROM cars") == [
        (2, 3, 2, 3),
        (4, 4, 4, 4),
    ]
    assert rows(shop, "SELECT ROUND(SUM(price) - 1.5), ROUND(AVG(id)), ROUND(AVG(price - 0.5)) FROM cars") == [
        (4, 2, 2)
    ]
    assert rows(shop, "SELECT ROUND(IFNULL(cost, 0)), ROUND(x) FROM (SELECT cost, cost x FROM cars) t LIMIT 1") == [
        (3, 3)
    ]


def test_whole_remainders_group_with_each_other(shop):
    assert rows(shop, "SELECT MOD(id, 2) m, COUNT(*) FROM cars GROUP BY m") == [(0, 1), (1, 1)]
    assert [type(value) for (value,) in rows(shop, "SELECT MOD(id, 2) FROM cars")] == [int, int]


@pytest.mark.parametrize(
    ("sql", "near"),
    [
        ("SELECT CAST('1' AS INT)", "INT)"),
        ("SELECT CAST(id AS VARCHAR(3)) FROM cars", "VARCHAR(3)) FROM cars"),
        ("SELECT CAST(CONCAT('1', 'a') AS TEXT)", "TEXT)"),
        ("SELECT CONVERT('1', BIGINT)", "BIGINT)"),
        ("SELECT id FROM cars ORDER BY id NULLS LAST", "NULLS LAST"),
        ("SELECT id FROM cars ORDER BY id DESC NULLS FIRST LIMIT 1", "NULLS FIRST LIMIT 1"),
        ("SELECT id FROM cars OFFSET 2", "2"),
        ("SELECT id, * FROM cars", "* FROM cars"),
        ("SELECT id FROM cars ORDER BY id UNION SELECT 1", "UNION SELECT 1"),
        ("SELECT 1 UNION SELECT id FROM cars LIMIT 1 UNION ALL SELECT 1", "UNION ALL SELECT 1"),
        ("SELECT id FROM (SELECT id FROM cars LIMIT 1 UNION SELECT 1) t", "UNION SELECT 1) t"),
        ("SELECT COUNT(*) AS rank FROM cars", "rank FROM cars"),
        ("SELECT COUNT(*) groups FROM cars", "groups FROM cars"),
        ("SELECT id AS key FROM cars", "key FROM cars"),
        ("SELECT id FROM cars AS order", "order"),
        ("SELECT id FROM cars LIMIT -1", "-1"),
        ("SELECT id FROM cars LIMIT 1, -1", "-1"),
        ("SELECT id FROM cars LIMIT 1.5", "1.5"),
        ("SELECT x'4'", "x'4'"),
    ],
)
def test_what_the_grammar_refuses(shop, sql, near):
    assert execute(shop, sql).error.endswith(f"near '{near}' at line 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(id AS CHAR), CAST(id AS SIGNED INTEGER), CONVERT(id, DECIMAL(5, 1)) FROM cars",
        "SELECT COUNT(*) AS count, 1 AS date, 2 year, 3 AS `rank`, 4 AS 'key' FROM cars",
        "(SELECT id FROM cars ORDER BY id LIMIT 1) UNION (SELECT 3) ORDER BY 1 LIMIT 1, 1",
        "SELECT id FROM cars WHERE id > 0 LIMIT 1 OFFSET 1",
        "SELECT GROUP_CONCAT(id ORDER BY id) FROM cars UNION SELECT 1",
        "SELECT cars.*, id FROM cars JOIN (SELECT id i, label FROM makers) m ON m.i = cars.id",
        "SELECT a.id, b.id FROM cars a, cars b",
    ],
)
def test_what_the_grammar_takes(shop, sql):
    assert rows(shop, sql)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT * FROM cars, cars", "Not unique table/alias: 'cars'"),
        ("SELECT 1 FROM cars a JOIN makers A ON 1", "Not unique table/alias: 'a'"),
        ("SELECT 1 FROM cars JOIN (SELECT 1 x) cars ON 1", "Not unique table/alias: 'cars'"),
        ("SELECT id FROM cars ORDER BY 9", "Unknown column '9' in 'order clause'"),
        ("SELECT id FROM cars GROUP BY 2", "Unknown column '2' in 'group statement'"),
        ("SELECT id FROM cars UNION SELECT 1 ORDER BY 2", "Unknown column '2' in 'order clause'"),
        ("SELECT id FROM cars UNION SELECT 1 ORDER BY price", "Unknown column 'price' in 'order clause'"),
        ("SELECT id FROM cars UNION SELECT 1 ORDER BY cars.id", "Table 'cars' from one of the SELECTs cannot be used"),
        ("SELECT ROW_NUMBER() OVER () n FROM cars WHERE n = 1", "Unknown column 'n' in 'where clause'"),
        ("SELECT COUNT(*) FROM cars GROUP BY COUNT(*)", "Invalid use of group function"),
        ("SELECT 1 FROM cars JOIN makers USING (nope)", "Unknown column 'nope' in 'from clause'"),
        ("SELECT a.* FROM cars b", "Unknown table 'a'"),
        ("SELECT *", "No tables used"),
        ("SELECT 1 FROM (SELECT a.id, b.ID FROM cars a, cars b) t", "Duplicate column name 'ID'"),
        ("WITH t AS (SELECT 1 a, 2 a) SELECT 1 FROM t", "Duplicate column name 'a'"),
        ("SELECT DATE_ADD('2020-01-01', 1)", "SQL syntax"),
        ("SELECT REGEXP_SUBSTR('a', 'a', 9)", "Index out of bounds"),
        ("SELECT REGEXP_REPLACE('a', 'a', '$1')", "Index out of bounds"),
        ("SELECT REGEXP_LIKE('a', 'a', 'z')", "Incorrect arguments"),
        ("SELECT WEEK()", "Incorrect parameter count in the call to native function 'WEEK'"),
    ],
)
def test_messages(shop, sql, error):
    assert re.search(error, execute(shop, sql).error)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SHOW FULL TABLES WHERE Table_type = 'base table'", [("cars", "BASE TABLE"), ("makers", "BASE TABLE")]),
        ("SHOW TABLES WHERE Tables_in_shop LIKE 'c%'", [("cars",)]),
        ("SHOW COLUMNS FROM cars WHERE `Key` = 'PRI'", [("id", "int", "NO", "PRI", None, "")]),
        (
            "SHOW FULL COLUMNS FROM makers WHERE Field = 'LABEL' OR Type = 'x';",
            [("label", "text", "utf8mb4_general_ci", "YES", "", None, "", "select", "")],
        ),
        ("SHOW DATABASES WHERE `Database` <> 'shop'", []),
    ],
)
def test_show_with_a_condition(shop, sql, expected):
    assert rows(shop, sql) == expected


def test_a_wrong_condition_of_show(shop):
    assert execute(shop, "SHOW COLUMNS FROM cars WHERE nope = 1").error == "Unknown column 'nope' in 'where clause'"
    assert "near ''" in execute(shop, "SHOW COLUMNS FROM cars WHERE").error


@pytest.mark.parametrize(
    "call",
    [
        "REGEXP_REPLACE(REPEAT('a', 9000), 'a', REPEAT('b', 9000))",
        "REGEXP_REPLACE(REPEAT('a', 5000), 'a*a*a*b', '')",
        "REGEXP_SUBSTR(REPEAT('a', 9000), '^a*a*b', 1, 1, 'm')",
        "CONV(REPEAT('9', 9000), 10, 2)",
    ],
)
def test_hostile_calls_end_soon(shop, call):
    start = time.perf_counter()
    execute(shop, f"SELECT {call}")
    assert time.perf_counter() - start < 2
