import dataclasses

import pytest
import torch

from retro_gym_agents.algorithms.reinforce import ReinforceConfig, improve, reinforce_loss, train
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.roller import roll_out
from tests.agents.configs import identity_config

YES, NO = True, False


def config(small_model, output, **fields):
    """A run that learns the identity environment in a second or two."""
    defaults = {
        "updates": 25,
        "learning_rate": 3e-3,
    }
    return identity_config(ReinforceConfig, small_model, output, **{**defaults, **fields})


def test_loss_by_hand():
    logprobs = torch.tensor([[-1.0, -2.0], [-0.5, -9.0]])
    reference = torch.tensor([[-1.2, -1.0], [-0.1, -3.0]])
    mask = torch.tensor([[YES, YES], [YES, NO]])
    loss = reinforce_loss(logprobs, reference, mask, torch.tensor([2.0, -1.0]), kl_coef=0.1)
    # −A·Σ log π: 2·3 and −1·0.5; ½ (Σ log π − log π_ref)²: ½ (0.2 − 1)² and ½ · 0.4².
    torch.testing.assert_close(loss, torch.tensor(6.0 - 0.5 + 0.1 * (0.32 + 0.08)))


def gradient(reflector, rollout, settings):
    optimizer = torch.optim.SGD(reflector.trainable.values(), lr=0.0)
    metrics = improve(reflector, optimizer, rollout, settings)
    weights = reflector.trainable.values()
    return metrics, torch.cat([(torch.zeros_like(one) if one.grad is None else one.grad).flatten() for one in weights])


@pytest.mark.parametrize("limit", [{"micro_prompts": 2}, {"micro_tokens": 100}])
def test_fewer_prompts_at_a_time_give_the_same_gradient(small_model, tmp_path, limit):
    reflector = Reflector.load(small_model)
    reflector.freeze_reference()
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 2}, actor="scripted", num=5, records=None)
    rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=3)
    assert len(rollout.rounds) == 2
    whole, parts = (
        gradient(reflector, rollout, config(small_model, tmp_path, group_size=3, max_grad_norm=1e9, **limits))
        for limits in ({}, limit)
    )
    assert whole[0] == pytest.approx(parts[0], rel=1e-4, abs=1e-6)
    torch.testing.assert_close(whole[1], parts[1], rtol=1e-4, atol=1e-6)
    assert whole[1].abs().sum() > 0


def test_without_a_kl_term_the_reference_is_not_asked_and_failures_without_a_gradient_are_not_scored(
    small_model, tmp_path, monkeypatch
):
    reflector = Reflector.load(small_model)
    reflector.freeze_reference()
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 1}, actor="scripted", num=4, records=None)
    rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=3)
    (one,) = rollout.rounds
    mixed = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    rollout = dataclasses.replace(rollout, rounds=(dataclasses.replace(one, rewards_N=mixed.flatten()),))
    settings = config(small_model, tmp_path, group_size=3, max_grad_norm=1e9)
    metrics, push = gradient(reflector, rollout, dataclasses.replace(settings, kl_coef=1e-12))
    assert metrics.pop("kl") == 0

    scored = []
    logprobs = Reflector.logprobs
    monkeypatch.setattr(Reflector, "logprobs", lambda self, samples: scored.append(samples) or logprobs(self, samples))
    monkeypatch.delattr(LanguageModel, "reference_logprobs")
    fewer, same = gradient(reflector, rollout, dataclasses.replace(settings, kl_coef=0.0))
    assert fewer == pytest.approx(metrics, rel=1e-4)
    torch.testing.assert_close(same, push, rtol=1e-4, atol=1e-6)
    assert [part.num_prompts for part in scored] == [2]


def test_samples_that_the_actor_failed_on_do_not_count(small_model, tmp_path):
    reflector = Reflector.load(small_model)
    reflector.freeze_reference()
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 1}, actor="scripted", num=3, records=None)
    rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=2)
    (one,) = rollout.rounds
    nothing = dataclasses.replace(one, rewards_N=one.rewards_N + 5.0, valid_N=torch.zeros(6, dtype=torch.bool))
    for baseline in ("none", "batch_mean", "leave_one_out"):
        settings = config(small_model, tmp_path, group_size=2, baseline=baseline, kl_coef=0.0)
        _, push = gradient(reflector, dataclasses.replace(rollout, rounds=(nothing,)), settings)
        assert push.abs().sum() == 0, baseline


@pytest.mark.parametrize("baseline", ["leave_one_out", "batch_mean"])
def test_it_learns(small_model, tmp_path, baseline):
    result = train(config(small_model, tmp_path / "run", baseline=baseline))
    rewards = rewards_of(tmp_path / "run")
    assert result.updates == 25
    assert sum(rewards[:2]) / 2 < 0.6
    assert sum(rewards[-3:]) / 3 > 0.9


def test_it_learns_nothing_from_shuffled_rewards(small_model, tmp_path):
    train(config(small_model, tmp_path / "run", shuffle_rewards=True))
    rewards = rewards_of(tmp_path / "run")
    assert sum(rewards[-5:]) / 5 < 0.55, "untrained it earns 0.4; trained on true rewards above 0.9"


def rewards_of(folder):
    import json

    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["reward"] for row in rows]
