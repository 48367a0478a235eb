"""How trials are played: each is a generator that yields prompts; a runner feeds many of them in batches."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Sequence
from typing import TypeAlias

from retro_gym.actors import Actor, Reply, parse_reply, reply_all
from retro_gym.errors import ActorError
from retro_gym.prompts import ACTOR_TEMPLATE, Prompt
from retro_gym.seeding import derive_seed
from retro_gym.task_env import TaskEnv
from retro_gym.trajectory import EndReason, Trajectory, Turn

__all__ = ["ActorStats", "Trial", "play_trial", "run_trials"]

Trial: TypeAlias = Generator[Prompt, "Reply | ActorError", Trajectory]
"""Yields a prompt, receives the reply to it, and returns the trajectory at its end."""


@dataclasses.dataclass
class ActorStats:
    """What an actor has cost so far. Kept apart from ``info``, which must not differ between runs of one seed."""

    trials: int = 0
    calls: int = 0
    errors: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    """Wall-clock time spent waiting for replies."""


def play_trial(
    env: TaskEnv,
    task_id: str,
    *,
    trial: int,
    seed: int,
    reflections: Sequence[str] = (),
    template: str = ACTOR_TEMPLATE,
) -> Trial:
    """One trial of a task, as a generator.

    Args:
        env: is reset here and belongs to this trial until it ends.
        task_id: the task.
        trial: its number within the episode, for the record.
        seed: of the environment and, turn by turn, of the actor.
        reflections: what the actor's prompt holds from earlier trials.
        template: of the actor's prompt.
    """
    task, _ = env.reset(seed=derive_seed(seed, "env"), options={"task_id": task_id})
    turns: list[Turn] = []
    prompt_tokens = completion_tokens = 0
    success = False
    end, error = EndReason.OUT_OF_TURNS, None
    for number in range(env.max_turns):
        reply = yield Prompt(
            env.prompt.instruction,
            env.prompt.examples,
            tuple(reflections),
            task,
            tuple(turns),
            seed=derive_seed(seed, "turn", number),
            template=template,
        )
        if isinstance(reply, ActorError):
            end, error = EndReason.ACTOR_ERROR, str(reply)
            break
        prompt_tokens += reply.prompt_tokens
        completion_tokens += reply.completion_tokens
        thought, action = parse_reply(reply.text)
        observation, reward, terminated, truncated, info = env.step(action)
        turns.append(Turn(thought, action, observation, float(reward)))
        success = bool(info.get("success", False))
        if success or terminated or truncated:
            end = EndReason.SOLVED if success else EndReason.OUT_OF_TURNS if truncated else EndReason.FAILED
            break
    return Trajectory(
        task_id,
        trial,
        task,
        tuple(turns),
        sum(turn.reward for turn in turns),
        success,
        end,
        prompt_tokens,
        completion_tokens,
        error,
    )


def run_trials(trials: Sequence[Trial], actor: Actor, stats: ActorStats) -> list[Trajectory]:
    """Plays trials to their ends, each round of turns as one batch of prompts.

    Returns:
        The trajectories, in the order of the trials.
    """
    done: dict[int, Trajectory] = {}
    waiting: dict[int, Prompt] = {}
    stats.trials += len(trials)
    for index, trial in enumerate(trials):
        _advance(trial, None, index, waiting, done)
    while waiting:
        asked, waiting = waiting, {}
        start = time.perf_counter()
        replies = reply_all(actor, list(asked.values()))
        stats.seconds += time.perf_counter() - start
        stats.calls += len(replies)
        for index, reply in zip(asked, replies, strict=True):
            if isinstance(reply, ActorError):
                stats.errors += 1
            else:
                stats.prompt_tokens += reply.prompt_tokens
                stats.completion_tokens += reply.completion_tokens
            _advance(trials[index], reply, index, waiting, done)
    return [done[index] for index in range(len(trials))]


def _advance(
    trial: Trial,
    reply: Reply | ActorError | None,
    index: int,
    waiting: dict[int, Prompt],
    done: dict[int, Trajectory],
) -> None:
    """Sends a reply (None starts the trial) and files what comes back: the next prompt or the trajectory."""
    try:
        waiting[index] = next(trial) if reply is None else trial.send(reply)
    except StopIteration as stop:
        done[index] = stop.value
