"""Every command in the documentation is understood by the program that it calls."""

import argparse
import dataclasses
import importlib
import importlib.util
import json
import re
import runpy
import sys
import tomllib
import typing
import warnings

import gymnasium as gym
import pytest
import tyro

from retro_gym.errors import ConfigError
from retro_gym_agents.cli import program
from retro_gym_agents.cli.options import check_repeats
from retro_gym_agents.play.policies import BASELINES
from tests.docs.pages import PAGES, ROOT, commands, inline

COMMANDS = [(f"{place} {' '.join(words)[:60]}", words) for path in PAGES for place, words in commands(path)]
SUBCOMMANDS = {}
for annotated in typing.get_args(
    typing.get_args(typing.get_type_hints(program._Program, include_extras=True)["command"])[0]
):
    kind, *details = typing.get_args(annotated)
    SUBCOMMANDS[next(each.name for each in details if getattr(each, "name", None))] = kind
NEEDS_TRL = ("benchmarks.training_speed", "examples/trl_grpo.py", "benchmarks/training_speed.py")
"""Scripts that import so much that their commands are read by the slow tests only."""
LEARNERS = {"imitate": "imitation", "reward-model": "reward_model"}
"""The modules of the algorithms whose subcommand has another name."""
PACKAGES = {"minari", "ray[rllib]", "tianshou", "torchrl"}
"""Packages of others that pages tell to install."""
OTHERS = {
    "cat",
    "cd",
    "export",
    "cp",
    "rm",
    "vllm",
    "tensorboard",
    "mlflow",
    "trackio",
    "wandb",
    "inspect",
    "hf",
    "ray",
}
"""Programs that are no part of this package and not at hand everywhere."""


class Understood(Exception):  # noqa: N818 - no error
    """Raised in place of what a command would do."""


def stop(*args, **kwargs):
    raise Understood


@pytest.fixture
def understood(monkeypatch):
    """Runs a script or a learner up to the point where its arguments have been read."""

    def parsed(cli):
        def run(*args, **kwargs):
            cli(*args, **kwargs)
            raise Understood

        return run

    monkeypatch.setattr(tyro, "cli", parsed(tyro.cli))
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed(argparse.ArgumentParser.parse_args))

    def check(call, *args):
        try:
            call(*args)
        except Understood:
            return
        except SystemExit as exit:
            pytest.fail(f"exit code {exit.code}")
        pytest.fail("the command has read no arguments")

    return check


def parse(words):
    """A subcommand of ``retro-gym``, by its own parser."""
    config = (tyro.conf.FlagCreatePairsOff,)
    command = tyro.cli(SUBCOMMANDS[words[0]], prog=f"retro-gym {words[0]}", args=words[1:], config=config)
    check_repeats(words, command)
    return command


def check_retro_gym(words, monkeypatch):
    command = parse(words)
    fields = {field.name: getattr(command, field.name) for field in dataclasses.fields(command)}
    env_id = fields.get("env_id")
    assert env_id is None or ":" in env_id or env_id in gym.registry
    for name in (name for given in fields.get("reflector") or () if not isinstance(given, str) for name in given):
        assert name in (*BASELINES, "tiny") or re.search(r"[/:]|\.gguf$", name), f"no policy is called {name}"
    for name in ("env_kwargs", "actor_kwargs", "reflector_kwargs"):
        assert isinstance(json.loads(fields.get(name) or "{}"), dict)
    if hasattr(command, "settings_for") or words[0] == "retroformer":  # it trains: its settings are read as well
        name = getattr(command, "algo", LEARNERS.get(words[0], words[0]))
        monkeypatch.setattr(importlib.import_module(f"retro_gym_agents.algorithms.{name}"), "train", stop)
        with pytest.raises(Understood):
            command.run()


def check_script(words, understood, monkeypatch):
    """``python FILE …`` and ``python -m MODULE …``."""
    if words[0] == "-m":
        found = importlib.util.find_spec(words[1])
        assert found is not None
        words = [found.origin, *words[2:]]
    monkeypatch.setattr(sys, "argv", [str(ROOT / words[0]), *words[1:]])
    monkeypatch.syspath_prepend(ROOT)
    understood(runpy.run_path, sys.argv[0], None, "__main__")


def check_pip(words):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[0] == "install"
    for word in words[1:]:
        extras = re.fullmatch(r"(?:retro-gym|\.)\[([\w,-]+)\]", word)
        if extras:
            assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
        else:
            assert word in {"-e", "retro-gym", *PACKAGES}, f"{word}: if that is its name, add it to PACKAGES"


def check_make(words):
    targets = set(re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())
    assert {word for word in words if "=" not in word} <= targets


def check_accelerate(words, understood, monkeypatch):
    launch = importlib.import_module("accelerate.commands.launch")
    assert words[0] == "launch"
    given, unknown = launch.launch_command_parser().parse_known_args(words[1:])
    assert unknown == []
    check_script([given.training_script, *given.training_script_args], understood, monkeypatch)


def marked(words):
    if any(script in words for script in NEEDS_TRL):
        return [pytest.mark.slow]
    return []


@pytest.mark.parametrize("words", [pytest.param(w, id=name, marks=marked(w)) for name, w in COMMANDS])
def test_a_command_is_understood(words, understood, monkeypatch):
    name, *rest = words
    while re.fullmatch(r"[A-Z_]+=\S*", name):  # a variable for this command alone
        name, *rest = rest
    name = name.removeprefix(".venv/bin/")
    if name == "retro-gym":
        monkeypatch.undo()
        check_retro_gym(rest, monkeypatch)
    elif name == "python":
        check_script(rest, understood, monkeypatch)
    elif name == "pip":
        check_pip(rest)
    elif name == "make":
        check_make(rest)
    elif name == "accelerate":
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
        check_accelerate(rest, understood, monkeypatch)
    else:
        assert name in {*OTHERS, "pytest", "pre-commit"}, f"{name}: a program that no check is written for"


def options_of(*kinds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsers = [tyro.extras.get_parser(kind) for kind in kinds]
    return {option for parser in parsers for action in parser._actions for option in action.option_strings}


def test_options_named_in_the_text_exist():
    known = options_of(*SUBCOMMANDS.values())
    folders = (ROOT / "benchmarks", ROOT / "examples", ROOT / "agents" / "retro_gym_agents" / "tiny")
    scripts = " ".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    known |= {f"--{name.replace('_', '-')}" for name in re.findall(r"^    (\w+): ", scripts, re.MULTILINE)}
    known |= {"--help", "--all-files", "--logprobs-mode"}  # pre-commit's and vLLM's
    named = {
        (path.relative_to(ROOT).as_posix(), line, option)
        for path in PAGES
        for line, code in inline(path, "code")
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]+", code)
    }
    assert len(named) > 40
    assert {each for each in named if each[2].rstrip("-") not in known} == set()


def test_wrong_commands_are_noticed(monkeypatch):
    for words in (
        ["evaluate", "RetroHotpotQA-v0", "--reflektor", "none"],
        ["train", "RetroHotpotQA-v0", "--output", "runs/x", "--seed", "0", "--algo", "ppoo"],
    ):
        with pytest.raises(SystemExit):
            parse(words)
    for words in (
        ["evaluate", "RetroHotpotQA-v1", "--reflector", "none"],
        ["evaluate", "RetroHotpotQA-v0", "--reflector", "vage"],
    ):
        with pytest.raises(AssertionError):
            check_retro_gym(words, monkeypatch)
    with pytest.raises(ConfigError, match="decay_update"):
        check_retro_gym(
            ["train", "RetroHotpotQA-v0", "--output", "runs/x", "--seed", "0", "--set", "decay_update=4"], monkeypatch
        )
    assert len(COMMANDS) > 80
