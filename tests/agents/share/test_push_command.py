"""``retro-gym push`` and ``retro-gym merge``: runs and records, their cards, and what never leaves the machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from retro_gym.records import load_run
from retro_gym_agents import Planner, Reflector
from retro_gym_agents.lm.pretrained import tiny_folder
from retro_gym_agents.lm.sources import tiny_version
from retro_gym_agents.share.commands import command_of
from tests.agents.commands import refused, run
from tests.agents.share.hub_double import TOKEN

# huggingface_hub's own, of its transport.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

ENV = "RetroIdentity-v0"
NAME = "someone/first"
KEY = "sk-planted0123456789"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two updates, and its evaluation, as a user leaves them."""
    from retro_gym_agents.cli import main

    folder = tmp_path_factory.mktemp("runs") / "first"
    words = ["train", ENV, "--reflector", "tiny", "--output", folder, "--seed", 3, "--updates", 2, "--num-prompts", 2]
    few = ["--group-size", 2, "--max-reflections", 1, "--lr", 0.002, "--validate-every", 1, "--max-new-tokens", 4]
    more = ["--set", "validation_tasks=2", "max_grad_norm=0.5", "--env-kwargs", '{"max_turns": 2}']
    assert main([str(word) for word in [*words, *few, *more]]) == 0
    judge = ["evaluate", ENV, "--reflector", "none", "tiny", folder, "oracle", "--num-tasks", 4, "--trials", 1]
    assert main([str(word) for word in [*judge, "--json", folder / "evaluation.json"]]) == 0
    return folder


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    from retro_gym_agents.cli import main

    path = tmp_path_factory.mktemp("collected") / "records.jsonl"
    words = ["collect", ENV, "--reflector", "noisy", "--num-episodes", "6", "--output", str(path)]
    assert main(words) == 0
    return path


def everything(hub):
    return b"\n".join(
        content for repo in hub.repos.values() for files in repo.commits.values() for content in files.values()
    ).decode("utf-8", "replace")


def test_a_run_with_its_card(capsys, hub, trained):
    code, out, _ = run(capsys, "push", trained, NAME)
    assert code == 0
    assert out.splitlines()[0] == f"Pushed the adapter: {hub.address}/{NAME}"
    assert f"--reflector {NAME}" in out
    card = hub.files(NAME)["README.md"].decode()
    result = json.loads((trained / "evaluation.json").read_text())
    own = next(row for row in result["policies"] if row["reflector"] == str(trained))
    low, high = own["ci95"][1]
    assert f"{100 * own['success_at_trial'][1]:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in card
    for said in (
        *("base_model: someone/retro-gym-tiny-", "| none (a plain retry) |", "| this model |", "| oracle |"),
        *(f"`{ENV}`", "| actor | scripted |", "| seed | 3 |", '"max_turns": 2', "| updates | 2 in ", "best of update "),
        *("retro_gym 0.", "torch 2.", "reflections with the answer", f'Reflector.load("{NAME}")', "model-index"),
    ):
        assert said in card, said
    assert str(trained) not in everything(hub)
    assert "/tmp/" not in card
    assert Reflector.load(NAME).name == "tiny"


def test_the_command_in_the_card_makes_the_run_again(trained):
    import tyro

    from retro_gym_agents.algorithms.reinforce import ReinforceConfig
    from retro_gym_agents.cli.train import Train

    settings = json.loads((trained / "config.json").read_text())
    command = command_of(settings)
    assert command is not None
    program, name, *words = shlex.split(command)
    assert (program, name, words[0]) == ("retro-gym", "train", ENV)
    config = ReinforceConfig(**tyro.cli(Train, args=words).fields(ReinforceConfig))
    again = {**config.to_json(), "lora": settings["lora"], "output": settings["output"]}
    assert json.loads(json.dumps(again)) == settings
    assert "--lr 0.002" in command
    assert "max_grad_norm=0.5" in command
    assert "kl" not in command, "defaults are left out"


def test_a_dry_run_pushes_nothing(capsys, hub, trained):
    code, out, _ = run(capsys, "push", trained, NAME, "--dry-run")
    assert code == 0
    assert hub.asked == []
    assert "Adapter someone/first, not pushed" in out
    assert "bytes  adapter_model.safetensors" in out
    assert "## Results" in out


def test_an_adapter_alone_has_a_card_too(capsys, hub, trained):
    assert run(capsys, "push", trained / "best", NAME)[0] == 0
    card = hub.files(NAME)["README.md"].decode()
    assert "| algorithm | reinforce |" in card, "its run is the folder above"
    Reflector.load("tiny").save(trained.parent / "lonely")
    assert run(capsys, "push", trained.parent / "lonely", "someone/second")[0] == 0
    card = hub.files("someone/second")["README.md"].decode()
    assert "## Training" not in card
    assert "## Use" in card


def test_a_planner(capsys, hub, tmp_path):
    Planner.load("tiny").save(tmp_path / "run" / "planner")
    assert run(capsys, "push", tmp_path / "run" / "planner", NAME)[0] == 0
    card = hub.files(NAME)["README.md"].decode()
    assert f'Planner.load("{NAME}")' in card
    assert f"--actor planner:{NAME}" in card
    assert Planner.load(NAME).template is not None


def test_a_reward_model_is_no_reflector(capsys, hub, tmp_path):
    Reflector.load("tiny").save(tmp_path / "run" / "adapter")
    (tmp_path / "run" / "adapter" / "reward_head.pt").write_bytes(b"")
    assert "holds a reward model, not a reflector" in refused(capsys, "push", tmp_path / "run", NAME)
    assert hub.repos == {}


def test_an_evaluation_elsewhere(capsys, hub, trained, tmp_path):
    result = json.loads((trained / "evaluation.json").read_text())
    file = tmp_path / "other.json"
    file.write_text(json.dumps({**result, "split": "validation"}))
    assert run(capsys, "push", trained, NAME, "--evaluation", file)[0] == 0
    assert "of the split validation" in hub.files(NAME)["README.md"].decode()
    file.write_text(
        json.dumps({**result, "policies": [row for row in result["policies"] if row["reflector"] == "tiny"]})
    )
    said = refused(capsys, "push", trained, NAME, "--evaluation", file)
    assert "is no evaluation of" in said
    (own, *_) = result["policies"]
    both = [{**own, "reflector": name} for name in ("there/first", "there/second")]
    file.write_text(json.dumps({**result, "policies": both, "paired": []}))
    assert run(capsys, "push", trained, NAME, "--evaluation", file)[0] == 0, "it was evaluated in another place"
    file.write_text("{}")
    assert "cannot be read as a result" in refused(capsys, "push", trained, NAME, "--evaluation", file)


def test_a_merged_model(capsys, hub, trained, tmp_path):
    code, out, _ = run(capsys, "push", trained, NAME, "--merged", "--private")
    assert code == 0
    assert out.startswith("Pushed the merged model")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= hub.files(NAME).keys()
    assert "adapter_config.json" not in hub.files(NAME)
    assert [name for _, name in hub.repos] == [NAME], "it needs no base model"
    assert not [place for place in (str(trained), str(tiny_folder())) if place in everything(hub)]
    code, out, _ = run(capsys, "merge", trained, "--output", tmp_path / "merged")
    assert code == 0
    assert hub.files(NAME)["model.safetensors"] == (tmp_path / "merged" / "model.safetensors").read_bytes()
    assert "exists" in refused(capsys, "merge", trained, "--output", tmp_path / "merged")
    assert "holds an adapter already" in _mixed(capsys, hub, trained)


def _mixed(capsys, hub, trained):
    assert run(capsys, "push", trained, "someone/adapter")[0] == 0
    return refused(capsys, "push", trained, "someone/adapter", "--merged")


def test_records_are_a_data_set(capsys, hub, collected, trained, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    import huggingface_hub

    code, out, _ = run(capsys, "push", collected, trained / "records.jsonl", NAME)
    assert code == 0
    assert out.splitlines() == [f"Pushed the data set: {hub.address}/datasets/{NAME}"]
    folder = Path(huggingface_hub.snapshot_download(NAME, repo_type="dataset", local_dir=tmp_path / "data"))
    runs = [load_run(collected), load_run(trained / "records.jsonl")]
    for table in ("headers", "prompts", "trials", "reflections", "generations"):
        rows = datasets.load_dataset(str(folder), table, split="train", cache_dir=str(tmp_path / "tables"))
        assert rows["id"] == [one.id for each in runs for one in getattr(each, table).values()], table
    first = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "tables"))
    assert set(first["kind"]) == {"reflection"}
    whole = tmp_path / "whole.jsonl"
    names = [f"{table}.jsonl" for table in ("headers", "prompts", "trials", "reflections", "generations")]
    assert " ".join(["cat", *names]) in (folder / "README.md").read_text()
    whole.write_bytes(b"".join((folder / name).read_bytes() for name in names))
    again = load_run(whole)
    assert again.reflections == runs[0].reflections | runs[1].reflections
    assert {one.task for one in again.trials.values()} == {one.task for each in runs for one in each.trials.values()}


def test_a_second_push_of_records_replaces_the_tables(capsys, hub, collected, trained):
    assert run(capsys, "push", trained / "records.jsonl", NAME)[0] == 0
    assert "generations.jsonl" in hub.files(NAME, "datasets")
    assert run(capsys, "push", collected, NAME, "--revision", "main")[0] == 0
    assert "generations.jsonl" not in hub.files(NAME, "datasets")


def test_records_of_one_run_are_not_pushed_twice(capsys, hub, collected, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(collected.read_bytes())
    assert "hold the same run" in refused(capsys, "push", collected, copy, NAME)
    assert hub.repos == {}


def test_keys_and_paths_stay_here(capsys, hub, collected, tmp_path, monkeypatch):
    monkeypatch.setenv("PROVIDER_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    home = str(Path.home())
    rows = [json.loads(line) for line in collected.read_text().splitlines()]
    for row in rows:
        if row["kind"] == "header":
            kwargs = {"tasks": f"{home}/my data/dev.json", "server": "http://me:pw@10.0.0.7:3000", "api_key": KEY}
            row |= {
                "env_kwargs": json.dumps(kwargs),
                "policy": f"{tmp_path}/runs/first",
                "actor": "hf:/models/secret/q",
            }
        if row["kind"] == "reflection":
            row |= {"policy": f"{tmp_path}/runs/first", "reflection": f"Use {KEY} in {tmp_path}/notes and {home}/a."}
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(capsys, "push", path, NAME)[0] == 0
    said = everything(hub)
    for secret in (KEY, TOKEN, str(tmp_path), "me:pw", "10.0.0.7", "/models/secret", f"{home}/"):
        assert secret not in said, secret
    (header,) = [json.loads(line) for line in hub.files(NAME, "datasets")["headers.jsonl"].splitlines()]
    assert json.loads(header["env_kwargs"]) == {"tasks": "dev.json", "server": "[masked]", "api_key": "[masked]"}
    assert (header["policy"], header["actor"]) == ("first", "hf:q")
    (row, *_) = [json.loads(line) for line in hub.files(NAME, "datasets")["reflections.jsonl"].splitlines()]
    assert row["reflection"] == "Use [masked] in notes and ~/a."


def test_keys_and_paths_in_a_runs_settings_stay_here(capsys, hub, trained, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("PROVIDER_API_KEY", KEY)
    folder = shutil.copytree(trained, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "actor_kwargs": {"base_url": "http://me:pw@10.0.0.7/v1", "token": KEY},
        "env_kwargs": {"tasks": "/home/me/secret place/tasks.json"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    assert run(capsys, "push", folder, NAME)[0] == 0
    said = everything(hub)
    for secret in (KEY, "me:pw", "10.0.0.7", "/home/me", "secret place", str(tmp_path)):
        assert secret not in said, secret


def test_what_is_refused(capsys, hub, trained, collected, tmp_path):
    assert "Give what to push, then its name" in refused(capsys, "push", trained)
    assert "is neither a folder nor a file" in refused(capsys, "push", tmp_path / "nothing", NAME)
    (tmp_path / "empty").mkdir()
    assert "holds no adapter" in refused(capsys, "push", tmp_path / "empty", NAME)
    assert "is no name on the hub" in refused(capsys, "push", trained, "first")
    assert "takes one run" in refused(capsys, "push", trained, trained, NAME)
    assert "--merged is for runs" in refused(capsys, "push", collected, NAME, "--merged")
    assert "whose name on the hub is fixed" in refused(capsys, "push", trained, NAME, "--base", "someone/tiny")
    assert "needs no base model" in refused(capsys, "push", trained, NAME, "--merged", "--base", "someone/tiny")
    assert "status 403" in refused(capsys, "push", trained, "other/first")
    (tmp_path / "torn.jsonl").write_text("{}\n")
    assert "is not a record" in refused(capsys, "push", tmp_path / "torn.jsonl", NAME)
    assert hub.repos == {}


def test_a_pushed_reflector_is_evaluated_by_its_name(capsys, hub, trained, tmp_path):
    assert run(capsys, "push", trained, NAME)[0] == 0
    file = tmp_path / "result.json"
    words = ["evaluate", ENV, "--num-tasks", 4, "--trials", 1, "--greedy", "--json", file]
    assert run(capsys, *words, "--reflector", "none", f"{NAME}@main", trained)[0] == 0
    first, second, third = json.loads(file.read_text())["policies"]
    assert (first["reflector"], second["reflector"]) == ("none", f"{NAME}@main")
    assert second["success_at_trial"] == third["success_at_trial"]
    absent = refused(capsys, *words[:-2], "--reflector", "none", "someone/absent")
    assert "there is no model 'someone/absent' on the hub" in absent


def test_training_goes_on_from_the_hub(capsys, hub, trained, tmp_path):
    assert run(capsys, "push", trained, NAME)[0] == 0
    words = ["train", ENV, "--reflector", NAME, "--output", tmp_path / "next", "--updates", 1, "--num-prompts", 1]
    assert run(capsys, *words, "--group-size", 2, "--max-reflections", 1, "--max-new-tokens", 4)[0] == 0
    saved = json.loads((tmp_path / "next" / "adapter" / "adapter_config.json").read_text())
    assert saved["revision"] == f"tiny-{tiny_version()}"
