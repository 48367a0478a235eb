"""Rows to write and runs to record."""

import pytest

from retro_gym.records import RunHeader, TrialRecord
from retro_gym.trajectory import EndReason, Trajectory, Turn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "records.jsonl"


@pytest.fixture
def run():
    return RunHeader(policy="test").identified()


@pytest.fixture
def trajectory():
    def make(task_id="t-1", trial=0, end=EndReason.FAILED, text="b 反省", **kwargs):
        return Trajectory(task_id, trial, "Task", (Turn("", "a", text),), 0.0, end == "solved", end, **kwargs)

    return make


@pytest.fixture
def row(trajectory):
    """A trial of some number."""
    return lambda trial, **kwargs: TrialRecord.of(trajectory(trial=trial, **kwargs), (), episode=1, source="reset")
