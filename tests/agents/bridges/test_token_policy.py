"""TokenPolicy: the reflector as the network of any learner; fast, and the same as a plain forward pass."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch

import retro_gym_agents
from retro_gym import TokenVectorEnv
from retro_gym.errors import ConfigError, DivergedError
from retro_gym_agents.bridges.token_options import token_options
from retro_gym_agents.bridges.token_policy import TokenPolicy
from retro_gym_agents.lm.prefixes import CausalModel, read_plain
from retro_gym_agents.lm.reflector import Reflector

NUM_ENVS = 3


@pytest.fixture
def policy(small_model):
    return TokenPolicy(Reflector.load(small_model))


def vector(policy, **options):
    failures = gym.make_vec("RetroIdentity-v0", NUM_ENVS, max_reflections=1)
    return TokenVectorEnv(failures, policy.reflector.tokenizer, **options, **token_options(policy.reflector))


def observations(policy, steps=7, **options):
    envs = vector(policy, **options)
    shown = [envs.reset(seed=0)[0]]
    rng = np.random.default_rng(0)
    for _ in range(steps):
        shown.append(envs.step(rng.integers(4, 8, size=NUM_ENVS))[0])
    return shown


def expected(policy, observation):
    """Log-probabilities by one plain forward pass for each row."""
    rows = [ids[mask > 0] for ids, mask in zip(observation["ids"], observation["mask"], strict=True)]
    with torch.no_grad():
        logits = read_plain(CausalModel(policy.reflector.model), rows).logits_BV
    return torch.log_softmax(logits / policy.reflector.sampling.temperature, -1)


def train(policy, learning_rate=0.1):
    optimizer = torch.optim.SGD(policy.parameters(), lr=learning_rate)
    logprobs, values = policy(observations(policy, 1)[0])
    torch.autograd.backward(logprobs[:, 5].sum() + values.sum())
    optimizer.step()


def test_a_rollout_costs_a_token_a_step_and_says_the_same(policy):
    train(policy)
    read = []
    for observation in observations(policy):
        with torch.no_grad():
            logprobs, values = policy(observation)
        torch.testing.assert_close(logprobs, expected(policy, observation), rtol=1e-4, atol=1e-4)
        assert values.shape == (NUM_ENVS,)
        (reader,) = policy._reader._readers.values()
        read.append(reader.tokens_read)
    assert min(np.diff(read)) == NUM_ENVS


def test_an_update_reads_a_rollout_at_once_and_says_the_same(policy):
    train(policy)
    shown = observations(policy)
    batch = {name: np.stack([one[name] for one in shown]) for name in ("ids", "mask")}
    logprobs, values = policy(batch)
    assert (logprobs.shape, values.shape) == ((8, NUM_ENVS, policy.num_tokens), (8, NUM_ENVS))
    for t, observation in enumerate(shown):
        torch.testing.assert_close(logprobs[t].detach(), expected(policy, observation), rtol=1e-4, atol=1e-4)
    gradients = torch.autograd.grad(logprobs[..., 5].mean() + values.mean(), list(policy.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(float(gradient.norm()) for gradient in gradients) > 0


@pytest.mark.parametrize(
    "form",
    [
        lambda ids, mask: {"ids": torch.from_numpy(ids), "mask": torch.from_numpy(mask)},
        lambda ids, mask: {"ids": torch.from_numpy(ids).float(), "mask": torch.from_numpy(mask).float()},
        lambda ids, mask: np.where(mask > 0, ids, -1),
        lambda ids, mask: torch.from_numpy(np.where(mask > 0, ids, -1)).float(),
    ],
)
def test_any_form_of_an_observation(policy, form):
    shown = observations(policy, 2)[-1]
    with torch.no_grad():
        torch.testing.assert_close(policy(form(shown["ids"], shown["mask"]))[0], policy(shown)[0])


def test_one_observation_without_a_batch(policy):
    shown = observations(policy, 1)[0]
    logprobs, value = policy({name: array[0] for name, array in shown.items()})
    assert (logprobs.shape, value.shape) == ((policy.num_tokens,), ())


def test_rows_of_padding_only_do_no_harm(policy):
    shown = observations(policy, 1)[0]
    shown["mask"][1] = 0
    with torch.no_grad():
        logprobs, values = policy(shown)
    assert logprobs.isfinite().all()
    assert values.isfinite().all()


@pytest.mark.parametrize("odd", [None, "text", {"ids": np.zeros((1, 3))}, 5])
def test_what_is_no_observation(policy, odd):
    with pytest.raises(ConfigError, match="an observation of a token view is ids, or ids and mask; received"):
        policy(odd)


def test_only_adapter_and_value_head_are_parameters(policy, small_model):
    named = dict(policy.reflector.model.named_parameters())
    base = {name: weight.clone() for name, weight in named.items()}
    train(policy)
    changed = {name for name, weight in named.items() if not torch.equal(weight, base[name])}
    assert changed
    assert changed <= {name for name in base if "lora" in name}
    assert {name.partition(".")[0] for name in policy.state_dict()} == {"adapter", "value_head"}
    other = TokenPolicy(Reflector.load(small_model))
    other.load_state_dict(policy.state_dict())
    shown = observations(policy, 1)[0]
    with torch.no_grad():
        torch.testing.assert_close(other(shown), policy(shown))


@pytest.mark.parametrize("write", [lambda weight, new: weight.copy_(new), lambda weight, new: weight.data.copy_(new)])
def test_caches_are_dropped_when_weights_change(policy, write):
    shown = observations(policy)
    with torch.no_grad():
        policy(shown[0])
        for weight in policy.adapter.values():
            write(weight, weight + 0.05)
        torch.testing.assert_close(policy(shown[1])[0], expected(policy, shown[1]), rtol=1e-4, atol=1e-4)


def test_large_batches_have_no_caches(small_model):
    policy = TokenPolicy(Reflector.load(small_model), cached_rows=NUM_ENVS - 1)
    shown = observations(policy, 1)[0]
    with torch.no_grad():
        torch.testing.assert_close(policy(shown)[0], expected(policy, shown), rtol=1e-4, atol=1e-4)
    assert not policy._reader._readers


def test_copies_are_apart_and_complete(policy):
    shown = observations(policy, 2)
    with torch.no_grad():
        before = policy(shown[0])[0]
        twin = copy.deepcopy(policy)
        torch.testing.assert_close(twin(shown[0])[0], before)
    train(twin)
    with torch.no_grad():
        assert not torch.allclose(twin(shown[1])[0], policy(shown[1])[0])
        torch.testing.assert_close(twin(shown[1])[0], expected(twin, shown[1]), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(policy(shown[0])[0], before)


def test_a_diverged_model_is_an_error(policy):
    shown = observations(policy, 1)[0]
    with torch.no_grad():
        next(iter(policy.adapter.values())).fill_(float("nan"))
    with pytest.raises(DivergedError, match="not numbers"):
        policy(shown)


def test_a_reflector_without_an_adapter_is_refused(small_model):
    with pytest.raises(ConfigError, match="no adapter"):
        TokenPolicy(Reflector.load(small_model, lora=None))


def test_it_is_a_public_name():
    assert retro_gym_agents.TokenPolicy is TokenPolicy
