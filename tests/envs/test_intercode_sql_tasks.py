"""InterCode-SQL task files: schema, splits, empty answers, pickling; and the public file."""

import copy
import json
import pickle

import pytest

from retro_gym.errors import ConfigError, DataError, UnknownTaskError
from retro_gym_envs.intercode_sql import InterCodeSQLEnv, SQLTask, load_tasks
from retro_gym_envs.intercode_sql.mysql.engine import execute
from retro_gym_envs.intercode_sql.reward import score
from retro_gym_envs.task_sources import SPLITS

DUMP = """
CREATE DATABASE `Shop`; USE `Shop`;
CREATE TABLE `wines` (`id` int NOT NULL, `title` text, `price` int, PRIMARY KEY (`id`));
INSERT INTO `wines` VALUES (1,'Aru',5),(2,'Belo',7),(3,'Cim',9);
CREATE DATABASE `Park`; USE `Park`;
CREATE TABLE `trees` (`id` int, `name` text);
"""
MORE = "".join(
    f"CREATE DATABASE `Mill{i}`; USE `Mill{i}`; CREATE TABLE `mills` (`id` int); INSERT INTO `mills` VALUES (1),(2);\n"
    for i in range(5)
)


@pytest.fixture
def rows():
    golds = ["SELECT title FROM wines", "SELECT COUNT(*) FROM wines;", "SELECT title FROM wines WHERE price > 100"]
    shop = [
        {"db": "Shop", "gold": golds[i % 3], "query": f"Question {i}?", "hardness": "easy", "db_tables": {"wines": []}}
        for i in range(12)
    ]
    return [*shop, {"db": "park", "gold": "SELECT * FROM trees", "query": "Which trees?", "hardness": "hard"}]


@pytest.fixture
def files(tmp_path, rows):
    (tmp_path / "tasks.json").write_text(json.dumps(rows))
    (tmp_path / "dbs.sql").write_text(DUMP)
    return tmp_path / "tasks.json", tmp_path / "dbs.sql"


def test_ids_are_database_and_place(files):
    tasks = load_tasks(*files)
    assert tasks.ids("test")[:3] == ("Shop-0", "Shop-1", "Shop-3")
    assert tasks.ids("train") == tasks.ids("validation") == tasks.ids("test")
    assert tasks.get("Shop-1") == SQLTask("Shop-1", "Shop", "Question 1?", "SELECT COUNT(*) FROM wines;", "easy")
    assert tasks.database("Shop-1").name == "Shop"


def test_tasks_with_an_empty_answer_are_left_out_unless_kept(files):
    tasks = load_tasks(*files)
    assert tasks.empty_gold == {"Shop-2", "Shop-5", "Shop-8", "Shop-11", "park-12"}
    assert not tasks.empty_gold & set(tasks.ids("test"))
    assert tasks.get("Shop-2").task_id == "Shop-2"  # still there, for those who ask for it
    kept = load_tasks(*files, keep_empty=True)
    assert len(kept.ids("test")) == 13
    assert kept.empty_gold == tasks.empty_gold


@pytest.fixture
def mills(tmp_path, rows, files):
    """Files with five more databases, of one to five tasks; those of Mill3 and Mill4 share a query."""
    for i in range(5):
        golds = [
            *(f"SELECT id + {i}{n} FROM mills" for n in range(i)),
            "SELECT id FROM mills" if i > 2 else f"SELECT {i}",
        ]
        rows += [{"db": f"Mill{i}", "gold": gold, "query": f"{gold}?", "hardness": "easy"} for gold in golds]
    rows[-1]["gold"] = "select  id FROM mills ;"
    files[0].write_text(json.dumps(rows))
    files[1].write_text(DUMP + MORE)
    return files


def test_folds_divide_the_file(mills):
    sizes = []
    for index in range(3):
        tasks = load_tasks(*mills, fold=(index, 3))
        parts = [set(tasks.ids(split)) for split in SPLITS]
        assert set.union(*parts) == set(load_tasks(*mills).ids("test"))
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert tasks.ids("validation") == load_tasks(*mills, fold=((index + 1) % 3, 3)).ids("test")
        assert_apart(tasks)
        sizes.append(len(tasks.ids("test")))
    assert sorted(sizes) == [6, 8, 9]  # Shop has 8, Mill3 and Mill4 9, Mill0 to Mill2 1 to 3


def assert_apart(tasks):
    """That no two splits have a database or a right query in common."""
    every = [[tasks.get(task_id) for task_id in tasks.ids(split)] for split in SPLITS]
    known = [
        {task.db.lower() for task in part} | {" ".join(task.gold.lower().split()).rstrip(" ;") for task in part}
        for part in every
    ]
    assert sum(map(len, known)) == len(set.union(*known))


def test_folds_do_not_hang_on_the_order_of_the_file(mills, rows):
    before = load_tasks(*mills, fold=(0, 4))
    dbs = {split: {before.get(task_id).db for task_id in before.ids(split)} for split in SPLITS}
    mills[0].write_text(json.dumps(rows[::-1]))
    after = load_tasks(*mills, fold=(0, 4))
    assert dbs == {split: {after.get(task_id).db for task_id in after.ids(split)} for split in SPLITS}


def test_more_folds_than_databases_are_refused(mills, files):
    assert len(load_tasks(*mills, fold=(4, 5)).ids("test")) == 1
    with pytest.raises(ConfigError, match="these 23 can be divided into 5 parts at most"):
        load_tasks(*mills, fold=(0, 6))
    assert load_tasks(*mills, fold=(0, 6), keep_empty=True)  # Park, whose only task has an empty answer, is a part too


def test_a_file_of_nothing_but_empty_answers_is_refused(files, rows):
    files[0].write_text(json.dumps(rows[-1:]))
    with pytest.raises(ConfigError, match="keep_empty=True"):
        load_tasks(*files)


def test_files_by_split(tmp_path, rows, files):
    (tmp_path / "test.jsonl").write_text(
        "\n".join(json.dumps({**row, "query": f"Other {i}?"}) for i, row in enumerate(rows))
    )
    tasks = load_tasks({"train": files[0], "test": tmp_path / "test.jsonl"}, files[1])
    assert tasks.ids("train")[0] == "train-Shop-0"
    assert tasks.ids("test")[0] == "test-Shop-0"
    assert tasks.get("test-Shop-0").query == "Other 0?"
    assert "test-Shop-2" in tasks.empty_gold
    with pytest.raises(UnknownTaskError, match="validation"):
        tasks.ids("validation")
    env = InterCodeSQLEnv(tasks={"test": tmp_path / "test.jsonl"}, databases=files[1])
    assert env.reset(seed=0)[1]["task_id"] in env.task_ids("test")
    (tmp_path / "same.json").write_text(json.dumps(rows[3:5]))
    with pytest.raises(DataError, match=r"'Question 3\?' on Shop"):
        load_tasks({"train": files[0], "test": tmp_path / "same.json"}, files[1])


def test_to_json_is_the_public_schema(files):
    tasks = load_tasks(*files)
    row = tasks.get("Shop-0").to_json(tasks.database("Shop-0"))
    assert row == {
        "db": "Shop",
        "gold": "SELECT title FROM wines",
        "query": "Question 0?",
        "hardness": "easy",
        "db_tables": {"wines": ["id", "title", "price"]},
    }
    assert SQLTask.from_json(row, 0) == tasks.get("Shop-0")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gold": 5}, r"record 2: gold is 5 \(int\)"),
        ({"query": "  "}, "record 2: query is '  '"),
        ({"db": "Shup"}, r"record 2: db is 'Shup'.*Did you mean 'shop'"),
        ({"gold": "SELECT nme FROM wines"}, "record 2: gold does not run on Shop: Unknown column 'nme'"),
        ({"gold": "DELETE FROM wines"}, "record 2: gold does not run on Shop: DELETE command denied"),
        ({"gold": "USE shop"}, "record 2: gold does not run on Shop: it is no query"),
        ({"hardness": None}, "record 2: hardness is None"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path, rows, files, change, says):
    rows[1] |= change
    files[0].write_text(json.dumps(rows))
    with pytest.raises(DataError, match=says) as caught:
        load_tasks(*files)
    assert str(files[0]) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('[{"db": "Shop"}]', r"record 1: 'query', 'gold', 'hardness' missing; its keys are \['db'\]"),
        ("[5]", r"record 1: is 5 \(int\); a task is a JSON object"),
        ("", "empty"),
        ("[]", "no record"),
        ('[{"db": "Shop", "gold": "SEL', "cut short"),
        ("-- SQL", "is not JSON"),
        ('["' + "x" * 5_000_000 + '"]', "4,000,000 bytes"),
    ],
)
def test_a_wrong_file_is_named(files, content, says):
    files[0].write_text(content)
    with pytest.raises(DataError, match=says) as caught:
        load_tasks(*files)
    assert str(files[0]) in str(caught.value)


def test_arguments(files, tmp_path):
    for call, error, says in (
        (lambda: load_tasks(tmp_path, files[1]), DataError, "folder"),
        (lambda: load_tasks(tmp_path / "no.json", files[1]), DataError, r"no\.json"),
        (lambda: load_tasks(files[0], tmp_path / "no.sql"), DataError, r"no\.sql"),
        (lambda: load_tasks(5, files[1]), ConfigError, "tasks is 5"),
        (lambda: load_tasks(files[0], 5), ConfigError, "databases is 5"),
        (lambda: load_tasks({}, files[1]), ConfigError, "mapping goes from split"),
        (lambda: load_tasks({"tests": files[0]}, files[1]), ConfigError, "Did you mean 'test'"),
        (lambda: load_tasks({"test": files[0]}, files[1], (0, 3)), ConfigError, "fold divides one file"),
        (lambda: load_tasks(*files, (3, 3)), ConfigError, "fold is"),
        (lambda: load_tasks(*files, (0, 40)), ConfigError, "left without a task"),
        (lambda: load_tasks(*files, keep_empty=1), ConfigError, "keep_empty is 1"),
        (lambda: InterCodeSQLEnv(tasks=files[0]), ConfigError, "Give both or neither"),
        (lambda: InterCodeSQLEnv(databases=files[1]), ConfigError, "Give both or neither"),
        (lambda: InterCodeSQLEnv(fold=(0, 3)), ConfigError, "built-in world"),
        (lambda: InterCodeSQLEnv(keep_empty=True), ConfigError, "built-in world"),
        (lambda: load_tasks(*files).get("Shop-99"), UnknownTaskError, "look like 'Shop-0'"),
        (lambda: load_tasks(*files).ids("tset"), UnknownTaskError, "Did you mean 'test'"),
    ):
        with pytest.raises(error, match=says):
            call()


def test_pickles_hold_paths_only_and_notice_changes(mills):
    files = mills
    tasks = load_tasks(*files, fold=(0, 3))
    assert copy.deepcopy(tasks) is tasks
    pickled = pickle.dumps(tasks)
    assert len(pickled) < 1_000
    assert pickle.loads(pickled) is tasks
    files[1].write_text(DUMP + MORE + "\n-- changed")
    with pytest.raises(DataError, match="had"):
        pickle.loads(pickled)
    files[1].unlink()
    with pytest.raises(DataError, match="absent"):
        pickle.loads(pickled)


@pytest.fixture(scope="module")
def public(shared_data):
    folder = shared_data / "intercode_sql"
    return load_tasks(folder / "ic_spider_dev_100_1033.json", folder / "ic_spider_dbs.sql", keep_empty=True)


def test_every_public_gold_query_earns_one(public):
    assert len(public.ids("test")) == 934
    for task_id in public.ids("test"):
        task, database = public.get(task_id), public.database(task_id)
        answer = execute(database, f"{task.gold} ")  # another text, so that it is run anew
        assert score(answer, execute(database, task.gold)) == 1.0, task


@pytest.mark.parametrize("count", [3, 5, 10])
def test_folds_of_the_public_tasks_share_no_database_and_no_query(shared_data, count):
    folder = shared_data / "intercode_sql"
    for i in range(count):
        tasks = load_tasks(folder / "ic_spider_dev_100_1033.json", folder / "ic_spider_dbs.sql", (i, count))
        assert_apart(tasks)
        assert 0.8 / count < len(tasks.ids("test")) / (934 - 73) < 1.3 / count


def test_public_tasks_with_an_empty_answer(public):
    assert len(public.empty_gold) == 73
    assert sum(task_id.startswith("wta_1-") for task_id in public.empty_gold) == 41  # its tables are empty in the dump


def test_public_tasks_are_played_to_the_end(shared_data):
    folder = shared_data / "intercode_sql"
    env = InterCodeSQLEnv(tasks=folder / "ic_spider_dev_100_1033.json", databases=folder / "ic_spider_dbs.sql")
    assert len(env.task_ids("test")) == 934 - 73
    for task_id in env.task_ids("test"):
        env.reset(options={"task_id": task_id})
        env.step(f"execute[{env.task(task_id).gold}]")
        assert env.step("submit")[:4] == ("STATUS: OK", 1.0, True, False)
