"""How many actor calls a run has made, and runs that end with a number of them."""

import json

import pytest

from retro_gym.errors import ConfigError
from retro_gym.records import load_run
from retro_gym_agents.algorithms import reinforce
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.data.examples import num_replies
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import make_policy
from tests.agents.configs import identity_config


def make(small_model, output, **fields):
    defaults = {"updates": 4, "num_prompts": 4, "group_size": 3, "checkpoint_every": 1}
    return identity_config(ReinforceConfig, small_model, output, **{**defaults, **fields})


def calls(folder):
    return [json.loads(line)["actor_calls"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_they_are_the_replies_in_the_records(small_model, tmp_path):
    reinforce.train(make(small_model, tmp_path / "run"))
    counted = calls(tmp_path / "run")
    assert counted[-1] == num_replies(load_run(tmp_path / "run" / "records.jsonl")) == 4 * (4 + 4 * 3)
    assert counted == sorted(counted)


def test_validations_are_among_them_and_resuming_counts_none_twice(small_model, tmp_path):
    validated = {"validate_every": 1, "validation_tasks": 5}
    reinforce.train(make(small_model, tmp_path / "whole", **validated))
    reinforce.train(make(small_model, tmp_path / "run", **validated | {"updates": 2}))
    reinforce.train(make(small_model, tmp_path / "run", **validated, resume=True))
    counted = calls(tmp_path / "whole")
    assert counted == calls(tmp_path / "run")
    assert counted[0] == 5 + 5, "the first trials, and those after the reflections"
    assert counted[1] - counted[0] == 4 + 4 * 3 + 5


def test_a_run_ends_with_the_update_that_reaches_them(small_model, tmp_path):
    each = 4 + 4 * 3
    config = make(small_model, tmp_path / "run", updates=100, stop_after_calls=2 * each + 1)
    assert reinforce.train(config).updates == 3
    longer = make(small_model, tmp_path / "run", updates=100, stop_after_calls=4 * each, resume=True)
    assert reinforce.train(longer).updates == 4


def test_the_learning_rate_falls_as_if_the_updates_were_known(small_model, tmp_path, monkeypatch):
    import torch

    rates = []
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda optimizer: rates.append(optimizer.param_groups[0]["lr"]))
    limited = {"updates": 100, "stop_after_calls": 5 * 16, "decay_updates": 3, "learning_rate": 0.3}
    reinforce.train(make(small_model, tmp_path / "run", **limited))
    assert rates == pytest.approx([0.3, 0.3, 0.3, 0.2, 0.1])


def test_a_limit_of_none_is_refused(small_model, tmp_path):
    with pytest.raises(ConfigError, match="stop_after_calls is 0"):
        make(small_model, tmp_path / "run", stop_after_calls=0)


def test_a_collection_ends_with_the_batch_that_reaches_them(tmp_path):
    config = CollectConfig("RetroIdentity-v0", tmp_path / "records.jsonl", num_episodes=200, stop_after_calls=100)
    assert collect(config, make_policy("oracle")).actor_calls == 128, "64 episodes of two trials"
