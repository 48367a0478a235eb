"""Records as logs of Inspect."""

from __future__ import annotations

import json
import sys

import pytest

from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.records import load_run
from retro_gym_agents.cli import main
from retro_gym_agents.data.export import ExportConfig, export
from tests.agents.commands import refused

CONFIG = ExportConfig(format="inspect")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Trials of two policies, and several reflections on one failure."""
    folder = tmp_path_factory.mktemp("recorded")
    words = ["RetroHotpotQA-v0", "--num-tasks", "6", "--trials", "2"]
    evaluate = ["evaluate", *words, "--reflector", "none", "oracle", "--records", str(folder / "evaluated.jsonl")]
    assert main(evaluate) == 0
    collect = ["collect", "RetroIdentity-v0", "--reflector", "noisy", "--num-samples", "3", "--num-episodes", "4"]
    assert main([*collect, "--output", str(folder / "collected.jsonl")]) == 0
    return folder


@pytest.fixture(scope="module")
def logs(records, tmp_path_factory):
    inspect_log = pytest.importorskip("inspect_ai.log")
    folder = tmp_path_factory.mktemp("exported") / "logs"
    files = [records / "evaluated.jsonl", records / "collected.jsonl"]
    count = export(files, folder, CONFIG)
    read = [inspect_log.read_eval_log(str(path)) for path in sorted(folder.iterdir())]
    assert count == sum(len(log.samples) for log in read)
    return {log.eval.model: log for log in read}


@pytest.mark.slow
def test_a_log_holds_the_reflections_of_a_policy(records, logs):
    run = load_run(records / "evaluated.jsonl")
    assert set(logs) == {"none", "oracle", "noisy"}
    for policy in ("none", "oracle"):
        log, rows = logs[policy], [one for one in run.reflections.values() if one.policy == policy]
        assert log.status == "success"
        assert (log.eval.task, log.eval.metadata["seed"]) == ("RetroHotpotQA-v0", 0)
        assert sorted(sample.metadata["id"] for sample in log.samples) == sorted(row.id for row in rows)
        by_id = {row.id: row for row in rows}
        for sample in log.samples:
            row = by_id[sample.metadata["id"]]
            assert (sample.input, sample.output.completion) == (row.observation, row.reflection)
            assert (sample.scores["solved"].value, sample.scores["reward"].value) == ("CI"[not row.success], row.reward)
            assert run.after(row)[0].trajectory.render() in sample.messages[-1].text
        (solved, *_) = log.results.scores
        assert solved.metrics["accuracy"].value == sum(row.success for row in rows) / len(rows)
    assert logs["oracle"].results.scores[0].metrics["accuracy"].value == 1.0


@pytest.mark.slow
def test_reflections_on_one_failure_are_epochs(logs):
    log = logs["noisy"]
    assert log.eval.config.epochs == 3
    assert len({(sample.id, sample.epoch) for sample in log.samples}) == len(log.samples)


@pytest.mark.slow
def test_the_viewer_lists_them(logs, tmp_path_factory):
    inspect_log = pytest.importorskip("inspect_ai.log")
    folder = next(iter(logs.values())).location
    listed = inspect_log.list_eval_logs(folder.rpartition("/")[0])
    assert {info.task for info in listed} == {"RetroHotpotQA-v0", "RetroIdentity-v0"}


@pytest.mark.slow
def test_a_lost_reflection_is_a_sample_with_an_error(records, tmp_path):
    inspect_log = pytest.importorskip("inspect_ai.log")
    lines = [json.loads(line) for line in (records / "collected.jsonl").read_text().splitlines()]
    last = max(number for number, row in enumerate(lines) if row["kind"] == "reflection")
    row = {name: value for name, value in lines[last].items() if name not in ("reward", "return", "return_before")}
    del row["success"]
    lines[last] = {**row, "kind": "lost", "error": "no connection"}
    path = tmp_path / "lost.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[: last + 1]))
    export([path], tmp_path / "logs", CONFIG)
    (log,) = [inspect_log.read_eval_log(str(each)) for each in (tmp_path / "logs").iterdir()]
    assert [sample.error.message for sample in log.samples if sample.error is not None] == ["no connection"]
    assert log.results.completed_samples == len(log.samples) - 1


def test_without_inspect(records, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[inspect\]"):
        export([records / "collected.jsonl"], tmp_path / "logs", CONFIG)
    words = ["export", records / "collected.jsonl", "--format", "inspect", "--output", tmp_path / "logs"]
    assert "retro-gym[inspect]" in refused(capsys, *words)
    assert not (tmp_path / "logs").exists()


@pytest.mark.slow
def test_nothing_to_show(tmp_path):
    pytest.importorskip("inspect_ai.log")
    path = tmp_path / "none.jsonl"
    words = ["RetroIdentity-v0", "--reflector", "oracle", "--num-tasks", "2", "--trials", "0"]
    assert main(["evaluate", *words, "--records", str(path)]) == 0
    with pytest.raises(ConfigError, match="hold no reflection"):
        export([path], tmp_path / "logs", CONFIG)
