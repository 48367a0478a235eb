import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym_agents.algorithms.advantages import (
    advantages,
    batch_mean,
    gae,
    kl_estimate,
    leave_one_out,
    whiten,
)
from retro_gym_agents.lm.masked import masked_mean

YES, NO = True, False


def close(actual, expected):
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_masked_mean():
    values = torch.tensor([[1.0, 2.0], [4.0, float("nan")]])
    close(masked_mean(values, torch.tensor([[YES, NO], [YES, NO]])), 2.5)
    close(masked_mean(values, torch.zeros(2, 2, dtype=torch.bool)), 0.0)


def test_whiten():
    mask = torch.tensor([YES, YES, YES, NO])
    close(whiten(torch.tensor([1.0, 2.0, 6.0, 99.0]), mask), [-0.9258201, -0.4629101, 1.3887301, 0.0])
    close(whiten(torch.full((4,), 3.0), mask), [0.0, 0.0, 0.0, 0.0])


def test_no_baseline():
    close(advantages("none", torch.tensor([1.0, 0.5, 7.0]), torch.tensor([YES, YES, NO]), 3), [1.0, 0.5, 0.0])


def test_batch_mean():
    rewards, valid = torch.tensor([1.0, 0.5, 0.0, 9.0]), torch.tensor([YES, YES, YES, NO])
    close(batch_mean(rewards, valid), [0.5, 0.0, -0.5, 0.0])
    close(advantages("batch_mean", rewards, valid, 2), [0.5, 0.0, -0.5, 0.0])


def test_leave_one_out():
    rewards = torch.tensor([[1.0, 0.0, 0.2], [0.5, 0.5, 0.5]])
    everything = torch.ones(2, 3, dtype=torch.bool)
    close(leave_one_out(rewards, everything), [[0.9, -0.6, -0.3], [0.0, 0.0, 0.0]])
    close(advantages("leave_one_out", rewards.flatten(), everything.flatten(), 3), [0.9, -0.6, -0.3, 0.0, 0.0, 0.0])


def test_leave_one_out_without_the_samples_that_the_actor_failed_on():
    rewards = torch.tensor([[1.0, 0.0, 9.0], [1.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
    valid = torch.tensor([[YES, YES, NO], [YES, NO, NO], [NO, NO, NO]])
    close(leave_one_out(rewards, valid), [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_a_baseline_that_is_not_there():
    with pytest.raises(ConfigError, match="Did you mean 'batch_mean'"):
        advantages("batchmean", torch.zeros(2), torch.ones(2, dtype=torch.bool), 2)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs at least 2 samples per prompt"):
        advantages("leave_one_out", torch.zeros(2), torch.ones(2, dtype=torch.bool), 1)


def test_gae_by_hand():
    rewards = torch.tensor([[0.0, 0.0, 1.0], [0.0, 2.0, 5.0]])
    values = torch.tensor([[0.5, 0.4, 0.2], [1.0, 0.5, 7.0]])
    mask = torch.tensor([[YES, YES, YES], [YES, YES, NO]])
    advantages_NT, returns_NT = gae(rewards, values, mask, gamma=0.9, lam=0.5)
    # Row 0: δ = 0.9·0.4 − 0.5 = −0.14, 0.9·0.2 − 0.4 = −0.22, 1 − 0.2 = 0.8; A from the back with γλ = 0.45.
    # Row 1 ends after two tokens: δ = 0.9·0.5 − 1 = −0.55, 2 − 0.5 = 1.5.
    close(advantages_NT, [[-0.077, 0.14, 0.8], [0.125, 1.5, 0.0]])
    close(returns_NT, [[0.423, 0.54, 1.0], [1.125, 2.0, 0.0]])


def test_gae_with_lambda_1_is_the_return_minus_the_value():
    rewards, values = torch.tensor([[0.1, 0.2, 1.0]]), torch.tensor([[0.3, 0.6, 0.5]])
    advantages_NT, returns_NT = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), gamma=1.0, lam=1.0)
    close(returns_NT, [[1.3, 1.2, 1.0]])
    close(advantages_NT, [[1.0, 0.6, 0.5]])


def test_gae_with_lambda_0_looks_one_token_ahead():
    rewards, values = torch.tensor([[0.1, 0.2, 1.0]]), torch.tensor([[0.3, 0.6, 0.5]])
    advantages_NT, _ = gae(rewards, values, torch.ones(1, 3, dtype=torch.bool), gamma=1.0, lam=0.0)
    close(advantages_NT, [[0.4, 0.1, 0.5]])


def test_kl_estimate():
    logprobs, reference = torch.tensor([[0.5, 0.25, 0.9]]).log(), torch.tensor([[0.25, 0.25, 0.1]]).log()
    close(kl_estimate(logprobs, reference, torch.tensor([[YES, YES, NO]])), 0.5 - 1 + 0.6931472)


def test_the_kl_estimate_has_the_kl_as_its_mean():
    policy, other = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    mask = torch.ones(1, 1, dtype=torch.bool)
    terms = [kl_estimate(p.log().view(1, 1), q.log().view(1, 1), mask) for p, q in zip(policy, other, strict=True)]
    assert all(term >= 0 for term in terms)
    mean = sum(p * term for p, term in zip(policy, terms, strict=True))
    torch.testing.assert_close(mean, (policy * (policy / other).log()).sum())
