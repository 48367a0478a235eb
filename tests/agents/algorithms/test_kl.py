"""What the learners claim of the KL divergence, checked on every text that a small language can write."""

import itertools

import pytest
import torch

from retro_gym_agents.algorithms.advantages import gae, kl_estimate
from retro_gym_agents.algorithms.ppo import ppo_loss, token_rewards
from retro_gym_agents.algorithms.reinforce import reinforce_loss

END, TOKENS, LENGTH = 2, 3, 3
START = TOKENS  # the row of the first token's logits


def texts():
    """All texts of up to three tokens, those that stop at the limit among them, padded: ids and mask."""
    found = {}
    for tokens in itertools.product(range(TOKENS), repeat=LENGTH):
        ends = tokens.index(END) + 1 if END in tokens else LENGTH
        found[tokens[:ends]] = None
    rows = list(found)
    tokens_NT = torch.tensor([[*row, *[0] * (LENGTH - len(row))] for row in rows])
    return tokens_NT, torch.tensor([[place < len(row) for place in range(LENGTH)] for row in rows])


TOKENS_NT, MASK_NT = texts()


def logprobs_of(table):
    """The log-probabilities (N, T) of every text under a bigram model's logits."""
    before_NT = torch.cat([torch.full_like(TOKENS_NT[:, :1], START), TOKENS_NT[:, :-1]], 1)
    logprobs_NT = torch.log_softmax(table, -1)[before_NT].gather(-1, TOKENS_NT[..., None])[..., 0]
    return logprobs_NT.where(MASK_NT, 0.0)


@pytest.fixture(params=range(5))
def model(request):
    """Logits of a policy, and the log-probabilities of its reference."""
    generator = torch.Generator().manual_seed(request.param)
    table, other = torch.randn(2, TOKENS + 1, TOKENS, generator=generator, dtype=torch.float64)
    return table.requires_grad_(), logprobs_of(other)


def exact_kl(table, reference_NT):
    logprobs_N = logprobs_of(table).sum(-1)
    return (logprobs_N.exp() * (logprobs_N - reference_NT.sum(-1))).sum()


def mean_gradient(table, loss):
    """The mean over texts from the policy of the gradient of ``loss(row)``."""
    total = torch.zeros_like(table)
    for row, weight in enumerate(logprobs_of(table).detach().sum(-1).exp()):
        (gradient,) = torch.autograd.grad(loss(row), table)
        total += weight * gradient
    return total


def test_every_text_is_there_once():
    assert len(TOKENS_NT) == 1 + 2 + 4 * 3
    logprobs_N = logprobs_of(torch.zeros(TOKENS + 1, TOKENS, dtype=torch.float64)).sum(-1)
    assert float(logprobs_N.exp().sum()) == pytest.approx(1)


def test_the_gradient_of_reinforces_kl_term_is_that_of_the_kl(model):
    table, reference_NT = model

    def loss(row):
        one = slice(row, row + 1)
        return reinforce_loss(
            logprobs_of(table)[one], reference_NT[one], MASK_NT[one], torch.zeros(1, dtype=torch.float64), kl_coef=0.3
        )

    (exact,) = torch.autograd.grad(0.3 * exact_kl(table, reference_NT), table)
    torch.testing.assert_close(mean_gradient(table, loss), exact, rtol=1e-9, atol=1e-9)

    def by_token(row):
        return 0.3 * 0.5 * (logprobs_of(table)[row] - reference_NT[row]).square().sum()

    off = (mean_gradient(table, by_token) - exact).norm() / exact.norm()
    assert off > 0.02, "a square for each token is another gradient: this test can tell"


def test_the_gradient_of_reinforce_is_that_of_its_objective(model):
    table, reference_NT = model
    rewards_N = torch.linspace(-1, 1, len(TOKENS_NT), dtype=torch.float64)

    def loss(row):
        one = slice(row, row + 1)
        return reinforce_loss(logprobs_of(table)[one], reference_NT[one], MASK_NT[one], rewards_N[one], kl_coef=0.3)

    objective = (logprobs_of(table).sum(-1).exp() * rewards_N).sum() - 0.3 * exact_kl(table, reference_NT)
    (exact,) = torch.autograd.grad(-objective, table)
    torch.testing.assert_close(mean_gradient(table, loss), exact, rtol=1e-9, atol=1e-9)


def test_what_ppo_pays_is_the_reward_less_the_kl(model):
    table, reference_NT = model
    rewards_N = torch.linspace(-1, 1, len(TOKENS_NT), dtype=torch.float64)
    logprobs_NT = logprobs_of(table).detach()
    paid_NT = token_rewards(rewards_N, logprobs_NT, reference_NT, MASK_NT, kl_coef=0.3)
    weights_N = logprobs_NT.sum(-1).exp()
    expected = (weights_N * rewards_N).sum() - 0.3 * exact_kl(table, reference_NT)
    torch.testing.assert_close((weights_N * paid_NT.sum(-1)).sum(), expected.detach())


def test_the_first_step_of_ppo_is_the_gradient_of_the_reward_less_the_kl(model):
    table, reference_NT = model
    rewards_N = torch.linspace(-1, 1, len(TOKENS_NT), dtype=torch.float64)
    old_NT = logprobs_of(table).detach()
    paid_NT = token_rewards(rewards_N, old_NT, reference_NT, MASK_NT, kl_coef=0.3)
    values_NT = torch.linspace(
        -2, 1, TOKENS + 1, dtype=torch.float64
    )[  # of the token before, which is the whole state
        torch.cat([torch.full_like(TOKENS_NT[:, :1], START), TOKENS_NT[:, :-1]], 1)
    ]
    advantages_NT, _ = gae(paid_NT, values_NT, MASK_NT, gamma=1.0, lam=1.0)

    def loss(row):
        one = slice(row, row + 1)
        return ppo_loss(logprobs_of(table)[one], old_NT[one], advantages_NT[one], MASK_NT[one], clip_ratio=0.2)[0]

    objective = (logprobs_of(table).sum(-1).exp() * rewards_N).sum() - 0.3 * exact_kl(table, reference_NT)
    (exact,) = torch.autograd.grad(-objective, table)
    torch.testing.assert_close(mean_gradient(table, loss), exact, rtol=1e-9, atol=1e-9)


def test_the_logged_estimate_has_the_kl_of_whole_texts_as_its_mean(model):
    table, reference_NT = model
    logprobs_NT = logprobs_of(table).detach()
    terms = [
        kl_estimate(logprobs_NT[row : row + 1], reference_NT[row : row + 1], MASK_NT[row : row + 1])
        for row in range(len(TOKENS_NT))
    ]
    mean = sum(weight * term for weight, term in zip(logprobs_NT.sum(-1).exp(), terms, strict=True))
    torch.testing.assert_close(mean, exact_kl(table, reference_NT).detach())
    assert min(terms) >= 0
