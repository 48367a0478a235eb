from __future__ import annotations

import json
import sys

import pytest

from retro_gym.actors import Reply
from retro_gym.records import FailureBank, load_run, read_records
from tests.agents.commands import refused, run

ENV = "RetroIdentity-v0"


# -- evaluate ----------------------------------------------------------------------------------------------------------


def test_evaluate_in_its_fixed_form(capsys, tmp_path):
    file = tmp_path / "new" / "result.json"
    words = ["--split", "test", "--num-tasks", 10, "--trials", 2, "--seed", 3, "--json", file]
    code, out, _ = run(capsys, "evaluate", ENV, "--reflector", "oracle", *words)
    assert code == 0
    assert "oracle" in out
    result = json.loads(file.read_text())
    assert result["env_id"] == ENV
    none, row = result["policies"]
    assert (none["reflector"], none["success_at_trial"]) == ("none", [0.0, 0.0, 0.0])  # was not asked for
    assert "oracle − none" in out
    assert row["reflector"] == "oracle"
    assert (result["num_tasks"], result["seed"], result["split"]) == (10, 3, "test")
    assert row["success_at_trial"] == [0.0, 1.0, 1.0]
    assert row["ci95"] == [[0.0, 0.277533], [0.722467, 1.0], [0.722467, 1.0]]
    assert (row["actor_calls"], row["actor_errors"]) == (20, 0)
    assert row["reflector_tokens"] is None
    before = file.read_bytes()
    assert run(capsys, "evaluate", ENV, "--reflector", "oracle", *words)[0] == 0
    assert file.read_bytes() == before


def test_evaluate_several_with_picture_and_records(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    png, records = tmp_path / "a.png", tmp_path / "records.jsonl"
    words = ["--reflector", "none", "noisy", "oracle", "--num-tasks", 8, "--trials", 1]
    code, out, _ = run(capsys, "evaluate", ENV, *words, "--png", png, "--records", records, "--json", tmp_path / "a")
    assert code == 0
    assert "noisy − none" in out
    assert png.read_bytes().startswith(b"\x89PNG")
    assert sum(row["trial"] == 1 for row in read_records(records, "trial")) == 24
    row = json.loads((tmp_path / "a").read_text())
    assert [one["reflector"] for one in row["policies"]] == ["none", "noisy", "oracle"]
    again = refused(capsys, "evaluate", ENV, *words, "--records", records)
    assert "holds records already" in again


def test_evaluate_over_several_seeds(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    file, png = tmp_path / "a.json", tmp_path / "a.png"
    words = ["--reflector", "noisy", "--num-tasks", 5, "--trials", 1, "--seed", 4, "--json", file, "--png", png]
    code, out, _ = run(capsys, "evaluate", ENV, *words, "--seeds", 3)
    assert code == 0
    assert "5 tasks of split 'test', seeds 4 to 6" in out
    result = json.loads(file.read_text())
    assert (result["seed"], result["seeds"], result["num_tasks"]) == (4, 3, 5)
    assert [(row["policy"], row["seed"]) for row in result["rows"] if row["trial"] == 1] == [
        (policy, seed) for policy in ("none", "noisy") for seed in (4, 5, 6) for _ in range(5)
    ]
    assert png.exists()
    assert "seeds is 0; it must be at least 1" in refused(capsys, "evaluate", ENV, *words, "--seeds", 0)


def test_options_reach_the_environment(capsys, tmp_path, actors):
    file = tmp_path / "a.json"
    words = ["--trials", 1, "--reflector", "none", "--json", file, "--actor", actors + "half_dead_actor"]
    code, _, _ = run(capsys, "evaluate", ENV, *words, "--env-kwargs", '{"num_tasks": 6}', "--max-error-rate", 0.5)
    assert code == 0
    result = json.loads(file.read_text())
    assert result["num_tasks"] == 6
    (row,) = result["policies"]
    assert (row["actor_errors"], row["prompt_tokens"], row["completion_tokens"]) == (2, 56, 24)
    assert result["actor"] == "python:actors_of_test_cli:half_dead_actor"
    assert result["env_kwargs"] == {"num_tasks": 6}


def test_tasks_and_fold_reach_the_environment(capsys):
    # IdentityEnv has no such arguments, and says so.
    assert "'tasks'" in refused(capsys, "evaluate", ENV, "--reflector", "none", "--tasks", "x.json")
    assert "'fold'" in refused(capsys, "evaluate", ENV, "--reflector", "none", "--fold", 0, 3)


def test_evaluation_refuses_a_score_when_the_actor_is_down(capsys, tmp_path, actors):
    file = tmp_path / "a.json"
    pytest.importorskip("matplotlib")
    words = ["--reflector", "none", "--json", file, "--png", tmp_path / "a.png", "--actor", actors + "dead_actor"]
    line = refused(capsys, "evaluate", ENV, *words, code=1)
    assert "64 of 64 episodes" in line
    assert "no connection (simulated)" in line
    assert json.loads(file.read_text())["policies"][0]["success_at_trial"] is None
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--reflector", "none", "oracle"],
        ["--reflector", "none", "--reflector", "oracle"],
        ["--reflector=none", "--reflector=oracle"],
        ["--reflector", "none,oracle"],
        ["--reflector", "none, oracle"],
    ],
)
def test_reflectors_are_named_in_any_way(capsys, tmp_path, words):
    file = tmp_path / "a.json"
    assert run(capsys, "evaluate", ENV, *words, "--num-tasks", 2, "--trials", 1, "--json", file)[0] == 0
    assert [one["reflector"] for one in json.loads(file.read_text())["policies"]] == ["none", "oracle"]


def test_a_folder_may_have_a_comma_in_its_name(capsys, tmp_path):
    folder = tmp_path / "none,oracle"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    file = tmp_path / "a.json"
    words = ["--num-tasks", 2, "--trials", 0, "--json", file]
    assert run(capsys, "evaluate", ENV, "--reflector", folder, *words)[0] == 0
    assert [one["reflector"] for one in json.loads(file.read_text())["policies"]] == [str(folder)]


def test_an_evaluation_that_ran_out_of_its_budget_goes_on(capsys, tmp_path):
    words = ["evaluate", ENV, "--reflector", "none", "noisy", "--num-tasks", 10, "--trials", 2]
    assert run(capsys, *words, "--json", tmp_path / "whole.json")[0] == 0
    calls = sum(one["actor_calls"] for one in json.loads((tmp_path / "whole.json").read_text())["policies"]) - 10
    file, records = tmp_path / "a.json", tmp_path / "records.jsonl"
    words += ["--json", file, "--records", records]
    line = refused(capsys, *words, "--max-actor-calls", 25)
    assert "the budget of calls is spent" in line
    assert f"25 finished trials are kept in {file}.trials.jsonl; --resume" in line
    assert not file.exists()
    assert "--resume" in refused(capsys, *words[:-2])
    assert "the budget of calls is spent" in refused(capsys, *words, "--resume", "--max-actor-calls", calls - 26)
    assert run(capsys, *words, "--resume", "--max-actor-calls", 1)[0] == 0
    assert file.read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert sum(row["end"] != "budget" for row in read_records(records, "trial")) == calls
    assert "--resume needs --json FILE" in refused(capsys, "evaluate", ENV, "--reflector", "none", "--resume")


def test_a_refused_evaluation_tries_the_lost_tasks_again(capsys, tmp_path, actors, monkeypatch):
    file = tmp_path / "a.json"
    words = ["evaluate", ENV, "--reflector", "none", "--trials", 1, "--json", file]
    words += ["--actor", "python:actors_of_test_cli:half_dead_actor"]
    line = refused(capsys, *words, code=1)
    assert "16 of 64 episodes" in line
    assert line.endswith("--resume plays the lost episodes again.")
    asked = []

    def alive_actor(prompts):
        asked.extend(prompts)
        return [Reply("Say[]", 7, 3) for _ in prompts]

    monkeypatch.setattr(sys.modules["actors_of_test_cli"], "half_dead_actor", alive_actor)
    assert run(capsys, *words, "--resume")[0] == 0
    assert len(asked) == 2 * 16
    (row,) = json.loads(file.read_text())["policies"]
    assert (row["actor_calls"], row["actor_errors"]) == (128, 0)


# -- collect and envs --------------------------------------------------------------------------------------------------


def test_collect_writes_a_bank_of_failures(capsys, tmp_path):
    file = tmp_path / "bank.jsonl"
    words = ["--num-episodes", 70, "--reflector", "noisy", "--seed", 1, "--max-reflections", 2]
    code, out, _ = run(capsys, "collect", ENV, "--output", file, *words)
    assert code == 0
    assert "70 episodes" in out
    assert len(FailureBank(file).task_ids) == 64  # each task once before any comes again
    reflections = list(read_records(file, "reflection"))
    assert f"{len(reflections)} reflections, of which {sum(row['success'] for row in reflections)} solved" in out
    assert len({row["episode"] for row in read_records(file, "trial")}) == 70
    assert {row["policy"] for row in reflections} == {"noisy"}
    (header,) = read_records(file, "header")
    assert header | {"env_id": ENV, "policy": "noisy", "seed": 1, "max_reflections": 2, "panel_size": 64} == header
    assert "--append" in refused(capsys, "collect", ENV, "--output", file, *words)
    assert run(capsys, "collect", ENV, "--output", file, *words, "--append")[0] == 0
    assert len(load_run(file).reflections) == 2 * len(reflections)
    assert run(capsys, "collect", ENV, "--output", tmp_path / "again.jsonl", *words)[0] == 0
    assert file.read_bytes().startswith((tmp_path / "again.jsonl").read_bytes())


def test_collect_stops_when_the_actor_is_down(capsys, tmp_path, actors):
    words = ["--output", tmp_path / "a.jsonl", "--reflector", "none", "--actor", actors + "dead_actor"]
    assert "10 episodes in a row" in refused(capsys, "collect", ENV, *words)


def test_collect_counts_actor_errors(capsys, tmp_path, actors):
    words = ["--output", tmp_path / "a.jsonl", "--reflector", "none", "--num-episodes", 64]
    code, out, _ = run(capsys, "collect", ENV, *words, "--actor", actors + "half_dead_actor")
    assert code == 0
    assert "16 ended by an actor error" in out


def test_envs_lists_every_environment(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")  # other tests may have registered ids that leave little room
    code, out, _ = run(capsys, "envs")
    assert code == 0
    assert "RetroIdentity-v0" in out
    assert "RetroHotpotQA-v0" in out
    assert "The simplest environment" in out
