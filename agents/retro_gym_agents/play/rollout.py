"""Rollouts: the data of an update, K reflections on each failure and their rewards."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from retro_gym.errors import DivergedError
from retro_gym_agents.lm.masked import masked_mean
from retro_gym_agents.lm.samples import Samples

__all__ = ["Rollout", "Round", "with_later_rewards"]


@dataclasses.dataclass(frozen=True)
class Round:
    """One failure of each running episode, K reflections on each, and their rewards."""

    samples: Samples
    rewards_N: Tensor
    """Reward of each reflection, and later ones credited to it, on the CPU; 0 where ``valid_N`` is False."""
    valid_N: Tensor
    """False if the actor failed, there or in a later trial that counts: such a sample is dropped, not counted as 0."""
    success_N: Tensor | None
    """Whether the trial that followed solved the task; None if none was played."""

    def __post_init__(self) -> None:
        paid = self.rewards_N[self.valid_N]
        if not paid.isfinite().all():
            raise DivergedError(
                f"an environment gave the reward {float(paid[~paid.isfinite()][0])}; rewards must be finite, because "
                "every advantage depends on them. Fix the environment's reward."
            )

    @classmethod
    def joined(cls, parts: Sequence[Round], pad_id: int) -> Round:
        """Returns the failures of all parts as one round, in their order."""
        if len(parts) == 1:
            return parts[0]
        played = [one.success_N for one in parts if one.success_N is not None]
        return cls(
            Samples.joined([one.samples for one in parts], pad_id),
            torch.cat([one.rewards_N for one in parts]),
            torch.cat([one.valid_N for one in parts]),
            torch.cat(played) if played else None,
        )


@dataclasses.dataclass(frozen=True)
class Rollout:
    """The data of one update."""

    rounds: tuple[Round, ...]
    """The first failures of all episodes, then the next failures of those that continue, and so on."""

    @property
    def rewards_N(self) -> Tensor:  # noqa: N802 - axis letters
        """The rewards of all rounds."""
        return torch.cat([one.rewards_N for one in self.rounds])

    @property
    def valid_N(self) -> Tensor:  # noqa: N802 - axis letters
        """The validity of all rounds' rewards."""
        return torch.cat([one.valid_N for one in self.rounds])

    @property
    def num_tokens(self) -> int:
        """Number of tokens that the reflector generated."""
        return sum(one.samples.num_tokens for one in self.rounds)

    def metrics(self) -> dict[str, float]:
        """Returns mean reward and success over the valid samples, actor errors, tokens per reflection, and entropy.

        The entropy is an estimate: the mean of −log π over the sampled tokens, in nats per token.
        """
        played = [one for one in self.rounds if one.success_N is not None]
        surprise = -sum(float(one.samples.logprobs_NT.sum()) for one in self.rounds)
        success = {}
        if played:
            success_N = torch.cat([one.success_N for one in played if one.success_N is not None])
            success["success"] = float(masked_mean(success_N.float(), self.valid_N))
        return {
            "reward": float(masked_mean(self.rewards_N, self.valid_N)),
            **success,
            "actor_errors": float((~self.valid_N).sum()),
            "tokens_per_reflection": self.num_tokens / len(self.valid_N),
            "entropy": surprise / max(1, self.num_tokens),
        }

    def with_shuffled_rewards(self, seed: int) -> Rollout:
        """Returns the rollout with rewards permuted among all valid samples: a control that must not learn."""
        rewards_N, valid_N = self.rewards_N, self.valid_N
        paid = rewards_N[valid_N]
        order = torch.randperm(len(paid), generator=torch.Generator().manual_seed(seed))
        rewards_N[valid_N] = paid[order]
        parts = torch.split(rewards_N, [len(one.rewards_N) for one in self.rounds])
        return Rollout(
            tuple(dataclasses.replace(one, rewards_N=part) for one, part in zip(self.rounds, parts, strict=True))
        )


def with_later_rewards(
    rounds: Sequence[Round], episodes: Sequence[Sequence[int]], trial_discount: float
) -> list[Round]:
    """Credits reflections with the rewards of later ones in their episodes (LaMer, arXiv 2512.16848).

    An episode goes on from the first of its K reflections that has a reward, so only that one has a future: the sum
    F = γ r_{t+1} + γ² r_{t+2} + … of the rewards on the episode's path. Its reward becomes r_t + v F, where v is the
    number of reflections on this failure that have a reward; the others keep r_t alone. With K = 1 this is the
    discounted return r_t + γ r_{t+1} + ….

    The factor v makes the policy gradient unbiased. The objective is E[r + F] for every reflection, but F is known for
    one in v only; which one does not depend on its text, so v F on that one and 0 on the others has the expectation of
    F on each. Without the factor the future would count for γ/v. The price is variance, which grows with v: K = 1 and
    more episodes estimate a long future better. The mean of a failure's rewards estimates the discounted return.

    If the actor fails on all reflections on a failure, what earlier reflections of the episode would have led to is not
    known. Those on its path become invalid: they are dropped, not paid as if nothing had followed.

    Args:
        rounds: rounds of a rollout.
        episodes: for each round, the episode of each of its failures.
        trial_discount: γ, between 0 and 1.
    """
    later: dict[int, float] = {}  # r + F of the round after, by episode; NaN if the actor failed
    credited = []
    for one, numbers in zip(reversed(rounds), reversed(episodes), strict=True):
        rewards_N, valid_N = one.rewards_N.clone(), one.valid_N.clone()
        size = len(rewards_N) // len(numbers)
        for place, episode in enumerate(numbers):
            paid = [row for row in range(place * size, (place + 1) * size) if one.valid_N[row]]
            if not paid:
                later[episode] = math.nan
                continue
            lead, future = paid[0], trial_discount * later.get(episode, 0.0)
            later[episode] = float(one.rewards_N[lead]) + future
            valid_N[lead] = math.isfinite(future)
            rewards_N[lead] = rewards_N[lead] + len(paid) * future if math.isfinite(future) else 0.0
        credited.append(dataclasses.replace(one, rewards_N=rewards_N, valid_N=valid_N))
    return credited[::-1]
