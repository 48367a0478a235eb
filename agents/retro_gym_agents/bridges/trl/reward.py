"""TRL: a Retro environment as reward function and data set of ``GRPOTrainer`` and ``RLOOTrainer`` (TRL 1.16).

::

    env = make_retro_env("RetroHotpotQA-v0")
    reflector = Reflector.load("tiny")
    trainer = GRPOTrainer(
        model=reflector.model,
        processing_class=reflector.tokenizer,
        args=GRPOConfig(output_dir="runs/trl", num_generations=8, **trl_settings(reflector)),
        train_dataset=failures(env, reflector, num_tasks=256, seed=0),
        reward_funcs=RetroReward(env),
    )
    trainer.train()
    reflector.save("runs/trl/adapter")  # for `retro-gym evaluate`

What stands on which side: TRL samples the reflections, makes advantages of the rewards and updates the weights, with
all that it scales with (Accelerate, DeepSpeed, FSDP, vLLM). The environment gives the prompts and pays.

The data set is a list of failures that are played beforehand; so TRL learns from a fixed distribution of first
failures, where the learners of this package play new ones for each update. A row holds all that its state follows
from, the failed trial included: any process restores it without an actor call, and pays through ``branch``.

A failed actor is no reward of 0: such a sample gets None, which TRL leaves out of the group's mean and gives an
advantage of 0. (With GRPO's ``beta`` above 0 its tokens still take part in the KL term, which is no matter of rewards.)

TRL's ``environment_factory`` is not served. There the completion reaches an environment through tool calls only, one
rollout after the other; a reflection is the completion itself, reflectors need know no tools, and trials are to run
side by side. In ``rollout_func``, which GRPO alone has, :class:`ReflectorRollout` fits.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retro_gym.env import RetroEnv
from retro_gym.errors import (
    ActorError,
    BudgetError,
    ConfigError,
    DataError,
    EpisodeError,
    RecordError,
    one_line,
)
from retro_gym.records import FailureBank
from retro_gym.scheduling import Plan
from retro_gym.seeding import derive_seed
from retro_gym.token_view.tokens import CHAT_TEMPLATE_OPTIONS
from retro_gym.trajectory import EndReason, Outcome, Trajectory
from retro_gym.vector import run_plans
from retro_gym_agents.bridges.trl.dataset import Messages, digest_of, failures, prompt_of

if TYPE_CHECKING:
    from retro_gym_agents.lm.reflector import Reflector

__all__ = ["ReflectorRollout", "RetroReward", "failures", "prompt_of", "trl_settings"]

_MAX_VOID_CALLS = 10  # in a row: then the actor is down, not unlucky


def trl_settings(reflector: Reflector) -> dict[str, Any]:
    """The fields of ``GRPOConfig`` and ``RLOOConfig`` by which TRL samples as the reflector does.

    Temperature and length limit are the reflector's, nothing cuts the distribution, prompts are rendered alike, and
    weights of float32 are computed with in float32 (TRL would choose bfloat16).
    """
    import torch

    return {
        "temperature": reflector.sampling.temperature,
        "max_completion_length": reflector.sampling.max_new_tokens,
        "top_k": 0,
        "top_p": 1.0,
        "chat_template_kwargs": dict(CHAT_TEMPLATE_OPTIONS),
        "bf16": reflector.model.dtype == torch.bfloat16,
        "remove_unused_columns": False,
    }


# -- the reward ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _State:
    """What a row says of the state that its prompt shows. Rows of one state are one group."""

    task_id: str
    seed: int
    failure: str | None
    reflections: tuple[str, ...]
    digest: str | None


class RetroReward:
    """A Retro environment as TRL's reward function: what a reflection earns in the next trial.

    The completions of one prompt are paid by one ``branch``, and all groups of a call are played side by side, so that
    the actor's calls are in flight together. Rewards follow from the row and the completion alone: with an actor that
    draws from the prompt's seed they are the same in every process and at every call.

    TRL logs ``rewards/retro_reward/mean``, and what this adds: ``retro/success``, ``retro/actor_errors`` (the shares of
    the samples whose next trial solved the task, and that have no reward).

    Args:
        env: as :func:`failures` was given; it is copied. A ``records`` file is not meant for several processes: give
            each its own.
    """

    def __init__(self, env: RetroEnv) -> None:
        self.__name__ = "retro_reward"  # what TRL calls it in its logs
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
        """Pays reflections.

        Args:
            prompts: N of them, with repetitions.
            completions: N reflections, as text or messages.
            task_id: the rows' tasks.
            seed: of the rows' episodes.
            failure: the rows' trials 0 as JSON; where there is none, trial 0 is played again or drawn from the bank.
            reflections: the rows' reflections so far; none by default. Their trials are played again.
            state: the rows' digests; where there is none, the restored state is taken as it is.
            log_metric: TRL's.

        Returns:
            N rewards; None where the actor failed.

        Raises:
            ConfigError: the columns are absent, the task is unknown, the restored failure is another one, or a
                completion is neither text nor messages.
            DataError: ``failure`` is not a failed trial 0 of the task.
            EpisodeError: the row's episode is over, so that no reflection is asked for.
            BudgetError: the actor's budget is spent.
            ActorError: the actor failed on every sample of ten calls in a row.
        """
        if task_id is None or seed is None:
            raise ConfigError(
                f"the data set has no column {'task_id' if task_id is None else 'seed'!r}, or TRL was told to drop it. "
                "Make it with failures(env, reflector, …) and leave remove_unused_columns at False."
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
        """The outcomes of each group, in the order of the groups; None where its state could not be restored."""
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
    """Restores a state and tries reflections on it, as a plan; None when the actor fails on the way there."""
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
            f"the episode of task {state.task_id!r} with seed {state.seed} is over ({over}): no reflection is asked "
            f"for. Leave the row out, or raise max_reflections ({env.max_reflections})."
        )
    if state.digest not in (None, digest_of(observation)):
        raise ConfigError(
            f"the row of task {state.task_id!r} with seed {state.seed} was made from another failure than the one that "
            "is restored. Give RetroReward the environment and the settings that failures(…) had, and an actor that "
            "replies to the same prompt alike."
        )
    return (yield from env.plan_branch(texts))


def _failure_of(state: _State) -> Trajectory:
    try:
        failure = Trajectory.from_json(json.loads(state.failure or ""))
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"column 'failure' of task {state.task_id!r} holds no trial as JSON: {error}") from error
    if failure.task_id != state.task_id:
        raise RecordError(f"column 'failure' holds a trial of task {failure.task_id!r} in a row of {state.task_id!r}.")
    return failure


def _text_of(completion: str | Messages) -> str:
    """The reflection in a completion: TRL gives text for text prompts and messages for messages."""
    content: Any = completion
    if not isinstance(completion, str):
        content = completion[-1].get("content") if completion and isinstance(completion[-1], Mapping) else None
    if isinstance(content, list):  # blocks, of which some may be text
        content = "".join(str(block.get("text", "")) for block in content if isinstance(block, Mapping))
    if content is None:  # nothing behind the reasoning: a reflection that says nothing
        content = ""
    if not isinstance(content, str):
        raise ConfigError(f"completion {one_line(completion)} is neither text nor chat messages.")
    return content.strip()


# -- sampling --------------------------------------------------------------------------------------------------------


class ReflectorRollout:
    """The reflector's own sampler as TRL's ``rollout_func`` (``GRPOTrainer`` alone has one, and calls it experimental).

    It reads a prompt once for all samples of a group. And what it draws follows from the seed, the step and the
    group's place in the global batch: not from the number of processes that share the batch, as with TRL, whose
    processes each have a random state of their own.

    For weights that each process holds whole: one device, or data-parallel ones. Not for DeepSpeed's ZeRO-3 or FSDP.

    Args:
        reflector: whose ``model`` and ``tokenizer`` the trainer has.
        seed: of the draws.
    """

    def __init__(self, reflector: Reflector, *, seed: int = 0) -> None:
        self.reflector = reflector
        self.seed = seed

    def __call__(self, prompts: Sequence[str | Messages], trainer: Any) -> dict[str, list[list[Any]]]:
        """Samples a reflection for each prompt.

        Args:
            prompts: this process's part of the batch, K times each.
            trainer: a ``GRPOTrainer``.

        Returns:
            ``prompt_ids``, ``completion_ids`` and ``logprobs`` (of the sampled tokens), a list for each prompt.
        """
        model = self.reflector.model
        training = model.training
        group_size = trainer.num_generations if training else trainer.num_generations_eval
        start = trainer.accelerator.process_index * len(prompts)
        out: dict[str, list[list[Any]]] = {"prompt_ids": [], "completion_ids": [], "logprobs": []}
        model.eval()  # gradient checkpointing, which is on in training, would drop the cache
        try:
            place = start
            while place < start + len(prompts):
                end = min((place // group_size + 1) * group_size, start + len(prompts))
                self._sample(out, prompts[place - start], range(place, end), group_size, trainer.state.global_step)
                place = end
        finally:
            model.train(training)
        return out

    def _sample(
        self, out: dict[str, list[list[Any]]], prompt: str | Messages, places: range, group_size: int, step: int
    ) -> None:
        """The samples of one group at some places of the global batch. The whole group is drawn, wherever it is cut."""
        observation = self._observation_of(prompt)
        seed = derive_seed(self.seed, "rollout", step, places.start // group_size, observation)
        samples = self.reflector.sample([observation], num_samples=group_size, seed=seed)
        prompt_ids = samples.prompts.ids_PS[0][samples.prompts.mask_PS[0]].tolist()
        for place in places:
            row = place % group_size
            length = int(samples.mask_NT[row].sum())
            out["prompt_ids"].append(list(prompt_ids))
            out["completion_ids"].append(samples.tokens_NT[row, :length].tolist())
            out["logprobs"].append(samples.logprobs_NT[row, :length].tolist())

    def _observation_of(self, prompt: str | Messages) -> str:
        """What :func:`prompt_of` was given, cut as it was."""
        if isinstance(prompt, str):
            return prompt.removeprefix(self.reflector.tokenizer.bos_token or "")
        return str(prompt[-1]["content"])
