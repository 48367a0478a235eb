from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import retro_gym_agents
from retro_gym.actors import Reply
from retro_gym.errors import ActorError
from retro_gym.records import FailureBank, read_records
from retro_gym_agents.cli import main
from retro_gym_agents.cli import program as cli
from retro_gym_agents.cli import train as cli_train
from tests.agents.commands import refused, run

ENV = "RetroIdentity-v0"


def dead_actor(prompts):
    """Cannot be reached."""
    return [ActorError("no connection (simulated)") for _ in prompts]


def half_dead_actor(prompts):
    """Cannot be reached on one word of four."""
    return [ActorError("down") if "red" in prompt.task else Reply("Say[]", 7, 3) for prompt in prompts]


@pytest.fixture
def actors(monkeypatch):
    """A module that the command line finds actors in."""
    module = types.ModuleType("actors_of_test_cli")
    module.dead_actor = dead_actor
    module.half_dead_actor = half_dead_actor
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return f"python:{module.__name__}:"


# -- evaluate ----------------------------------------------------------------------------------------------------------


def test_evaluate_in_its_fixed_form(capsys, tmp_path):
    file = tmp_path / "new" / "result.json"
    words = ["--split", "test", "--num-tasks", 10, "--trials", 2, "--seed", 3, "--json", file]
    code, out, _ = run(capsys, "evaluate", ENV, "--reflector", "oracle", *words)
    assert code == 0
    assert "oracle" in out
    row = json.loads(file.read_text())
    assert row["env_id"] == ENV
    assert row["reflector"] == "oracle"
    assert (row["num_tasks"], row["seed"], row["split"]) == (10, 3, "test")
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


def test_options_reach_the_environment(capsys, tmp_path, actors):
    file = tmp_path / "a.json"
    words = ["--trials", 1, "--reflector", "none", "--json", file, "--actor", actors + "half_dead_actor"]
    code, _, _ = run(capsys, "evaluate", ENV, *words, "--env-kwargs", '{"num_tasks": 6}', "--max-error-rate", 0.5)
    assert code == 0
    row = json.loads(file.read_text())
    assert row["num_tasks"] == 6
    assert (row["actor_errors"], row["prompt_tokens"], row["completion_tokens"]) == (2, 56, 24)
    assert row["actor"] == "python:actors_of_test_cli:half_dead_actor"
    assert row["env_kwargs"] == {"num_tasks": 6}


def test_tasks_and_fold_reach_the_environment(capsys):
    # IdentityEnv has no such arguments, and says so.
    assert "'tasks'" in refused(capsys, "evaluate", ENV, "--reflector", "none", "--tasks", "x.json")
    assert "'fold'" in refused(capsys, "evaluate", ENV, "--reflector", "none", "--fold", 0, 3)


def test_evaluation_refuses_a_score_when_the_actor_is_down(capsys, tmp_path, actors):
    file = tmp_path / "a.json"
    words = ["--reflector", "none", "--json", file, "--png", tmp_path / "a.png", "--actor", actors + "dead_actor"]
    line = refused(capsys, "evaluate", ENV, *words, code=1)
    assert "64 of 64 tasks" in line
    assert "no connection (simulated)" in line
    assert json.loads(file.read_text())["success_at_trial"] is None
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
    assert json.loads(file.read_text())["reflector"] == str(folder)


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
    assert "Name the result with --json" in refused(capsys, "evaluate", ENV, "--reflector", "none", "--resume")


def test_a_refused_evaluation_tries_the_lost_tasks_again(capsys, tmp_path, actors, monkeypatch):
    file = tmp_path / "a.json"
    words = ["evaluate", ENV, "--reflector", "none", "--trials", 1, "--json", file]
    words += ["--actor", "python:actors_of_test_cli:half_dead_actor"]
    line = refused(capsys, *words, code=1)
    assert "16 of 64 tasks" in line
    assert line.endswith("--resume tries the lost tasks again.")
    asked = []

    def alive_actor(prompts):
        asked.extend(prompts)
        return [Reply("Say[]", 7, 3) for _ in prompts]

    monkeypatch.setattr(sys.modules["actors_of_test_cli"], "half_dead_actor", alive_actor)
    assert run(capsys, *words, "--resume")[0] == 0
    assert len(asked) == 2 * 16
    row = json.loads(file.read_text())
    assert (row["num_tasks"], row["actor_calls"], row["actor_errors"]) == (64, 128, 0)


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
    assert len({row["episode"] for row in read_records(file)}) == 70
    assert "--append" in refused(capsys, "collect", ENV, "--output", file, *words)
    size = file.stat().st_size
    assert run(capsys, "collect", ENV, "--output", file, *words, "--append")[0] == 0
    assert file.stat().st_size == 2 * size
    assert run(capsys, "collect", ENV, "--output", tmp_path / "again.jsonl", *words)[0] == 0
    assert (tmp_path / "again.jsonl").read_bytes() * 2 == file.read_bytes()


def test_collect_stops_when_the_actor_is_down(capsys, tmp_path, actors):
    words = ["--output", tmp_path / "a.jsonl", "--reflector", "none", "--actor", actors + "dead_actor"]
    assert "10 episodes in a row" in refused(capsys, "collect", ENV, *words)


def test_collect_counts_actor_errors(capsys, tmp_path, actors):
    words = ["--output", tmp_path / "a.jsonl", "--reflector", "none", "--num-episodes", 64]
    code, out, _ = run(capsys, "collect", ENV, *words, "--actor", actors + "half_dead_actor")
    assert code == 0
    assert "16 ended by an actor error" in out


def test_envs_lists_every_environment(capsys):
    code, out, _ = run(capsys, "envs")
    assert code == 0
    assert "RetroIdentity-v0" in out
    assert "RetroHotpotQA-v0" in out
    assert "The simplest environment" in out


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "RetroIdentiy-v0", "--reflector", "none"], "Did you mean 'RetroIdentity-v0'"),
        (["evaluate", "HotpotQA-v0", "--reflector", "none"], "a task environment, not a RetroEnv. Did you mean 'Retro"),
        (["collect", "Mix-v0", "--output", "OUT"], "a task environment, not a RetroEnv. Did you mean 'RetroMix-v0'?"),
        (["train", "ALFWorld-v0", "--output", "OUT"], "a task environment, not a RetroEnv. Did you mean 'Retro"),
        (["evaluate", "CartPole-v1", "--reflector", "none"], "takes no argument 'split', as a RetroEnv does"),
        (["evaluate", ENV, "--reflector", "none,"], "a name is empty"),
        (["evaluate", ENV, "--reflector", "none,orcale"], "Did you mean 'oracle'"),
        (["evaluate", ENV, "--reflector", "none", "--seed", "1", "--seed=2"], "--seed is given 2 times"),
        (["evaluate", ENV, "--num-tasks", "1", "--num_tasks", "2"], "--num-tasks is given 2 times"),
        (["evaluate", ENV, "--env-kwargs", "{}", "--env-kwargs", "{}"], "--env-kwargs is given 2 times"),
        (["evaluate", ENV, "--base-url", "--reflector", "none"], "--base-url names nothing"),
        (["evaluate", ENV, "--actor-kwargs", '{"budget": 5}'], "budget is 5, not an object"),
        (["train", ENV, "--output", "OUT", "--set"], "--set names nothing"),
        (
            ["train", ENV, "--output", "OUT", "--reflector", "tiny", "--reflector", "x"],
            "--reflector is given 2 times and takes one value",
        ),
        (["collect", ENV, "--output", "OUT", "--reflector", "none", "oracle"], "names none, oracle; the records"),
        (["collect", ENV, "--output", "OUT", "--reflector", "none,oracle"], "names none, oracle; the records"),
        (["collect", "RetroIdentiy-v0", "--output", "OUT", "--reflector", "none"], "Did you mean"),
        (["evaluate", ENV, "--reflector", "nnoe"], "Did you mean 'none'"),
        (["evaluate", ENV, "--reflector", "./absent"], "no such folder"),
        (["evaluate", ENV, "--reflector", "none", "none"], "give each once"),
        (["evaluate", ENV, "--reflector"], "--reflector names nothing"),
        (["evaluate", ENV, "--reflector", "none", "--split", "tset"], "'tset'"),
        (["evaluate", ENV, "--reflector", "none", "--num-tasks", "0"], "num_tasks is 0"),
        (["evaluate", ENV, "--reflector", "none", "--json", "."], "is a folder"),
        (["evaluate", ENV, "--reflector", "none", "--env-kwargs", "{"], "is not JSON"),
        (["evaluate", ENV, "--reflector", "none", "--env-kwargs", "[]"], "is not a JSON object"),
        (["evaluate", ENV, "--reflector", "none", "--actor", "gpt"], "actor 'gpt' is not known"),
        (["collect", ENV, "--output", "OUT", "--reflector", "none", "--num-episodes", "0"], "num_episodes is 0"),
    ],
)
def test_errors_are_one_line_and_code_2(capsys, tmp_path, words, message):
    words = [tmp_path / "out.jsonl" if word == "OUT" else word for word in words]
    assert message in refused(capsys, *words)


def test_ctrl_c_is_one_line_and_code_130(capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "evaluate_all", interrupted)
    line = refused(capsys, "evaluate", ENV, "--reflector", "none", code=130)
    assert "stopped by Ctrl-C. Nothing is kept of this evaluation; with --json FILE each trial is" in line


def test_ctrl_c_says_how_to_go_on(capsys, tmp_path, actors, monkeypatch):
    def stopping_actor(prompts):
        if any(prompt.reflections for prompt in prompts):
            raise KeyboardInterrupt
        return [Reply("Say[]", 7, 3) for _ in prompts]

    monkeypatch.setattr(sys.modules["actors_of_test_cli"], "dead_actor", stopping_actor)
    words = ["--reflector", "oracle", "--json", tmp_path / "a.json", "--actor", f"{actors}dead_actor"]
    line = refused(capsys, "evaluate", ENV, *words, code=130)
    assert f"stopped by Ctrl-C. 64 finished trials are kept in {tmp_path}/a.json.trials.jsonl; --resume" in line


def test_a_reader_that_goes_away_ends_it_quietly():
    command = [sys.executable, "-m", "retro_gym_agents.cli", "evaluate", ENV, "--reflector", "none", "--num-tasks", "2"]
    read, write = os.pipe()
    os.close(read)
    got = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert got.returncode == 141
    assert "error" not in got.stderr.lower()


def test_the_version_is_listed(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"--version +Say which release this is", capsys.readouterr().out)
    assert run(capsys, "--version")[1].startswith("retro-gym 0.")


def test_wrong_usage_is_told_by_code_2(capsys):
    for words in ([], ["trian"], ["evaluate"], ["evaluate", ENV, "--tirals", "3"], ["train", ENV]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        assert "Traceback" not in capsys.readouterr().err


# -- what is imported --------------------------------------------------------------------------------------------------

_HEAVY = "{'torch', 'transformers', 'peft', 'matplotlib'} & set(sys.modules)"


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_and_envs_do_not_load_torch():
    code = f"""
import sys
from retro_gym_agents.cli import main
from tests.agents.commands import refused, run
for words in (["--help"], ["train", "--help"], ["evaluate", "--help"], ["collect", "--help"]):
    try:
        main(words)
    except SystemExit as stop:
        assert stop.code == 0
assert main(["envs"]) == 0
assert main(["evaluate", "{ENV}", "--reflector", "none", "--num-tasks", "2"]) == 0
assert main(["--version"]) == 0
print("loaded", {_HEAVY})
"""
    out = python(code)
    assert out.endswith("loaded set()\n")
    assert "--reflector NAME" in out
    assert "retro-gym 0." in out


def test_module_runs_as_a_script():
    words = [sys.executable, "-m", "retro_gym_agents.cli", "evaluate", "RetroIdentiy-v0"]
    got = subprocess.run(words, capture_output=True, text=True, check=False)
    assert got.returncode == 2
    assert got.stdout == ""
    assert got.stderr.startswith("error: environment 'RetroIdentiy-v0' is not registered.")


def test_package_is_imported_without_torch():
    assert python(f"import sys, retro_gym_agents\nprint({_HEAVY}, retro_gym_agents.make_policy('none').name)") == (
        "set() none\n"
    )


def test_public_names_are_sorted_complete_and_lead_somewhere():
    assert retro_gym_agents.__all__ == sorted(retro_gym_agents.__all__)
    for name in retro_gym_agents.__all__:
        assert getattr(retro_gym_agents, name).__name__ == name
    assert set(retro_gym_agents.__all__) <= set(dir(retro_gym_agents))
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        retro_gym_agents.absent  # noqa: B018
    tree = ast.parse(Path(str(retro_gym_agents.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert homes == {name: f"retro_gym_agents.{module}" for name, module in retro_gym_agents._HOMES.items()}


@pytest.mark.parametrize("command", [cli_train.Train, cli.Evaluate, cli.Collect])
def test_every_option_is_explained(command):
    explained = set()
    for kind in command.__mro__[:-1]:
        (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
        for item, after in itertools.pairwise(body):
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(after, ast.Expr):
                explained.add(item.target.id)
    assert {field.name for field in dataclasses.fields(command)} == explained


def test_one_file_for_result_and_picture_is_refused(tmp_path, capsys):
    words = ["evaluate", "RetroIdentity-v0", "--json", str(tmp_path / "a"), "--png", str(tmp_path / "a")]
    assert main(words) == 2
    assert "--json and --png both name" in capsys.readouterr().err


def test_an_option_and_its_other_name_are_not_given_together(tmp_path, capsys):
    words = ["train", "RetroIdentity-v0", "--output", str(tmp_path / "run"), "--lr", "1e-3", "--learning-rate", "2e-3"]
    assert main(words) == 2
    assert "--learning-rate and --lr are the same option" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_error(tmp_path, closed):
    code = f"import sys; sys.{closed} = None; from retro_gym_agents.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["evaluate", "RetroIdentity-v0", "--reflector", "none", "--num-tasks", "2"]
    words = [sys.executable, "-c", code, *words, "--json", str(tmp_path / "a.json")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (tmp_path / "a.json").exists()


def test_no_character_is_an_error_for_a_narrow_encoding():
    words = [sys.executable, "-m", "retro_gym_agents.cli", "train", "--help"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, timeout=120, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


def test_records_are_added_to_records_only(tmp_path, capsys):
    notes = tmp_path / "notes.jsonl"
    notes.write_text("[1]\n")
    words = ["collect", "RetroIdentity-v0", "--reflector", "noisy", "--num-episodes", "1", "--output", str(notes)]
    assert main([*words, "--append"]) == 2
    assert "is not a record of schema" in capsys.readouterr().err
    assert notes.read_text() == "[1]\n"
