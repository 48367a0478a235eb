"""Lessons of the tiny model: failures with reflections on them, and trials of the scripted actor.

Every step of the build learns one role in one environment; each such pair is a :class:`Stream` of batches. A stream
consists of blocks, and a block depends on nothing but the config, the stream and the block's number: so a build resumes
at any step, and other processes can make the blocks ahead of time. Each block has a generated world of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from retro_gym.env import RetroEnv
from retro_gym.prompts import BARE_TEMPLATE, Prompt
from retro_gym.seeding import derive_seed
from retro_gym.trajectory import render_turn
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.processes import process_pool
from retro_gym_agents.tiny.settings import BuildConfig

__all__ = ["Batch", "Failure", "Lesson", "Played", "Stream", "batches_from", "block_of", "played", "stream_at"]

Role: TypeAlias = Literal["reflect", "play"]

_BATCHES = 6  # in a block; batches of like length are cut from its lessons
_AHEAD = 2  # blocks of a stream that other processes make before they are needed


class Stream(NamedTuple):
    """A role in an environment."""

    env_id: str
    role: Role

    def __str__(self) -> str:
        return f"{self.env_id} {self.role}"


@dataclass(frozen=True)
class Failure:
    """A lesson in reflecting: a failure with the teacher's reflections on it."""

    observation: str
    reflections: tuple[str, ...]
    oracle: str
    """The oracle's reflection; empty if the config has no use for it."""

    @property
    def length(self) -> int:
        """Characters of the observation."""
        return len(self.observation)


@dataclass(frozen=True)
class Played:
    """A lesson in playing: a trial as a planner reads it with :data:`~retro_gym.prompts.BARE_TEMPLATE`."""

    opening: str
    """The prompt of the first turn."""
    turns: tuple[tuple[str, str], ...]
    """For each turn, what the actor wrote, and the text between it and the next turn's reply."""

    @property
    def length(self) -> int:
        """Characters of the whole trial."""
        return len(self.opening) + sum(len(said) + len(then) for said, then in self.turns)


Lesson: TypeAlias = Failure | Played
Batch: TypeAlias = list[Lesson]
"""Lessons of one role."""


def stream_at(config: BuildConfig, step: int) -> Stream:
    """Returns what a step learns: the environments take turns, and each has its share of steps that learn to play."""
    place, index = divmod(step - 1, len(config.env_ids))
    turn = place + index  # so that not all environments play in the same round
    plays = int((turn + 1) * config.play_share) > int(turn * config.play_share)
    return Stream(config.env_ids[index], "play" if plays else "reflect")


def batches_from(config: BuildConfig, step: int) -> Generator[tuple[Stream, Batch]]:
    """Yields stream and batch of every step from the given one on, without end.

    The blocks are made ahead by ``config.generators`` processes, which end when this iterator is closed.
    """
    with ExitStack() as stack:
        pool: Executor | None = None
        if config.generators:
            pool = process_pool(config.generators)
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        used = Counter(stream_at(config, earlier) for earlier in range(1, step))
        blocks: dict[tuple[Stream, int], Future[list[Batch]]] = {}
        for now in count(step):
            stream = stream_at(config, now)
            number, place = divmod(used[stream], _BATCHES)
            used[stream] += 1
            for ahead in range(number, number + 1 + (_AHEAD if pool else 0)):
                if (stream, ahead) not in blocks:
                    blocks[stream, ahead] = _submit(pool, partial(block_of, config, stream, ahead))
            batch = blocks[stream, number].result()[place]
            if place == _BATCHES - 1:
                del blocks[stream, number]
            yield stream, batch


def _submit(pool: Executor | None, make: partial[list[Batch]]) -> Future[list[Batch]]:
    if pool is not None:
        return pool.submit(make)
    future: Future[list[Batch]] = Future()
    future.set_result(make())
    return future


def block_of(config: BuildConfig, stream: Stream, number: int) -> list[Batch]:
    """Makes a block of batches, each of lessons of similar length, which need little padding."""
    seed = derive_seed(config.seed, "lessons", *stream, number)
    rng = np.random.default_rng(seed)
    size = config.failures_per_step if stream.role == "reflect" else config.trials_per_step
    # World 0 is the default, which reflectors are trained and evaluated on.
    own = {"actor_kwargs": {"thoughts": True}} if stream.role == "play" and config.play_thoughts else {}
    with closing(make_retro_env(stream.env_id, world_seed=1 + seed, split="train", **own)) as env:
        found: Iterator[Lesson] = (_failures if stream.role == "reflect" else _trials)(env, config, rng)
        lessons = sorted(islice(found, size * _BATCHES), key=lambda lesson: lesson.length)
    batches = [lessons[start : start + size] for start in range(0, len(lessons), size)]
    return [batches[int(index)] for index in rng.permutation(_BATCHES)]


def _starts(env: RetroEnv, rng: np.random.Generator) -> Iterator[str]:
    """Yields the observations of first trials on training tasks, solved ones too."""
    task_ids = env.task_env.task_ids("train")
    while True:
        for index in rng.permutation(len(task_ids)):
            yield env.reset(seed=int(rng.integers(2**31)), options={"task_id": task_ids[int(index)]})[0]


def _failures(env: RetroEnv, config: BuildConfig, rng: np.random.Generator) -> Iterator[Failure]:
    """Yields first failures, and some of the failures after the teacher's reflection."""
    for observation in _starts(env, rng):
        if env.trajectory.success:
            continue
        first = _failure(env, observation, config, rng)
        yield first
        if rng.random() < config.second_failures:
            again, _, terminated, _, _ = env.step(first.reflections[0])
            if not terminated:
                yield _failure(env, again, config, rng)


def _failure(env: RetroEnv, observation: str, config: BuildConfig, rng: np.random.Generator) -> Failure:
    teacher, trajectory = env.task_env.teacher, env.trajectory
    reflections = [teacher.noisy_reflection(trajectory, rng) for _ in range(config.reflections_per_failure)]
    oracle = teacher.oracle_reflection(trajectory.task_id) if config.oracle_share else ""
    return Failure(str(observation), tuple(reflections), oracle)


def _trials(env: RetroEnv, config: BuildConfig, rng: np.random.Generator) -> Iterator[Played]:
    """Yields first trials, the trial after a reflection if that failed, and some of the trials after two."""
    for _ in _starts(env, rng):
        yield played(env)
        retry = 1.0
        for _ in range(2):
            if env.trajectory.success or rng.random() >= retry:
                break
            teacher = env.task_env.teacher
            if rng.random() < config.play_oracle:
                reflection = teacher.oracle_reflection(env.trajectory.task_id)
            else:
                reflection = teacher.noisy_reflection(env.trajectory, rng)
            env.step(reflection)
            yield played(env)
            retry = config.second_failures


def played(env: RetroEnv) -> Played:
    """Returns the environment's last trial as a lesson."""
    trajectory, task = env.trajectory, env.task_env.prompt
    prompts = [
        Prompt(
            task.instruction,
            task.examples,
            env.memory.reflections,
            trajectory.task,
            trajectory.turns[:number],
            seed=0,
            template=BARE_TEMPLATE,
            last_trial=env.memory.last_trial,
        ).text
        for number in range(len(trajectory.turns) + 1)
    ]
    said = [render_turn(number, turn)[0] for number, turn in enumerate(trajectory.turns, start=1)]
    turns = [
        (text, after[len(before) + len(text) :])
        for text, before, after in zip(said, prompts, prompts[1:], strict=False)
    ]
    return Played(prompts[0], tuple(turns))
