"""TRL's reward function: the environment's reward of a reflection."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, ConfigError, DataError, EpisodeError, RecordError, one_line
from retro_gym.records import FailureBank
from retro_gym.scheduling import Plan
from retro_gym.trajectory import EndReason, Outcome, Trajectory
from retro_gym.vector import run_plans
from retro_gym_agents.bridges.trl.dataset import Messages
from retro_gym_agents.data.export import digest_of

__all__ = ["RetroReward"]

_MAX_VOID_CALLS = 10  # consecutive calls without a reward after which the actor counts as down


@dataclasses.dataclass(frozen=True)
class _State:
    """The columns of a row that determine its episode's state. Rows with the same state form a group."""

    task_id: str
    seed: int
    failure: str | None
    reflections: tuple[str, ...]
    digest: str | None


class RetroReward:
    """A Retro environment as TRL's reward function: the reward of a reflection from the trial that follows it.

    The completions of one prompt are played by one ``branch``, and all groups of a call in parallel, so that the
    actor's calls are concurrent. Rewards depend only on the row and the completion: with an actor that draws from the
    prompt's seed they are the same in every process and at every call.

    TRL logs ``rewards/retro_reward/mean``. This function adds ``retro/success`` (the share of rewarded samples whose
    next trial solved the task) and ``retro/actor_errors`` (the share of samples without a reward).

    Args:
        env: the environment that :func:`failures` was given; it is copied. Give each process its own ``records`` file.
    """

    def __init__(self, env: RetroEnv) -> None:
        self.__name__ = "retro_reward"  # the name in TRL's logs
        self._prototype = env.twin()
        self._envs: list[RetroEnv] = []
        self._void_calls = 0  # in a row

    def __call__(
        self,
        prompts: Sequence[str | Messages],
        completions: Sequence[str | Messages],
        *,
        task_id: Sequence[str] | None = None,
        seed: Sequence[int] | None = None,
        failure: Sequence[str | None] | None = None,
        reflections: Sequence[Sequence[str] | None] | None = None,
        state: Sequence[str | None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: object,
    ) -> list[float | None]:
        """Returns the rewards of reflections.

        Args:
            prompts: N prompts, with repetitions.
            completions: N reflections, as text or messages.
            task_id: the rows' tasks.
            seed: the seeds of the rows' episodes.
            failure: the rows' trials 0 as JSON; if None, trial 0 is played again or drawn from the bank.
            reflections: the rows' reflections so far; none by default. Their trials are played again.
            state: the rows' digests; if None, the restored state is not checked.
            log_metric: TRL's logging function.

        Returns:
            N rewards; None where the actor failed.

        Raises:
            ConfigError: a column is missing, the task is unknown, the restored failure is a different one, or a
                completion is neither text nor messages.
            DataError: ``failure`` is not a failed trial 0 of the task.
            EpisodeError: the row's episode has ended, so it takes no reflection.
            BudgetError: the actor's budget is spent.
            ActorError: the actor failed on every sample of ten calls in a row.
        """
        if task_id is None or seed is None:
            raise ConfigError(
                f"the data set has no column {'task_id' if task_id is None else 'seed'!r}, or TRL has removed it. "
                "Make it with failures(env, reflector, …) and set remove_unused_columns=False."
            )
        count = len(completions)
        columns = (task_id, seed, failure or [None] * count, reflections or [None] * count, state or [None] * count)
        groups: dict[_State, list[int]] = {}
        for number, (task, start, first, before, digest) in enumerate(zip(*columns, strict=True)):
            key = _State(task, int(start), first, tuple(before or ()), digest)
            groups.setdefault(key, []).append(number)
        texts = [_text_of(completion) for completion in completions]
        rewards: list[float | None] = [None] * count
        solved = 0
        for numbers, outcomes in zip(groups.values(), self._play(groups, texts), strict=True):
            for number, outcome in zip(numbers, outcomes or [], strict=outcomes is not None):
                rewards[number] = outcome.reward
                solved += outcome.reward is not None and outcome.success
        paid = sum(reward is not None for reward in rewards)
        if log_metric is not None:
            log_metric("retro/success", solved / max(1, paid))
            log_metric("retro/actor_errors", 1 - paid / max(1, count))
        self._void_calls = 0 if paid else self._void_calls + 1
        if self._void_calls >= _MAX_VOID_CALLS:
            raise ActorError(f"the actor failed on every reflection of {self._void_calls} calls in a row.")
        return rewards

    def close(self) -> None:
        """Closes the environments. May be called again."""
        for env in (self._prototype, *self._envs):
            env.close()

    def _play(self, groups: Mapping[_State, Sequence[int]], texts: Sequence[str]) -> list[list[Outcome] | None]:
        """Returns the outcomes of each group, in order; None if the actor failed while its state was restored."""
        while len(self._envs) < len(groups):
            self._envs.append(self._prototype.twin())
        envs = self._envs[: len(groups)]
        plans = []
        for env, (state, numbers) in zip(envs, groups.items(), strict=True):
            env.bank = self._prototype.bank if state.failure is None else FailureBank.of([_failure_of(state)])
            plans.append(_branch(env, state, [texts[number] for number in numbers]))
        played = run_plans(envs, plans)
        for outcome in (outcome for outcomes in played for outcome in outcomes or ()):
            if outcome.trajectory.end is EndReason.BUDGET:
                raise BudgetError(str(outcome.trajectory.error))
        return played


def _branch(env: RetroEnv, state: _State, texts: Sequence[str]) -> Plan[list[Outcome] | None]:
    """Plans to restore a state and branch on reflections; None if the actor fails while the state is restored."""
    try:
        observation, info = yield from env.plan_reset(seed=state.seed, options={"task_id": state.task_id})
    except BudgetError:
        raise
    except ActorError:
        return None
    over = "trial 0 solves it" if info["success"] else ""
    for number, reflection in enumerate(state.reflections, start=1):
        if not over:
            observation, _, terminated, truncated, info = yield from env.plan_step(reflection)
            if truncated:
                if info["end"] == EndReason.BUDGET:
                    raise BudgetError(info["actor_error"])
                return None
            over = f"it ends with reflection {number} of {len(state.reflections)}" if terminated else ""
    if over:
        raise EpisodeError(
            f"the episode of task {state.task_id!r} with seed {state.seed} is over ({over}) and takes no reflection. "
            f"Leave the row out, or raise max_reflections ({env.max_reflections})."
        )
    if state.digest not in (None, digest_of(observation)):
        raise ConfigError(
            f"the row of task {state.task_id!r} with seed {state.seed} was made from a different failure than the "
            "restored one. Give RetroReward the environment and settings that failures(…) had, and an actor that gives "
            "the same reply to the same prompt."
        )
    return (yield from env.plan_branch(texts))


def _failure_of(state: _State) -> Trajectory:
    try:
        failure = Trajectory.from_json(json.loads(state.failure or ""))
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"column 'failure' of task {state.task_id!r} is not a trial as JSON: {error}") from error
    if failure.task_id != state.task_id:
        raise RecordError(f"column 'failure' holds a trial of task {failure.task_id!r} in a row of {state.task_id!r}.")
    return failure


def _text_of(completion: str | Messages) -> str:
    """Returns the reflection in a completion: TRL gives text for text prompts and messages for messages."""
    content: Any = completion
    if not isinstance(completion, str):
        content = completion[-1].get("content") if completion and isinstance(completion[-1], Mapping) else None
    if isinstance(content, list):  # content blocks, some of which may be text
        content = "".join(str(block.get("text", "")) for block in content if isinstance(block, Mapping))
    if content is None:  # no content after the reasoning: an empty reflection
        content = ""
    if not isinstance(content, str):
        raise ConfigError(f"completion {one_line(completion)} is neither text nor chat messages.")
    return content.strip()
