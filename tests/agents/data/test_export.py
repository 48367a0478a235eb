import json

import pytest

from retro_gym.errors import ConfigError
from retro_gym.records import load_run
from retro_gym_agents.data.export import ExportConfig, digest_of, export, rows_of
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import ReflectorPolicy, make_policy
from tests.agents.commands import refused, run


@pytest.fixture(scope="module")
def records(small_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    config = CollectConfig("RetroIdentity-v0", path, num_episodes=12, max_reflections=3, num_samples=4)
    collect(config, ReflectorPolicy(str(small_model)))
    return path


def rows(records, **fields):
    return list(rows_of(load_run(records), ExportConfig(**fields)))


def test_demonstrations(records):
    said = rows(records, format="sft")
    held = load_run(records)
    assert len(said) == len(held.reflections)
    assert [row["completion"] for row in said] == [f" {one.reflection}" for one in held.reflections.values()]
    assert [row["prompt"] for row in said] == [one.observation for one in held.reflections.values()]
    assert {row["reward"] for row in said} == {0.0, 1.0}
    good = rows(records, format="sft", min_rating=0.5)
    assert good == [row for row in said if row["reward"] == 1.0] == rows(records, format="sft", successful=True)


def test_turns_of_trials(records):
    said = rows(records, format="sft", role="planner", chat=True)
    assert len(said) == sum(len(trial.turns) for trial in load_run(records).trials.values())
    assert all(row["prompt"][-1]["role"] == "user" for row in said)
    assert all(row["completion"][0]["content"].startswith(("Thought", "Action")) for row in said)


def test_preferences_are_pairs_on_one_failure(records):
    pairs = rows(records, format="preference")
    held = load_run(records)
    assert pairs
    for row in pairs:
        assert row["chosen_rating"] > row["rejected_rating"]
        assert row["chosen"] != row["rejected"]
        on_it = [one for one in held.reflections.values() if one.observation == row["prompt"]]
        assert {row["chosen"], row["rejected"]} <= {f" {one.reflection}" for one in on_it}
    keys = [(row["prompt"], row["chosen"], row["rejected"]) for row in pairs]
    assert len({(row["task_id"], row["trial"], *key) for row, key in zip(pairs, keys, strict=True)}) <= len(keys)


def test_failures_can_be_restored(records):
    from retro_gym.trajectory import Trajectory
    from retro_gym_agents.play.envs import make_retro_env

    found = rows(records, format="trl")
    held = load_run(records)
    assert len(found) == len({one.before for one in held.reflections.values()})
    assert any(row["reflections"] for row in found), "some failures follow earlier reflections"
    for row in found:
        env = make_retro_env("RetroIdentity-v0", max_reflections=3)
        first = Trajectory.from_json(json.loads(row["failure"]))
        env.reset(seed=row["seed"], options={"task_id": row["task_id"], "trajectory": first})
        observation = env.observation_within(env.max_observation_chars)
        for reflection in row["reflections"]:
            observation, *_ = env.step(reflection)
        assert observation == row["prompt"]
        assert digest_of(observation) == row["state"]


@pytest.mark.parametrize("format_", ["sft", "preference", "trl"])
def test_datasets_reads_the_files(records, tmp_path, format_):
    datasets = pytest.importorskip("datasets")
    count = export([records], tmp_path / "rows.jsonl", ExportConfig(format=format_))
    table = datasets.load_dataset(
        "json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(table) == count
    assert table[0]["prompt"]


def test_datasets_reads_the_tables(records, tmp_path):
    datasets = pytest.importorskip("datasets")
    export([records], tmp_path / "tables", ExportConfig(format="hf"))
    held = load_run(records)
    for name in ("trials", "reflections", "generations"):
        table = datasets.load_dataset(str(tmp_path / "tables"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(table) == len(getattr(held, name)), name


def test_the_command(capsys, records, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "records.jsonl").write_bytes(records.read_bytes())
    code, out, _ = run(capsys, "export", folder, "--format", "preference", "--output", tmp_path / "pairs.jsonl")
    assert code == 0
    lines = (tmp_path / "pairs.jsonl").read_text().splitlines()
    assert out.startswith(f"{len(lines)} rows")
    again = refused(capsys, "export", folder, "--format", "sft", "--output", tmp_path / "pairs.jsonl")
    assert "exists. Give another path" in again


def test_nothing_to_export(tmp_path):
    path = tmp_path / "vague.jsonl"
    collect(CollectConfig("RetroIdentity-v0", path, num_episodes=4, max_reflections=1), make_policy("vague"))
    with pytest.raises(ConfigError, match=r"nothing to export as 'preference'.*--num-samples 4"):
        export([path], tmp_path / "rows.jsonl", ExportConfig(format="preference"))
    assert not (tmp_path / "rows.jsonl").exists()
