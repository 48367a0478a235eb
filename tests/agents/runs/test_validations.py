"""The file of a run's validations."""

import pytest

from retro_gym.errors import RecordError
from retro_gym_agents.play.validation import Validation
from retro_gym_agents.runs.validations import ValidationLog, read_validations


class Says:
    """A reflector that says one thing."""

    def reflect(self, observations, *, greedy, seed):
        return ["Say blue."] * len(observations)


@pytest.fixture(scope="module")
def tried():
    validation = Validation("RetroIdentity-v0", {}, actor="scripted", num_tasks=6, seed=0)
    assert validation.tried == ()
    validation.success(Says())
    validation.close()
    return validation.tried


@pytest.fixture
def path(tmp_path, tried):
    log = ValidationLog(tmp_path / "run" / "validations.jsonl")
    for update in (0, 5, 10):
        log.add(update, tried)
    log.close()
    return tmp_path / "run" / "validations.jsonl"


def test_what_is_written_is_read(path, tried):
    found = list(read_validations(path))
    assert [one.update for one in found] == [0, 5, 10]
    assert found[0].tried == tried == found[2].tried
    assert len(tried) == 6
    assert [one.reward for one in tried] == [float(one.trial.success) for one in tried]
    assert path.read_text().count('"failures"') == 2  # one line, in which the word stands twice


def test_later_updates_are_cut(path, tried):
    whole = path.read_bytes()
    log = ValidationLog(path)
    log.cut(7)
    assert [one.update for one in read_validations(path)] == [0, 5]
    log.add(10, tried)
    log.close()
    assert path.read_bytes() == whole
    path.write_bytes(whole[:-30])  # the process was killed in the middle of a line
    log = ValidationLog(path)
    log.cut(10)
    log.add(10, tried)
    log.close()
    assert path.read_bytes() == whole


def test_a_file_that_is_not_there_needs_no_cut(tmp_path):
    ValidationLog(tmp_path / "none.jsonl").cut(3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line", ['{"kind": "other"}', '{"kind": "validation", "update": 1}', "[1]", '{"kind": "failures"}']
)
def test_other_lines_are_refused(path, line):
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecordError, match="line 5"):
        list(read_validations(path))
