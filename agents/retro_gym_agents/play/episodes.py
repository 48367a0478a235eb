"""Many episodes side by side: one reflection for each failure, asked for in one batch, then one more trial for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, TypeAlias

from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, ConfigError, one_line
from retro_gym.scheduling import ActorStats, Plan
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import EndReason, Outcome
from retro_gym.vector import run_plans
from retro_gym_agents.play.journal import Journal, StoredTrial
from retro_gym_agents.play.policies import Policy, ReflectorPolicy

__all__ = [
    "Episode",
    "Progress",
    "check_budget",
    "play_next_trial",
    "silent",
    "start_episodes",
    "tokens_of",
    "total_stats",
]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being played, how many tasks of it are done, and how many there are."""


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


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
    ends: list[str] = dataclasses.field(default_factory=list)
    """How each trial ended that was played: values of :class:`~retro_gym.trajectory.EndReason`."""
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
            self,
            env=self.env.twin(),
            success=[*self.success],
            returns=[*self.returns],
            ends=[*self.ends],
            reflections=[*self.reflections],
        )

    def start(self, journal: Journal | None = None) -> Plan[None]:
        """Plays trial 0, as a plan, and notes it in the journal; takes it from there where it stands in it."""
        stored = None if journal is None else journal.find(None, self.task_id, 0)
        options: dict[str, Any] = {"task_id": self.task_id}
        if stored is not None:
            options["trajectory"] = stored.trajectory
            _add_to(self.env.stats, stored.stats)
        before = dataclasses.replace(self.env.stats)
        try:
            self.observation, info = yield from self.env.plan_reset(seed=self.seed, options=options)
        except ActorError as error:
            self.failed = error
            self.ends.append(EndReason.ACTOR_ERROR.value)
            return
        self._note(info["trajectory"])
        if journal is not None and stored is None:
            journal.add(None, info["trajectory"], _since(before, self.env.stats))

    def step(self, reflection: str, journal: Journal | None = None, policy: str = "") -> Plan[None]:
        """Plays the next trial with a policy's reflection, as a plan; with a journal as :meth:`start` does."""
        self.reflections.append(reflection)
        stored = None if journal is None else journal.find(policy, self.task_id, len(self.success))
        if stored is not None:
            self._follow(reflection, stored)
            return
        before = dataclasses.replace(self.env.stats)
        self.observation, _, _, truncated, info = yield from self.env.plan_step(reflection)
        if truncated:
            kind = BudgetError if info["end"] == EndReason.BUDGET else ActorError
            self.failed = kind(info["actor_error"])
            self.ends.append(info["end"])
            return
        self._note(info["trajectory"])
        if journal is not None:
            journal.add(policy, info["trajectory"], _since(before, self.env.stats))

    def rest(self) -> None:
        """Passes over a trial: a solved task is not tried again and stays solved."""
        self.success.append(True)
        self.returns.append(self.returns[-1])

    def close(self) -> None:
        """Closes the environment; what was noted stays."""
        self.env.close()

    def _follow(self, reflection: str, stored: StoredTrial) -> None:
        """Goes on to where a stored trial leads; plays nothing."""
        trajectory = stored.trajectory
        self.env.follow(Outcome(reflection[: self.env.max_reflection_chars], trajectory.return_, trajectory))
        self.observation = self.env.observation_within(self.env.max_observation_chars)
        self._note(trajectory.to_json())
        _add_to(self.env.stats, stored.stats)

    def _note(self, trajectory: Mapping[str, Any]) -> None:
        self.success.append(trajectory["success"])
        self.returns.append(trajectory["return"])
        self.ends.append(trajectory["end"])


def play_next_trial(
    episodes: Sequence[Episode],
    policy: Policy,
    *,
    seed: int,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> None:
    """One more trial for every episode that is not solved; the policy is asked for all reflections at once.

    Args:
        episodes: at the same trial.
        policy: what writes the reflections.
        seed: of the policy's draws in this trial.
        progress: told after each episode.
        journal: what stands in it is neither written nor played again; the rest is noted there.

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
    trial = len(waiting[0].success)
    what = f"{policy.name}, trial {trial}"
    progress(what, 0, len(waiting))
    stored = {} if journal is None else journal.reflections(policy.name, trial)
    unheard = [episode for episode in waiting if episode.task_id not in stored]
    before = tokens_of(policy)
    written = _reflect(policy, unheard, seed)
    if journal is not None and unheard:
        after = tokens_of(policy)
        by_task = {episode.task_id: text for episode, text in zip(unheard, written, strict=True)}
        journal.add_reflections(policy.name, trial, by_task, (after[0] - before[0], after[1] - before[1]))
    rest = iter(written)
    texts = [stored[one.task_id] if one.task_id in stored else next(rest) for one in waiting]
    plans = [episode.step(text, journal, policy.name) for episode, text in zip(waiting, texts, strict=True)]
    _play(waiting, plans, what, progress)


def start_episodes(
    prototype: RetroEnv,
    task_ids: Sequence[str],
    seeds: Sequence[int],
    *,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> list[Episode]:
    """Plays trial 0 of each task, in copies of one environment. Whoever is given the episodes closes them.

    Args:
        prototype: is copied, which is cheaper than ``gym.make`` where tasks are read from a file.
        task_ids: the tasks.
        seeds: one for each episode.
        progress: told after each episode.
        journal: what stands in it is not played again; the rest is noted there.

    Raises:
        BudgetError: the actor's budget is spent; what was under way has been played to its end.
    """
    with ExitStack() as stack:
        episodes = [
            stack.enter_context(closing(Episode(prototype.twin(), task_id, seed)))
            for task_id, seed in zip(task_ids, seeds, strict=True)
        ]
        progress("trial 0", 0, len(episodes))
        _play(episodes, [episode.start(journal) for episode in episodes], "trial 0", progress)
        stack.pop_all()
    return episodes


def _reflect(policy: Policy, waiting: Sequence[Episode], seed: int) -> list[str]:
    """What the policy writes on each failure."""
    if not waiting:
        return []
    seeds = [derive_seed(seed, episode.seed) for episode in waiting]
    reflections = policy.reflect([one.observation for one in waiting], [one.env for one in waiting], seeds)
    if isinstance(reflections, str) or not isinstance(reflections, Sequence):
        raise ConfigError(f"policy {policy.name!r} wrote {one_line(reflections)}; a list of texts is the rule.")
    if len(reflections) != len(waiting):
        raise ConfigError(f"policy {policy.name!r} wrote {len(reflections)} reflections on {len(waiting)} failures.")
    odd = next((text for text in reflections if not isinstance(text, str)), None)
    if odd is not None:
        raise ConfigError(f"policy {policy.name!r} wrote {one_line(odd)}; a reflection is text (str).")
    return list(reflections)


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


def tokens_of(policy: Policy) -> tuple[int, int]:
    """Tokens that a policy has read and written so far; none for policies that are no model."""
    return (policy.prompt_tokens, policy.completion_tokens) if isinstance(policy, ReflectorPolicy) else (0, 0)


def total_stats(episodes: Iterable[Episode]) -> ActorStats:
    """What the actor has cost in all of them."""
    total = ActorStats()
    for episode in episodes:
        _add_to(total, episode.env.stats)
    return total


def _add_to(stats: ActorStats, more: ActorStats) -> None:
    for field in dataclasses.fields(ActorStats):
        setattr(stats, field.name, getattr(stats, field.name) + getattr(more, field.name))


def _since(before: ActorStats, now: ActorStats) -> ActorStats:
    names = [field.name for field in dataclasses.fields(ActorStats)]
    return ActorStats(**{name: getattr(now, name) - getattr(before, name) for name in names})


def check_budget(outcomes: Iterable[Outcome]) -> None:
    """Refuses outcomes of which one has found the actor's budget spent.

    Raises:
        BudgetError: there is one.
    """
    for outcome in outcomes:
        if outcome.trajectory.end is EndReason.BUDGET:
            raise BudgetError(str(outcome.trajectory.error))
