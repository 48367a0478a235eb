"""Several files of records, read together by a library that infers types from the first lines."""

from __future__ import annotations

import json

import pytest

from retro_gym import RetroEnv
from retro_gym.actors import Reply
from retro_gym.errors import ActorError, RecordError
from retro_gym.records import RecordWriter, RunHeader, load_run
from retro_gym_agents.data.export import ExportConfig, export


def record(path, *, seed, faulty=False, **options):
    """Plays four episodes; a faulty actor fails in some of the second trials."""

    def actor(prompts):
        asked = [bool(prompt.reflections) for prompt in prompts]
        return [ActorError("no connection") if faulty and again else Reply("Say[nothing]", 3, 2) for again in asked]

    env = RetroEnv("Identity-v0", actor=actor, records=RecordWriter(path, RunHeader(policy="me", seed=seed)), **options)
    for episode in range(4):
        env.reset(seed=episode)
        env.step("Say something else.")
    env.close()
    return path


@pytest.fixture(params=[False, True], ids=["sound first", "faulty first"])
def files(tmp_path, request):
    """Two files with the same episodes; in one of them actors failed."""
    both = [record(tmp_path / "sound.jsonl", seed=0), record(tmp_path / "faulty.jsonl", seed=1, faulty=True)]
    return both[::-1] if request.param else both


def test_errors_are_texts_in_each_of_them_and_ids_differ(files, tmp_path):
    datasets = pytest.importorskip("datasets")
    names = [str(path) for path in files]
    table = datasets.load_dataset("json", data_files=names, split="train", cache_dir=str(tmp_path / "cache"))
    runs = {path.stem: load_run(path) for path in files}
    assert len(table) == sum(len(path.read_text().splitlines()) for path in files)
    assert len(set(table["id"])) == len(table)
    errors = {row["error"] for row in table if row["kind"] == "trial"}
    assert "" in errors
    assert any("no connection" in error for error in errors)
    assert runs["faulty"].lost
    assert not runs["faulty"].trials.keys() & runs["sound"].trials.keys()
    same = [{one.episode for one in run.trials.values()} for run in runs.values()]
    assert same[0] == same[1], "the episodes are the same, their rows are not"


def test_one_after_the_other_they_are_a_file_of_records(files, tmp_path):
    both = tmp_path / "both.jsonl"
    both.write_bytes(b"".join(path.read_bytes() for path in files))
    assert len(load_run(both).headers) == 2


def test_files_with_and_without_the_later_columns_are_read_as_tables(files, tmp_path):
    datasets = pytest.importorskip("datasets")
    later = record(tmp_path / "later.jsonl", seed=2, memory="trajectory")
    export([*files, later], tmp_path / "tables", ExportConfig(format="hf"))
    for name in ("headers", "trials", "reflections", "lost"):
        table = datasets.load_dataset(str(tmp_path / "tables"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(table) == sum(len(getattr(load_run(path), name)) for path in (*files, later)), name
    headers = datasets.load_dataset(
        str(tmp_path / "tables"), "headers", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert headers["memory"] == ["reflections", "reflections", "trajectory"]


def test_two_files_of_one_run_are_not_counted_twice(files, tmp_path):
    twin = record(tmp_path / "twin.jsonl", seed=0)
    sound = next(path for path in files if path.stem == "sound")
    assert json.loads(twin.read_text().splitlines()[0])["id"] == next(iter(load_run(sound).headers))
    with pytest.raises(RecordError, match="hold the same run"):
        export([sound, twin], tmp_path / "tables", ExportConfig(format="hf"))
    with pytest.raises(RecordError, match="hold the same run"):
        export([sound, twin], tmp_path / "rows.jsonl", ExportConfig(format="sft"))
