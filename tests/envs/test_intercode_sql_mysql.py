"""What MySQL means by a query: kinds that meet, texts that are alike, and the forms that only MySQL has."""

import re

import pytest

from retro_gym_envs.intercode_sql.mysql.engine import execute
from tests.envs.sql_shop import make_shop, rows


@pytest.fixture(scope="module")
def shop():
    return make_shop()


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("hp > 90", [1, 2]),
        ("90 < hp", [1, 2]),
        ("hp >= 150", [2]),
        ("hp > '90'", [1, 4]),  # both are texts
        ("hp = 18", [3]),
        ("hp = 0", [4]),
        ("hp <> 0", [1, 2, 3]),
        ("hp <=> 150", [2]),
        ("hp < 18.5", [3, 4]),
        ("hp + 0 = hp", [1, 2, 3, 4]),
        ("hp BETWEEN 18 AND 100", [1, 3]),
        ("hp BETWEEN 18 AND '100'", [1, 3]),
        ("hp NOT BETWEEN 18 AND 100", [2, 4]),
        ("hp BETWEEN '1' AND '2'", [2, 3]),
        ("100 BETWEEN hp AND 200", [1, 3, 4]),
        ("hp IN (95, 18)", [1, 3]),
        ("hp IN (95, 'NULL', 18)", [1, 3, 4]),
        ("hp NOT IN (95, 18)", [2, 4]),
        ("hp NOT IN (95, NULL)", []),
        ("year IN ('1970', '1971x')", [1, 2, 5]),
        ("id = 'abc' OR id = '3rd'", [3]),
        ("id > '2abc'", [3, 4, 5]),
        ("id BETWEEN '2' AND '3x'", [2, 3]),
        ("price = '10.50'", [1]),
        ("name = 0", [1, 2, 3, 4, 5]),
        ("hp", [1, 2, 3]),
        ("NOT hp", [4]),
        ("hp AND id > 1", [2, 3]),
        ("hp > (SELECT AVG(hp) FROM cars)", [1, 2]),
        ("hp = (SELECT MAX(id) * 30 FROM cars)", [2]),
        ("(SELECT MAX(id) FROM makers) > maker", [1, 2, 3]),
        ("id IN (SELECT maker FROM cars)", [1, 2, 3]),
        ("maker IN (SELECT id FROM makers)", [1, 2, 3, 5]),
        ("maker NOT IN (SELECT id FROM makers WHERE id > 0)", [3]),
        ("id IN (SELECT DISTINCT CONCAT(m.id, 'x') FROM makers m WHERE m.id <> cars.year)", [1, 2, 3]),
        ("(hp, id) IN ((95, 1), (150, 3))", [1]),
        ("(hp, id) IN (SELECT 95, 1)", [1]),
        ("(hp, id) = ('95', 1)", [1]),
        ("hp > ALL (SELECT id FROM makers)", [1, 2, 3]),
        ("hp > ALL (SELECT id FROM makers WHERE id > 9)", [1, 2, 3, 4, 5]),
        ("id = ANY (SELECT maker FROM cars)", [1, 2, 3]),
        ("id <> SOME (SELECT id FROM makers WHERE id = 1)", [2, 3, 4, 5]),
        ("id > ANY (SELECT hp FROM cars WHERE id > 4)", []),
        ("CASE hp WHEN 18 THEN 1 WHEN 0 THEN 1 ELSE 0 END", [3, 4]),
        ("CASE WHEN hp > 90 THEN '1x' ELSE '0' END = 1", [1, 2]),
        ("IFNULL(hp, '7') = 7", [5]),
        ("EXISTS (SELECT 1 FROM makers m WHERE m.id = cars.maker AND m.label = 'asia')", [2, 5]),
        ("year LIKE '197_' AND price LIKE '%.5'", [1]),
        ("price LIKE '20'", [2]),
        # times
        ("made > '2001-5-6'", [2]),
        ("made = '2001-05-06 00:00:00'", [1, 5]),
        ("seen = '2001-05-06'", [1]),
        ("seen BETWEEN '2001-01-01' AND '2002-12-31'", [1, 2]),
        ("made > 20010506", [2]),
        ("made IN ('2001-5-6', '2000-02-29')", [1, 3, 5]),
        ("seen > made", [2, 3, 5]),
        ("seen >= made + INTERVAL 1 YEAR", [5]),
        ("YEAR(made) = '2001'", [1, 5]),
        ("made LIKE '2001%'", [1, 5]),
        # texts
        ("UPPER(name) = 'Beta'", [2, 3]),
        ("'elan' = LOWER(name)", [5]),
        ("name = 'GAMMA'", [4]),
        ("CONCAT(name, '') IN ('beta', 'ELAN')", [2, 3, 5]),
        ("LOWER(name) BETWEEN 'B' AND 'C'", [2, 3]),
        ("name LIKE 'el%'", [5]),
        ("name NOT LIKE '%a%'", []),
        ("name LIKE '_ETA'", [2, 3]),
        ("name LIKE 'gamma'", []),  # LIKE counts spaces at the end
        ("name REGEXP '^[ab]'", [1, 2, 3]),
        ("name NOT RLIKE 'A$'", [4, 5]),
        ("BINARY name = 'beta'", [2]),
        ("name COLLATE utf8mb4_bin IN ('BETA')", [3]),
        ("name = (SELECT MIN(LOWER(name)) FROM cars)", [1]),
        ("UPPER(name) = ANY (SELECT 'Alpha')", [1]),
    ],
)
def test_conditions(shop, condition, ids):
    assert rows(shop, f"SELECT id FROM cars WHERE {condition}") == [(number,) for number in ids]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT SUM(hp), AVG(hp), MAX(hp), MIN(hp) FROM cars", [(263.0, 65.75, "null", "150")]),
        ("SELECT SUM(hp > 20), AVG(DISTINCT hp), MAX(hp + 0) FROM cars", [(2, 65.75, 150.0)]),
        ("SELECT hp + 1, hp * 2, -hp, hp / 2, hp DIV 2, hp % 7 FROM cars WHERE id = 3", [(19, 36, -18, 9, 9, 4)]),
        ("SELECT hp FROM cars ORDER BY hp", [(None,), ("150",), ("18abc",), ("95",), ("null",)]),
        ("SELECT id FROM cars ORDER BY hp + 0 DESC", [(2,), (1,), (3,), (4,), (5,)]),
        ("SELECT c.id, m.id FROM cars c JOIN makers m ON c.maker = m.id ORDER BY 1", [(1, 1), (2, 2), (3, 0), (5, 3)]),
        (
            "SELECT m.id FROM makers m LEFT JOIN cars c ON c.maker = m.id AND c.hp > 100 WHERE c.id IS NULL",
            [(1,), (3,), (0,)],
        ),
        ("SELECT x.h > 90 FROM (SELECT hp h FROM cars) x", [(1,), (1,), (0,), (0,), (None,)]),
        ("WITH q AS (SELECT hp AS h, id FROM cars) SELECT id FROM q WHERE h > 90", [(1,), (2,)]),
        ("SELECT hp, COUNT(*) FROM cars GROUP BY hp HAVING hp > 20", [("150", 1), ("95", 1)]),
        ("SELECT CASE WHEN hp > 90 THEN 1 ELSE 'no' END FROM cars WHERE id < 4", [("1",), ("1",), ("no",)]),
        ("SELECT id FROM makers WHERE id < 2 UNION SELECT hp FROM cars WHERE id = 1", [("0",), ("1",), ("95",)]),
        ("SELECT 1 = '1', '18abc' = 18, 'abc' = 0, 'x' > 1, 1 <=> '1', NULL = 'a'", [(1, 1, 1, 0, 1, None)]),
        ("SELECT 'a' = 'A', 'a' = 'a ', 'é' = 'E', 'a' < 'B', 'a' LIKE 'A'", [(1, 0, 1, 1, 1)]),
        ("SELECT AVG(made), made + 0, seen + 0 FROM cars WHERE id = 2", [(20020131, 20020131, 20020131123000)]),
        ("SELECT GREATEST('b', 'A'), LEAST('b', 'A'), GREATEST(1, 3), GREATEST(1, NULL)", [("b", "A", 3, None)]),
        # texts that are alike
        ("SELECT COUNT(DISTINCT LOWER(label)), COUNT(DISTINCT label, id) FROM makers", [(3, 4)]),
        ("SELECT DISTINCT CONCAT(label, '') FROM makers", [("europe",), ("Asia",), ("nil",)]),
        ("SELECT COUNT(*) FROM makers GROUP BY REVERSE(label) ORDER BY REVERSE(label)", [(2,), (1,), (1,)]),
        ("SELECT CONCAT(label, '') x, COUNT(*) c FROM makers GROUP BY x HAVING c > 1 AND x = 'asia'", [("Asia", 2)]),
        ("SELECT COUNT(*) FROM (SELECT 'a' UNION SELECT 'A') x", [(1,)]),
        ("SELECT MAX(UPPER(name)), MIN(CONCAT(name)) FROM cars WHERE id < 4", [("BETA", "Alpha")]),
        ("SELECT UPPER(label) FROM makers INTERSECT SELECT 'asia'", [("ASIA",)]),
        ("SELECT ROW_NUMBER() OVER (ORDER BY CONCAT(name)) FROM cars ORDER BY id", [(1,), (2,), (3,), (5,), (4,)]),
    ],
)
def test_kinds_and_texts(shop, sql, expected):
    assert rows(shop, sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("(SELECT id FROM cars ORDER BY id DESC LIMIT 1) UNION ALL (SELECT id FROM makers LIMIT 1)", [(5,), (1,)]),
        ("(SELECT id FROM cars WHERE id < 3) UNION (SELECT id FROM makers) ORDER BY id DESC LIMIT 2", [(3,), (2,)]),
        ("((SELECT id FROM cars) LIMIT 2)", [(1,), (2,)]),
        ("(SELECT id FROM cars) ORDER BY id DESC LIMIT 1", [(5,)]),
        ("SELECT 1 UNION ALL (SELECT 2 UNION SELECT 2)", [(1,), (2,)]),
        ("SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 2", [(1,), (2,)]),
        ("SELECT label FROM makers UNION SELECT 'of' ORDER BY LENGTH(label), label LIMIT 2", [("of",), ("nil",)]),
        ("WITH a AS (SELECT 1 x) SELECT x FROM a UNION SELECT 2", [(1,), (2,)]),
        ("SELECT GROUP_CONCAT(name) FROM cars", [("Alpha,beta,BETA,gamma ,Élan",)]),
        (
            "SELECT GROUP_CONCAT(DISTINCT label ORDER BY label DESC SEPARATOR ' | ') FROM makers",
            [("nil | europe | Asia",)],
        ),
        (
            "SELECT GROUP_CONCAT(id, ':', year ORDER BY price DESC, id SEPARATOR '') FROM cars WHERE id < 4",
            [("2:19711:19703:1972",)],
        ),
        ("SELECT GROUP_CONCAT(hp) FROM cars WHERE id = 5", [(None,)]),
        ("SELECT id FROM cars HAVING id > 3", [(4,), (5,)]),
        ("SELECT year * 2 AS year FROM cars HAVING year > 3942", [(3944,), (3946,)]),
        ("SELECT COUNT(*) c FROM cars HAVING c > 3", [(5,)]),
        ("SELECT COUNT(*) FROM cars HAVING COUNT(*) > 30", []),
        ("SELECT year, MAX(id) AS id FROM cars GROUP BY year HAVING id > 4", [(1970, 5)]),
        ("SELECT 1 FROM DUAL WHERE 1", [(1,)]),
        (
            "SELECT 5 DIV 2, -5 DIV 2, 5.5 DIV 2, 5 DIV 0, 5 MOD 3, MOD(5.5, 2), -5 % 3, 5 % 0",
            [(2, -2, 2, None, 2, 1.5, -2, None)],
        ),
        (
            "SELECT !1, NOT 0, !1 = 0, 1 && 0, 0 || 1, 1 XOR 1, 1 XOR 0, NULL XOR 1, 5 ^ 1",
            [(0, 1, 1, 0, 1, 0, 1, None, 4)],
        ),
        ("SELECT 0 IS NOT TRUE, NULL IS UNKNOWN, ISNULL(NULL), TRUE, FALSE", [(1, 1, 1, 1, 0)]),
        ("SELECT c.id, label FROM cars c STRAIGHT_JOIN makers m ON c.id = m.id WHERE c.id < 2", [(1, "europe")]),
        ("SELECT * FROM (SELECT year, id FROM cars) y JOIN makers USING (id) WHERE id < 2", [(1, 1970, "europe")]),
        ("SELECT * FROM (SELECT year, id FROM cars) y NATURAL JOIN makers WHERE id < 2", [(1, 1970, "europe")]),
        (
            "SELECT c.id FROM cars c JOIN (makers m JOIN cars d ON m.id = d.id) ON c.id = m.id WHERE d.id < 3",
            [(1,), (2,)],
        ),
        ("SELECT x, y FROM (SELECT 1, 2) v(x, y)", [(1, 2)]),
        ("SELECT `COUNT(*)` FROM (SELECT COUNT(*) FROM cars) x", [(5,)]),
        ("SELECT id FROM cars USE INDEX (a) WHERE id = 1 FOR UPDATE", [(1,)]),
        ("TABLE makers LIMIT 1", [(1, "europe")]),
        (
            "SELECT year, COUNT(*) FROM cars WHERE id < 4 GROUP BY year WITH ROLLUP",
            [(1970, 1), (1971, 1), (1972, 1), (None, 3)],
        ),
        (
            "SELECT year, made, SUM(id) s FROM cars WHERE year < 1972 GROUP BY year, made WITH ROLLUP HAVING s > 2",
            [(1970, "2001-05-06", 6), (1970, None, 6), (None, None, 8)],
        ),
        (
            "SELECT IF(GROUPING(year), 'all', year), COUNT(*) FROM cars GROUP BY year WITH ROLLUP "
            "ORDER BY COUNT(*) DESC LIMIT 2",
            [("all", 5), ("1970", 2)],
        ),
        ("SELECT BIT_OR(id), VARIANCE(id), STDDEV_SAMP(id) FROM cars WHERE id < 4", [(3, 2 / 3, 1.0)]),
        ("SELECT 'a' 'b', 'tab\\tx'", [("ab", "tab\tx")]),
    ],
)
def test_forms(shop, sql, expected):
    assert rows(shop, sql) == expected


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("LOCATE('B', 'abcb')", 2),
        ("LOCATE('b', 'abcb', 3)", 4),
        ("INSTR('abc', 'C')", 3),
        ("POSITION('d' IN 'abc')", 0),
        ("CONVERT('12abc', SIGNED)", 12),
        ("CAST('12.7' AS SIGNED)", 12),
        ("CAST(2.5 AS SIGNED)", 3),
        ("CAST(-2.5 AS SIGNED)", -3),
        ("CAST('5' AS UNSIGNED)", 5),
        ("CAST('12.567' AS DECIMAL(10,2))", 12.57),
        ("CAST(3.7 AS DECIMAL)", 4),
        ("CAST(5.0 AS CHAR)", "5"),
        ("CAST('abc' AS CHAR(2))", "ab"),
        ("CONVERT('é' USING utf8mb4)", "é"),
        ("CAST('2020-1-5' AS DATE)", "2020-01-05"),
        ("CAST(NULL AS SIGNED)", None),
        ("SUBSTRING('abcdef', 2, 3)", "bcd"),
        ("SUBSTRING('abcdef' FROM -3)", "def"),
        ("SUBSTR('abc', 0)", ""),
        ("MID('abcdef', 2, 2)", "bc"),
        ("LPAD('5', 3, '0')", "005"),
        ("LPAD('abcd', 2, '0')", "ab"),
        ("RPAD('a', 3, 'xy')", "axy"),
        ("REPEAT('ab', 2)", "abab"),
        ("TRIM(LEADING 'x' FROM 'xxax')", "ax"),
        ("TRIM('  a ')", "a"),
        ("SUBSTRING_INDEX('a.b.c', '.', 2)", "a.b"),
        ("SUBSTRING_INDEX('a.b.c', '.', -1)", "c"),
        ("FIELD('B', 'a', 'b')", 2),
        ("FIND_IN_SET('B', 'a,b')", 2),
        ("ELT(2, 'a', 'b')", "b"),
        ("STRCMP('a', 'B')", -1),
        ("FORMAT(1234567.891, 2)", "1,234,567.89"),
        ("INSERT('Quadratic', 3, 4, 'What')", "QuWhattic"),
        ("CONCAT(1.5, 2.0, 'x')", "1.52x"),
        ("ROUND(2.5)", 3),
        ("ROUND(1.255, 2)", 1.26),
        ("ROUND(125, -1)", 130),
        ("ROUND('3.7')", 4),
        ("TRUNCATE(-1.999, 1)", -1.9),
        ("FLOOR(-1.5)", -2),
        ("CEIL('1.2x')", 2),
        ("ABS('-3x')", 3),
        ("LOG(2, 8)", 3),
        ("NULLIF('a', 'A')", None),
        ("NULLIF('18x', 18)", None),
        ("COALESCE(NULL, 2, 'x')", "2"),
        ("IF('0', 'y', 'n')", "n"),
        ("DAYNAME('2019-03-04')", "Monday"),
        ("DAYOFWEEK('2019-03-04')", 2),
        ("WEEKDAY('2019-03-04')", 0),
        ("QUARTER('2019-03-04')", 1),
        ("LAST_DAY('2020-02-03')", "2020-02-29"),
        ("EXTRACT(MONTH FROM '2019-03-04')", 3),
        ("HOUR('10:05:06')", 10),
        ("DATE_ADD('2020-01-31', INTERVAL 1 MONTH)", "2020-02-29"),
        ("DATE_SUB('2020-03-01', INTERVAL '1' DAY)", "2020-02-29"),
        ("'2020-01-01' + INTERVAL 2 HOUR", "2020-01-01 02:00:00"),
        ("DATE_FORMAT('2019-03-04 15:06:07', '%W %D %M %Y %h:%i %p')", "Monday 4th March 2019 03:06 PM"),
        ("STR_TO_DATE('05/06/2019', '%d/%m/%Y')", "2019-06-05"),
        ("TIMESTAMPDIFF(YEAR, '2000-05-06', '2020-05-05')", 19),
        ("TO_DAYS('2007-10-07')", 733321),
        ("DATE '2020-01-01' < '2020-1-2'", 1),
        ("'a1' REGEXP '[[:digit:]]+'", 1),
        ("NULL REGEXP 'a'", None),
        ("REGEXP_LIKE('abc', 'B')", 1),
    ],
)
def test_functions(shop, call, value):
    assert rows(shop, f"SELECT {call}") == [(value,)]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT id FROM cars HAVING year > 3", "Unknown column 'year' in 'having clause'"),
        ("SELECT id FROM cars WHERE id IN (SELECT id FROM makers LIMIT 1)", "LIMIT & IN/ALL/ANY/SOME subquery"),
        ("SELECT id FROM cars WHERE id IN (SELECT * FROM makers)", "Operand should contain 1 column"),
        ("SELECT id FROM cars WHERE (id, hp) IN (SELECT id FROM makers)", "Operand should contain 2 column"),
        ("SELECT id FROM cars WHERE id = ANY (SELECT id FROM nope)", "Table 'shop.nope' doesn't exist"),
        ("SELECT nope(1)", "FUNCTION shop.nope does not exist"),
        ("SELECT NOW()", "FUNCTION shop.NOW does not exist"),
        ("SELECT CONCAT()", "Incorrect parameter count in the call to native function 'CONCAT'"),
        ("SELECT id FROM cars GROUP year", "near 'year'"),
        ("SELECT SUM(id year) FROM cars", r"near 'year\) FROM cars'"),
        ("SELECT id FROM cars WHERE id =", "near ''"),
        ("SELECT id FROM cars QUALIFY id > 1", "SQL syntax"),
        ("SELECT * FROM cars FULL JOIN makers ON 1", "SQL syntax|Unknown"),
        ("SELECT id::text FROM cars", "SQL syntax"),
        ("SELECT id FROM cars TABLESAMPLE (10)", "SQL syntax"),
        ("SELECT 'a' REGEXP '('", "Illegal argument to a regular expression"),
    ],
)
def test_what_mysql_refuses(shop, sql, error):
    result = execute(shop, sql)
    assert result.rows is None
    assert re.search(error, result.error)


@pytest.mark.parametrize(
    ("sql", "fields"),
    [
        ("SHOW COLUMNS FROM cars LIKE 'ma%'", ["made", "maker"]),
        ("SHOW FIELDS FROM cars IN shop LIKE '_p'", ["hp"]),
        ("DESCRIBE cars 'm%'", ["made", "maker"]),
        ("EXPLAIN cars name", ["name"]),
        ("SHOW TABLES LIKE 'c_rs'", ["cars"]),
        ("SHOW DATABASES LIKE 'sh%'", ["shop"]),
        ("SHOW DATABASES LIKE 'x'", []),
    ],
)
def test_show_with_a_pattern(shop, sql, fields):
    assert [row[0] for row in rows(shop, sql)] == fields
