"""Plays rollouts: parallel episodes, in which K reflections are tried on each failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from retro_gym.actors import Budget, ConcurrentActor
from retro_gym.background import BackgroundPool, open_pool
from retro_gym.env import RetroEnv
from retro_gym.scheduling import Ended, Job, JobPool
from retro_gym.seeding import derive_seed
from retro_gym.task_env import least_parallel
from retro_gym.trajectory import Outcome
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.play.episodes import check_budget
from retro_gym_agents.play.revisits import Revisits
from retro_gym_agents.play.rollout import Rollout, Round, with_later_rewards

__all__ = ["Roller", "roll_out"]

_PARTS = 4  # in which episodes with a server are played: more would make the batches of reflections small

_Key: TypeAlias = tuple[int, int]  # an update, and the index of an episode in it
_Pool: TypeAlias = JobPool[_Key, Any] | BackgroundPool[_Key, Any]


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
    """Plays one episode in every environment and tries K reflections on each failure; see :class:`Roller`."""
    roller = Roller(envs, reflector, seed=seed, num_samples=num_samples, trial_discount=trial_discount)
    try:
        return roller.roll_out(update, keep_hidden=keep_hidden)
    finally:
        roller.close()


class Roller:
    """Plays one episode in every environment and tries K reflections on each failure, update after update.

    With an actor that replies in batches, the reflections on all failures of a round are sampled in one batch. With a
    server as the actor, nobody waits: reflections are sampled for a quarter of the episodes at a time, while the trials
    of the others go on, and the first trials of the next update are played while this one ends and is learned from
    (unless the actor has a budget, or the task environment limits how many episodes are in progress).
    Which episodes are sampled together does not depend on the order of the server's replies.

    ``branch`` computes the rewards. An episode then continues from the trial of the first of its K reflections that has
    a reward, until it ends; it also ends if the actor failed on all of them.

    A rollout is determined by ``(seed, update)``, the weights, and the failures that wait to be met again; no other
    state is carried over between updates. The random numbers of a new episode depend on the index of its environment,
    not on the number of environments.

    Args:
        envs: P environments.
        reflector: writes the reflections.
        seed: seed of the run.
        num_samples: K.
        trial_discount: γ, by which a reflection is credited with the rewards of later ones; see
            :func:`~retro_gym_agents.play.rollout.with_later_rewards`.
        revisit: share of an update's episodes that begin with earlier failures, see
            :mod:`retro_gym_agents.play.revisits`.
    """

    def __init__(
        self,
        envs: Sequence[RetroEnv],
        reflector: Reflector,
        *,
        seed: int,
        num_samples: int,
        trial_discount: float = 0.0,
        revisit: float = 0.0,
    ) -> None:
        self.reflector = reflector
        self.revisits = Revisits(revisit, seed)
        """The failures that wait to be met again."""
        self.calls = 0
        """Actor calls of the rollouts so far. First trials count for the update that they belong to."""
        self._seed, self._num_samples, self._trial_discount = seed, num_samples, trial_discount
        served = isinstance(envs[0].actor, ConcurrentActor)
        self._size = -(-len(envs) // (_PARTS if served else 1))
        self._may_go_ahead = served and _may_go_ahead(envs)
        self._casts = [list(envs)]  # and as many more, once first trials are played in advance
        self._turns: dict[int, int] = {}  # the cast of an update; that of the next one is another
        self._counted = [0]  # calls of each cast, so far as they are in ``calls``
        self._pool: _Pool | None = None
        self._arrived: dict[_Key, Ended[_Key, Any]] = {}
        self._begun: set[int] = set()

    def roll_out(self, update: int, *, keep_hidden: bool = False, ahead: bool = False) -> Rollout:
        """Plays the episodes of an update.

        Args:
            update: its number within the run.
            keep_hidden: whether the samples keep the hidden states that a value head needs.
            ahead: whether the first trials of the next update may be played meanwhile.

        Raises:
            ActorError: the actor cannot be reached.
            BudgetError: the actor's budget is spent.
            NoFailureError: the actor solves every task.
        """
        try:
            return self._rolled_out(update, keep_hidden=keep_hidden, ahead=ahead)
        except BaseException:
            self._stop()  # so that the update can be played again
            raise

    def _rolled_out(self, update: int, *, keep_hidden: bool, ahead: bool) -> Rollout:
        ahead = ahead and self._may_go_ahead
        if ahead and len(self._casts) == 1:
            self._casts.append([env.twin() for env in self._casts[0]])
            self._counted.append(_calls_of(self._casts[1]))
        pool = self._begin(update)
        envs = self._cast(update)
        parts = [
            _Part(self, pool, update, range(start, min(start + self._size, len(envs))), keep_hidden=keep_hidden)
            for start in range(0, len(envs), self._size)
        ]
        for key in [key for key in self._arrived if key[0] == update]:
            self._hand(parts, self._arrived.pop(key))
        while any(part.running for part in parts):
            if ahead and all(part.sampled for part in parts):
                self._begin(update + 1, hold=True)
            ended = pool.wait()
            if ended.key[0] == update:
                self._hand(parts, ended)
            else:
                self._arrived[ended.key] = ended
        self._count(update)
        self._begun.discard(update)
        rounds, episodes = self._joined(parts)
        self.revisits.learn(update, rounds[0])
        later = self._trial_discount
        return Rollout(tuple(with_later_rewards(rounds, episodes, later) if later else rounds))

    def close(self) -> None:
        """Stops what is under way, and closes the environments that were made for it."""
        self._stop()
        for cast in self._casts[1:]:
            for env in cast:
                env.close()

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._pool, self._arrived, self._begun = None, {}, set()
        for cast in self._casts:
            for env in cast:
                env.recorder.drop()

    def sample(self, update: int, indices: Sequence[int], rounds: int, *, keep_hidden: bool) -> Samples:
        """Samples the reflections on the present failures of some episodes, after a number of rounds."""
        envs = self._cast(update)
        return self.reflector.sample(
            [envs[index].observation_within(envs[index].max_observation_chars) for index in indices],
            num_samples=self._num_samples,
            seed=[derive_seed(self._seed, "sample", update, index, rounds) for index in indices],
            keep_hidden=keep_hidden,
        )

    def env(self, update: int, index: int) -> RetroEnv:
        """Returns the environment of an episode."""
        return self._cast(update)[index]

    def _cast(self, update: int) -> list[RetroEnv]:
        return self._casts[self._turns[update]]

    def _begin(self, update: int, *, hold: bool = False) -> _Pool:
        """Starts the first trials of an update, unless that was done; ``hold`` keeps back their rows in records."""
        if self._pool is None:
            envs = self._casts[0]
            self._pool = open_pool(envs[0].actor, [env.task_env for env in envs])
        if update not in self._begun:
            self._begun.add(update)
            self._turns.setdefault(update, (self._turns.get(update - 1, -1) + 1) % len(self._casts))
            envs = self._cast(update)
            for index, (env, seed) in enumerate(zip(envs, self.revisits.seeds(update, len(envs)), strict=True)):
                if hold:
                    env.recorder.hold()
                reset = env.plan_reset(seed=seed)
                self._pool.add((update, index), Job(reset, env.actor, env.stats))
        return self._pool

    def _joined(self, parts: Sequence[_Part]) -> tuple[list[Round], list[tuple[int, ...]]]:
        """Returns the rounds of all episodes, as if all had been sampled together, and the episodes of each round."""
        rounds, episodes = [], []
        for number in range(max(len(part.rounds) for part in parts)):
            playing = [part for part in parts if number < len(part.rounds)]
            pad_id = self.reflector.sampling.pad_id
            rounds.append(Round.joined([part.rounds[number] for part in playing], pad_id))
            episodes.append(tuple(index for part in playing for index in part.episodes[number]))
        return rounds, episodes

    def _hand(self, parts: Sequence[_Part], ended: Ended[_Key, Any]) -> None:
        index = ended.key[1]
        parts[index // self._size].receive(index, ended.result())

    def _count(self, update: int) -> None:
        place = self._turns[update]
        made = _calls_of(self._cast(update))
        self.calls += made - self._counted[place]
        self._counted[place] = made


class _Part:
    """Episodes whose reflections are sampled together.

    Args:
        roller: plays them.
        pool: where their trials are played.
        update: the update that they belong to.
        indices: the episodes.
        keep_hidden: whether the samples keep hidden states.
    """

    def __init__(self, roller: Roller, pool: _Pool, update: int, indices: Sequence[int], *, keep_hidden: bool) -> None:
        self.running = list(indices)
        self.rounds: list[Round] = []
        self.episodes: list[tuple[int, ...]] = []
        """The episodes of each round."""
        self._roller, self._pool, self._update, self._keep_hidden = roller, pool, update, keep_hidden
        self._samples: Samples | None = None
        self._arrived: dict[int, Any] = {}

    @property
    def sampled(self) -> bool:
        """Whether the first reflections were sampled."""
        return self._samples is not None

    def receive(self, index: int, result: Any) -> None:
        """Takes what a reset or a branch has returned; goes on when all episodes have come so far."""
        if self._samples is None:
            self._roller.env(self._update, index).recorder.release()
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
        self.running = [
            index
            for index, group in zip(self.running, groups, strict=True)
            if _goes_on(self._roller.env(self._update, index), group)
        ]

    def _reflect(self) -> None:
        update = self._update
        samples = self._roller.sample(update, self.running, len(self.rounds), keep_hidden=self._keep_hidden)
        self._samples, size = samples, samples.num_samples
        for place, index in enumerate(self.running):
            env, texts = self._roller.env(update, index), samples.texts[place * size : (place + 1) * size]
            self._pool.add((update, index), Job(env.plan_branch(texts), env.actor, env.stats))


def _may_go_ahead(envs: Sequence[RetroEnv]) -> bool:
    """Whether first trials may be played in advance.

    What is spent on them must not be missed by the update before; and task environments of which few may be in progress
    are left to that and to its validation.
    """
    budget = getattr(envs[0].actor, "budget", None)
    limited = isinstance(budget, Budget) and budget.limited
    return not limited and least_parallel(env.task_env for env in envs) is None


def _calls_of(envs: Sequence[RetroEnv]) -> int:
    return sum(env.stats.calls for env in envs)


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
