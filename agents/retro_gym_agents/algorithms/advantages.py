"""Advantages and KL estimates: pure functions of rewards, values and log-probabilities.

Axes: N samples, P prompts, K samples per prompt, T tokens. Masks are boolean; masked entries of results are 0.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from retro_gym.errors import ConfigError, did_you_mean
from retro_gym_agents.lm.masked import masked_mean

__all__ = [
    "Baseline",
    "advantages",
    "batch_mean",
    "check_baseline",
    "gae",
    "kl_estimate",
    "leave_one_out",
    "whiten",
]

Baseline = Literal["none", "batch_mean", "leave_one_out"]
"""What is subtracted from rewards. Control trials as a baseline are part of the environment's reward, since they must
be played: ``reward="over_control"`` with the baseline ``none``, see :func:`retro_gym.rewards.over_control`."""


def whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shifts and scales values to mean 0 and standard deviation 1 over the mask.

    >>> whiten(torch.tensor([1.0, 3.0, 9.0]), torch.tensor([True, True, False]))
    tensor([-1.,  1.,  0.])
    """
    centred = (values - masked_mean(values, mask)).where(mask, 0.0)
    return centred / (masked_mean(centred.square(), mask) + 1e-8).sqrt()


def batch_mean(rewards_N: Tensor, valid_N: Tensor) -> Tensor:
    """Returns the reward minus the mean reward of the batch.

    >>> batch_mean(torch.tensor([1.0, 0.0, 5.0]), torch.tensor([True, True, False]))
    tensor([ 0.5000, -0.5000,  0.0000])
    """
    return (rewards_N - masked_mean(rewards_N, valid_N)).where(valid_N, 0.0)


def leave_one_out(rewards_PK: Tensor, valid_PK: Tensor) -> Tensor:
    """Returns the reward minus the mean reward of the other samples of the same prompt (RLOO, arXiv 2402.14740).

    The baseline of a sample does not depend on that sample, so the gradient stays unbiased. The advantage is 0 if the
    prompt has no other valid sample.

    >>> leave_one_out(torch.tensor([[1.0, 0.0, 0.5]]), torch.ones(1, 3, dtype=torch.bool))
    tensor([[ 0.7500, -0.7500,  0.0000]])
    """
    rewards_PK = rewards_PK.where(valid_PK, 0.0)
    others_PK = valid_PK.sum(-1, keepdim=True) - 1
    baseline_PK = (rewards_PK.sum(-1, keepdim=True) - rewards_PK) / others_PK.clamp(min=1)
    return (rewards_PK - baseline_PK).where(valid_PK & (others_PK > 0), 0.0)


def check_baseline(baseline: str, num_samples: int, total: int) -> None:
    """Refuses a baseline that is unknown, or that needs more samples than there are.

    Args:
        baseline: ``"none"``, ``"batch_mean"`` or ``"leave_one_out"``.
        num_samples: K.
        total: N, the samples of all prompts.

    Raises:
        ConfigError: the baseline is refused.
    """
    known = get_args(Baseline)
    if baseline not in known:
        raise ConfigError(f"baseline {baseline!r} is not one of {known}.{did_you_mean(baseline, known)}")
    if baseline == "leave_one_out" and num_samples < 2:
        raise ConfigError(
            f"baseline 'leave_one_out' needs at least 2 samples per prompt, but group_size is {num_samples}. "
            "Raise group_size, or use the baseline 'batch_mean'."
        )
    if baseline == "batch_mean" and total < 2:
        raise ConfigError("baseline 'batch_mean' needs at least 2 samples, but there is 1. Take more, or use 'none'.")


def advantages(baseline: Baseline, rewards_N: Tensor, valid_N: Tensor, num_samples: int) -> Tensor:
    """Returns the advantages of N = P·K rewards under a baseline.

    Args:
        baseline: ``"none"``, ``"batch_mean"`` or ``"leave_one_out"``.
        rewards_N: grouped by prompt.
        valid_N: False where the actor failed; such a sample is left out of the baseline.
        num_samples: K.

    Raises:
        ConfigError: see :func:`check_baseline`.
    """
    check_baseline(baseline, num_samples, len(rewards_N))
    if baseline == "none":
        return rewards_N.where(valid_N, 0.0)
    if baseline == "batch_mean":
        return batch_mean(rewards_N, valid_N)
    return leave_one_out(rewards_N.view(-1, num_samples), valid_N.view(-1, num_samples)).view(-1)


def gae(rewards_NT: Tensor, values_NT: Tensor, mask_NT: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation over the tokens of a reflection (arXiv 1506.02438).

    δ_t = r_t + γ V_{t+1} − V_t and A_t = δ_t + γ λ A_{t+1}; V and A are 0 after the last token of a row.

    Args:
        rewards_NT: reward of each token.
        values_NT: value of the state before each token.
        mask_NT: which tokens were sampled; a row's True entries come first.
        gamma: discount per token.
        lam: λ; 0 gives one-step temporal differences, 1 Monte Carlo returns.

    Returns:
        Advantages, and the returns A + V, which are the targets of the value function.
    """
    values_NT = values_NT.where(mask_NT, 0.0)
    rewards_NT = rewards_NT.where(mask_NT, 0.0)
    advantages_NT = torch.zeros_like(rewards_NT)
    following_N = torch.zeros_like(rewards_NT[:, 0])
    value_N = torch.zeros_like(following_N)
    for step in reversed(range(rewards_NT.shape[1])):
        delta_N = rewards_NT[:, step] + gamma * value_N - values_NT[:, step]
        following_N = (delta_N + gamma * lam * following_N).where(mask_NT[:, step], 0.0)
        advantages_NT[:, step] = following_N
        value_N = values_NT[:, step]
    return advantages_NT, (advantages_NT + values_NT).where(mask_NT, 0.0)


def kl_estimate(logprobs_NT: Tensor, reference_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """Estimates KL(π‖π_ref) from tokens sampled from π, summed, in nats: Schulman's k3, which is never negative.

    k3 = r − 1 − log r with r = π_ref/π; see http://joschu.net/blog/kl-approx.html. The expectation under π of its sum
    over a reflection's tokens is the KL divergence between the distributions of whole reflections.
    """
    logratio_NT = (reference_NT - logprobs_NT).where(mask_NT, 0.0)
    return (logratio_NT.exp() - 1 - logratio_NT).sum()
