"""Quality of a reflector before RL: well-formed reflections, and names that occur in the trajectory."""

from __future__ import annotations

import dataclasses

from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env

__all__ = ["Quality", "measure"]


@dataclasses.dataclass(frozen=True)
class Quality:
    """Shares of reflections, each in [0, 1]."""

    well_formed_greedy: float
    grounded_greedy: float
    """Share of all reflections that are well-formed and name only what occurs in the trajectory."""
    well_formed_sampled: float
    grounded_sampled: float

    def __str__(self) -> str:
        return (
            f"greedy {self.well_formed_greedy:.1%} well-formed, {self.grounded_greedy:.1%} grounded; "
            f"sampled {self.well_formed_sampled:.1%}, {self.grounded_sampled:.1%}"
        )


def measure(reflector: Reflector, env_id: str, *, split: str, num_tasks: int, seed: int) -> Quality:
    """Measures the quality of greedy and of sampled reflections on failures of a split.

    Args:
        reflector: the reflector, sampled at its own temperature.
        env_id: a Retro environment whose teacher has ``check_reflection``.
        split: split of the failures.
        num_tasks: number of failures.
        seed: seed of tasks and samples.
    """
    env = make_retro_env(env_id, split=split)
    observations, trajectories = [], []
    for index in range(num_tasks):
        observation, _ = env.reset(seed=derive_seed(seed, index))
        observations.append(observation)
        trajectories.append(env.trajectory)
    shares = []
    for greedy in (True, False):
        texts = reflector.reflect(observations, greedy=greedy, seed=seed)
        checks = [env.task_env.teacher.check_reflection(text, t) for text, t in zip(texts, trajectories, strict=True)]
        shares += [sum(check.well_formed for check in checks), sum(check.grounded for check in checks)]
    return Quality(*(share / num_tasks for share in shares))
