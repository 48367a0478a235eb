"""From a MySQL dump to databases: what is read, what is passed over, and what is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym.errors import DataError
from retro_gym_envs.intercode_sql.mysql.dump import load_databases, read_dump
from retro_gym_envs.intercode_sql.mysql.engine import execute

DUMP = r"""
-- TEST USER; with a semicolon
CREATE USER 'admin'@'%' IDENTIFIED BY 'admin';
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE; */;
CREATE DATABASE  IF NOT EXISTS `Shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
USE `Shop`;
DROP TABLE IF EXISTS `Wines`;
CREATE TABLE `Wines` (
  `Wine_ID` int unsigned NOT NULL AUTO_INCREMENT,
  `Title` varchar(20) COLLATE utf8mb4_general_ci DEFAULT 'a, (b); `c`',
  `Kind` enum('red','it''s, (odd)') NOT NULL DEFAULT 'red',
  `Price` decimal(10,2) DEFAULT NULL COMMENT 'in euros, KEY',
  `Code` char(3) NOT NULL,
  `Made` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`Wine_ID`),
  UNIQUE KEY `code` (`Code`),
  KEY `p` (`Price`,`Made`),
  CONSTRAINT `x` FOREIGN KEY (`Price`) REFERENCES `other` (`Price`)
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4;
LOCK TABLES `Wines` WRITE;
INSERT INTO `Wines` VALUES (1,'it\'s; \"a\"\n(b), ''c'' \\',NULL,-1.50,'a','2020-01-02 00:00:00'),
  (2,'','red',1e3,'b',NULL) ;
INSERT INTO `Wines` (`Code`, `Wine_ID`) VALUES ('c',3);
UNLOCK TABLES;
create table `pairs` (a int, b int, big bigint, bits blob, primary key (a, b));
insert into pairs values (1, 2, 18446744073709551615, 0x4142), (TRUE, false, 9223372036854775807, _binary 'xy');
CREATE DATABASE empty;
CREATE DATABASE other;
USE other;
CREATE TABLE t (`a``b` text);
"""


def test_what_is_read():
    databases = read_dump(DUMP)
    assert sorted(databases) == ["other", "shop"]  # a database without tables is none
    shop = databases["shop"]
    assert shop.name == "Shop"
    wines, pairs = shop.tables
    assert [column.described for column in wines.columns] == [
        ("Wine_ID", "int unsigned", "NO", "PRI", None, "auto_increment"),
        ("Title", "varchar(20)", "YES", "", "a, (b); `c`", ""),
        ("Kind", "enum('red','it''s, (odd)')", "NO", "", "red", ""),
        ("Price", "decimal(10,2)", "YES", "MUL", None, ""),
        ("Code", "char(3)", "NO", "UNI", None, ""),
        ("Made", "timestamp", "NO", "", "CURRENT_TIMESTAMP", "DEFAULT_GENERATED"),
    ]
    assert wines.rows == (
        (1, "it's; \"a\"\n(b), 'c' \\", None, -1.5, "a", "2020-01-02 00:00:00"),
        (2, "", "red", 1000.0, "b", None),
        (3, None, None, None, "c", None),
    )
    assert pairs.rows == ((1, 2, 1.8446744073709552e19, b"AB"), (1, 0, 9223372036854775807, "xy"))
    assert [column.key for column in pairs.columns] == ["PRI", "PRI", "", ""]
    assert databases["other"].table("T").columns[0].name == "a`b"


def test_the_rows_arrive_in_sqlite():
    shop = read_dump(DUMP)["shop"]
    assert execute(shop, "SELECT * FROM wines").rows == shop.tables[0].rows
    assert execute(shop, "SELECT * FROM pairs").rows == shop.tables[1].rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no table: it is empty"),
        ("-- nothing\n", "holds no table"),
        ("CREATE DATABASE a; USE a;", "holds no table"),
        ("CREATE TABLE t (a int);", r"line 1: table 't' comes before any USE"),
        ("USE a;\n\nCREATE TABLE t (a int", "line 3: it breaks off"),
        ("USE a;\nCREATE TABLE t (a int;", "line 2: the brackets"),
        ("USE a;\nCREATE TABLE t ();", "has no columns"),
        ("USE a;\nCREATE TABLE t (a int, A int);", "column 'A' twice"),
        ("USE a;\nCREATE TABLE t (!);", "line 2: table 't' has a column that cannot be read: '!'"),
        ("USE a;\nCREATE TABLE t (a int);\n\nINSERT INTO t VALUES (1, 2);", "line 4: a row of 2 values for 1 columns"),
        ("USE a; CREATE TABLE tab (a int); INSERT INTO tob VALUES (1);", "Did you mean 'tab'"),
        ("USE a; CREATE TABLE t (a int); INSERT INTO t (b) VALUES (1);", "columns that 't' does not have"),
        ("USE a; CREATE TABLE t (a int); INSERT INTO t VALUES (NOW());", r"a value cannot be read: 'NOW\(\)\)'"),
        ("USE a; CREATE TABLE t (a int); INSERT INTO t VALUES 1;", "rows cannot be read"),
        ("USE a; CREATE TABLE t (a int); INSERT INTO t VALUES (1) (2);", "rows cannot be read"),
        ("USE a; CREATE TABLE t (a int); INSERT INTO t VALUES ('x);", "breaks off"),
        ("PK\x03\x04 no dump at all", "line 1: it breaks off"),
        ('[{"db": "a"}]', "breaks off"),
    ],
)
def test_what_is_refused(text, says):
    with pytest.raises(DataError, match=says) as caught:
        read_dump(text, "my.sql")
    assert str(caught.value).startswith("my.sql")
    assert "mysqldump" in str(caught.value) or "whole copy" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"CREATE \xe9"])
def test_a_file_that_is_not_utf8(tmp_path, content):
    (tmp_path / "x.sql").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.sql is not UTF-8"):
        load_databases(tmp_path / "x.sql")


def test_a_file_that_is_none(tmp_path):
    for path, says in ((tmp_path, "folder"), (tmp_path / "none.sql", "cannot be opened"), ("a\0b", "cannot be opened")):
        with pytest.raises(DataError, match=says):
            load_databases(path)


def test_a_file_is_read_once_until_it_changes(tmp_path):
    path = tmp_path / "x.sql"
    path.write_text(DUMP)
    assert load_databases(path) is load_databases(str(path))
    path.write_text(DUMP.replace("'b',NULL", "'bb',NULL"))
    assert load_databases(path)["shop"].tables[0].rows[1][4] == "bb"


def test_a_cut_at_any_place_gives_an_error_or_fewer_rows():
    whole = read_dump(DUMP)["shop"]
    for end in range(0, len(DUMP), 7):
        try:
            databases = read_dump(DUMP[:end])
        except DataError:
            continue
        table = databases["shop"].table("wines")
        assert table is None or table.rows == whole.tables[0].rows[: len(table.rows)]


@given(st.text(alphabet="aUSECRTINOVL (),;'\"`\\-#/*\n19", max_size=60))
def test_nothing_but_a_data_error_is_raised(text):
    with contextlib.suppress(DataError):
        read_dump("USE a; CREATE TABLE t (a int, b text); " + text)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40), st.text(max_size=8)), min_size=1, max_size=4))
def test_values_survive(values):
    def written(value):
        if isinstance(value, str):
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
        return "NULL" if value is None else str(value)

    columns = ", ".join(f"c{i} blob" for i in range(len(values)))
    dump = f"USE a; CREATE TABLE t ({columns}); INSERT INTO t VALUES ({','.join(map(written, values))});"
    assert read_dump(dump)["a"].tables[0].rows == (tuple(values),)


def test_the_public_dump(shared_data):
    databases = load_databases(shared_data / "intercode_sql" / "ic_spider_dbs.sql")
    assert len(databases) == 20
    assert sum(len(database.tables) for database in databases.values()) == 81
    assert sum(len(table.rows) for table in databases["world_1"].tables) == 4079 + 239 + 984
    assert execute(databases["dog_kennels"], "SELECT COUNT(*) FROM dogs").rows == ((15,),)


COMMENTED = """
USE `mill`;
CREATE TABLE `mills` (`year` int DEFAULT 1 COMMENT 'opened; \'\'DEFAULT 5\'\'', `town` text) COMMENT='old (all)';
CREATE TABLE `plain` (`n` int) ENGINE=InnoDB;
"""


def test_comments_are_shown_where_mysql_shows_them():
    mill = read_dump(COMMENTED)["mill"]
    opened = "opened; 'DEFAULT 5'"
    columns = "SELECT column_name, column_comment FROM information_schema.columns WHERE table_name = 'mills'"
    assert execute(mill, columns).rows == (("year", opened), ("town", ""))
    assert execute(mill, "SELECT table_comment FROM information_schema.tables").rows == (("old (all)",), ("",))
    assert [row[-1] for row in execute(mill, "SHOW FULL COLUMNS FROM mills").rows] == [opened, ""]
    assert execute(mill, "DESC mills").rows[0] == ("year", "int", "YES", "", "1", "")
    ((_, definition),) = execute(mill, "SHOW CREATE TABLE mills").rows
    assert "`year` int COMMENT 'opened; ''DEFAULT 5'''," in definition
    assert definition.endswith(") COMMENT='old (all)'")
