from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import retro_gym_agents
from retro_gym.actors import Reply
from retro_gym_agents.cli import main
from retro_gym_agents.cli.collect import Collect
from retro_gym_agents.cli.evaluate import Evaluate
from retro_gym_agents.cli.train import Train
from tests.agents.commands import refused, run

ENV = "RetroIdentity-v0"


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
        (["evaluate", ENV, "--base-url", "--reflector", "none"], "--base-url has no value"),
        (["evaluate", ENV, "--actor-kwargs", '{"budget": 5}'], "budget is 5, not an object"),
        (["train", ENV, "--output", "OUT", "--set"], "--set has no value"),
        (
            ["train", ENV, "--output", "OUT", "--reflector", "tiny", "--reflector", "x"],
            "--reflector is given 2 times and takes one value",
        ),
        (["collect", ENV, "--output", "OUT", "--reflector", "none", "oracle"], "names none, oracle; collect takes one"),
        (["collect", ENV, "--output", "OUT", "--reflector", "none,oracle"], "names none, oracle; collect takes one"),
        (["collect", "RetroIdentiy-v0", "--output", "OUT", "--reflector", "none"], "Did you mean"),
        (["evaluate", ENV, "--reflector", "nnoe"], "Did you mean 'none'"),
        (["evaluate", ENV, "--reflector", "./absent"], "no such folder"),
        (["evaluate", ENV, "--reflector", "none", "none"], "give each once"),
        (["evaluate", ENV, "--reflector"], "--reflector has no value"),
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

    monkeypatch.setattr("retro_gym_agents.cli.evaluate.evaluate_all", interrupted)
    line = refused(capsys, "evaluate", ENV, "--reflector", "none", code=130)
    assert "stopped by Ctrl-C. No trial was saved; with --json FILE each trial is saved" in line


def test_ctrl_c_says_how_to_go_on(capsys, tmp_path, actors, monkeypatch):
    def stopping_actor(prompts):
        if any(prompt.reflections for prompt in prompts):
            raise KeyboardInterrupt
        return [Reply("Say[]", 7, 3) for _ in prompts]

    monkeypatch.setattr(sys.modules["actors_of_test_cli"], "dead_actor", stopping_actor)
    words = ["--reflector", "oracle", "--json", tmp_path / "a.json", "--actor", f"{actors}dead_actor"]
    line = refused(capsys, "evaluate", ENV, *words, code=130)
    assert f"stopped by Ctrl-C. 256 finished trials are kept in {tmp_path}/a.json.trials.jsonl; --resume" in line


@pytest.mark.parametrize(
    "words",
    [["evaluate", ENV, "--reflector", "none", "--num-tasks", "2"], ["--version"], ["--help"], ["train", "--help"]],
)
def test_a_reader_that_goes_away_ends_it_quietly(words):
    command = [sys.executable, "-m", "retro_gym_agents.cli", *words]
    read, write = os.pipe()
    os.close(read)
    got = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert got.returncode == 141
    assert "error" not in got.stderr.lower()


def test_the_version_is_listed(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"--version +Print the version and exit", capsys.readouterr().out)
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


@pytest.mark.parametrize("command", [Train, Evaluate, Collect])
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
