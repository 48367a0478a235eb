import json
import math

import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym_agents.algorithms.ppo import (
    PPOConfig,
    ValueHead,
    improve,
    minibatches,
    ppo_loss,
    prepare,
    token_rewards,
    train,
    value_loss,
)
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.roller import roll_out
from tests.agents.configs import identity_config

YES, NO = True, False


def config(small_model, output, **fields):
    defaults = {
        "updates": 18,
        "learning_rate": 1e-3,
    }
    return identity_config(PPOConfig, small_model, output, **{**defaults, **fields})


def test_token_rewards_by_hand():
    old = torch.tensor([[-1.0, -2.0, -3.0], [-0.5, 0.0, 0.0]])
    reference = torch.tensor([[-1.5, -2.0, -2.0], [-0.5, 0.0, 0.0]])
    mask = torch.tensor([[YES, YES, YES], [YES, NO, NO]])
    rewards = token_rewards(torch.tensor([1.0, 0.25]), old, reference, mask, kl_coef=0.1)
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, 0.0, 1.1], [0.25, 0.0, 0.0]]))


def test_loss_by_hand():
    old = torch.zeros(1, 5)
    ratios = torch.tensor([[1.1, 1.5, 0.5, 1.5, 7.0]])
    advantages = torch.tensor([[1.0, 1.0, -1.0, -2.0, 1.0]])
    mask = torch.tensor([[YES, YES, YES, YES, NO]])
    loss, clipped = ppo_loss(ratios.log(), old, advantages, mask, clip_ratio=0.2)
    # Free, cut at 1.2, cut at 0.8, and not cut: the ratio has moved against its advantage.
    torch.testing.assert_close(loss, torch.tensor(-(1.1 + 1.2 - 0.8 - 3.0)))
    assert int(clipped) == 2


def test_a_cut_token_has_no_gradient():
    logprobs = torch.tensor([[math.log(1.5), math.log(1.1)]], requires_grad=True)
    loss, _ = ppo_loss(logprobs, torch.zeros(1, 2), torch.ones(1, 2), torch.ones(1, 2).bool(), clip_ratio=0.2)
    (gradient,) = torch.autograd.grad(loss, logprobs)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, -1.1]]))


def test_value_loss_by_hand():
    loss = value_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 9.0]]), torch.tensor([[YES, NO]]))
    assert float(loss) == 0.5


def test_the_value_head_starts_at_0_and_leaves_the_policy_alone():
    head = ValueHead(8, seed=1)
    hidden = torch.randn(2, 3, 8, requires_grad=True)
    values = head(hidden)
    assert values.shape == (2, 3)
    assert not values.any()
    torch.autograd.backward((values - 1).square().sum())
    assert hidden.grad is None
    assert head.outer.weight.grad is not None
    assert torch.equal(head.inner.weight, ValueHead(8, seed=1).inner.weight)
    assert not torch.equal(head.inner.weight, ValueHead(8, seed=2).inner.weight)


@pytest.fixture
def start(small_model):
    reflector = Reflector.load(small_model)
    reflector.freeze_reference()
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 2}, actor="scripted", num=5, records=None)
    rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=3, keep_hidden=True)
    assert len(rollout.rounds) == 2
    return reflector, ValueHead(reflector.hidden_size), rollout


def test_targets(start, small_model, tmp_path):
    plain, _ = prepare(*start, config(small_model, tmp_path, group_size=3))
    targets, kl = prepare(*start, config(small_model, tmp_path, group_size=3, whiten_advantages=True))
    for one, part in zip(plain, targets, strict=True):
        assert torch.equal(one.returns_NT, part.returns_NT)
        assert torch.equal(one.advantages_NT, one.returns_NT), "the values are 0 at the start"
    everything = torch.cat([one.advantages_NT[one.mask_NT] for one in targets])
    assert float(everything.mean()) == pytest.approx(0, abs=1e-5)
    assert float(everything.std(correction=0)) == pytest.approx(1, abs=1e-3)
    assert kl == pytest.approx(0, abs=1e-5), "the first rollout is the reference's own"
    for one, part in zip(start[2].rounds, targets, strict=True):
        last = part.mask_NT.sum(-1) - 1
        assert part.returns_NT.gather(1, last[:, None])[:, 0].tolist() == pytest.approx(
            one.rewards_N.tolist(), abs=1e-4
        )


def test_minibatches_hold_every_prompt_once_with_all_its_samples(start, small_model, tmp_path):
    settings = config(small_model, tmp_path, group_size=3, minibatches=2, micro_prompts=2)
    targets, _ = prepare(*start, settings)
    parts = list(minibatches(targets, settings, seed=1))
    assert len(parts) == 2
    seen = [tuple(one.samples.texts) for passes in parts for one in passes]
    assert max(map(len, seen)) == 6, "two prompts of three samples go through the model together"
    assert sum(map(len, seen)) == sum(len(one.valid_N) for one in start[2].rounds)
    tokens = sum(int(one.mask_NT.sum()) for passes in parts for one in passes)
    assert tokens == start[2].num_tokens
    again = [tuple(one.samples.texts) for passes in minibatches(targets, settings, seed=1) for one in passes]
    assert seen == again


@pytest.mark.parametrize("micro_prompts", [1, 2])
def test_fewer_prompts_at_a_time_make_the_same_step(small_model, tmp_path, micro_prompts):
    after = []
    for size in (None, micro_prompts):
        reflector = Reflector.load(small_model)
        reflector.freeze_reference()
        head = ValueHead(reflector.hidden_size)
        envs = make_envs("RetroIdentity-v0", {"max_reflections": 2}, actor="scripted", num=5, records=None)
        rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=3, keep_hidden=True)
        optimizer = torch.optim.SGD([*reflector.trainable.values(), *head.parameters()], lr=0.1)
        settings = config(small_model, tmp_path, group_size=3, micro_prompts=size)
        metrics = improve(reflector, head, optimizer, rollout, settings, update=1)
        after.append(
            (metrics, torch.cat([w.detach().flatten() for w in [*reflector.trainable.values(), *head.parameters()]]))
        )
    assert after[0][0] == pytest.approx(after[1][0], rel=1e-3, abs=1e-5)
    torch.testing.assert_close(after[0][1], after[1][1], rtol=1e-3, atol=1e-6)


def test_it_needs_hidden_states(small_model, tmp_path):
    reflector = Reflector.load(small_model)
    reflector.freeze_reference()
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 1}, actor="scripted", num=2, records=None)
    rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=2)
    with pytest.raises(RuntimeError, match="keep_hidden"):
        prepare(reflector, ValueHead(reflector.hidden_size), rollout, config(small_model, tmp_path))


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"epochs": 0}, "epochs is 0"), ({"clip_ratio": 0.0}, "clip_ratio is 0.0"), ({"gamma": 1.5}, "gamma is 1.5")],
)
def test_fields_out_of_their_rule(small_model, tmp_path, fields, words):
    with pytest.raises(ConfigError, match=words):
        config(small_model, tmp_path, **fields)


def test_it_learns(small_model, tmp_path):
    train(config(small_model, tmp_path / "run"))
    rewards = rewards_of(tmp_path / "run")
    assert rewards[0] < 0.6
    assert sum(rewards[-3:]) / 3 > 0.9
    head = ValueHead(32)
    head.load_state_dict(torch.load(tmp_path / "run" / "adapter" / "value_head.pt", weights_only=True))
    assert head.outer.weight.any()


def test_it_learns_nothing_from_shuffled_rewards(small_model, tmp_path):
    train(config(small_model, tmp_path / "run", shuffle_rewards=True))
    rewards = rewards_of(tmp_path / "run")
    assert sum(rewards[-5:]) / 5 < 0.55, "untrained it earns 0.4; trained on true rewards above 0.9"


def rewards_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["reward"] for row in rows]
