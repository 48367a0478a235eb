import json
import multiprocessing
import time
from functools import partial

import numpy as np
import pytest
import torch

from retro_gym import load_run
from retro_gym.errors import ActorError, CheckpointError, ConfigError
from retro_gym.testing import IdentityActor
from retro_gym_agents.algorithms import ppo, reinforce
from retro_gym_agents.algorithms.ppo import PPOConfig
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.roller import Roller
from retro_gym_agents.runs import training
from tests.agents.configs import identity_config

TIMING = {"seconds", "tokens_per_second"}
LIBRARIES = [
    "matplotlib.figure",
    "peft",
    "retro_gym_agents.algorithms.ppo",
    "torch.utils.tensorboard",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
]


def make(small_model, output, *, kind=ReinforceConfig, **fields):
    defaults = {
        "env_kwargs": {"max_reflections": 2},
        "updates": 6,
        "num_prompts": 4,
        "group_size": 3,
        "checkpoint_every": 2,
        "learning_rate": 3e-3,
    }
    return identity_config(kind, small_model, output, **{**defaults, **fields})


def state(folder):
    """All that two runs must have in common to be the same: everything but the clock."""
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    rows = [{name: row[name] for name in row if name not in TIMING} for row in checkpoint["metrics"]]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == checkpoint["metrics"]
    learned = {name: checkpoint[name] for name in ("adapter", "reference", "modules", "optimizer", "best", "update")}
    files = [folder / name for name in ("records.jsonl", "validations.jsonl")]
    written = {path.name: path.read_bytes() for path in files if path.exists()}
    return flat(learned), rows, written


def flat(value, name=""):
    """Nested dicts and lists of tensors as one dict of bytes."""
    if isinstance(value, torch.Tensor):
        return {name: (str(value.dtype), value.numpy().tobytes())}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else None
    if items is None:
        return {name: value}
    return {key: leaf for part, inner in items for key, leaf in flat(inner, f"{name}/{part}").items()}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- a run -------------------------------------------------------------------------------------------------------


def test_what_a_run_leaves_behind(small_model, tmp_path, capsys):
    result = reinforce.train(make(small_model, tmp_path / "run", validate_every=3, validation_tasks=8, log_every=2))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "adapter", "best", "checkpoint.pt", "config.json", "curve.png", "metrics.jsonl", "records.jsonl", "tb",
        "validations.jsonl",
    }  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == list(range(7))
    assert [row["update"] for row in rows if "validation_success" in row] == [0, 3, 6]
    for row in rows[1:]:
        assert {"reward", "success", "kl", "loss", "grad_norm", "entropy", "actor_errors", "tokens_per_second"} <= set(
            row
        )
    assert dict(result.metrics) == rows[-1]
    assert (result.updates, result.was_finished, result.output) == (6, False, tmp_path / "run")
    assert result.seconds == rows[-1]["seconds"] > 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["algorithm"] == "reinforce"
    assert config["lora"]["rank"] == 8
    records = load_run(tmp_path / "run" / "records.jsonl")
    (header,) = records.headers.values()
    assert (header.seed, header.policy.rpartition(" + ")[2], header.env_id) == (0, "reinforce", "RetroIdentity-v0")
    assert records.reflections
    assert all(records.rate(each) == each.reward for each in records.reflections.values())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["update 0/6", "update 2/6", "update 4/6", "update 6/6"]
    assert "tokens/s" in lines[-1]
    assert "validation" in lines[-1]


def test_the_metrics_are_on_tensorboard(small_model, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reinforce.train(make(small_model, tmp_path / "run", updates=3))
    events = EventAccumulator(str(tmp_path / "run" / "tb"))
    events.Reload()
    assert {"reward", "success", "kl", "loss", "grad_norm", "entropy", "actor_errors"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("reward")] == [1, 2, 3]


def test_the_best_adapter_is_kept(small_model, tmp_path, monkeypatch):
    scores = iter([0.1, 0.5, 0.5, 0.3])  # before the first update, and after each
    seen = []

    def success(self, reflector):
        seen.append(reflector.adapter_state())
        return next(scores)

    monkeypatch.setattr(training.Validation, "success", success)
    reinforce.train(make(small_model, tmp_path / "run", updates=3, validate_every=1))
    best = Reflector.load(tmp_path / "run").adapter_state()
    assert flat(best) == flat(seen[2]), "of equals the last"
    last = Reflector.load(tmp_path / "run" / "adapter").adapter_state()
    assert flat(last) == flat(seen[3])


def test_the_learning_rate_falls_at_the_end(small_model, tmp_path, monkeypatch):
    rates = []

    def step(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    reinforce.train(make(small_model, tmp_path / "run", updates=5, decay_updates=3, learning_rate=0.3))
    assert rates == pytest.approx([0.3, 0.3, 0.3, 0.2, 0.1])


def test_the_clock_ends_a_run(small_model, tmp_path, capsys):
    config = make(small_model, tmp_path / "run", updates=10_000, max_minutes=1e-9)
    assert reinforce.train(config).updates == 1
    assert reinforce.train(
        make(small_model, tmp_path / "run", updates=10_000, max_minutes=1e-9, resume=True)
    ).was_finished
    assert reinforce.train(make(small_model, tmp_path / "run", updates=2, resume=True)).updates == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"updates": 0}, "updates is 0"),
        ({"micro_prompts": 0}, "micro_prompts is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"kl_coef": -0.1}, "kl_coef is -0.1"),
        ({"trial_discount": 1.5}, "trial_discount is 1.5; it must lie between 0 and 1"),
        ({"env_kwargs": {"bank": {1, 2}}}, "env_kwargs is"),
    ],
)
def test_fields_out_of_their_rule(small_model, tmp_path, fields, words):
    with pytest.raises(ConfigError, match=words):
        make(small_model, tmp_path, **fields)


def test_a_run_from_before_the_trial_discount_can_be_resumed(small_model, tmp_path):
    assert "trial_discount" not in make(small_model, tmp_path).settings()
    assert make(small_model, tmp_path, trial_discount=0.5).settings()["trial_discount"] == "0.5"


# -- starting and resuming -----------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_is_not_started_in(small_model, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"holds \['notes.txt'\] already"):
        reinforce.train(make(small_model, tmp_path))
    with pytest.raises(ConfigError, match=r"no checkpoint.pt: there is no run"):
        reinforce.train(make(small_model, tmp_path, resume=True))
    with pytest.raises(ConfigError, match="is a file"):
        reinforce.train(make(small_model, tmp_path / "notes.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_resuming_where_nothing_is_starts(small_model, tmp_path):
    reinforce.train(make(small_model, tmp_path / "one", updates=2))
    reinforce.train(make(small_model, tmp_path / "other", updates=2, resume=True))
    assert state(tmp_path / "one") == state(tmp_path / "other")


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_anew(small_model, tmp_path):
    for name in ("best", "tb"):
        (tmp_path / "run" / name).mkdir(parents=True)
    for name in ("checkpoint.pt.new", "config.json", "metrics.jsonl", "records.jsonl"):
        (tmp_path / "run" / name).touch()
    reinforce.train(make(small_model, tmp_path / "run", updates=2, resume=True))
    reinforce.train(make(small_model, tmp_path / "whole", updates=2))
    assert state(tmp_path / "run") == state(tmp_path / "whole")


def test_an_actor_that_cannot_be_reached_ends_the_run(small_model, tmp_path, monkeypatch):
    answer = IdentityActor.reply

    def unreachable(self, prompts):
        return [ActorError("no connection") if prompt.reflections else answer(self, [prompt])[0] for prompt in prompts]

    with monkeypatch.context() as patch:
        patch.setattr(IdentityActor, "reply", unreachable)
        with pytest.raises(ActorError, match="all 12 reflections of update 1"):
            reinforce.train(make(small_model, tmp_path / "run", updates=2))
    reinforce.train(make(small_model, tmp_path / "run", updates=2, resume=True))
    reinforce.train(make(small_model, tmp_path / "whole", updates=2))
    assert state(tmp_path / "run") == state(tmp_path / "whole")


def test_a_finished_run_is_left_alone(small_model, tmp_path, capsys):
    first = reinforce.train(make(small_model, tmp_path / "run", updates=2))
    before = contents(tmp_path / "run")
    again = reinforce.train(make(small_model, tmp_path / "run", updates=2, resume=True))
    assert again.was_finished
    assert (again.updates, again.metrics, again.seconds) == (first.updates, first.metrics, first.seconds)
    assert contents(tmp_path / "run") == before
    assert "is complete after 2 updates: nothing to do" in capsys.readouterr().err


def test_a_finished_run_can_be_made_longer(small_model, tmp_path):
    reinforce.train(make(small_model, tmp_path / "run", updates=3))
    reinforce.train(make(small_model, tmp_path / "run", updates=6, resume=True))
    reinforce.train(make(small_model, tmp_path / "whole", updates=6))
    assert state(tmp_path / "run") == state(tmp_path / "whole")


def test_other_settings_are_refused(small_model, tmp_path):
    reinforce.train(make(small_model, tmp_path / "run", updates=2))
    with pytest.raises(CheckpointError, match="started with seed=0, but seed=1 is given now"):
        reinforce.train(make(small_model, tmp_path / "run", seed=1, resume=True))
    with pytest.raises(CheckpointError, match='started with algorithm="reinforce"'):
        ppo.train(make(small_model, tmp_path / "run", kind=PPOConfig, resume=True))


def test_records_that_were_deleted_are_missed(small_model, tmp_path):
    reinforce.train(make(small_model, tmp_path / "run", updates=2))
    (tmp_path / "run" / "records.jsonl").unlink()
    with pytest.raises(ValueError, match="rows were deleted"):
        reinforce.train(make(small_model, tmp_path / "run", updates=4, resume=True))


@pytest.mark.parametrize(("kind", "module"), [(ReinforceConfig, reinforce), (PPOConfig, ppo)])
def test_a_run_that_broke_off_goes_on_as_if_nothing_had_happened(small_model, tmp_path, monkeypatch, kind, module):
    fields = {"kind": kind, "updates": 5, "validate_every": 2, "validation_tasks": 4}
    module.train(make(small_model, tmp_path / "whole", **fields))
    collect = Roller.roll_out

    def collect_until_the_line_goes_down(roller, update, **kwargs):
        rollout = collect(roller, update, **kwargs)
        if update == 4:  # after its records were written
            raise ActorError("no connection")
        return rollout

    with monkeypatch.context() as patch:
        patch.setattr(Roller, "roll_out", collect_until_the_line_goes_down)
        with pytest.raises(ActorError, match="no connection"):
            module.train(make(small_model, tmp_path / "run", **fields))
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["update"] == 3  # none has to be made again
    records = [(tmp_path / name / "records.jsonl").read_bytes() for name in ("run", "whole")]
    assert records[0] != records[1]
    assert records[1].startswith(records[0])
    result = module.train(make(small_model, tmp_path / "run", resume=True, **fields))
    assert (result.updates, result.was_finished) == (5, False)
    assert state(tmp_path / "run") == state(tmp_path / "whole")


# -- kill -9 -------------------------------------------------------------------------------------------------------


def run_and_kill(train, config, moment, delay=0.0):
    """Trains in a process of its own, killed some seconds after its records reach a size; returns whether it was."""
    context = multiprocessing.get_context("forkserver")  # loads the libraries once, and forks
    context.set_forkserver_preload(LIBRARIES)
    process = context.Process(target=partial(train, config))
    process.start()
    records = config.output / "records.jsonl"
    while process.is_alive() and not (records.exists() and records.stat().st_size >= moment):
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


def survive(train, make_config, tmp_path, kills, seed):
    """Kills a run at random moments, resumes it each time, and compares it with one that was left in peace."""
    assert not run_and_kill(train, make_config(tmp_path / "whole"), float("inf"))
    size = (tmp_path / "whole" / "records.jsonl").stat().st_size
    rng = np.random.default_rng(seed)
    hits = 0
    for moment in sorted(rng.uniform(0, 0.9 * size, kills)):
        # The delay spreads the kills over the whole update: records are written in one part of it.
        hits += run_and_kill(train, make_config(tmp_path / "run", resume=True), moment, rng.uniform(0, 0.03))
    assert hits == kills
    assert not run_and_kill(train, make_config(tmp_path / "run", resume=True), float("inf"))
    assert state(tmp_path / "run") == state(tmp_path / "whole")
    for folder in ("adapter", "best"):
        one, other = (contents(tmp_path / name / folder) for name in ("run", "whole"))
        assert one == other


@pytest.mark.parametrize(("kind", "module"), [(ReinforceConfig, reinforce), (PPOConfig, ppo)])
def test_a_run_that_is_killed_ends_as_one_that_is_not(small_model, tmp_path, kind, module):
    config = partial(make, small_model, kind=kind, updates=9, checkpoint_every=3, validate_every=2, validation_tasks=4)
    survive(module.train, config, tmp_path, kills=3, seed=0)


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times(small_model, tmp_path):
    config = partial(make, small_model, updates=40, checkpoint_every=1, validate_every=5, validation_tasks=4)
    survive(reinforce.train, config, tmp_path, kills=20, seed=1)
