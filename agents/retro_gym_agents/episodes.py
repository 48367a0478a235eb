"""Many episodes side by side: one reflection for each failure, asked for in one batch, then one more trial for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium as gym

from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, ConfigError, did_you_mean, one_line
from retro_gym.scheduling import ActorStats, Plan
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import EndReason
from retro_gym.vector import run_plans
from retro_gym_agents.policies import Policy

__all__ = [
    "Episode",
    "Progress",
    "make_retro_env",
    "play_next_trial",
    "retro_ids",
    "silent",
    "start_episodes",
    "total_stats",
]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being played, how many tasks of it are done, and how many there are."""


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


def retro_ids() -> list[str]:
    """The ids of all registered meta-environments, sorted."""
    return sorted(name for name, spec in gym.registry.items() if spec.entry_point == "retro_gym.env:RetroEnv")


def make_retro_env(env_id: str, **kwargs: Any) -> RetroEnv:
    """``gym.make``, without wrappers and with errors that say what to do.

    Raises:
        ConfigError: the id is unknown or not that of a ``RetroEnv``, or an argument is unknown to it.
    """
    known = retro_ids()
    if env_id not in gym.registry and ":" not in env_id:
        hint = did_you_mean(env_id, known)
        raise ConfigError(f"environment {env_id!r} is not registered.{hint} Known are {', '.join(known)}.")
    hint = f" Did you mean 'Retro{env_id}'?" if f"Retro{env_id}" in known else ""
    try:
        env = gym.make(env_id, disable_env_checker=True, **kwargs).unwrapped
    except gym.error.Error as error:
        raise ConfigError(f"environment {env_id!r} cannot be made: {error}") from error
    except ModuleNotFoundError as error:  # of "module:id"; missing extras have an error of their own
        if ":" not in env_id:
            raise
        raise ConfigError(f"environment {env_id!r} cannot be made: {error}.") from error
    except TypeError as error:  # RetroEnv itself passes on what it does not know
        if "unexpected keyword argument" not in str(error):
            raise
        raise ConfigError(f"environment {env_id!r} takes no arguments of a RetroEnv: {error}.{hint}") from error
    if not isinstance(env, RetroEnv):
        raise ConfigError(f"environment {env_id!r} is {one_line(env)}, not a RetroEnv.{hint}")
    return env


@dataclasses.dataclass
class Episode:
    """One task on its way through the trials."""

    env: RetroEnv
    task_id: str
    seed: int
    observation: str = ""
    """What the environment has returned last."""
    success: list[bool] = dataclasses.field(default_factory=list)
    """By trial: whether the task is solved by then."""
    returns: list[float] = dataclasses.field(default_factory=list)
    """By trial: the return of the last trial played by then."""
    reflections: list[str] = dataclasses.field(default_factory=list)
    failed: ActorError | None = None
    """How the actor failed, when it did. The episode is over then."""

    @property
    def waits(self) -> bool:
        """Whether it needs a reflection."""
        return self.failed is None and not self.success[-1]

    def twin(self) -> Episode:
        """A copy that goes on by itself."""
        return dataclasses.replace(
            self, env=self.env.twin(), success=[*self.success], returns=[*self.returns], reflections=[*self.reflections]
        )

    def start(self) -> Plan[None]:
        """Plays trial 0, as a plan."""
        try:
            self.observation, info = yield from self.env.plan_reset(seed=self.seed, options={"task_id": self.task_id})
            self._note(info["success"], info["return"])
        except ActorError as error:
            self.failed = error

    def step(self, reflection: str) -> Plan[None]:
        """Plays the next trial with a reflection, as a plan."""
        self.observation, _, _, truncated, info = yield from self.env.plan_step(reflection)
        self.reflections.append(reflection)
        if truncated:
            kind = BudgetError if info["end"] == EndReason.BUDGET else ActorError
            self.failed = kind(info["actor_error"])
        else:
            self._note(info["success"], info["return"])

    def rest(self) -> None:
        """Passes over a trial: a solved task is not tried again and stays solved."""
        self._note(True, self.returns[-1])

    def close(self) -> None:
        """Closes the environment; what was noted stays."""
        self.env.close()

    def _note(self, success: bool, return_: float) -> None:
        self.success.append(success)
        self.returns.append(return_)


def play_next_trial(episodes: Sequence[Episode], policy: Policy, *, seed: int, progress: Progress = silent) -> None:
    """One more trial for every episode that is not solved; the policy is asked for all reflections at once.

    Args:
        episodes: at the same trial.
        policy: what writes the reflections.
        seed: of the policy's draws in this trial.
        progress: told after each episode.

    Raises:
        BudgetError: the actor's budget is spent; what was under way has been played to its end.
        ConfigError: the policy wrote another number of reflections than there are failures.
    """
    waiting = []
    for episode in episodes:
        if episode.waits:
            waiting.append(episode)
        elif episode.failed is None:
            episode.rest()
    if not waiting:
        return
    what = f"{policy.name}, trial {len(waiting[0].success)}"
    progress(what, 0, len(waiting))
    seeds = [derive_seed(seed, episode.seed) for episode in waiting]
    reflections = policy.reflect([one.observation for one in waiting], [one.env for one in waiting], seeds)
    if len(reflections) != len(waiting):
        raise ConfigError(f"policy {policy.name!r} wrote {len(reflections)} reflections on {len(waiting)} failures.")
    plans = [episode.step(reflection) for episode, reflection in zip(waiting, reflections, strict=True)]
    _play(waiting, plans, what, progress)


def start_episodes(
    prototype: RetroEnv, task_ids: Sequence[str], seeds: Sequence[int], *, progress: Progress = silent
) -> list[Episode]:
    """Plays trial 0 of each task, in copies of one environment.

    Args:
        prototype: is copied, which is cheaper than ``gym.make`` where tasks are read from a file.
        task_ids: the tasks.
        seeds: one for each episode.
        progress: told after each episode.

    Raises:
        BudgetError: the actor's budget is spent; what was under way has been played to its end.
    """
    episodes = [Episode(prototype.twin(), task_id, seed) for task_id, seed in zip(task_ids, seeds, strict=True)]
    _play(episodes, [episode.start() for episode in episodes], "trial 0", progress)
    return episodes


def _play(episodes: Sequence[Episode], plans: Sequence[Plan[None]], what: str, progress: Progress) -> None:
    """Runs the plans side by side and says how many have ended. A spent budget ends it when none is under way."""
    done = 0

    def counted(plan: Plan[None]) -> Plan[None]:
        nonlocal done
        yield from plan
        done += 1
        progress(what, done, len(plans))

    run_plans([episode.env for episode in episodes], [counted(plan) for plan in plans])
    for episode in episodes:
        if isinstance(episode.failed, BudgetError):
            raise episode.failed


def total_stats(episodes: Sequence[Episode]) -> ActorStats:
    """What the actor has cost in all of them."""
    names = [field.name for field in dataclasses.fields(ActorStats)]
    return ActorStats(**{name: sum(getattr(one.env.stats, name) for one in episodes) for name in names})
