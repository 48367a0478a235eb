"""Collecting: episodes side by side, K reflections on each failure, and what each of them earns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from retro_gym.actors import ActorSpec
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, ConfigError, DivergedError
from retro_gym.records import RecordWriter
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import EndReason, Outcome
from retro_gym.vector import run_plans
from retro_gym_agents.algorithms.advantages import masked_mean
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.play.episodes import Episode, make_retro_env, start_episodes

__all__ = ["Rollout", "Round", "Validation", "collect", "make_envs"]


@dataclasses.dataclass(frozen=True)
class Round:
    """All failures of one moment, K reflections on each, and what those earned."""

    samples: Samples
    rewards_N: Tensor
    """What each reflection earned, on the CPU; 0 where ``valid_N`` is False."""
    valid_N: Tensor
    """False where the actor failed: such a sample is dropped, it is not worth 0."""
    success_N: Tensor
    """Whether the trial that followed solved the task."""

    def __post_init__(self) -> None:
        paid = self.rewards_N[self.valid_N]
        if not paid.isfinite().all():
            raise DivergedError(
                f"an environment pays {float(paid[~paid.isfinite()][0])}; a reward is a finite number. One that is not "
                "would be in every advantage. Mend the environment's reward."
            )


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What one update learns from."""

    rounds: tuple[Round, ...]
    """The first failures of all episodes, then the next failures of those that go on, and so forth."""

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
        """Tokens that the reflector wrote."""
        return sum(one.samples.num_tokens for one in self.rounds)

    def metrics(self) -> dict[str, float]:
        """Mean reward and success over the valid samples, actor errors, tokens per reflection, entropy.

        The entropy is an estimate: the mean of −log π over the sampled tokens, in nats per token.
        """
        success_N = torch.cat([one.success_N for one in self.rounds])
        surprise = -sum(float(one.samples.logprobs_NT.sum()) for one in self.rounds)
        return {
            "reward": float(masked_mean(self.rewards_N, self.valid_N)),
            "success": float(masked_mean(success_N.float(), self.valid_N)),
            "actor_errors": float((~self.valid_N).sum()),
            "tokens_per_reflection": self.num_tokens / len(self.valid_N),
            "entropy": surprise / max(1, self.num_tokens),
        }

    def with_shuffled_rewards(self, seed: int) -> Rollout:
        """The rewards permuted among all valid samples: a control that must not learn."""
        rewards_N, valid_N = self.rewards_N, self.valid_N
        paid = rewards_N[valid_N]
        order = torch.randperm(len(paid), generator=torch.Generator().manual_seed(seed))
        rewards_N[valid_N] = paid[order]
        parts = torch.split(rewards_N, [len(one.rewards_N) for one in self.rounds])
        return Rollout(
            tuple(dataclasses.replace(one, rewards_N=part) for one, part in zip(self.rounds, parts, strict=True))
        )


def make_envs(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    *,
    actor: ActorSpec,
    num: int,
    records: RecordWriter | None,
    actor_kwargs: Mapping[str, Any] | None = None,
) -> list[RetroEnv]:
    """Environments for episodes side by side. They share the actor, the tasks and the records file.

    Raises:
        ConfigError: the environment cannot be made, or ``env_kwargs`` holds what has a field of its own.
    """
    for name in ("actor", "actor_kwargs", "records"):
        if name in env_kwargs:
            raise ConfigError(f"env_kwargs holds {name!r}, which is set apart from them: leave it out there.")
    first = make_retro_env(env_id, **env_kwargs, actor=actor, actor_kwargs=actor_kwargs, records=records)
    return [first, *(first.twin() for _ in range(num - 1))]


def collect(
    envs: Sequence[RetroEnv],
    reflector: Reflector,
    *,
    seed: int,
    update: int,
    num_samples: int,
    keep_hidden: bool = False,
) -> Rollout:
    """Plays one episode in every environment and tries K reflections on each failure that comes up.

    All failures of a round are answered in one batch; ``branch`` pays the K reflections of each. An episode then goes
    on with the first of its K reflections that was paid, to the very failure that it was paid for, until it ends; it
    also ends where the actor failed on all of them.

    Everything follows from ``(seed, update)`` and the weights: nothing is carried over from one update to the next. And
    what an episode draws follows from its place among the environments, not from how many there are.

    Args:
        envs: P environments.
        reflector: writes the reflections.
        seed: of the run.
        update: the number of this update within the run.
        num_samples: K.
        keep_hidden: whether the samples keep the hidden states that a value head needs.

    Raises:
        ActorError: the actor cannot be reached at all.
        BudgetError: the actor's budget is spent.
        NoFailureError: the actor solves every task.
    """
    starts = [env.plan_reset(seed=derive_seed(seed, "episode", update, index)) for index, env in enumerate(envs)]
    run_plans(envs, starts)
    running = dict(enumerate(envs))
    rounds: list[Round] = []
    while running:
        samples = reflector.sample(
            [env.observation_within(env.max_observation_chars) for env in running.values()],
            num_samples=num_samples,
            seed=[derive_seed(seed, "sample", update, index, len(rounds)) for index in running],
            keep_hidden=keep_hidden,
        )
        groups = _branch(list(running.values()), samples)
        rounds.append(_paid(samples, [outcome for group in groups for outcome in group]))
        running = {
            index: env for (index, env), group in zip(running.items(), groups, strict=True) if _goes_on(env, group)
        }
    return Rollout(tuple(rounds))


def _branch(envs: Sequence[RetroEnv], samples: Samples) -> list[list[Outcome]]:
    size = samples.num_samples
    texts = [samples.texts[start : start + size] for start in range(0, len(samples.texts), size)]
    groups = run_plans(envs, [env.plan_branch(group) for env, group in zip(envs, texts, strict=True)])
    _check_budget(outcome for group in groups for outcome in group)
    return groups


def _goes_on(env: RetroEnv, group: Sequence[Outcome]) -> bool:
    """Takes an environment on to where the first paid reflection has led; returns whether there is more to reflect."""
    lead = next((outcome for outcome in group if outcome.reward is not None), None)
    return lead is not None and not env.follow(lead)


def _paid(samples: Samples, outcomes: Sequence[Outcome]) -> Round:
    return Round(
        samples,
        torch.tensor([outcome.reward or 0.0 for outcome in outcomes]),
        torch.tensor([outcome.reward is not None for outcome in outcomes]),
        torch.tensor([outcome.success for outcome in outcomes]),
    )


def _check_budget(outcomes: Iterable[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.trajectory.end is EndReason.BUDGET:
            raise BudgetError(str(outcome.trajectory.error))


class Validation:
    """Success after one reflection on held-out tasks: what the best adapter is chosen by.

    Reflections are sampled, as the evaluation samples them: the likeliest ones stop improving long before.
    Trial 0 of each task is played once, here; every :meth:`success` branches off from the same failures.

    Args:
        env_id: as for training.
        env_kwargs: as for training, but of split ``"validation"`` and without a bank.
        actor: the training environments' own, so that a budget or a tape is one for all.
        num_tasks: the first so many tasks of the split.
        seed: of the trials, and of the samples: the same ones at every validation.

    Raises:
        ConfigError: the environment cannot be made, or has no split of that name.
    """

    def __init__(
        self, env_id: str, env_kwargs: Mapping[str, Any], *, actor: ActorSpec, num_tasks: int, seed: int
    ) -> None:
        kwargs = {name: value for name, value in env_kwargs.items() if name != "bank"}
        (env,) = make_envs(env_id, {**kwargs, "split": "validation"}, actor=actor, num=1, records=None)
        task_ids = env.task_env.task_ids("validation")[:num_tasks]
        self._env = env
        self._episodes: list[Episode] = []
        try:
            seeds = [derive_seed(seed, "validation", task_id) for task_id in task_ids]
            self._episodes = start_episodes(env, task_ids, seeds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the environments. May be called again."""
        for env in (self._env, *(episode.env for episode in self._episodes)):
            env.close()

    def success(self, reflector: Reflector) -> float:
        """The share of tasks that are solved at trial 1; those on which the actor fails are left out.

        Raises:
            ActorError: the actor failed on every task.
            BudgetError: its budget is spent.
        """
        waiting = [episode for episode in self._episodes if episode.waits]
        solved = sum(episode.failed is None and episode.success[-1] for episode in self._episodes)
        played = solved
        seeds = [derive_seed(episode.seed, "reflection") for episode in waiting]
        texts = reflector.reflect([one.observation for one in waiting], greedy=False, seed=seeds)
        plans = [episode.env.plan_branch([text]) for episode, text in zip(waiting, texts, strict=True)]
        outcomes = [outcome for (outcome,) in run_plans([episode.env for episode in waiting], plans)]
        _check_budget(outcomes)
        for outcome in outcomes:
            played += outcome.reward is not None
            solved += outcome.reward is not None and outcome.success
        if not played:
            raise ActorError(f"the actor failed on all {len(self._episodes)} validation tasks.")
        return solved / played
