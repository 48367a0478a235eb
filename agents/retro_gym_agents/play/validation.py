"""Success on validation tasks during training, which selects the best adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retro_gym.actors import ActorSpec
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import Trajectory
from retro_gym.vector import run_plans
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.episodes import Episode, check_budget, start_episodes

if TYPE_CHECKING:  # so that what validations have tried can be read without torch
    from retro_gym_agents.lm.reflector import Reflector

__all__ = ["Tried", "Validation"]


@dataclasses.dataclass(frozen=True)
class Tried:
    """A reflection that a validation tried on a failure."""

    failure: Trajectory
    seed: int
    """Seed of the episode."""
    reflection: str
    trial: Trajectory
    """The trial that followed."""
    reward: float | None
    """None if the actor failed."""
    leak: bool | None
    """Whether the reflection contains the task's answer; None if it is not known."""


class Validation:
    """Measures success after one reflection on validation tasks.

    Reflections are sampled as in the evaluation: greedy ones stop improving much earlier in training.
    Trial 0 of each task is played once, in the constructor; every :meth:`success` branches from the same failures.

    Args:
        env_id: as for training.
        env_kwargs: as for training; split and bank are replaced by split ``"validation"`` without a bank.
        actor: the training environments' own actor, so that they share its budget or tape.
        num_tasks: number of tasks, the first ones of the split.
        seed: seed of the trials and the samples: the same ones at every validation.

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
        self.tried: tuple[Tried, ...] = ()
        """What the last validation tried, in the order of the tasks."""
        try:
            seeds = [derive_seed(seed, "validation", task_id) for task_id in task_ids]
            self._episodes = start_episodes(env, task_ids, seeds)
        except BaseException:
            self.close()
            raise

    @property
    def envs(self) -> list[RetroEnv]:
        """The environments of all tasks."""
        return [self._env, *(episode.env for episode in self._episodes)]

    def close(self) -> None:
        """Closes the environments. May be called again."""
        for env in self.envs:
            env.close()

    def success(self, reflector: Reflector) -> float:
        """Returns the share of tasks solved by trial 1; tasks on which the actor fails are left out.

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
        check_budget(outcomes)
        for outcome in outcomes:
            played += outcome.reward is not None
            solved += outcome.reward is not None and outcome.success
        self.tried = tuple(
            Tried(one.env.trajectory, one.seed, outcome.reflection, outcome.trajectory, outcome.reward, outcome.leak)
            for one, outcome in zip(waiting, outcomes, strict=True)
        )
        if not played:
            raise ActorError(f"the actor failed on all {len(self._episodes)} validation tasks.")
        return solved / played
