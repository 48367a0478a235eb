"""Runs that end early, and starts that fail: what they leave behind, and what it is good for."""

import json
import os
import signal

import pytest
import torch

from retro_gym import read_records
from retro_gym.errors import ActorError, ConfigError, NoFailureError
from retro_gym.testing import EchoActor, IdentityActor, IdentityEnv
from retro_gym_agents.algorithms import reinforce
from retro_gym_agents.algorithms.ppo import PPOConfig
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.lm.reflector import LoraSettings, Reflector
from retro_gym_agents.play.roller import Roller
from retro_gym_agents.runs import training
from retro_gym_agents.runs.checkpoints import read_checkpoint
from tests.agents.configs import identity_config


def make(small_model, output, *, kind=ReinforceConfig, **fields):
    defaults = {
        "updates": 6,
        "num_prompts": 4,
        "group_size": 3,
        "checkpoint_every": 10,
        "learning_rate": 3e-3,
    }
    return identity_config(kind, small_model, output, **{**defaults, **fields})


def adapters(*folders):
    return [
        {name: weight.numpy().tobytes() for name, weight in read_checkpoint(folder / "checkpoint.pt").adapter.items()}
        for folder in folders
    ]


def interrupt(patch, update, act, where="roll_out"):
    """Lets something happen in the middle of an update."""
    original = getattr(Roller if where == "roll_out" else reinforce, where)
    count = []

    def interrupted(*args, **kwargs):
        count.append(1)
        result = original(*args, **kwargs)
        if len(count) == update:
            act()
        return result

    patch.setattr(Roller if where == "roll_out" else reinforce, where, interrupted)


def ctrl_c():
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["roll_out", "step"])
@pytest.mark.parametrize(
    ("act", "raised"),
    [
        (ctrl_c, KeyboardInterrupt),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), SystemExit),
        (lambda: 1 / 0, ZeroDivisionError),
    ],
    ids=["ctrl-c", "sigterm", "error"],
)
def test_an_interruption_leaves_the_last_whole_update(small_model, tmp_path, monkeypatch, where, act, raised):
    with monkeypatch.context() as patch:
        interrupt(patch, 4, act, where)
        with pytest.raises(raised):
            reinforce.train(make(small_model, tmp_path / "run"))
    assert read_checkpoint(tmp_path / "run" / "checkpoint.pt").update == 3
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    reinforce.train(make(small_model, tmp_path / "run", resume=True))
    reinforce.train(make(small_model, tmp_path / "whole"))
    one, other = adapters(tmp_path / "run", tmp_path / "whole")
    assert one == other
    records = [(tmp_path / name / "records.jsonl").read_bytes() for name in ("run", "whole")]
    assert records[0] == records[1]


def test_a_run_with_a_server_is_the_same_whenever_it_was_interrupted(small_model, tmp_path, monkeypatch):
    """Although its replies overtake each other, and first trials are played in advance."""
    fields = {"actor": "python:tests.agents.served:Served", "env_kwargs": {"max_reflections": 2}}
    with monkeypatch.context() as patch:
        interrupt(patch, 4, ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            reinforce.train(make(small_model, tmp_path / "run", **fields))
    reinforce.train(make(small_model, tmp_path / "run", resume=True, **fields))
    reinforce.train(make(small_model, tmp_path / "whole", **fields))
    one, other = adapters(tmp_path / "run", tmp_path / "whole")
    assert one == other
    rows = [
        sorted(
            (row["task_id"], row["trial"], row["episode"])
            for row in read_records(tmp_path / name / "records.jsonl", "trial")
        )
        for name in ("run", "whole")
    ]
    assert rows[0] == rows[1]
    calls = [
        [row["actor_calls"] for row in read_checkpoint(tmp_path / name / "checkpoint.pt").metrics]
        for name in ("run", "whole")
    ]
    assert calls[0] == calls[1]


def test_an_interrupted_validation_is_made_again(small_model, tmp_path, monkeypatch):
    fields = {"validate_every": 2, "validation_tasks": 4}
    success, calls = training.Validation.success, []

    def second_is_interrupted(self, reflector):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return success(self, reflector)

    with monkeypatch.context() as patch:
        patch.setattr(training.Validation, "success", second_is_interrupted)
        with pytest.raises(KeyboardInterrupt):
            reinforce.train(make(small_model, tmp_path / "run", **fields))
    assert read_checkpoint(tmp_path / "run" / "checkpoint.pt").update == 1
    reinforce.train(make(small_model, tmp_path / "run", resume=True, **fields))
    reinforce.train(make(small_model, tmp_path / "whole", **fields))
    rows = [
        [(row["update"], row.get("validation_success")) for row in map(json.loads, path.read_text().splitlines())]
        for path in (tmp_path / "run" / "metrics.jsonl", tmp_path / "whole" / "metrics.jsonl")
    ]
    assert rows[0] == rows[1]


def test_somebody_elses_plans_for_sigterm_are_left_alone(small_model, tmp_path, monkeypatch):
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with monkeypatch.context() as patch:
            interrupt(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
            assert reinforce.train(make(small_model, tmp_path / "run", updates=2)).updates == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


# -- starts that fail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"group_size": 1}, "Raise group_size"),
        ({"baseline": "leave_one_oout"}, "Did you mean 'leave_one_out'"),
        ({"baseline": "batch_mean", "group_size": 1, "num_prompts": 1}, "needs at least 2 samples, but there is 1"),
        ({"decay_updates": 7}, "decay_updates is 7, but there are 6 updates"),
        ({"decay_updates": -1}, "decay_updates is -1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"max_minutes": float("nan")}, "max_minutes is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"kl_coef": float("inf")}, "kl_coef is inf"),
        ({"num_prompts": 2.5}, "num_prompts is 2.5; it must be of type int"),
        ({"seed": 1.5}, "seed is 1.5; it must be of type int"),
        ({"learning_rate": "1e-3"}, "learning_rate is '1e-3'; it must be of type float"),
        ({"lora": 8}, "lora is 8; give LoraSettings"),
        ({"resume": 1}, "resume is 1; it must be of type bool"),
        ({"env_kwargs": {"retroact_c": float("nan")}}, "env_kwargs is"),
        ({"kind": PPOConfig, "minibatches": 1.5}, "minibatches is 1.5"),
        ({"kind": PPOConfig, "value_learning_rate": float("inf")}, "value_learning_rate is inf"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_written(small_model, tmp_path, fields, words):
    with pytest.raises(ConfigError, match=words):
        make(small_model, tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


def test_checks_of_the_validation_come_before_the_folder(small_model, tmp_path, monkeypatch):
    without = IdentityEnv.task_ids

    def task_ids(self, split):
        if split == "validation":
            raise ConfigError("there is no split 'validation'")
        return without(self, split)

    monkeypatch.setattr(IdentityEnv, "task_ids", task_ids)
    with pytest.raises(ConfigError, match="no split 'validation'"):
        reinforce.train(make(small_model, tmp_path / "run", validate_every=1))
    assert not (tmp_path / "run").exists()


def test_a_new_run_takes_the_folder_of_a_start_that_failed(small_model, tmp_path, monkeypatch):
    """Whatever was wrong, and with whatever settings."""
    answer = IdentityActor.reply
    with monkeypatch.context() as patch:
        patch.setattr(IdentityActor, "reply", EchoActor("Say[red]").reply)
        fields = {"env_kwargs": {"max_reflections": 1, "words": ["red"]}, "validate_every": 1, "group_size": 2}
        with pytest.raises(NoFailureError):
            reinforce.train(make(small_model, tmp_path / "run", **fields))
    with monkeypatch.context() as patch:

        def unreachable(self, prompts):
            return [ActorError("down") if prompt.reflections else answer(self, [prompt])[0] for prompt in prompts]

        patch.setattr(IdentityActor, "reply", unreachable)
        with pytest.raises(ActorError, match="update 1"):
            reinforce.train(make(small_model, tmp_path / "run", kind=ReinforceConfig, seed=9))
    reinforce.train(make(small_model, tmp_path / "run", updates=2))
    reinforce.train(make(small_model, tmp_path / "whole", updates=2))
    one, other = adapters(tmp_path / "run", tmp_path / "whole")
    assert one == other
    records = [(tmp_path / name / "records.jsonl").read_bytes() for name in ("run", "whole")]
    assert records[0] == records[1]
    assert not (tmp_path / "run" / "best").exists()
    assert len(list((tmp_path / "run" / "tb").iterdir())) == 1


def test_a_run_that_is_under_way_or_has_made_an_update_is_not_taken(small_model, tmp_path, monkeypatch):
    def start_another():
        with pytest.raises(ConfigError, match="already"):
            reinforce.train(make(small_model, tmp_path / "run"))

    with monkeypatch.context() as patch:
        interrupt(patch, 1, start_another)
        reinforce.train(make(small_model, tmp_path / "run", updates=1))
    start_another()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="already"):
        reinforce.train(make(small_model, tmp_path / "other"))


# -- the adapter's own settings ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(small_model, tmp_path_factory):
    """The folder of an adapter of rank 2."""
    folder = tmp_path_factory.mktemp("narrow") / "adapter"
    Reflector.load(small_model, lora=LoraSettings(rank=2, target_modules="q_proj, v_proj")).save(folder)
    return folder


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        (LoraSettings(rank=8), "LoRA's rank is given as 8, but the adapter in .* has 2"),
        (LoraSettings(alpha=2), "LoRA's alpha is given as 2, but the adapter in .* has 16"),
        (LoraSettings(target_modules="all-linear"), "target_modules is given as 'all-linear'.* has 'q_proj,v_proj'"),
        (LoraSettings(rank=2, target_modules="q_proj"), "target_modules is given as 'q_proj'"),
    ],
)
def test_settings_that_a_loaded_adapter_does_not_have_are_refused(narrow, tmp_path, lora, words):
    with pytest.raises(ConfigError, match=words):
        Reflector.load(narrow, lora=lora)
    with pytest.raises(ConfigError, match=words):
        reinforce.train(make(narrow, tmp_path / "run", lora=lora))
    assert not (tmp_path / "run").exists()


def test_settings_that_a_loaded_adapter_has_may_be_given(small_model, narrow, tmp_path):
    given = LoraSettings(rank=2, alpha=16, target_modules="v_proj,q_proj")
    assert Reflector.load(narrow, lora=given).lora == Reflector.load(narrow).lora
    Reflector.load(small_model).save(tmp_path / "wide")
    assert Reflector.load(tmp_path / "wide", lora=LoraSettings(8, 16, "all-linear")).lora == LoraSettings().filled()
    assert Reflector.load(small_model, lora=None).lora is None


def test_the_config_of_a_run_says_what_the_adapter_is(narrow, tmp_path):
    reinforce.train(make(narrow, tmp_path / "run", updates=1))
    lora = json.loads((tmp_path / "run" / "config.json").read_text())["lora"]
    assert lora == {"rank": 2, "alpha": 16, "target_modules": "q_proj,v_proj"}
    reinforce.train(make(narrow, tmp_path / "run", updates=2, resume=True))
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert state["update"] == 2
