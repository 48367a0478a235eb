"""The commands that learn from records, and those of the papers' pipelines."""

import json

import pytest

from tests.agents.commands import refused, run

ENV = "RetroIdentity-v0"


@pytest.fixture(scope="module")
def records(small_model, tmp_path_factory):
    from retro_gym_agents.cli import main

    path = tmp_path_factory.mktemp("records") / "pairs.jsonl"
    words = ["collect", ENV, "--reflector", small_model, "--num-episodes", 24, "--num-samples", 4, "--output", path]
    assert main(list(map(str, words))) == 0
    return path


def test_several_reflections_on_each_failure_are_counted(capsys, small_model, tmp_path):
    words = ["collect", ENV, "--reflector", small_model, "--num-episodes", 3, "--max-reflections", 1]
    code, out, _ = run(capsys, *words, "--num-samples", 4, "--output", tmp_path / "pairs.jsonl")
    assert code == 0
    assert "12 reflections, of which" in out


def test_imitate(capsys, small_model, tmp_path, records):
    words = ["imitate", records, "--model", small_model, "--min-rating", 0.5, "--output", tmp_path / "run"]
    code, out, _ = run(capsys, *words, "--epochs", 2, "--lr", 0.01, "--set", "decay_updates=1")
    assert code == 0
    assert "loss per token" in out
    assert f"--reflector none tiny {tmp_path / 'run'}" in out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["epochs"], config["learning_rate"], config["decay_updates"], config["min_rating"]) == (
        2,
        0.01,
        1,
        0.5,
    )
    assert "has an option of its own, --epochs" in refused(capsys, *words, "--set", "epochs=3")
    assert "'retro-gym imitate --help' describes them" in refused(capsys, *words, "--set", "epochen=3")


def test_imitate_a_planner(capsys, tmp_path, small_model, records):
    words = ["imitate", records, "--model", small_model, "--role", "planner", "--output", tmp_path / "run"]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert f"--actor planner:{tmp_path / 'run'}" in out
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").is_file()


def test_reward_model(capsys, small_model, tmp_path, records):
    words = ["reward-model", records, "--model", small_model, "--output", tmp_path / "run", "--validate-every", 2]
    code, out, _ = run(capsys, *words, "--held-out", 0.3)
    assert code == 0
    assert "pairs in the right order" in out
    assert "of those held out" in out


def test_retroformer(capsys, small_model, tmp_path):
    words = ["retroformer", ENV, "--reflector", small_model, "--output", tmp_path / "run", "--num-episodes", 12]
    small = ["--set", "ppo.updates=1", "ppo.num_prompts=2", "ppo.group_size=2", "sft.epochs=1"]
    code, out, _ = run(capsys, *words, *small)
    assert code == 0
    assert f"{tmp_path / 'run'}/ppo oracle" in out
    assert json.loads((tmp_path / "run" / "ppo" / "config.json").read_text())["num_prompts"] == 2
    assert "give STAGE.FIELD=VALUE" in refused(capsys, *words, "--set", "updates=1")
    assert "give sft.FIELD=VALUE with one of" in refused(capsys, *words, "--set", "sft.records=other.jsonl")
    assert "Did you mean 'epochs'?" in refused(capsys, *words, "--set", "sft.epoch=2")
    assert "is not of type int" in refused(capsys, *words, "--set", "reward_model.epochs=two")


def test_retroact(capsys, tmp_path):
    words = ["retroact", "RetroHotpotQA-v0", "--output", tmp_path / "run", "--expert-episodes", 16]
    small = ["--imitation-updates", 1, "--rounds", 1, "--episodes", 4, "--updates", 1]
    own = ["--set", "batch_size=2", "repeats=2", "baseline=task", 'expert_kwargs={"thoughts": true}']
    code, out, _ = run(capsys, *words, *small, *own, "--learn", "reflector")
    assert code == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["expert_kwargs"], config["baseline"]) == ({"thoughts": True}, "task")
    assert "[1] is not of type dict" in refused(capsys, *words, "--set", "expert_kwargs=[1]")
    assert f"--actor planner:{tmp_path / 'run'}/planner" in out
    code, out, _ = run(
        capsys, "evaluate", "RetroHotpotQA-v0", "--actor", f"planner:{tmp_path / 'run'}/planner", "--reflector", "none",
        f"{tmp_path / 'run'}/reflector", "--num-tasks", 3, "--trials", 1,
    )  # fmt: skip
    assert code == 0
    assert "the planner is what plays here" in refused(capsys, *words, "--env-kwargs", '{"actor": "scripted"}')
