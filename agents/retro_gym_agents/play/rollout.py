"""Rollouts: parallel episodes with K reflections on each failure, and their rewards."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from retro_gym.actors import ConcurrentActor
from retro_gym.background import BackgroundPool, open_pool
from retro_gym.env import RetroEnv
from retro_gym.errors import DivergedError
from retro_gym.scheduling import Job, JobPool
from retro_gym.seeding import derive_seed
from retro_gym.task_env import least_parallel
from retro_gym.trajectory import Outcome
from retro_gym_agents.lm.masked import masked_mean
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.play.episodes import check_budget

__all__ = ["Rollout", "Round", "roll_out", "with_later_rewards"]

_PARTS = 4  # in which episodes with a server are played: more would make the batches of reflections small
_Pool: TypeAlias = JobPool[int, Any] | BackgroundPool[int, Any]


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


@dataclasses.dataclass(frozen=True)
class Rollout:
    """The data of one update."""

    rounds: tuple[Round, ...]
    """The first failures of episodes that were played together, the next failures of those that continue, and so on;
    then those of the next episodes."""

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


def roll_out(
    envs: Sequence[RetroEnv],
    reflector: Reflector,
    *,
    seed: int,
    update: int,
    num_samples: int,
    keep_hidden: bool = False,
    trial_discount: float = 0.0,
) -> Rollout:
    """Plays one episode in every environment and tries K reflections on each failure.

    With an actor that replies in batches, the reflections on all failures of a round are sampled in one batch. With a
    server as the actor, a quarter of the episodes at a time: while the reflections of some are sampled, the trials of
    the others go on. Which ones these are does not depend on the order of the server's replies. ``branch`` computes the
    rewards. An episode then continues from the trial of the first of its K reflections that has a reward, until it
    ends; it also ends if the actor failed on all of them.

    The result is determined by ``(seed, update)`` and the weights; no state is carried over between updates. The random
    numbers of an episode depend on the index of its environment, not on the number of environments.

    Args:
        envs: P environments.
        reflector: writes the reflections.
        seed: seed of the run.
        update: number of this update within the run.
        num_samples: K.
        keep_hidden: whether the samples keep the hidden states that a value head needs.
        trial_discount: γ, by which a reflection is credited with the rewards of later ones; see
            :func:`with_later_rewards`.

    Raises:
        ActorError: the actor cannot be reached.
        BudgetError: the actor's budget is spent.
        NoFailureError: the actor solves every task.
    """
    actor = envs[0].actor
    parts = _PARTS if isinstance(actor, ConcurrentActor) else 1

    def sample(numbers: Sequence[int], observations: Sequence[str], rounds: int) -> Samples:
        seeds = [derive_seed(seed, "sample", update, index, rounds) for index in numbers]
        return reflector.sample(observations, num_samples=num_samples, seed=seeds, keep_hidden=keep_hidden)

    pool: _Pool = open_pool(actor, at_once=least_parallel(env.task_env for env in envs))
    with contextlib.closing(pool):
        size = -(-len(envs) // parts)
        part_of: dict[int, _Part] = {}
        for start in range(0, len(envs), size):
            part = _Part({index: envs[index] for index in range(start, min(start + size, len(envs)))}, pool, sample)
            part_of |= dict.fromkeys(part.running, part)
        for index, env in enumerate(envs):
            reset = env.plan_reset(seed=derive_seed(seed, "episode", update, index))
            pool.add(index, Job(reset, env.actor, env.stats))
        while len(pool):
            ended = pool.wait()
            part_of[ended.key].receive(ended.key, ended.result())
    rounds: list[Round] = []
    for part in dict.fromkeys(part_of.values()):
        rounds += with_later_rewards(part.rounds, part.episodes, trial_discount) if trial_discount else part.rounds
    return Rollout(tuple(rounds))


class _Part:
    """Episodes whose reflections are sampled together.

    Args:
        envs: their environments, by the index of the episode.
        pool: plays the trials.
        sample: samples reflections on observations, given the episodes and the number of rounds before.
    """

    def __init__(
        self,
        envs: Mapping[int, RetroEnv],
        pool: _Pool,
        sample: Callable[[Sequence[int], Sequence[str], int], Samples],
    ) -> None:
        self.running = dict(envs)
        self.rounds: list[Round] = []
        self.episodes: list[tuple[int, ...]] = []
        self._pool, self._sample = pool, sample
        self._samples: Samples | None = None
        self._arrived: dict[int, Any] = {}

    def receive(self, index: int, result: Any) -> None:
        """Takes what a reset or branch has returned; goes on when all episodes have come so far."""
        self._arrived[index] = result
        if len(self._arrived) < len(self.running):
            return
        if self._samples is not None:
            self._pay(self._samples)
        self._arrived = {}
        if self.running:
            self._reflect()

    def _pay(self, samples: Samples) -> None:
        groups: list[list[Outcome]] = [self._arrived[index] for index in self.running]
        outcomes = [outcome for group in groups for outcome in group]
        check_budget(outcomes)
        self.rounds.append(_paid(samples, outcomes))
        self.episodes.append(tuple(self.running))
        going_on = {
            index: _goes_on(self.running[index], group) for index, group in zip(self.running, groups, strict=True)
        }
        self.running = {index: env for index, env in self.running.items() if going_on[index]}

    def _reflect(self) -> None:
        seen = [env.observation_within(env.max_observation_chars) for env in self.running.values()]
        self._samples = samples = self._sample(tuple(self.running), seen, len(self.rounds))
        size = samples.num_samples
        for place, (index, env) in enumerate(self.running.items()):
            texts = samples.texts[place * size : (place + 1) * size]
            self._pool.add(index, Job(env.plan_branch(texts), env.actor, env.stats))


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


def _goes_on(env: RetroEnv, group: Sequence[Outcome]) -> bool:
    """Continues from the first outcome with a reward; returns whether the episode needs another reflection."""
    lead = next((outcome for outcome in group if outcome.reward is not None), None)
    return lead is not None and not env.follow(lead)


def _paid(samples: Samples, outcomes: Sequence[Outcome]) -> Round:
    return Round(
        samples,
        torch.tensor([outcome.reward or 0.0 for outcome in outcomes]),
        torch.tensor([outcome.reward is not None for outcome in outcomes]),
        torch.tensor([outcome.success for outcome in outcomes]),
    )
