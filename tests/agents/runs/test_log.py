from __future__ import annotations

import re
import sys
import threading
import time

import pytest

from retro_gym_agents.runs import log as module
from retro_gym_agents.runs.log import RunLog, shown_progress


def lines(capsys):
    found = capsys.readouterr()
    assert found.out == ""  # standard output belongs to results
    return found.err.splitlines()


def test_each_stage_has_a_line_at_its_start_and_its_end(capsys):
    with shown_progress(interval=0.0) as progress:
        pass
    assert lines(capsys) == []
    with shown_progress(interval=0.001) as progress:
        time.sleep(0.02)
        for stage in ("trial 0", "oracle, trial 1"):
            for done in range(4):
                progress(stage, done, 3)
    said = [line.rpartition(",")[0] for line in lines(capsys)]
    for stage in ("trial 0", "oracle, trial 1"):
        assert f"{stage}: 0 of 3" in said
        assert f"{stage}: 3 of 3" in said


def test_a_stage_in_which_nothing_ends_is_told_of_now_and_then(capsys):
    with shown_progress(interval=0.02) as progress:
        progress("trial 0", 2, 100)
        time.sleep(0.3)
    said = lines(capsys)
    assert 3 <= len(said) <= 16
    assert all(re.fullmatch(r"trial 0: 2 of 100, 0:00 min", line) for line in said)


def test_what_is_over_at_once_says_nothing(capsys):
    with shown_progress() as progress:
        for done in range(4):
            progress("trial 0", done, 3)
    assert lines(capsys) == []


def test_the_lines_end_with_the_run(capsys):
    before = threading.active_count()

    def interrupted():
        with shown_progress(interval=0.01) as progress:
            progress("trial 0", 0, 3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert threading.active_count() == before
    lines(capsys)
    time.sleep(0.05)
    assert lines(capsys) == []


def test_a_terminal_has_a_bar_in_place_of_lines(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress(interval=0.001) as progress:
        progress("trial 0", 1, 3)
        time.sleep(0.02)
        progress("trial 0", 3, 3)
    assert "1 of 3" not in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "told"), [(1e9, [4, 5]), (0.0, [1, 2, 3, 4, 5])])
def test_long_updates_have_a_line_each(capsys, monkeypatch, tmp_path, seconds, told):
    monkeypatch.setattr(module, "_INTERVAL", seconds)
    log = RunLog(tmp_path, 5, [], every=4)
    for update in range(1, 6):
        log.add({"update": update, "reward": 0.5})
    log.close()
    assert lines(capsys) == [f"update {update}/5: reward 0.500" for update in told]
