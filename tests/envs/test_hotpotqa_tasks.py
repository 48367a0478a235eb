"""The schema at the door, splits, folds, sharing and pickling of task sets."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from retro_gym.errors import ConfigError, DataError, UnknownTaskError
from retro_gym_envs.hotpotqa.tasks import HotpotTask, load_tasks
from retro_gym_envs.hotpotqa.world import BuiltinTasks
from retro_gym_envs.task_sources import SPLITS


def test_json_and_back(hotpot_rows):
    task = HotpotTask.from_json(hotpot_rows[1])
    assert task.to_json() == hotpot_rows[1]
    assert HotpotTask.from_json(task.to_json() | {"extra": 1}) == task
    assert hash(HotpotTask.from_json(task.to_json())) == hash(task)
    assert copy.deepcopy(task) is task


def test_real_tasks_pass_the_door(shared_data):
    path = shared_data / "hotpotqa" / "dev_distractor_60.json"
    tasks = load_tasks(path)
    rows = json.loads(path.read_text())
    assert [tasks.get(task_id).to_json() for task_id in tasks.ids("test")] == rows


DELETED = object()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": DELETED}, "'answer' is missing. .*hidden-test"),
        ({"answer": DELETED, "supporting_facts": DELETED, "type": DELETED, "level": DELETED}, "hidden-test"),
        ({"type": DELETED}, r"'type' missing; its keys are \['_id'"),
        ({"_id": DELETED, "id": "x"}, "'_id' missing; .*'id'"),
        ({"_id": 7}, r"_id is 7 \(int\); it must be a text"),
        ({"question": " "}, "question is ' '"),
        ({"answer": ""}, "answer is ''"),
        ({"answer": None}, "answer is None"),
        ({"level": ["hard"]}, r"level is \['hard'\] \(list\)"),
        ({"context": []}, r"context is \[\]"),
        ({"context": {"title": ["A"], "sentences": [["B"]]}}, "context is .*dict.*hub"),
        ({"context": [["A"]]}, r"context\[0\] is \['A'\]"),
        ({"context": [["A", "text"]]}, r"context\[0\]"),
        ({"context": [["A", ["x", 3]]]}, r"context\[0\]"),
        ({"context": [["A", ["x"]], [None, ["x"]]]}, r"context\[1\]"),
        ({"context": [["A", []], ["B", [" "]]]}, "with text in them"),
        ({"supporting_facts": []}, r"supporting_facts is \[\]"),
        ({"supporting_facts": {"title": ["Sarn"], "sent_id": [0]}}, "supporting_facts is .*dict"),
        ({"supporting_facts": [["Sarn", 0], ["Sarm", 0]]}, r"supporting_facts\[1\] names 'Sarm'.*Did you mean 'Sarn'"),
        ({"supporting_facts": [["Sarn", -1]]}, r"supporting_facts\[0\] is \['Sarn', -1\]"),
        ({"supporting_facts": [["Sarn", 1.0]]}, r"supporting_facts\[0\]"),
        ({"supporting_facts": [["Sarn", True]]}, r"supporting_facts\[0\]"),
        ({"supporting_facts": [["Sarn", "0"]]}, r"supporting_facts\[0\]"),
        ({"supporting_facts": ["Sarn"]}, r"supporting_facts\[0\]"),
        ({"answer": ["x"] * 100_000}, "answer is"),
    ],
)
@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_bad_record_is_named(tmp_path, hotpot_rows, change, says, form):
    hotpot_rows[4] = {key: value for key, value in {**hotpot_rows[4], **change}.items() if value is not DELETED}
    path = tmp_path / f"bad.{form}"
    path.write_text(json.dumps(hotpot_rows) if form == "array" else "\n".join(map(json.dumps, hotpot_rows)))
    with pytest.raises(DataError, match=rf"record 5: .*{says}") as caught:
        load_tasks(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("row", [None, 3, "text", [1], {"data": []}, json.loads("[" * 500 + "]" * 500)])
def test_a_record_that_is_no_task(row):
    with pytest.raises(DataError, match="here: ") as caught:
        HotpotTask.from_json(row, "here")
    assert "supporting_facts" in str(caught.value)


def test_a_sentence_index_behind_the_last_sentence_is_tolerated(hotpot_rows):
    hotpot_rows[0]["supporting_facts"] = [["Sarn", 99]]
    assert HotpotTask.from_json(hotpot_rows[0]).supporting_facts == (("Sarn", 99),)


def test_duplicate_ids(tmp_path, hotpot_rows):
    hotpot_rows[5]["_id"] = "q2"
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(hotpot_rows))
    with pytest.raises(DataError, match="record 6: _id 'q2' is that of record 3"):
        load_tasks(path)


def test_jsonl_gives_the_same_tasks(tmp_path, hotpot_rows, hotpot_file):
    lines = tmp_path / "hotpot.jsonl"
    lines.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, hotpot_rows)).encode())
    one, other = load_tasks(hotpot_file), load_tasks(lines)
    assert one.ids("test") == other.ids("test")
    assert all(one.get(task_id) == other.get(task_id) for task_id in one.ids("test"))


def test_one_file_is_every_split(hotpot_file):
    tasks = load_tasks(hotpot_file)
    assert [len(tasks.ids(split)) for split in SPLITS] == [12, 12, 12]
    assert len(tasks) == 12
    assert tasks.task_split("q3") == "train"
    with pytest.raises(UnknownTaskError, match="Did you mean 'test'"):
        tasks.ids("tests")
    with pytest.raises(UnknownTaskError, match=r"look like 'q0'"):
        tasks.get("q99")


def test_files_by_split(tmp_path, hotpot_rows):
    train, test = tmp_path / "train.json", tmp_path / "test.json"
    train.write_text(json.dumps(hotpot_rows[:8]))
    test.write_text(json.dumps(hotpot_rows[8:]))
    tasks = load_tasks({"test": test, "train": train})
    assert len(tasks.ids("train")) == 8
    assert tasks.ids("test") == ("q8", "q9", "q10", "q11")
    assert tasks.task_split("q9") == "test"
    assert len(tasks.store("q9")) == 9  # the test file's own pages: two for each of 4 tasks, and Sarn
    with pytest.raises(UnknownTaskError, match="'validation'"):
        tasks.ids("validation")
    test.write_text(json.dumps(hotpot_rows[7:]))
    with pytest.raises(DataError, match=r"'q7' is in both .*train\.json.*test\.json"):
        load_tasks({"train": train, "test": test})


def test_folds_divide_a_file(hotpot_file):
    for i in range(3):
        tasks = load_tasks(hotpot_file, fold=(i, 3))
        parts = [set(tasks.ids(split)) for split in SPLITS]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 12
        assert tasks.ids("validation") == load_tasks(hotpot_file, fold=((i + 1) % 3, 3)).ids("test")
        assert all(tasks.task_split(task_id) == "test" for task_id in parts[2])
        assert len(tasks.store("q0")) == 25  # whatever the fold, Search looks in the whole file
    tested = [task_id for i in range(3) for task_id in load_tasks(hotpot_file, fold=(i, 3)).ids("test")]
    assert sorted(tested) == sorted(f"q{i}" for i in range(12))


def test_folds_do_not_hang_on_the_order_of_the_file(tmp_path, hotpot_rows, hotpot_file):
    turned = tmp_path / "turned.json"
    hotpot_rows[3]["question"] = hotpot_rows[8]["question"]
    hotpot_file.write_text(json.dumps(hotpot_rows))
    turned.write_text(json.dumps(hotpot_rows[::-1]))
    one, other = load_tasks(turned, (0, 3)), load_tasks(hotpot_file, (0, 3))
    assert all(one.task_split(task_id) == other.task_split(task_id) for task_id in (f"q{i}" for i in range(12)))


def test_tasks_that_give_one_another_away_are_in_one_fold(hotpot_rows, hotpot_file):
    def share(row, title):
        row["context"].append([title, ["A page."]])
        row["supporting_facts"].append([title, 0])

    for row in hotpot_rows[:2]:
        share(row, "Velmora")
    for row, title in zip(hotpot_rows[1:3], ("Sarn Mill", "sarn  mill"), strict=True):
        share(row, title)
    hotpot_rows[4]["question"], hotpot_rows[5]["question"] = "Who built the mill?", "who built  mill"
    hotpot_file.write_text(json.dumps(hotpot_rows))
    for i in range(4):
        tasks = load_tasks(hotpot_file, (i, 4))
        assert len({tasks.task_split(f"q{n}") for n in (0, 1, 2)}) == 1
        assert tasks.task_split("q4") == tasks.task_split("q5")
        assert len(tasks.ids("test")) == 3  # 12 tasks in groups of 3, 2 and seven of 1
    for row in hotpot_rows[3:9]:
        share(row, "Velmora")
    hotpot_file.write_text(json.dumps(hotpot_rows))
    assert sorted(len(load_tasks(hotpot_file, (i, 4)).ids("test")) for i in range(4)) == [1, 1, 1, 9]
    with pytest.raises(ConfigError, match="these 12 can be divided into 4 parts at most"):
        load_tasks(hotpot_file, (0, 5))


def test_folds_of_generated_tasks_share_no_page(tmp_path):
    world = BuiltinTasks(0)
    rows = [world.get(task_id).to_json() for task_id in world.ids("test")[:60]]
    rows += [{**row, "_id": f"again-{row['_id']}"} for row in rows[:20]]
    path = tmp_path / "generated.json"
    path.write_text(json.dumps(rows))
    for i in range(5):
        tasks = load_tasks(path, (i, 5))
        assert_apart(tasks)
        assert len(tasks.ids("test")) == 16


def test_folds_of_the_public_tasks_share_no_page(shared_data):
    for i in range(7):
        tasks = load_tasks(shared_data / "hotpotqa" / "dev_distractor_60.json", (i, 7))
        assert_apart(tasks)
        assert len(tasks.ids("test")) in (8, 9)


def assert_apart(tasks):
    """That no two splits have a question or a title of a supporting page in common."""
    known = []
    for split in SPLITS:
        every = [tasks.get(task_id) for task_id in tasks.ids(split)]
        known.append({each.question for each in every} | {t for each in every for t, _ in each.supporting_facts})
    assert sum(map(len, known)) == len(set.union(*known))


@pytest.mark.parametrize("fold", [(0, 2), (3, 3), (-1, 3), (0,), 3, "0/3", (0.0, 3)])
def test_bad_folds(hotpot_file, fold):
    with pytest.raises(ConfigError, match="fold is"):
        load_tasks(hotpot_file, fold)


def test_arguments(hotpot_file):
    assert load_tasks(str(hotpot_file), json.loads("[0, 3]")) is load_tasks(hotpot_file, (0, 3))
    with pytest.raises(ConfigError, match="without a task"):
        load_tasks(hotpot_file, (0, 500))
    with pytest.raises(ConfigError, match="mapping"):
        load_tasks({"train": hotpot_file}, (0, 3))
    with pytest.raises(ConfigError, match="Did you mean 'validation'"):
        load_tasks({"valid": hotpot_file})
    with pytest.raises(ConfigError, match="keys \\[\\]"):
        load_tasks({})


@pytest.mark.parametrize("wrong", [3, None, ["a.json"], {"train": ["a.json"]}, b"a.json"])
def test_what_is_not_a_path(wrong):
    with pytest.raises(ConfigError, match="give a path"):
        load_tasks(wrong)


def test_a_file_is_read_once_until_it_changes(hotpot_file, hotpot_rows):
    first = load_tasks(hotpot_file)
    assert load_tasks(hotpot_file) is first
    assert load_tasks(hotpot_file, (0, 3)).get("q1") is first.get("q1")
    assert copy.deepcopy(first) is first
    hotpot_file.write_text(json.dumps(hotpot_rows[:6]))
    assert len(load_tasks(hotpot_file)) == 6
    assert len(first) == 12


@pytest.mark.parametrize("fold", [None, (1, 3)])
def test_a_pickle_holds_the_path(hotpot_file, hotpot_rows, fold, monkeypatch, tmp_path):
    tasks = load_tasks(hotpot_file, fold)
    pickled = pickle.dumps(tasks)
    assert len(pickled) < 1_000
    monkeypatch.chdir(tmp_path.parent)
    assert pickle.loads(pickled) is tasks
    hotpot_file.write_text(json.dumps(hotpot_rows[:11]))
    with pytest.raises(DataError, match=r"bytes; it had \d+ when the environment was pickled"):
        pickle.loads(pickled)
    hotpot_file.unlink()
    with pytest.raises(DataError, match=r"a pickled environment needs its task file: .*No such file"):
        pickle.loads(pickled)
