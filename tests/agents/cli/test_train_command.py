from __future__ import annotations

import ast
import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from retro_gym_agents.cli import main
from retro_gym_agents.cli import train as cli_train
from tests.agents.commands import refused, run

ENV = "RetroIdentity-v0"


@pytest.mark.parametrize("algo", ["reinforce", "ppo"])
def test_train_then_evaluate_the_run(capsys, tmp_path, small_model, algo):
    folder = tmp_path / "run"
    words = ["train", ENV, "--algo", algo, "--reflector", small_model, "--output", folder, "--seed", 1]
    small = ["--num-prompts", 2, "--group-size", 2, "--max-reflections", 1, "--validate-every", 1]
    code, out, _ = run(capsys, *words, "--updates", 2, *small, "--set", "validation_tasks=4")
    assert code == 0
    assert "2 updates" in out
    assert f"--reflector none tiny {folder} oracle" in out
    assert "holds" in refused(capsys, *words, "--updates", 2, *small)
    code, out, _ = run(capsys, *words, "--updates", 3, *small, "--set", "validation_tasks=4", "--resume")
    assert code == 0
    assert "3 updates" in out
    file = tmp_path / "a.json"
    code, _, _ = run(
        capsys, "evaluate", ENV, "--reflector", folder, "--num-tasks", 4, "--trials", 1, "--json", file, "--greedy"
    )
    assert code == 0
    result = json.loads(file.read_text())
    row = result["policies"][1]
    assert row["reflector"] == str(folder)
    assert re.fullmatch(r"best of update [123]: the one that did best on the validation tasks", row["reflector_source"])
    shutil.rmtree(folder / "best")
    code, out, _ = run(capsys, "evaluate", ENV, "--reflector", folder, "--num-tasks", 1, "--trials", 0)
    assert "adapter of update 3: the last one, since no validation has chosen a best" in " ".join(out.split())
    later = [each for each in result["rows"] if each["policy"] == str(folder) and each["trial"] == 1]
    assert [bool(each["reflection"]) for each in later] == 4 * [True]
    read, written = row["reflector_tokens"]
    assert read > 4 * 10
    assert 4 <= written <= 4 * 2  # the model writes two tokens at most


def train_options(*words) -> cli_train.Train:
    import tyro

    return tyro.cli(cli_train.Train, args=[ENV, "--output", "runs/x", *map(str, words)])


@pytest.mark.parametrize("algo", ["reinforce", "ppo"])
def test_options_become_fields_of_the_config(algo):
    if algo == "reinforce":
        from retro_gym_agents.algorithms.reinforce import ReinforceConfig as Config
    else:
        from retro_gym_agents.algorithms.ppo import PPOConfig as Config
    plain = Config(**train_options("--algo", algo).fields(Config))
    assert plain == Config(output=Path("runs/x"), env_id=ENV)
    options = train_options(
        *["--lr", 0.5, "--updates", 7, "--max-minutes", 1.5, "--shuffle-rewards", "--lora-rank", 3],
        *["--max-reflections", 2, "--reward", "improvement", "--tasks", "a.json", "--fold", 1, 5],
        *["--actor", "python:a:b", "--set", "decay_updates=4", "max_grad_norm=2", "dtype=auto", "micro_prompts=3"],
    )
    config = Config(**options.fields(Config))
    assert (config.learning_rate, config.updates, config.max_minutes, config.shuffle_rewards) == (0.5, 7, 1.5, True)
    assert (config.lora.rank, config.actor) == (3, "python:a:b")
    assert (config.decay_updates, config.max_grad_norm, config.dtype, config.micro_prompts) == (4, 2.0, "auto", 3)
    kwargs = {"tasks": "a.json", "fold": (1, 5), "max_reflections": 2, "reward": "improvement"}
    assert config.env_kwargs == kwargs


def test_wrong_fields_are_named(capsys, tmp_path):
    words = ["train", ENV, "--output", tmp_path / "run", "--set"]
    assert "Did you mean 'decay_updates'" in refused(capsys, *words, "decay_update=4")
    assert "give FIELD=VALUE" in refused(capsys, *words, "decay_updates")
    assert "is not of type int" in refused(capsys, *words, "decay_updates=many")
    assert "is not of type int" in refused(capsys, *words, "micro_prompts=many")
    for setting, option in [
        *[("seed=4", "--seed"), ("learning_rate=1", "--lr"), ("lr=1", "--lr"), ("lora=3", "--lora-rank")],
        *[("lora_rank=3", "--lora-rank"), ("lora.rank=3", "--lora-rank"), ("kl-coef=1", "--kl-coef")],
        *[("max_reflections=2", "--max-reflections"), ("env_kwargs={}", "--env-kwargs"), ("env_id=x", "ENV_ID")],
    ]:
        assert f"has an option of its own, {option}." in refused(capsys, *words, setting)
    assert "is set twice" in refused(capsys, *words, "decay_updates=4", "decay-updates=5")
    assert not (tmp_path / "run").exists()


def test_missing_torch_names_the_extra(capsys, monkeypatch, tmp_path):
    for name in ("retro_gym_agents.algorithms.reinforce", "retro_gym_agents.lm.reflector"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "retro-gym[train]" in refused(capsys, "train", ENV, "--output", tmp_path / "run")
    assert "retro-gym[train]" in refused(capsys, "evaluate", ENV, "--reflector", "tiny")


def test_the_help_tells_the_settings_of_the_algorithms(capsys):
    from retro_gym_agents.algorithms.ppo import PPOConfig
    from retro_gym_agents.algorithms.reinforce import ReinforceConfig
    from retro_gym_agents.cli.fields import config_fields

    for config in (PPOConfig, ReinforceConfig):  # read from the source, and as they are
        told = config_fields(config.__module__, config.__name__)
        for field in dataclasses.fields(config):
            inner = dataclasses.fields(field.default) if dataclasses.is_dataclass(field.default) else ()
            assert all(told[f"{field.name}.{each.name}"].default == repr(each.default) for each in inner)
            if not inner:
                assert told[field.name].kind == field.type
                assert told[field.name].doc
                if field.default is not dataclasses.MISSING:
                    assert ast.literal_eval(told[field.name].default) == field.default
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        *["updates: int 300 Number of updates. --updates", "reinforce: 0.0006", "ppo: 0.0004", "--lr"],
        *[
            "decay_updates: int 0 Number of updates at the end",
            "--set decay_updates=…",
            "ppo: 0.2",
            "lora.rank: int | None None r: the rank of each weight's update; 8 by default.",
        ],
        "reinforce: 'leave_one_out'",
    ):
        assert part in text


def test_learning_rate_has_two_names():
    from retro_gym_agents.algorithms.reinforce import ReinforceConfig

    for name in ("--lr", "--learning-rate", "--learning_rate"):
        assert train_options(name, 0.25).fields(ReinforceConfig)["learning_rate"] == 0.25


def test_settings_may_be_repeated(capsys, tmp_path):
    from retro_gym_agents.algorithms.reinforce import ReinforceConfig

    fields = train_options("--set", "dtype=auto", "--set", "micro_prompts=2", "log-every=3").fields(ReinforceConfig)
    assert (fields["dtype"], fields["micro_prompts"], fields["log_every"]) == ("auto", 2, 3)
    assert train_options("--base-url", "http://a", "--base-url", "http://b").arguments()["actor_kwargs"] == {
        "base_url": ["http://a", "http://b"]
    }
