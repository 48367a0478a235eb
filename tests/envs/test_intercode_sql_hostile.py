"""InterCodeSQL-v0 against statements that want to change, reach or exhaust something."""

import random
import sqlite3
import threading
import time

import pytest

from retro_gym_envs.intercode_sql import InterCodeSQLEnv
from retro_gym_envs.intercode_sql.mysql import engine
from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.engine import execute

TOO_LONG = "Query execution was interrupted, maximum statement execution time exceeded"
TOO_LARGE = "Query execution was interrupted, its result is too large"
WORDS = """
    SELECT FROM WHERE JOIN ON GROUP BY ORDER LIMIT UNION ALL INTERSECT EXCEPT DISTINCT AS WITH RECURSIVE VALUES CASE
    WHEN THEN END IN EXISTS NOT NULL LIKE BETWEEN AND OR HAVING INSERT INTO UPDATE SET DELETE DROP TABLE CREATE INDEX
    VIEW TRIGGER ALTER ADD COLUMN ATTACH DETACH PRAGMA VACUUM REINDEX ANALYZE BEGIN COMMIT ROLLBACK SAVEPOINT TRUNCATE
    REPLACE RENAME SHOW TABLES DESC USE EXPLAIN GRANT count sum avg max replace concat left load_extension randomblob
    zeroblob readfile writefile printf hex group_concat random sqlite_master sqlite_schema sqlite_temp_master dbstat
    pragma_table_list json_each information_schema ships captains ship_id title name captain_id rowid main temp
    ( ) ( ) , , * = < > + - / % || . ; 0 1 2 1000000 9223372036854775807 1e999 'x' "y" `ships` -- /* */ # ' " ` [ ] @ :
""".split()  # noqa: SIM905 - a list of this many words is longer than the text
WHOLE = """
    DROP TABLE ships|DELETE FROM ships|UPDATE ships SET title = 'x'|INSERT INTO ships VALUES (9, 'x', 1)|
    SELECT * FROM ships; DROP TABLE ships|WITH t AS (SELECT 1) DELETE FROM ships|CREATE TABLE x (y int)|
    ATTACH DATABASE '/tmp/x.db' AS x|PRAGMA writable_schema = ON|SELECT load_extension('x')|VACUUM INTO '/tmp/x.db'|
    SELECT * FROM pragma_database_list|REPLACE INTO ships VALUES (1, 'x', 1)|ALTER TABLE ships RENAME TO x|
    WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5000) SELECT COUNT(*) FROM r|
    SELECT replace(replace('aaaaaaaaaa', 'a', 'aaaaaaaaaaaaaaaa'), 'a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')|
    SELECT COUNT(*) FROM ships a, ships b, ships c, ships d|SET GLOBAL x = 1|SHOW TABLES|DESC ships
"""
SEEDS = [text.strip() for text in WHOLE.split("|") if text.strip()]


@pytest.fixture
def database():
    ships = Table(
        "ships",
        (Column("ship_id", "int", False, "PRI"), Column("title", "text"), Column("captain_id", "int")),
        tuple((i, f"Ship {i}", i % 3) for i in range(12)),
    )
    captains = Table("captains", (Column("captain_id", "int"), Column("name", "text")), ((0, "Ann"), (1, "Bo")))
    return Database("harbour", (captains, ships))


def random_value(rng, depth):
    """An expression, most of which can be evaluated."""
    if depth <= 0 or rng.random() < 0.4:
        return rng.choice(("1", "0", "-7", "NULL", "'x'", "1e308", "ship_id", "title", "captain_id", "name", "title"))
    left, right = random_value(rng, depth - 1), random_value(rng, depth - 1)
    form = rng.choice(
        (
            "({a} {o} {b})",
            "concat({a}, {b}, {a})",
            "replace({a}, {b}, 'yyyyyyyyyyyyyyyyyyyyyyyy')",
            "group_concat({a})",
            "max({a})",
            "count(DISTINCT {a})",
            "CASE WHEN {a} THEN {b} END",
            "substr({a}, {b})",
            "if({a}, {b}, {a})",
            "left({a}, {b})",
            "(SELECT {a} FROM ships LIMIT 1)",
            "{a} IN (SELECT {b} FROM captains)",
        )
    )
    return form.format(a=left, b=right, o=rng.choice(("+", "*", "/", "%", "=", "<", "AND", "LIKE", "||", "-")))


def random_query(rng, depth=2):
    """A query that SQLite can parse, and now and then run for long."""
    value = random_value(rng, depth)
    source = ", ".join(rng.choice(("ships", "captains")) + f" t{i}" for i in range(rng.choice((1, 1, 1, 2, 3, 6))))
    if depth and rng.random() < 0.3:
        source = f"({random_query(rng, depth - 1)}) u, ships"
    query = f"SELECT {value} v FROM {source}"
    for share, clause in ((0.3, "WHERE"), (0.2, "GROUP BY"), (0.2, "ORDER BY")):
        if rng.random() < share:
            query += f" {clause} {random_value(rng, depth)}"
    if rng.random() < 0.15:
        limit = rng.choice(("", " WHERE n < 99999", " LIMIT 5", " LIMIT 9", " LIMIT 99"))
        query = f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r{limit}) {query}, r"
    if depth and rng.random() < 0.1:
        query += f" {rng.choice(('UNION', 'EXCEPT', 'INTERSECT', 'UNION ALL'))} {random_query(rng, depth - 1)}"
    return query


def hostile_actions(count, seed):
    """Words of SQL in any order, attacks with words thrown in, queries that run, and any characters at all."""
    rng = random.Random(seed)
    for _ in range(count):
        style = rng.random()
        if style < 0.4:
            sql = random_query(rng)
        elif style < 0.6:
            sql = " ".join(rng.choices(WORDS, k=rng.randint(1, 25)))
            sql = f"SELECT {sql}" if rng.random() < 0.6 else sql
        elif style < 0.9:
            words = rng.choice(SEEDS).split()
            for _ in range(rng.randint(0, 3)):
                words.insert(rng.randint(0, len(words)), rng.choice(WORDS))
            sql = " ".join(words)
        else:
            sql = "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(0, 60)))
        yield f"execute[{sql}]" if rng.random() < 0.97 else sql


def contents(env, task_id):
    """Everything in a database, read through the engine, and the image itself."""
    database = env.database(task_id)
    return database.image, [execute(database, f"SELECT * FROM {table.name}") for table in database.tables]


DUMP = """
USE `harbour`;
CREATE TABLE `captains` (`captain_id` int NOT NULL, `name` text, PRIMARY KEY (`captain_id`));
INSERT INTO `captains` VALUES (1,'Ann'),(2,'Bo'),(3,'Cy');
CREATE TABLE `ships` (`ship_id` int NOT NULL, `title` text, `captain_id` int, PRIMARY KEY (`ship_id`));
INSERT INTO `ships` VALUES (1,'Oskarra',1),(2,'Belum',2),(3,'Dorex',1),(4,'Sarn',3),(5,'Grentum',2),(6,'Ott',1);
"""
TASK = (
    '{"db": "harbour", "hardness": "easy", "query": "List all titles of Ann.", "gold": "SELECT title FROM ships JOIN '
    "captains ON ships.captain_id = captains.captain_id WHERE name = 'Ann'\"}"
)


def play_hostile(count, seed, folder):
    (folder / "tasks.json").write_text(TASK)
    (folder / "dbs.sql").write_text(DUMP)
    env = InterCodeSQLEnv(tasks=str(folder / "tasks.json"), databases=str(folder / "dbs.sql"))
    (task_id,) = env.task_ids("test")
    before = contents(env, task_id)
    env.reset(options={"task_id": task_id})
    for action in hostile_actions(count, seed):
        observation, reward, terminated, truncated, _ = env.step(action)
        assert observation in env.observation_space
        assert reward == 0.0 or terminated
        if terminated or truncated:
            env.reset(options={"task_id": task_id})
    engine._remembered.cache_clear()
    assert contents(env, task_id) == before
    env.reset(options={"task_id": task_id})
    env.step(f"execute[{env.task(task_id).gold}]")
    assert env.step("submit")[1] == 1.0


def test_hostile_actions_change_nothing(tmp_path):
    play_hostile(800, seed=0, folder=tmp_path)


@pytest.mark.slow
def test_a_hundred_thousand_hostile_actions_change_nothing(tmp_path):
    play_hostile(100_000, seed=1, folder=tmp_path)


@pytest.mark.parametrize("sql", SEEDS)
def test_no_statement_writes(database, sql, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = database.image
    execute(database, sql.replace("/tmp/", f"{tmp_path}/"))
    assert database.image == before
    assert len(execute(database, "SELECT * FROM ships").rows) == 12
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("DELETE FROM ships", "DELETE command denied to user 'agent'@'localhost' for table 'ships'"),
        ("drop table if exists ships", "DROP command denied to user 'agent'@'localhost' for table 'ships'"),
        ("WITH t AS (SELECT 1) DELETE FROM ships", "Command denied to user 'agent'@'localhost'"),
        ("SELECT load_extension('x')", "FUNCTION harbour.load_extension does not exist"),
        ("SELECT random()", "FUNCTION harbour.random does not exist"),
        ("SELECT date('now')", None),
        ("SELECT CURRENT_TIMESTAMP", "FUNCTION harbour.current_timestamp does not exist"),
        ("SELECT strftime('%s', 'now')", "FUNCTION harbour.strftime does not exist"),
        ("SELECT * FROM sqlite_master", "Table 'harbour.sqlite_master' doesn't exist"),
        ("SELECT COUNT(*) FROM sqlite_schema", "Table 'harbour.sqlite_schema' doesn't exist"),
        ("SELECT rowid FROM ships", "Unknown column 'rowid' in 'field list'"),
        ("SELECT oid FROM ships", "Unknown column 'rowid' in 'field list'"),
        ("SELECT 1" + " UNION SELECT 1" * 60, "Too many terms in compound SELECT"),
        ("SELECT '" + "x" * 20_000 + "'", "Got a packet bigger than 'max_allowed_packet' bytes"),
        ("SELECT '\ud800'", "Invalid utf8mb4 character string in the statement"),
        ("SELECT '\0'", "Invalid utf8mb4 character string in the statement"),
    ],
)
def test_what_is_refused(database, sql, error):
    result = execute(database, sql)
    if error is None:
        assert result.rows == ((None,),)
    else:
        assert result.error == error


def test_nesting_is_limited(database):
    assert execute(database, "SELECT " + "(" * 500 + "1" + ")" * 500).rows is None  # the words are SQLite's
    assert execute(database, "SELECT " + "+".join("1" * 500)).error.startswith("Expression tree is too large")


@pytest.mark.parametrize("module", ["pragma_table_info('ships')", "json_each('[1]')", "dbstat", "sqlite_stmt"])
def test_sqlites_own_tables_are_out_of_reach(database, module):
    assert execute(database, f"SELECT * FROM {module}").rows is None
    assert execute(database, f"SELECT COUNT(*) FROM {module}").rows is None


FOREVER = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
LONG = "replace('aaaaaaaaaaaaaaaaaaaa', 'a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (FOREVER + "SELECT COUNT(*) FROM r", TOO_LONG),
        (FOREVER + "SELECT n FROM r", TOO_LARGE),
        (FOREVER + f"SELECT n, {LONG} FROM r", TOO_LARGE),
        ("SELECT COUNT(*) FROM " + ", ".join(f"ships s{i}" for i in range(20)), TOO_LONG),
        ("SELECT a.title FROM ships a, ships b, ships c, ships d, ships e ORDER BY b.title, c.title", TOO_LONG),
        (f"SELECT replace({LONG}, 'b', '{'c' * 100}')", TOO_LARGE),
        (f"SELECT concat({', '.join([LONG] * 20)})", TOO_LARGE),
        ("SELECT group_concat(a.title) FROM ships a, ships b, ships c, ships d", TOO_LARGE),
        (
            "WITH a0 AS (SELECT 1 x)"
            + "".join(f", a{i} (x) AS (SELECT p.x FROM a{i - 1} p, a{i - 1} q)" for i in range(1, 40))
            + " SELECT * FROM a39",
            "Query is too complex",
        ),
    ],
)
def test_what_is_too_much_ends_and_ends_alike(database, sql, error):
    start = time.perf_counter()
    assert [execute(database, sql).error for _ in range(2)] == [error, error]
    assert time.perf_counter() - start < 20


def test_the_clock_ends_what_steps_do_not(database, monkeypatch):
    monkeypatch.setattr(engine, "_SECONDS", 0.0)
    result = execute(database, "SELECT COUNT(*) FROM ships a, ships b, ships c")
    assert (result.error, result.lasting) == (TOO_LONG, False)
    monkeypatch.undo()  # what the clock ended is not remembered
    assert execute(database, "SELECT COUNT(*) FROM ships a, ships b, ships c").rows == ((12**3,),)


def test_a_sort_that_spends_the_last_steps_is_no_result(database, monkeypatch):
    monkeypatch.setattr(engine, "_STEPS", 100)
    monkeypatch.setattr(engine, "_STEPS_PER_CHECK", 1_000_000)
    assert execute(database, "SELECT title FROM ships ORDER BY title LIMIT 1").error == TOO_LONG


def test_memory_runs_out_for_the_query_alone(database, monkeypatch):
    def out_of_memory(self, *_, **__):
        raise MemoryError

    monkeypatch.setattr(engine._Guard, "watch", out_of_memory)
    assert execute(database, "SELECT 1 + 1 + 1").error == TOO_LARGE
    monkeypatch.undo()
    assert execute(database, "SELECT 1 + 1 + 1").rows == ((3,),)


def test_the_process_has_a_limit_on_sqlites_memory(database):
    execute(database, "SELECT 2")
    connection = sqlite3.connect(":memory:")
    assert 0 < connection.execute("PRAGMA hard_heap_limit").fetchone()[0] <= 1 << 30
    connection.close()


def test_threads_may_share_a_database(database):
    found = []

    def ask():
        for i in range(50):
            found.append(execute(database, f"SELECT title FROM ships WHERE ship_id = {i % 12} AND {i} = {i}").rows)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([((f"Ship {i % 12}",),) for i in range(50)] * 4)


@pytest.mark.parametrize(
    "action", ["execute[" * 100_000, "execute[" + "'" * 1_000_000 + "]", "]" * 1_000_000, "(" * 10**6]
)
def test_actions_of_a_megabyte(action):
    env = InterCodeSQLEnv()
    env.reset(seed=0)
    start = time.perf_counter()
    observation, *_ = env.step(action)
    assert observation.startswith("Error executing query: ")
    assert time.perf_counter() - start < 5
