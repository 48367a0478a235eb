"""Plays a trial as a generator that yields prompts and blocking calls; independent of actors, batches and threads."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, TypeAlias

from retro_gym.actors import parse_reply
from retro_gym.answers import checked_reset, checked_step
from retro_gym.errors import ActorError, BudgetError, PromptTooLongError
from retro_gym.prompts import ACTOR_TEMPLATE, Prompt
from retro_gym.seeding import derive_seed, turn_seed
from retro_gym.task_env import TaskEnv
from retro_gym.trajectory import EndReason, Trajectory, Turn

__all__ = ["NO_ACTION", "EnvCall", "OverdueError", "Trial", "play_trial"]


@dataclasses.dataclass(frozen=True)
class EnvCall:
    """A call of a blocking task environment, to be made in a thread of its own."""

    env: TaskEnv
    call: Callable[[], Any]
    deadline: float | None
    """Time at which it is abandoned, by ``time.monotonic()``; None for never."""


class OverdueError(Exception):
    """Thrown into a trial in place of the answer to an :class:`EnvCall` whose deadline has passed."""


Trial: TypeAlias = Generator["Prompt | EnvCall", Any, Trajectory]
"""Yields a prompt and receives the reply or an ``ActorError``; or yields a call and receives its result, or has its
exception thrown in. Finally returns the trajectory."""

NO_ACTION = "There is no action in that reply. End it with one line that begins: Action {number}:"
"""The observation after a reply without an action, which counts as a turn; ``number`` is that of the next turn."""


def play_trial(
    env: TaskEnv,
    task_id: str,
    *,
    trial: int,
    seed: int,
    reflections: Sequence[str] = (),
    last_trial: str = "",
    template: str = ACTOR_TEMPLATE,
    repeat_limit: int | None = None,
    time_limit: float | None = None,
) -> Trial:
    """Plays one trial of a task, as a generator.

    Args:
        env: the task environment; it is reset here and must not be used by others until the trial ends.
        task_id: the task.
        trial: its number within the episode, for the record.
        seed: the seeds of the environment and of the actor's turns are derived from it.
        reflections: reflections in the actor's prompt.
        last_trial: the failed trial in the actor's prompt, as text; empty for none.
        template: template of the actor's prompt.
        repeat_limit: ends the trial after this many consecutive identical actions; None for no limit.
        time_limit: seconds after which no further turn begins and no blocking environment is waited for; the trial then
            ends with an actor error. A call of the actor in flight is limited by its own timeout only.

    An ``ActorError`` raised by the environment (its own server cannot be reached) ends the trial like one of the actor.

    Raises:
        ConfigError: the environment's return values do not follow Gymnasium's API.
    """
    deadline = None if time_limit is None else time.monotonic() + time_limit
    played = _Played(task_id, trial)
    start = partial(env.reset, seed=derive_seed(seed, "env"), options={"task_id": task_id})
    try:
        played.task, _ = checked_reset(env, (yield EnvCall(env, start, deadline)) if env.blocking else start())
    except ActorError as error:
        return played.ended(EndReason.ACTOR_ERROR, error)
    except OverdueError:
        return played.overdue(time_limit)
    repeats = 0
    for number in range(env.max_turns):
        if deadline is not None and time.monotonic() > deadline:
            return played.overdue(time_limit)
        reply = yield Prompt(
            env.prompt.instruction,
            env.prompt.examples,
            tuple(reflections),
            played.task,
            tuple(played.turns),
            seed=turn_seed(seed, number),
            template=template,
            last_trial=last_trial,
        )
        if isinstance(reply, ActorError):
            return played.ended(_end_of(reply), reply)
        played.prompt_tokens += reply.prompt_tokens
        played.completion_tokens += reply.completion_tokens
        thought, action = parse_reply(reply.text)
        if not action:
            played.turns.append(
                Turn(thought, "", NO_ACTION.format(number=number + 2), 0.0, reply.reasoning, reply.generation)
            )
            continue
        try:
            step = partial(env.step, action)
            answer = (yield EnvCall(env, step, deadline)) if env.blocking else step()
            observation, reward, terminated, truncated, info = checked_step(env, answer)
        except ActorError as error:
            return played.ended(EndReason.ACTOR_ERROR, error)
        except OverdueError:
            return played.overdue(time_limit)
        repeats = repeats + 1 if played.turns and played.turns[-1].action == action else 1
        played.turns.append(Turn(thought, action, observation, reward, reply.reasoning, reply.generation))
        if info.get("success", False):
            return played.ended(EndReason.SOLVED)
        if terminated or truncated:
            return played.ended(EndReason.OUT_OF_TURNS if truncated else EndReason.FAILED)
        if repeats == repeat_limit:
            return played.ended(EndReason.REPEATED_ACTION)
    return played.ended(EndReason.OUT_OF_TURNS)


@dataclasses.dataclass
class _Played:
    """The state of a trial."""

    task_id: str
    trial: int
    task: str = ""
    turns: list[Turn] = dataclasses.field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def ended(self, end: EndReason, error: ActorError | str | None = None) -> Trajectory:
        """Returns the trajectory of the trial, which has ended."""
        return Trajectory(
            self.task_id,
            self.trial,
            self.task,
            tuple(self.turns),
            sum(turn.reward for turn in self.turns),
            end is EndReason.SOLVED,
            end,
            self.prompt_tokens,
            self.completion_tokens,
            None if error is None else str(error),
        )

    def overdue(self, limit: float | None) -> Trajectory:
        """Returns the trajectory of a trial that has exceeded its time limit."""
        return self.ended(EndReason.ACTOR_ERROR, f"the trial took longer than its limit of {limit} s")


def _end_of(error: ActorError) -> EndReason:
    if isinstance(error, PromptTooLongError):
        return EndReason.PROMPT_TOO_LONG
    return EndReason.BUDGET if isinstance(error, BudgetError) else EndReason.ACTOR_ERROR
