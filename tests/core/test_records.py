import copy
import json
import math
import pickle

import pytest

from retro_gym.errors import RecordError, RetroGymError
from retro_gym.records import SCHEMA, FailureBank, RecordWriter, read_records, trial_row
from retro_gym.trajectory import EndReason, Trajectory, Turn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "records.jsonl"


def trajectory(task_id="t-1", trial=0, end=EndReason.FAILED, **kwargs):
    return Trajectory(task_id, trial, "Task", (Turn("", "a", "b 反省 \ud800"),), 0.0, end == "solved", end, **kwargs)


def write(path, *trajectories, reflections=()):
    writer = RecordWriter(path)
    for each in trajectories:
        writer.append("trial", trial_row(each, reflections, episode=1, source="reset"))
    writer.close()


def numbers(path):
    return [row["n"] for row in read_records(path)]


# -- writing -------------------------------------------------------------------------------------------------------


def test_rows_come_back_in_order_each_flushed(path):
    writer = RecordWriter(path)
    for n in range(3):
        writer.append("trial", {"n": n})
        assert numbers(path) == list(range(n + 1))
    writer.append("reflection", {"n": 3, "reflection": "反省 🙂 \ud800\u2028"})
    assert next(read_records(path, "reflection")) == {
        "schema": SCHEMA,
        "kind": "reflection",
        "n": 3,
        "reflection": "反省 🙂 \ud800\u2028",
    }
    assert [row["n"] for row in read_records(path, "trial")] == [0, 1, 2]


def test_nothing_is_opened_before_the_first_row(path):
    RecordWriter(path).close()
    assert not path.parent.exists()


def test_a_writer_goes_on_after_close_and_appends_to_what_is_there(path):
    writer = RecordWriter(path)
    writer.append("trial", {"n": 0})
    writer.close()
    writer.append("trial", {"n": 1})
    RecordWriter(path).append("trial", {"n": 2})
    assert numbers(path) == [0, 1, 2]


def test_a_last_line_torn_at_any_byte_is_repaired(path):
    writer = RecordWriter(path)
    writer.append("trial", {"n": 0})
    first = writer.position
    writer.append("trial", {"n": 1, "text": '反省 \\ " \n'})
    writer.close()
    whole = path.read_bytes()
    for torn in range(first, len(whole)):
        path.write_bytes(whole[:torn])
        assert numbers(path) == [0]  # a reader passes over the torn line
        writer = RecordWriter(path)
        writer.append("trial", {"n": 2})
        writer.close()
        assert numbers(path) == [0, 2], torn


def test_a_torn_first_line_leaves_an_empty_file(path):
    path.parent.mkdir()
    path.write_bytes(b'{"schema": 1, "ki' + b"x" * 200_000)  # longer than one look back
    assert list(read_records(path)) == []
    assert RecordWriter(path).position == 0


def test_a_torn_line_longer_than_one_look_back(path):
    RecordWriter(path).append("trial", {"n": 0})
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    RecordWriter(path).append("trial", {"n": 1})
    assert numbers(path) == [0, 1]


def test_position_and_truncate_drop_what_a_resumed_run_would_write_again(path):
    writer = RecordWriter(path)
    assert writer.position == 0
    writer.append("trial", {"n": 0})
    checkpoint = writer.position
    assert checkpoint == path.stat().st_size
    writer.append("trial", {"n": 1})
    writer.close()
    resumed = RecordWriter(path)
    resumed.truncate(checkpoint)
    resumed.append("trial", {"n": 2})
    assert numbers(path) == [0, 2]


def test_a_file_shorter_than_the_checkpoint_is_another_file(path):
    writer = RecordWriter(path)
    writer.append("trial", {"n": 0})
    with pytest.raises(RecordError, match="is not the file of that run"):
        writer.truncate(10_000)
    assert numbers(path) == [0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda writer: pickle.loads(pickle.dumps(writer))])
def test_a_copy_writes_to_the_same_file(path, copied):
    writer = RecordWriter(path)
    writer.append("trial", {"n": 0})
    twin = copied(writer)
    twin.append("trial", {"n": 1})
    writer.append("trial", {"n": 2})
    assert numbers(path) == [0, 1, 2]


def test_an_unknown_kind_or_a_number_that_json_lacks_is_refused(path):
    writer = RecordWriter(path)
    with pytest.raises(RecordError, match="'trail' is not one of"):
        writer.append("trail", {})
    with pytest.raises(ValueError, match="JSON compliant"):
        writer.append("trial", {"n": math.nan})


def test_a_path_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(RecordError, match="Give a path that can be written"):
        RecordWriter(tmp_path).append("trial", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="Give a path that can be written"):
        RecordWriter(tmp_path / "file" / "records.jsonl").append("trial", {})


# -- reading -------------------------------------------------------------------------------------------------------

GOOD = json.dumps({"schema": SCHEMA, "kind": "trial"}).encode()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}", "is not a record of schema 1"),
        (b'{"schema": 2, "kind": "trial"}', "is not a record of schema 1"),
        (b'{"schema": 1, "kind": "other"}', "is not a record of schema 1"),
        (b'{"schema": 1, "kind": ["trial"]}', "is not a record of schema 1"),
        (b"[1]", "is not a record"),
        (b"null", "is not a record"),
        (b"", "not JSON"),
        (b'{"schema": 1, "kind": "tri', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\x00\x00", "not JSON"),
    ],
)
def test_a_line_that_is_no_record_is_named_by_file_and_number(path, line, said):
    path.parent.mkdir()
    path.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    with pytest.raises(RecordError, match=rf"records.jsonl, line 2: .*{said}"):
        list(read_records(path))


def test_a_file_that_cannot_be_opened_is_a_clear_error(tmp_path):
    for where in (tmp_path, tmp_path / "absent.jsonl"):
        with pytest.raises(RecordError, match="Give the path of a records file"):
            list(read_records(where))


# -- the failure bank ----------------------------------------------------------------------------------------------


def test_a_bank_holds_failed_first_trials_only(path):
    write(
        path,
        trajectory("a"),
        trajectory("b", end=EndReason.SOLVED),
        trajectory("c", trial=1),
        trajectory("d", end=EndReason.ACTOR_ERROR, error="down"),
        trajectory("e", end=EndReason.OUT_OF_TURNS),
        trajectory("a", end=EndReason.OUT_OF_TURNS),
        trajectory("a"),  # the same failure once more
    )
    write(path, trajectory("f"), reflections=["helped"])
    bank = FailureBank(path)
    assert bank.task_ids == ["a", "e"]
    assert len(bank) == 3
    assert bank.failures("a") == [trajectory("a"), trajectory("a", end=EndReason.OUT_OF_TURNS)]
    assert bank.failures("zzz") == []


def test_a_bank_is_shared_by_copies_and_pickles(path):
    write(path, trajectory("a"))
    bank = FailureBank(path)
    bank.failures("a").clear()
    assert copy.deepcopy(bank) is bank
    assert pickle.loads(pickle.dumps(bank)).failures("a") == bank.failures("a") == [trajectory("a")]


def test_a_bank_of_failures_at_hand():
    bank = FailureBank.of([trajectory("a"), trajectory("a"), trajectory("b", end=EndReason.OUT_OF_TURNS)])
    assert bank.task_ids == ["a", "b"]
    assert len(bank) == 2
    for other in (trajectory("a", end=EndReason.SOLVED), trajectory("a", end=EndReason.BUDGET), trajectory(trial=1)):
        with pytest.raises(RecordError, match="is no failed first trial"):
            FailureBank.of([other])


def test_a_bank_without_a_failure_is_refused(path):
    write(path, trajectory("a", end=EndReason.SOLVED))
    with pytest.raises(RecordError, match="no failed first trial"):
        FailureBank(path)


def test_a_bank_with_a_damaged_row_is_refused(path):
    RecordWriter(path).append("trial", {"trial": 0, "task_id": "a"})
    with pytest.raises(RetroGymError, match="not a trajectory"):
        FailureBank(path)
