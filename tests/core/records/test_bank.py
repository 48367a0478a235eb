"""The failure bank."""

import copy
import dataclasses
import json
import pickle

import pytest

from retro_gym.errors import RecordError, RetroGymError
from retro_gym.records import FailureBank, RecordWriter, TrialRecord
from retro_gym.trajectory import EndReason


@pytest.fixture
def write(path, run):
    def write(*trajectories, reflections=()):
        writer = RecordWriter(path)
        for each in trajectories:
            writer.append(TrialRecord.of(each, reflections, episode=1, source="reset"), run)
        writer.close()

    return write


def test_a_bank_holds_failed_first_trials_only(path, write, trajectory):
    write(
        trajectory("a"),
        trajectory("b", end=EndReason.SOLVED),
        trajectory("c", trial=1),
        trajectory("d", end=EndReason.ACTOR_ERROR, error="down"),
        trajectory("e", end=EndReason.OUT_OF_TURNS),
        trajectory("a", end=EndReason.OUT_OF_TURNS),
        trajectory("a"),  # the same failure once more
    )
    write(trajectory("f"), reflections=("helped",))
    bank = FailureBank(path)
    assert bank.task_ids == ["a", "e"]
    assert len(bank) == 3
    assert bank.failures("a") == [trajectory("a"), trajectory("a", end=EndReason.OUT_OF_TURNS)]
    assert bank.failures("zzz") == []


def test_a_bank_of_the_last_schema(path, write, trajectory):
    path.parent.mkdir()
    old = {"schema": 1, "kind": "trial", "episode": 1, "source": "reset", "reflections": []}
    rows = [trajectory("a"), trajectory("b", end=EndReason.PROMPT_TOO_LONG, error="too long")]
    path.write_text("".join(json.dumps(old | each.to_json()) + "\n" for each in rows))
    write(trajectory("c"))
    assert [FailureBank(path).failures(name) for name in "abc"] == [[rows[0]], [rows[1]], [trajectory("c")]]


def test_a_bank_is_shared_by_copies_and_pickles(path, write, trajectory):
    write(trajectory("a"))
    bank = FailureBank(path)
    bank.failures("a").clear()
    assert copy.deepcopy(bank) is bank
    assert pickle.loads(pickle.dumps(bank)).failures("a") == bank.failures("a") == [trajectory("a")]


def test_a_bank_of_failures_at_hand(trajectory):
    bank = FailureBank.of([trajectory("a"), trajectory("a"), trajectory("b", end=EndReason.OUT_OF_TURNS)])
    assert bank.task_ids == ["a", "b"]
    assert len(bank) == 2
    for other in (trajectory("a", end=EndReason.SOLVED), trajectory("a", end=EndReason.BUDGET), trajectory(trial=1)):
        with pytest.raises(RecordError, match="is no failed first trial"):
            FailureBank.of([other])


def test_a_bank_without_a_failure_is_refused(path, write, trajectory):
    write(trajectory("a", end=EndReason.SOLVED))
    with pytest.raises(RecordError, match="no failed first trial"):
        FailureBank(path)


def test_a_bank_with_a_damaged_row_is_refused(path, write, trajectory):
    write(trajectory("a"))
    header, line = path.read_text().splitlines()
    for column in ("task_id", "turns", "return", "end"):
        row = json.loads(line)
        del row[column]
        path.write_text(f"{header}\n{json.dumps(row)}\n")
        with pytest.raises(RetroGymError, match="not a trajectory"):
            FailureBank(path)
    path.write_text(json.dumps({"schema": 1, "kind": "trial", "trial": 0, "task_id": "a"}) + "\n")
    with pytest.raises(RetroGymError, match="not a trajectory"):
        FailureBank(path)


def test_what_a_trial_row_holds_comes_back(trajectory):
    for each in (trajectory(), trajectory(trial=2, end=EndReason.ACTOR_ERROR, error="down", prompt_tokens=3)):
        record = TrialRecord.of(each, ("r",), episode=1)
        assert record.trajectory == each
        assert record.void == each.end.void
        assert dataclasses.replace(record, id="x").trajectory == each
