"""Plays many episodes in parallel: a batch of reflections, one for each failure, then the next trial of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from typing import Any, TypeAlias

from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError
from retro_gym.generation import Reflection
from retro_gym.scheduling import ActorStats, Plan
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import EndReason, Outcome, Trajectory
from retro_gym.vector import run_plans
from retro_gym_agents.play.journal import EpisodeKey, Journal, StoredTrial
from retro_gym_agents.play.policies import MeteredPolicy, Policy, parts_of, written_reflections

__all__ = [
    "Episode",
    "Progress",
    "check_budget",
    "play_next_trial",
    "silent",
    "start_episodes",
    "tokens_of",
    "total_stats",
    "try_several",
]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being played, the number of tasks done, and their total number."""


def silent(what: str, done: int, total: int) -> None:
    """Ignores progress."""


@dataclasses.dataclass
class Episode:
    """The trials of one task with one seed."""

    env: RetroEnv
    task_id: str
    seed: int
    """Determines the actor's draws in all trials, whatever is reflected."""
    observation: str = ""
    """The environment's last observation."""
    success: list[bool] = dataclasses.field(default_factory=list)
    """For each trial, whether the task is solved by then."""
    returns: list[float] = dataclasses.field(default_factory=list)
    """For each trial, the return of the last trial played by then."""
    ends: list[str] = dataclasses.field(default_factory=list)
    """How each played trial ended: values of :class:`~retro_gym.trajectory.EndReason`."""
    reflections: list[str] = dataclasses.field(default_factory=list)
    tried: list[bool] = dataclasses.field(default_factory=list)
    """For each reflection that was tried, also beside others, whether its trial solved the task."""
    failed: ActorError | None = None
    """The error of the actor, or of the model that reflects, if it failed; the episode is then over."""

    @property
    def key(self) -> EpisodeKey:
        """Tells the episode from all others of an evaluation."""
        return self.task_id, self.seed

    @property
    def waits(self) -> bool:
        """Whether the episode needs a reflection."""
        return self.failed is None and not self.success[-1]

    def twin(self) -> Episode:
        """Returns an independent copy."""
        return dataclasses.replace(
            self,
            env=self.env.twin(),
            success=[*self.success],
            returns=[*self.returns],
            ends=[*self.ends],
            reflections=[*self.reflections],
            tried=[*self.tried],
        )

    def start(self, journal: Journal | None = None) -> Plan[None]:
        """Returns a plan that takes trial 0 from the journal, or plays it and writes it to the journal."""
        stored = None if journal is None else journal.find(None, self.key, 0)
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
        if stored is not None:
            self.env.recorder.trial = self._found(stored.record)
        self._note(info["trajectory"])
        if journal is not None and stored is None:
            journal.add(None, self.seed, self._played_since(before))

    def step(self, reflection: str, journal: Journal | None = None, policy: str = "") -> Plan[None]:
        """Returns a plan for the next trial with a policy's reflection; uses the journal as :meth:`start` does."""
        self.reflections.append(str(reflection))
        stored = None if journal is None else journal.find(policy, self.key, len(self.success))
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
        self.tried.append(self.success[-1])
        if journal is not None:
            journal.add(policy, self.seed, self._played_since(before))

    def branch(self, reflections: Sequence[str]) -> Plan[None]:
        """Returns a plan that tries several reflections; the episode goes on with the first whose trial counts."""
        outcomes = yield from self.env.plan_branch(reflections)
        self.tried += [outcome.success for outcome in outcomes if outcome.reward is not None]
        lead = next((outcome for outcome in outcomes if outcome.reward is not None), None)
        if lead is None:
            self.failed = ActorError(str(outcomes[0].actor_error))
            self.ends.append(outcomes[0].trajectory.end.value)
            return
        self.reflections.append(str(lead.reflection))
        self.env.follow(lead)
        self.observation = self.env.observation_within(self.env.max_observation_chars)
        self._note(lead.trajectory)

    def rest(self) -> None:
        """Skips a trial: a solved task is not tried again and stays solved."""
        self.success.append(True)
        self.returns.append(self.returns[-1])

    def close(self) -> None:
        """Closes the environment; the results are kept."""
        self.env.close()

    def _follow(self, reflection: str, stored: StoredTrial) -> None:
        """Continues from a stored trial without playing it."""
        trajectory = stored.trajectory
        text = reflection[: self.env.max_reflection_chars]
        record, trial_record = self._found(stored.parent), self._found(stored.record)
        self.env.follow(Outcome(text, trajectory.return_, trajectory, record, trial_record))
        self.observation = self.env.observation_within(self.env.max_observation_chars)
        self._note(trajectory)
        _add_to(self.env.stats, stored.stats)

    def _found(self, record: str) -> str:
        """Returns the id of a row of an earlier process; empty if the present records file does not hold it."""
        records = self.env.records
        return record if records is not None and records.found(record) else ""

    def _played_since(self, before: ActorStats) -> StoredTrial:
        """Returns the present trial and its costs, for the journal."""
        env = self.env
        return StoredTrial(env.trajectory, _since(before, env.stats), env.recorder.trial, env.recorder.parent)

    def _note(self, trajectory: Trajectory) -> None:
        self.success.append(trajectory.success)
        self.returns.append(trajectory.return_)
        self.ends.append(trajectory.end.value)


def play_next_trial(
    episodes: Sequence[Episode],
    policy: Policy,
    *,
    seed: int,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> None:
    """Plays the next trial of every unsolved episode; the policy writes all reflections in one batch.

    An episode for which the policy gives an error in place of a reflection is over.

    Args:
        episodes: episodes at the same trial.
        policy: writes the reflections.
        seed: seed of the policy's sampling in this trial.
        progress: called after each episode.
        journal: its reflections and trials are reused; new ones are written to it.

    Raises:
        BudgetError: the budget of the actor or the policy is spent; running trials have been finished.
        ConfigError: the policy did not write one reflection for each failure.
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
    unheard = [episode for episode in waiting if episode.key not in stored]
    before = tokens_of(policy)
    seeds = [derive_seed(seed, episode.seed) for episode in unheard]
    written = written_reflections(policy, [one.observation for one in unheard], [one.env for one in unheard], seeds)
    if journal is not None and unheard:
        after = tokens_of(policy)
        pairs = zip(unheard, written, strict=True)
        texts_by_key = {episode.key: text for episode, text in pairs if isinstance(text, str)}
        journal.add_reflections(policy.name, trial, texts_by_key, (after[0] - before[0], after[1] - before[1]))
    rest = iter(written)
    going, plans = [], []
    for episode in waiting:
        text = stored[episode.key] if episode.key in stored else next(rest)
        if isinstance(text, ActorError):
            episode.failed = text
        else:
            going.append(episode)
            plans.append(episode.step(Reflection.of(text, policy=policy.name), journal, policy.name))
    _play(going, plans, what, progress)
    _check_spent(waiting)


def try_several(
    episodes: Sequence[Episode], policy: Policy, num_samples: int, *, seed: int, progress: Progress = silent
) -> None:
    """Tries several reflections on the failure of every unsolved episode, all written in one batch.

    Args:
        episodes: episodes at the same trial.
        policy: writes the reflections.
        num_samples: K, the number of reflections on each failure.
        seed: seed of the policy's sampling in this trial.
        progress: called after each episode.

    Raises:
        BudgetError: the budget of the actor or the policy is spent; running trials have been finished.
        ConfigError: the policy did not write K reflections for each failure.
    """
    waiting = [episode for episode in episodes if episode.waits]
    each = [(episode, derive_seed(seed, episode.seed, k)) for episode in waiting for k in range(num_samples)]
    observations, envs = [one.observation for one, _ in each], [one.env for one, _ in each]
    written = written_reflections(policy, observations, envs, [seed for _, seed in each])
    going, plans = [], []
    for number, episode in enumerate(waiting):
        texts = written[number * num_samples : (number + 1) * num_samples]
        failed = next((text for text in texts if isinstance(text, ActorError)), None)
        if failed is not None:
            episode.failed = failed
            continue
        going.append(episode)
        plans.append(
            episode.branch([Reflection.of(text, policy=policy.name) for text in texts if isinstance(text, str)])
        )
    _play(going, plans, policy.name, progress)
    _check_spent(waiting)


def start_episodes(
    prototype: RetroEnv,
    task_ids: Sequence[str],
    seeds: Sequence[int],
    *,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> list[Episode]:
    """Plays trial 0 of each episode, in copies of one environment. The caller must close the returned episodes.

    Args:
        prototype: the environment to copy, which is cheaper than ``gym.make`` if tasks are read from a file.
        task_ids: the task of each episode.
        seeds: the seed of each episode.
        progress: called after each episode.
        journal: its trials are reused; new ones are written to it.

    Raises:
        BudgetError: the actor's budget is spent; running trials have been finished.
    """
    with ExitStack() as stack:
        episodes = [
            stack.enter_context(closing(Episode(prototype.twin(), task_id, seed)))
            for task_id, seed in zip(task_ids, seeds, strict=True)
        ]
        progress("trial 0", 0, len(episodes))
        _play(episodes, [episode.start(journal) for episode in episodes], "trial 0", progress)
        _check_spent(episodes)
        stack.pop_all()
    return episodes


def _play(episodes: Sequence[Episode], plans: Sequence[Plan[None]], what: str, progress: Progress) -> None:
    """Runs the plans in parallel and reports progress."""
    done = 0

    def counted(plan: Plan[None]) -> Plan[None]:
        nonlocal done
        yield from plan
        done += 1
        progress(what, done, len(plans))

    run_plans([episode.env for episode in episodes], [counted(plan) for plan in plans])


def _check_spent(episodes: Sequence[Episode]) -> None:
    """Raises the error of a spent budget, after all plans have ended."""
    for episode in episodes:
        if isinstance(episode.failed, BudgetError):
            raise episode.failed


def tokens_of(policy: Policy) -> tuple[int, int]:
    """Returns the prompt and completion tokens so far of a policy and those that it asks; zeros if none is a model."""
    models = [part for part in parts_of(policy) if isinstance(part, MeteredPolicy)]
    return sum(model.prompt_tokens for model in models), sum(model.completion_tokens for model in models)


def total_stats(episodes: Iterable[Episode]) -> ActorStats:
    """Returns the actor's total costs in all episodes."""
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
    """Checks that no outcome ended because the actor's budget was spent.

    Raises:
        BudgetError: an outcome did.
    """
    for outcome in outcomes:
        if outcome.trajectory.end is EndReason.BUDGET:
            raise BudgetError(str(outcome.trajectory.error))
