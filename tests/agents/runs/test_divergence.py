"""Steps that would spoil the weights are not taken."""

import json
import math

import pytest
import torch
from torch import nn

from retro_gym.errors import CheckpointError, ConfigError, DivergedError
from retro_gym_agents.algorithms import ppo, reinforce
from retro_gym_agents.algorithms.optimizer_step import step
from retro_gym_agents.algorithms.ppo import PPOConfig, ValueHead
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.cli import main
from retro_gym_agents.lm.finite import check_finite, not_finite
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.roller import Roller, roll_out
from retro_gym_agents.play.rollout import Round
from retro_gym_agents.runs.checkpoints import read_checkpoint
from tests.agents.configs import identity_config


def weights(*gradients):
    parts = []
    for gradient in gradients:
        weight = nn.Parameter(torch.zeros(len(gradient)))
        weight.grad = torch.tensor(gradient)
        parts.append(weight)
    return parts


def test_each_part_is_clipped_by_itself():
    one, other = weights([3.0, 4.0], [300.0, 400.0])
    optimizer = torch.optim.SGD([one, other], lr=1.0)
    assert step(optimizer, {"adapter": [one], "value head": [other]}, 1.0) == pytest.approx(
        {"adapter": 5.0, "value head": 500.0}
    )
    torch.testing.assert_close(one.detach(), torch.tensor([-0.6, -0.8]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other.detach(), torch.tensor([-0.6, -0.8]), rtol=1e-4, atol=1e-4)


def test_a_small_gradient_is_left_as_it_is():
    (weight,) = weights([0.3, 0.4])
    assert step(torch.optim.SGD([weight], lr=1.0), {"adapter": [weight]}, 1.0) == pytest.approx({"adapter": 0.5})
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.3, -0.4]))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_no_step_is_taken_with_a_gradient_that_is_not_finite(bad):
    one, other = weights([1.0], [bad, 0.0])
    optimizer = torch.optim.AdamW([one, other])
    with pytest.raises(DivergedError, match=r"gradient of the value head is (nan|inf).*learning_rate"):
        step(optimizer, {"adapter": [one], "value head": [other]}, 1.0)
    assert not one.any()
    assert not other.any()
    assert not optimizer.state


def test_what_is_not_finite_is_found_wherever_it_stands():
    good = {"a": torch.ones(2), "b": [1, 2.0, None, "nan"], "c": {"d": (torch.zeros(1),)}}
    assert not_finite(good) is None
    assert not_finite({**good, "c": {"d": (torch.tensor([math.inf]),)}}) == "c.d.0"
    assert not_finite({**good, "e": math.nan}) == "e"
    check_finite({"loss": 1.0})
    with pytest.raises(DivergedError, match="the loss is nan"):
        check_finite({"the loss": math.nan})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_reward_that_is_not_finite_reaches_no_advantage(small_model, bad):
    reflector = Reflector.load(small_model)
    envs = make_envs("RetroIdentity-v0", {"max_reflections": 1}, actor="scripted", num=2, records=None)
    (one,) = roll_out(envs, reflector, seed=0, update=1, num_samples=2).rounds
    rewards_N = torch.tensor([0.0, bad, 1.0, 0.0])
    Round(one.samples, rewards_N, torch.tensor([True, False, True, True]), one.success_N)  # it does not count
    with pytest.raises(DivergedError, match=r"gave the reward (nan|inf); rewards must be finite"):
        Round(one.samples, rewards_N, torch.ones(4, dtype=torch.bool), one.success_N)


# -- runs ----------------------------------------------------------------------------------------------------------


def make(small_model, output, *, kind=ReinforceConfig, **fields):
    defaults = {
        "updates": 5,
        "num_prompts": 4,
        "group_size": 3,
        "checkpoint_every": 100,
    }
    return identity_config(kind, small_model, output, **{**defaults, **fields})


def spoil_update(monkeypatch, number, how):
    """Calls ``how`` between sampling and learning in update ``number``."""
    collected = Roller.roll_out

    def collect_and_spoil(roller, update, **kwargs):
        rollout = collected(roller, update, **kwargs)
        if update == number:
            how()
        return rollout

    monkeypatch.setattr(Roller, "roll_out", collect_and_spoil)


def no_numbers(reflector, samples):
    return samples.logprobs_NT * math.nan


@pytest.mark.parametrize(("kind", "module"), [(ReinforceConfig, reinforce), (PPOConfig, ppo)])
@pytest.mark.parametrize("number", [1, 4])
def test_a_run_that_diverges_stops_before_the_step(small_model, tmp_path, monkeypatch, kind, module, number):
    config = make(small_model, tmp_path / "run", kind=kind)
    with monkeypatch.context() as patch:
        spoil_update(patch, number, lambda: patch.setattr(Reflector, "reference_logprobs", no_numbers))
        with pytest.raises(DivergedError, match=rf"update {number}: the .* is nan.*resumed from update {number - 1}"):
            module.train(config)
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert checkpoint.update == number - 1
    assert not_finite(checkpoint.adapter) is None
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    again = module.train(make(small_model, tmp_path / "run", kind=kind, resume=True, learning_rate=1e-4))
    assert again.updates == 5


def test_ppo_keeps_the_last_whole_update_where_a_later_step_of_one_diverges(small_model, tmp_path, monkeypatch):
    """Some steps of the update were taken by then: they are undone in the checkpoint."""
    module_step, taken = ppo.step, []

    def third_step_diverges(optimizer, weights, max_norm):
        taken.append(1)
        if len(taken) == 6 + 3:
            next(iter(weights["value head"])).grad.fill_(math.nan)
        return module_step(optimizer, weights, max_norm)

    with monkeypatch.context() as patch:
        patch.setattr(ppo, "step", third_step_diverges)
        with pytest.raises(DivergedError, match="update 2: the norm of the gradient of the value head is nan"):
            ppo.train(make(small_model, tmp_path / "run", kind=PPOConfig))
    ppo.train(make(small_model, tmp_path / "run", kind=PPOConfig, resume=True))
    ppo.train(make(small_model, tmp_path / "whole", kind=PPOConfig))
    one, other = (read_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("run", "whole"))
    assert all(torch.equal(one.adapter[name], other.adapter[name]) for name in other.adapter)


def test_weights_that_grow_without_bounds_are_noticed(small_model, tmp_path):
    """Found when the next update samples: it is the step before that was the one too many, and that is undone."""
    every = {"checkpoint_every": 1}
    with pytest.raises(DivergedError, match=r"update 1: .* can be resumed from update 0"):
        reinforce.train(make(small_model, tmp_path / "run", learning_rate=1e30, **every))
    assert not_finite(read_checkpoint(tmp_path / "run" / "checkpoint.pt").adapter) is None
    again = reinforce.train(make(small_model, tmp_path / "run", learning_rate=1e-3, resume=True, **every))
    assert again.updates == make(small_model, tmp_path / "run").updates


def test_the_command_line_says_so_in_one_line(small_model, tmp_path, capsys):
    words = ["train", "RetroIdentity-v0", "--reflector", small_model, "--output", tmp_path / "run", "--lr", "1e30"]
    code = main([*map(str, words), "--updates", "3", "--num-prompts", "4", "--group-size", "3"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert lines[-1].startswith("error: update 1: ")
    assert "Lower learning_rate" in lines[-1]


def spoiled_adapter(small_model, folder):
    reflector = Reflector.load(small_model)
    with torch.no_grad():
        next(iter(reflector.trainable.values())).fill_(math.nan)
    reflector.save(folder)
    return reflector


def test_an_adapter_that_is_not_finite_is_not_loaded(small_model, tmp_path):
    reflector = spoiled_adapter(small_model, tmp_path / "adapter")
    with pytest.raises(ConfigError, match=r"holds numbers that are not finite, first in .*lora_A"):
        Reflector.load(tmp_path / "adapter")
    with pytest.raises(DivergedError, match=r"cannot be merged|not finite"):
        reflector.sample(["The word is red."])


def test_a_checkpoint_that_is_not_finite_is_not_resumed(small_model, tmp_path):
    reinforce.train(make(small_model, tmp_path / "run", updates=1))
    path = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    next(iter(state["optimizer"]["state"].values()))["exp_avg"].fill_(math.nan)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"not finite, first in optimizer\.state"):
        reinforce.train(make(small_model, tmp_path / "run", updates=2, resume=True))


def test_a_model_whose_logits_are_no_numbers_writes_nothing(small_model):
    reflector = Reflector.load(small_model, lora=None)
    with torch.no_grad():
        reflector.model.get_output_embeddings().weight.fill_(math.nan)
    for greedy in (False, True):
        with pytest.raises(DivergedError, match="log-probability that is not finite"):
            reflector.sample(["The word is red."], greedy=greedy)


def test_the_value_head_does_not_shorten_the_policys_step(small_model, tmp_path):
    """However large its own gradient is."""
    steps = []
    for scale in (1.0, 1e6):
        reflector = Reflector.load(small_model)
        reflector.freeze_reference()
        head = ValueHead(reflector.hidden_size)
        envs = make_envs("RetroIdentity-v0", {"max_reflections": 1}, actor="scripted", num=4, records=None)
        rollout = roll_out(envs, reflector, seed=0, update=1, num_samples=3, keep_hidden=True)
        with torch.no_grad():
            head.outer.bias.fill_(0.0)
        hook = head.outer.bias.register_hook(lambda gradient, scale=scale: gradient * scale)
        optimizer = torch.optim.SGD([*reflector.trainable.values(), *head.parameters()], lr=0.1)
        settings = make(small_model, tmp_path, kind=PPOConfig, epochs=1, minibatches=1)
        ppo.improve(reflector, head, optimizer, rollout, settings, update=1)
        hook.remove()
        assert float(head.outer.bias.detach().abs()) <= 0.1 + 1e-5, "it is clipped too"
        steps.append(reflector.adapter_state())
    assert all(torch.equal(steps[0][name], steps[1][name]) for name in steps[0])
