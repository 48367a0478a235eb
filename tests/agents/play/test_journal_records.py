"""The journal beside records: what an evaluation that goes on writes to them, and the header that both have."""

import json

import pytest

from retro_gym import Generation, Reflection
from retro_gym.errors import RecordError
from retro_gym.records import load_run, read_records
from retro_gym_agents.play.journal import Journal
from tests.agents.play.test_journal import ENV, POLICIES, Stopping, play
from tests.core.untied import untied


def test_records_hold_no_trial_twice(tmp_path):
    journal, records = tmp_path / "journal.jsonl", tmp_path / "records.jsonl"
    whole = tmp_path / "whole.jsonl"
    play(Stopping(), env_kwargs={"records": whole})
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(14), journal, env_kwargs={"records": records})
    play(Stopping(), journal, resume=True, env_kwargs={"records": records})
    assert untied(records) == untied(whole)
    assert {row["source"] for row in read_records(records, "trial")} == {"reset", "step"}


def test_records_in_another_file_get_the_trials_that_the_journal_holds(tmp_path):
    journal, records = tmp_path / "journal.jsonl", tmp_path / "records.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(14), journal, env_kwargs={"records": tmp_path / "first.jsonl"})
    play(Stopping(), journal, resume=True, env_kwargs={"records": records})
    run = load_run(records)
    assert run.reflections
    assert {run.before(each).source for each in run.reflections.values()} == {"bank", "step"}


def test_the_first_line_tells_of_the_run(tmp_path):
    journal = tmp_path / "journal.jsonl"
    result = json.loads(play(Stopping(), journal))
    header = json.loads(journal.read_text().splitlines()[0])
    assert header["run"] == result["header"]
    assert (header["schema"], header["run"]["env_id"], header["run"]["policy"]) == (4, ENV, ", ".join(POLICIES))


def test_a_journal_of_an_older_schema_is_refused(tmp_path):
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal)
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    rows[0]["schema"] = 3
    journal.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(RecordError, match=r"line 1: .*of schema 4 \(schema 3\). Delete the file"):
        play(Stopping(), journal, resume=True)


def test_tokens_of_reflections_outlive_the_process(tmp_path):
    path, generation = tmp_path / "journal.jsonl", Generation("tiny", (5, 2), (-0.5, -0.25))
    first = Journal(path, {}, {}, resume=False)
    texts = {("a", 3): Reflection("Look.", generation=generation), ("a", 4): "Plain."}
    first.add_reflections("tiny", 1, texts, (1, 2))
    first._let_go()
    with Journal(path, {}, {}, resume=True) as second:
        texts = second.reflections("tiny", 1)
    assert dict(texts) == {("a", 3): "Look.", ("a", 4): "Plain."}
    assert [getattr(text, "generation", None) for text in texts.values()] == [generation, None]
