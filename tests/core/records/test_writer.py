"""Appending rows: ids, headers, torn lines, copies, files that are cut or put together."""

import copy
import dataclasses
import json
import math
import multiprocessing
import pickle

import pytest

from retro_gym.errors import RecordError
from retro_gym.jsonl import JsonLines
from retro_gym.prompts import TaskPrompt
from retro_gym.records import GenerationRecord, RecordWriter, RunHeader, load_run, read_records


def trials(path):
    return [row["trial"] for row in read_records(path, "trial")]


def kinds(path):
    return [row["kind"] for row in read_records(path)]


def test_rows_come_back_in_order_each_flushed(path, run, row):
    writer = RecordWriter(path)
    for n in range(3):
        assert writer.append(row(n), run) == f"{run.id}-{n + 2}"
        assert trials(path) == list(range(n + 1))
    assert kinds(path) == ["header", "trial", "trial", "trial"]
    assert [each["id"] for each in read_records(path, "trial")] == [f"{run.id}-{n}" for n in (2, 3, 4)]
    assert next(read_records(path, "header"))["policy"] == "test"


def test_nothing_is_opened_before_the_first_row(path):
    RecordWriter(path).close()
    assert not path.parent.exists()


def test_a_writer_goes_on_after_close_and_another_one_with_the_same_run(path, run, row):
    writer = RecordWriter(path)
    writer.append(row(0), run)
    writer.close()
    writer.append(row(1), run)
    RecordWriter(path).append(row(2), run)
    assert trials(path) == [0, 1, 2]
    assert kinds(path) == ["header", "trial", "trial", "trial"]
    assert len(load_run(path).trials) == 3


def test_another_run_that_appends_writes_a_header_of_its_own(path, run, row):
    other = dataclasses.replace(run, seed=7).identified()
    first, second = RecordWriter(path), RecordWriter(path)
    first.append(row(0), run)
    second.append(row(1), other)
    first.append(row(2), run)  # interleaved: the ids say whose a row is
    assert kinds(path) == ["header", "trial", "header", "trial", "trial"]
    loaded = load_run(path)
    assert [loaded.header(trial).seed for trial in loaded.trials.values()] == [-1, 7, -1]
    assert list(loaded.headers) == [run.id, other.id]


def test_runs_of_the_same_settings_have_the_same_id():
    run = RunHeader(policy="a", seed=1)
    assert run.identified() == run.identified().identified()
    assert run.identified().id == RunHeader(policy="a", seed=1).identified().id != RunHeader(seed=1).identified().id


def test_a_prompt_is_written_once_in_a_file(path, run):
    prompt, other = TaskPrompt("Answer.", ("one", "two")), TaskPrompt("Answer.", ("one \ud800",))
    writer = RecordWriter(path)
    first = writer.append_prompt(prompt, run)
    assert writer.append_prompt(TaskPrompt("Answer.", ("one", "two")), run) == first
    second = writer.append_prompt(other, run)
    again = RecordWriter(path)
    assert [again.append_prompt(each, run) for each in (prompt, other)] == [first, second]
    assert [row["examples"] for row in read_records(path, "prompt")] == [["one", "two"], ["one \ufffd"]]


def test_a_last_line_torn_at_any_byte_is_repaired(path, run, row):
    writer = RecordWriter(path)
    writer.append(row(0), run)
    first = writer.position
    writer.append(row(1, text='反省 \\ " \n'), run)
    writer.close()
    whole = path.read_bytes()
    for torn in range(first, len(whole)):
        path.write_bytes(whole[:torn])
        assert trials(path) == [0]  # a reader passes over the torn line
        writer = RecordWriter(path)
        assert writer.append(row(2), run) == f"{run.id}-3"
        writer.close()
        assert trials(path) == [0, 2], torn


def test_a_torn_first_line_leaves_an_empty_file(path):
    path.parent.mkdir()
    path.write_bytes(b'{"schema": 2, "ki' + b"x" * 200_000)  # longer than one look back
    assert list(read_records(path)) == []
    assert RecordWriter(path).position == 0


def test_a_torn_line_longer_than_one_look_back(path, run, row):
    RecordWriter(path).append(row(0), run)
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    RecordWriter(path).append(row(1), run)
    assert trials(path) == [0, 1]


def test_position_and_truncate_drop_what_a_resumed_run_would_write_again(path, run, row):
    writer = RecordWriter(path)
    assert writer.position == 0
    writer.append_prompt(TaskPrompt("kept"), run)
    writer.append(row(0), run)
    checkpoint = writer.position
    assert checkpoint == path.stat().st_size
    kept = path.read_bytes()
    writer.append_prompt(TaskPrompt("dropped"), run)
    writer.append(row(1), run)
    writer.close()
    whole = path.read_bytes()
    for resumed in (RecordWriter(path), writer):
        resumed.truncate(checkpoint)
        assert path.read_bytes() == kept
        resumed.append_prompt(TaskPrompt("kept"), run)
        resumed.append_prompt(TaskPrompt("dropped"), run)
        resumed.append(row(1), run)
        assert path.read_bytes() == whole  # as if nothing had happened
    writer.truncate(0)
    writer.append(row(1), run)
    assert kinds(path) == ["header", "trial"]


def test_a_file_shorter_than_the_checkpoint_is_another_file(path, run, row):
    writer = RecordWriter(path)
    writer.append(row(0), run)
    with pytest.raises(RecordError, match="is not the file of that run"):
        writer.truncate(100_000)
    assert trials(path) == [0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda writer: pickle.loads(pickle.dumps(writer))])
def test_a_copy_writes_to_the_same_file(path, run, row, copied):
    writer = RecordWriter(path, RunHeader(seed=3))
    ids = [writer.append(row(0), run)]
    twin = copied(writer)
    assert twin.header == writer.header
    ids += [twin.append(row(1), run), writer.append(row(2), run), twin.append(row(3), run)]
    assert trials(path) == [0, 1, 2, 3]
    assert kinds(path).count("header") == 1
    assert [each["id"] for each in read_records(path, "trial")] == ids


def _write_many(path, run, rows):
    writer = RecordWriter(path)
    for row in rows:
        writer.append(row, run)


def test_processes_that_share_a_file_give_no_id_twice(path, run, row):
    context = multiprocessing.get_context("spawn")
    rows = [row(n, text="x" * 20_000) for n in range(40)]
    processes = [context.Process(target=_write_many, args=(path, run, rows)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(load_run(path).trials) == 80
    assert kinds(path).count("header") == 1


def test_files_of_several_runs_can_be_put_together(tmp_path, run, row):
    runs = [dataclasses.replace(run, seed=seed).identified() for seed in range(3)]
    for number, each in enumerate(runs):
        writer = RecordWriter(tmp_path / f"{number}.jsonl")
        prompt = writer.append_prompt(TaskPrompt("Answer."), each)
        writer.append(dataclasses.replace(row(number), prompt=prompt), each)
    both = tmp_path / "both.jsonl"
    both.write_bytes(b"".join((tmp_path / f"{number}.jsonl").read_bytes() for number in range(3)))
    RecordWriter(both).append(row(7), runs[1])
    loaded = load_run(both)
    assert [(trial.trial, loaded.header(trial).seed) for trial in loaded.trials.values()] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (7, 1),
    ]
    assert len(loaded.prompts) == 3
    both.write_bytes(2 * (tmp_path / "0.jsonl").read_bytes())
    with pytest.raises(RecordError, match=r"line 4: the id .* occurs twice"):
        load_run(both)


def test_half_a_surrogate_pair_is_replaced_since_many_readers_refuse_it(path, run, row):
    RecordWriter(path).append(row(0, text="🙂 \ud83d \\ud83d \u2028 反"), run)
    (trial,) = read_records(path, "trial")
    assert trial["turns"][0]["observation"] == "🙂 \ufffd \\ud83d \u2028 反"
    assert path.read_text(encoding="ascii").count("\n") == len(path.read_text().splitlines()) == 2


def test_a_number_that_json_lacks_is_refused(path, run, row):
    writer = RecordWriter(path)
    with pytest.raises(RecordError, match=r"records.jsonl: a row of kind 'trial' .* not finite"):
        writer.append(dataclasses.replace(row(0), return_=math.nan), run)
    assert not path.exists()
    writer.append(row(1), run)
    assert [trial.id for trial in load_run(path).trials.values()] == [f"{run.id}-2"]


def test_a_log_probability_that_is_no_number_is_refused(path, run):
    row = GenerationRecord(of=run.id, turn=-1, model="m", token_ids=(1,), logprobs=(-math.inf,), temperature=1.0)
    with pytest.raises(RecordError, match=r"a row of kind 'generation' .* is not finite"):
        RecordWriter(path).append(row, run)


def test_whole_numbers_stay_whole_and_others_do_not(path, run, row):
    RecordWriter(path).append(dataclasses.replace(row(0), return_=1), run)
    line = path.read_text().splitlines()[1]
    assert '"return": 1.0' in line
    assert '"episode": 1,' in line
    assert "null" not in path.read_text()


def test_a_path_that_cannot_be_written_is_a_clear_error(tmp_path, run, row):
    for path in (tmp_path, ""):
        with pytest.raises(RecordError, match=r"is empty or a folder\. Give the path of a file"):
            RecordWriter(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="Give a path that can be written"):
        RecordWriter(tmp_path / "file" / "records.jsonl").append(row(0), run)


@pytest.mark.parametrize("first", ["{}", "no JSON", "[1]", json.dumps({"cassette": 1, "parameters": {}})])
def test_a_file_of_another_kind_is_not_appended_to(path, run, row, first):
    JsonLines(path).write({})
    path.write_text(first + "\n")
    with pytest.raises(RecordError, match=r"begins with .*: it is a file of another kind"):
        RecordWriter(path).append(row(0), run)
    assert path.read_text() == first + "\n"


def test_a_file_of_the_last_schema_is_appended_to(path, run, row, trajectory):
    path.parent.mkdir()
    old = {"schema": 1, "kind": "trial", "episode": 1, "source": "reset", "reflections": []}
    path.write_text(json.dumps(old | trajectory().to_json()) + "\n")
    assert RecordWriter(path).append(row(1), run) == f"{run.id}-3"
    assert kinds(path) == ["trial", "header", "trial"]
    assert trials(path) == [0, 1]
