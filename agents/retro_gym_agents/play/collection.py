"""Collects records of episodes, as a bank of failures or as initial data for Retroformer and RetroAct."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retro_gym.checks import check_whole
from retro_gym.env import RetroEnv
from retro_gym.errors import ConfigError
from retro_gym.records import RecordWriter, RunHeader
from retro_gym.records.header import panel_of
from retro_gym.seeding import derive_seed
from retro_gym.typed_fields import settle_fields
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.episodes import (
    Episode,
    Progress,
    play_next_trial,
    silent,
    start_episodes,
    total_stats,
    try_several,
)
from retro_gym_agents.play.policies import Policy, check_teacher
from retro_gym_agents.play.watch import ActorWatch

__all__ = ["CollectConfig", "Collection", "collect"]

_SIDE_BY_SIDE = 64  # parallel episodes: enough for a reflector's batch, few enough to lose little if a run is killed
_MAX_ERRORS = 10  # consecutive errors after which the actor counts as down


@dataclasses.dataclass(frozen=True)
class CollectConfig:
    """Settings of a collection."""

    env_id: str
    """A ``Retro…-v0`` id."""
    output: str | os.PathLike[str]
    """The records file, to which rows are appended."""
    num_episodes: int = 100
    """Number of episodes. Tasks are played in a seeded order, then again with other seeds."""
    split: str = "train"
    """The split that tasks are taken from."""
    max_reflections: int = 3
    """Maximum number of reflections per episode."""
    repeats: int = 1
    """Episodes on each task, one after the other, each with a seed of its own."""
    num_samples: int = 1
    """Reflections on each failure. With several, each is tried, and the episode goes on with the first of them."""
    stop_after_calls: int | None = None
    """Actor calls with which the collection is over: it ends after the batch of 64 episodes that reaches them."""
    seed: int = 0
    """Seed of the task order, the episodes and the reflections."""
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of ``gym.make``."""
    resume: bool = False
    """Goes on with a collection of the same settings that was interrupted, after its last complete batch of 64
    episodes. How far it is stands in a file beside the records, ``NAME.progress``."""

    def __post_init__(self) -> None:
        settle_fields(self)
        check_whole(1, num_episodes=self.num_episodes, max_reflections=self.max_reflections)
        check_whole(1, repeats=self.repeats, num_samples=self.num_samples)
        check_whole(1, stop_after_calls=1 if self.stop_after_calls is None else self.stop_after_calls)
        for name in ("split", "max_reflections", "records"):
            if name in self.env_kwargs:
                raise ConfigError(f"env_kwargs sets {name!r}, which has an option of its own. Leave it out.")


@dataclasses.dataclass(frozen=True)
class Collection:
    """Counts of a collection."""

    episodes: int = 0
    unaided: int = 0
    """Episodes that the actor solved at trial 0, which have no reflections."""
    reflections: int = 0
    """Reflections that were followed by a trial."""
    helped: int = 0
    """Reflections whose trial solved the task."""
    errors: int = 0
    """Episodes that an actor error ended."""
    actor_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, episodes: Sequence[Episode]) -> Collection:
        """Returns the counts with more episodes added."""
        played = [one.success for one in episodes if one.success]
        stats = total_stats(episodes)
        return Collection(
            episodes=self.episodes + len(episodes),
            unaided=self.unaided + sum(success[0] for success in played),
            reflections=self.reflections + sum(len(one.tried) for one in episodes),
            helped=self.helped + sum(sum(one.tried) for one in episodes),
            errors=self.errors + sum(one.failed is not None for one in episodes),
            actor_calls=self.actor_calls + stats.calls,
            prompt_tokens=self.prompt_tokens + stats.prompt_tokens,
            completion_tokens=self.completion_tokens + stats.completion_tokens,
        )


def collect(config: CollectConfig, policy: Policy, *, progress: Progress = silent) -> Collection:
    """Plays episodes and appends every trial and reflection to the records file.

    Args:
        config: the settings.
        policy: writes the reflections.
        progress: called after each episode.

    Raises:
        ConfigError: the environment or the split is unknown.
        ActorError: the actor failed in ten consecutive episodes.
    """
    writer = RecordWriter(config.output, RunHeader(policy=policy.name, seed=config.seed))
    settings = {"split": config.split, "max_reflections": config.max_reflections, "records": writer}
    watch = ActorWatch(_MAX_ERRORS, "in {} episodes")
    progress_file = _Progress(writer)
    total = progress_file.read() if config.resume else Collection()
    with contextlib.closing(make_retro_env(config.env_id, **{**config.env_kwargs, **settings})) as first:
        check_teacher(policy, first)
        tasks = _order(first.task_env.task_ids(config.split), config)
        panel, panel_size = panel_of(list(dict.fromkeys(tasks)))
        writer.header = dataclasses.replace(writer.header, panel=panel, panel_size=panel_size)
        for start in range(total.episodes, len(tasks), _SIDE_BY_SIDE):
            if config.stop_after_calls is not None and total.actor_calls >= config.stop_after_calls:
                break
            episodes = _play(first, tasks[start : start + _SIDE_BY_SIDE], start, config, policy)
            total = total.add(episodes)
            progress("episodes", total.episodes, len(tasks))
            watch.see(episode.failed for episode in episodes)
            if config.resume:
                progress_file.write(total)
    return total


class _Progress:
    """A file that says how far a collection is, so that it can go on after an interruption."""

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._path = writer.path.with_name(writer.path.name + ".progress")

    def read(self) -> Collection:
        """Returns the counts so far, and removes rows of the batch that was interrupted."""
        if not self._path.is_file():
            self._writer.truncate(0)
            return Collection()
        row = json.loads(self._path.read_text(encoding="utf-8"))
        self._writer.truncate(row.pop("position"))
        return Collection(**row)

    def write(self, total: Collection) -> None:
        """Notes that a batch is complete."""
        row = {**dataclasses.asdict(total), "position": self._writer.position}
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps(row), encoding="utf-8")
        os.replace(new, self._path)


def _order(task_ids: Sequence[str], config: CollectConfig) -> list[str]:
    """Returns the task of each episode: all tasks of the split in a random order, each ``repeats`` times, and again."""
    if not task_ids:
        raise ConfigError(f"split {config.split!r} of {config.env_id} holds no task.")
    rng = np.random.default_rng(derive_seed(config.seed, "tasks"))
    order: list[str] = []
    while len(order) < config.num_episodes:
        order += [task_ids[i] for i in rng.permutation(len(task_ids)) for _ in range(config.repeats)]
    return order[: config.num_episodes]


def _play(
    first: RetroEnv, task_ids: Sequence[str], number: int, config: CollectConfig, policy: Policy
) -> list[Episode]:
    """Plays episodes in parallel; ``number`` is the index of the first one in the run."""
    seeds = [derive_seed(config.seed, "episode", number + i) for i in range(len(task_ids))]
    episodes = start_episodes(first, task_ids, seeds)
    try:
        for trial in range(1, config.max_reflections + 1):
            seed = derive_seed(config.seed, "reflection", trial)
            if config.num_samples > 1:
                try_several(episodes, policy, config.num_samples, seed=seed)
            else:
                play_next_trial(episodes, policy, seed=seed)
    finally:
        for episode in episodes:
            episode.close()
    return episodes
