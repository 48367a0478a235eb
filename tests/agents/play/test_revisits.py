"""Failures that are met again: which, when, and the same ones however a run is played."""

import dataclasses
from collections import Counter

import pytest
import torch

from retro_gym import RecordWriter, read_records
from retro_gym.errors import ConfigError
from retro_gym.seeding import derive_seed
from retro_gym.testing import IdentityActor
from retro_gym_agents.algorithms import reinforce
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.algorithms.retroformer import OfflinePPOConfig
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.revisits import Revisits
from retro_gym_agents.play.roller import Roller
from retro_gym_agents.play.rollout import Round
from retro_gym_agents.runs.checkpoints import read_checkpoint
from tests.agents.configs import identity_config
from tests.agents.play.test_rollout import envs
from tests.core.test_retro_vector import Server


def played(solved, samples=2, valid=None):
    """A round in which all reflections on some failures succeed, and all but one on the others."""
    success_N = torch.tensor([one or bool(number) for one in solved for number in range(samples)])
    valid_N = torch.ones_like(success_N) if valid is None else torch.tensor(valid)
    return Round(None, success_N.float(), valid_N, success_N)


def new(update, index, seed=7):
    return derive_seed(seed, "episode", update, index)


def test_without_a_share_every_episode_is_new():
    revisits = Revisits(0.0, 7)
    for update in (1, 2, 3, 4):
        assert revisits.seeds(update, 3) == [new(update, index) for index in range(3)]
        revisits.learn(update, played([False, True, False]))
    assert not len(revisits.state_dict()["waiting"])


def test_what_is_not_solved_comes_again_the_longest_waiting_first():
    revisits = Revisits(0.5, 7)
    revisits.seeds(1, 4)
    revisits.learn(1, played([False, True, False, False]))
    assert revisits.seeds(2, 4) == [new(2, index) for index in range(4)], "one update later it is too early"
    revisits.learn(2, played([True, True, True, False]))
    assert revisits.seeds(3, 4) == [new(1, 0), new(1, 2), new(3, 2), new(3, 3)]
    revisits.learn(3, played([True, False, True, True]))
    assert revisits.seeds(4, 4) == [new(1, 3), new(2, 3), new(4, 2), new(4, 3)]
    revisits.learn(4, played([True, True, True, True]))
    assert revisits.seeds(5, 4) == [new(1, 2), new(5, 1), new(5, 2), new(5, 3)]


def test_a_failure_of_the_actor_is_not_a_success():
    revisits = Revisits(0.9, 7)
    revisits.seeds(1, 2)
    revisits.learn(1, played([True, True], valid=[True, False, True, True]))
    assert revisits.seeds(3, 2)[0] == new(1, 0)
    assert revisits.seeds(3, 2)[1] == new(3, 1)


def test_a_failure_that_no_reflection_solves_is_given_up():
    revisits, met = Revisits(0.5, 7), []
    for update in range(1, 30):
        met += revisits.seeds(update, 2)
        revisits.learn(update, played([False, update > 1]))
    visits = Counter(met)
    assert visits[new(1, 0)] == visits[new(1, 1)] == 4
    assert max(visits.values()) == 4


@pytest.mark.parametrize("ahead", [False, True])
def test_a_state_goes_on_with_the_same_failures(ahead):
    first, found = Revisits(0.5, 7), []
    for update in range(1, 6):
        first.seeds(update, 4)
        if ahead:
            first.seeds(update + 1, 4)
        first.learn(update, played([update % 2 > 0, False, False, True]))
        found.append(first.state_dict()["waiting"].tolist())
    second = Revisits(0.5, 7)
    second.load_state_dict(first.state_dict())
    for update in range(6, 10):
        assert second.seeds(update, 4) == first.seeds(update, 4)
        for one in (first, second):
            one.learn(update, played([True, False, False, True]))
    assert any(found)


def test_what_is_played_in_advance_changes_nothing(small_model, tmp_path):
    """And the failures that come again are those of tasks that were not solved."""
    found = []
    for name, actor in (("alone", IdentityActor()), ("ahead", Server(IdentityActor()))):
        records = RecordWriter(tmp_path / f"{name}.jsonl")
        these = envs(num=6, actor=actor, records=records)
        roller = Roller(these, Reflector.load(small_model), seed=3, num_samples=2, revisit=0.5)
        rounds = [roller.roll_out(update, ahead=update < 5).rounds[0] for update in range(1, 6)]
        found.append([(one.samples.texts, one.success_N.tolist()) for one in rounds])
        roller.close()
        records.close()
    assert found[0] == found[1]
    rows = list(read_records(tmp_path / "alone.jsonl", "trial"))
    begun = [(row["episode"], row["task_id"]) for row in rows if row["source"] == "reset" and not row["success"]]
    again = {episode for episode, times in Counter(begun).items() if times > 1}
    assert again
    assert len(again) < len(set(begun)) < len(begun)


def config(small_model, folder, **fields):
    settings = {"updates": 7, "num_prompts": 4, "group_size": 3, "checkpoint_every": 1, "revisit": 0.5, "seed": 3}
    return identity_config(ReinforceConfig, small_model, folder, **settings | fields)


def test_a_resumed_run_meets_the_same_failures(small_model, tmp_path):
    reinforce.train(config(small_model, tmp_path / "whole"))
    reinforce.train(config(small_model, tmp_path / "parts", updates=3))
    reinforce.train(config(small_model, tmp_path / "parts", resume=True))
    whole, parts = (read_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert len(whole.carried["waiting"])
    assert torch.equal(whole.carried["waiting"], parts.carried["waiting"])
    assert all(torch.equal(weight, parts.adapter[name]) for name, weight in whole.adapter.items())
    assert (tmp_path / "whole" / "records.jsonl").read_bytes() == (tmp_path / "parts" / "records.jsonl").read_bytes()


def test_a_run_from_before_it_can_be_resumed(small_model, tmp_path):
    assert "revisit" not in config(small_model, tmp_path, revisit=0.0).settings()
    assert config(small_model, tmp_path).settings()["revisit"] == "0.5"


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_its_rule(small_model, tmp_path, share):
    with pytest.raises(ConfigError, match=r"revisit is .*; it must be at least 0 and below 1"):
        config(small_model, tmp_path, revisit=share)


def test_a_reward_model_has_no_failures_to_meet_again(small_model, tmp_path):
    fields = {
        name: value for name, value in dataclasses.asdict(config(small_model, tmp_path)).items() if name != "lora"
    }
    del fields["baseline"]
    with pytest.raises(ConfigError, match=r"revisit is 0.5, but the failures are those of the records"):
        OfflinePPOConfig(**fields, records="pairs.jsonl", reward_model="model")
